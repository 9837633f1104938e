"""How many random cells a surrogate cannot tell from each other, however much it is trained."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from typing import Any

import numpy as np

from pnas_tables.costs import describe_cells, find_cost_rule
from pnas_tables.record import Table

RANDOM_CELLS = 100_000
CHUNK = 10_000


def count_shared_features(table: Table, blocks: int) -> dict[str, Any]:
    """How many of `RANDOM_CELLS` drawn uniformly over unique cells share all features with another one.

    Features are those that surrogates are fitted on, with logs of costs where the recipe tells them.

    Args:
        table: of whose space the cells are.
        blocks: of each cell.

    Returns:
        JSON values: `blocks`; `cells`, the distinct ones among those drawn; `shared`, how many share.
    """
    space, rule = table.space, find_cost_rule(table.recipe)
    cells = space.canonical(space.sample(RANDOM_CELLS, np.random.default_rng(0), blocks=blocks))
    cells = cells[space.unique(cells)[0]]
    seen: Counter[bytes] = Counter()
    for start in range(0, len(cells), CHUNK):
        features, _, _ = describe_cells(space, rule, cells[start : start + CHUNK])
        features += 0.0  # zeros of one sign
        seen.update(blake2b(row.tobytes(), digest_size=16).digest() for row in features)
    shared = sum(count for count in seen.values() if count > 1)
    return {"blocks": blocks, "cells": len(cells), "shared": shared}
