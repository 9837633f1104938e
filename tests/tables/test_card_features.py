from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pnas_sim.space import CellSpace
from pnas_tables.card_features import count_shared_features
from pnas_tables.features import cell_features
from pnas_tables.record import Table


def test_cells_that_share_all_features_are_counted(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly all two-block cells of three operations, of which some differ in wiring alone."""
    space = CellSpace(("sep3", "id", "max3"), 2)
    monkeypatch.setattr("pnas_tables.card_features.RANDOM_CELLS", 20_000)
    monkeypatch.setattr("pnas_tables.card_features.CHUNK", 100)
    found = count_shared_features(replace(table, space=space), 2)
    assert found["blocks"] == 2 and found["cells"] == space.count_unique(2)
    cells = space.canonical(space.sample(20_000, np.random.default_rng(1), blocks=2))
    features = cell_features(space, cells[space.unique(cells)[0]])
    counts = np.unique(features, axis=0, return_counts=True)[1]
    assert found["shared"] == counts[counts > 1].sum() > 0
    monkeypatch.setattr("pnas_tables.costs.cell_features", lambda _, rows: rows.astype(float))
    assert count_shared_features(replace(table, space=space), 2)["shared"] == 0
