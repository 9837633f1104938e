"""How many cells share another cell's features. Run: `python bench/shared_features.py` (half a minute).

A surrogate cannot tell cells of equal features apart, however much it is trained. Counted are distinct
canonical cells: 100,000 uniform five-block cells; harder, all 31,620 two-block cells, and five-block ones a
change away from 2,000 others (neighbours are what a local search compares). Beside each stands the share by a
bag of operations by input alone, as a measure of what the wiring adds.
"""

from __future__ import annotations

import numpy as np

from pnas_sim.space import CellSpace
from pnas_tables.features import cell_features, feature_names
from pnas_tables.plans import enumerate_cells


def share_shared(features: np.ndarray) -> float:
    """Share of rows that are equal to another row."""
    _, inverse, counts = np.unique(features, axis=0, return_inverse=True, return_counts=True)
    return float((counts[inverse.ravel()] > 1).mean())


def mutate_around(space: CellSpace, centers: int, changes: int, rng: np.random.Generator) -> np.ndarray:
    """Distinct cells that are one change away from one of `centers` five-block cells."""
    near = np.repeat(space.sample(centers, rng, blocks=5), changes, axis=0)
    mutants = space.mutate(near, rng)
    return mutants[space.unique(mutants)[0]]


def main() -> None:
    space, rng = CellSpace(), np.random.default_rng(0)
    random = space.canonical(space.sample(110_000, rng, blocks=5))
    sets = {
        "100,000 uniform five-block cells": random[space.unique(random)[0]][:100_000],
        "all 31,620 two-block cells": enumerate_cells(space, 2),
        "neighbours of 2,000 five-block cells": mutate_around(space, 2000, 50, rng),
    }
    bag = [name for name in feature_names(space.operations) if " on " in name and "then" not in name]
    places = [feature_names(space.operations).index(name) for name in bag]
    for what, cells in sets.items():
        features = cell_features(space, cells)
        print(
            f"{what}: n {len(cells)}: share sharing all features {share_shared(features):.5f}, "
            f"sharing the bag of operations by input {share_shared(features[:, places]):.5f}"
        )


if __name__ == "__main__":
    main()
