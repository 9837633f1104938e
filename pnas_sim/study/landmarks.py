"""What a world's accuracies are measured by: random cells for fixed targets, and a long local search.

The best cell of a world is not known: it holds far too many. Regret is counted from the best noise-free value
that anything found, and named so: every search compared, and a local search that climbs on noise-free values,
which no search may see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pnas_sim.answers import ask_whole
from pnas_sim.evaluate import Evaluator
from pnas_sim.space.arrays import Floats, Rows

TARGETS = {"top 1%": 0.99, "top 0.1%": 0.999}  # of random cells, by quantile
KEPT, CHILDREN, PATIENCE = 20, 500, 10  # of the local search


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmarks:
    """Of one world.

    Attributes:
        world: its number.
        data: checksum of what the answers come from.
        sample: random cells drawn, uniform over unique cells of the largest size.
        observed: thresholds by name of the target, with seed noise; of targets that the sample is large
            enough for (`find_thresholds`).
        expected: the same, free of it.
        local_evaluations: cells that the long local search asked for; 0 if there was none.
        local_best: the highest noise-free value it found; that of the sample if there was none.
        local_cell: the cell that has it.
    """

    world: int
    data: str
    sample: int
    observed: Mapping[str, float]
    expected: Mapping[str, float]
    local_evaluations: int
    local_best: float
    local_cell: str

    @property
    def finder(self) -> str:
        """How `local_cell` was found."""
        return "long local search" if self.local_evaluations else "random sample"

    def as_json(self) -> dict[str, Any]:
        """JSON values; `Landmarks(**value)` reads them again."""
        return asdict(self)


def find_landmarks(
    evaluator: Evaluator,
    world: int,
    *,
    blocks: int,
    sample: int = 10_000,
    local: int = 20_000,
    epochs: float | None = None,
    seed: int = 0,
) -> Landmarks:
    """Draws random cells, and climbs from the best of them.

    Args:
        evaluator: of this world.
        world: its number.
        blocks: of the largest cells.
        sample: random cells, at least 1.
        local: cells that the local search may ask for; 0 for none.
        epochs: by default the evaluator's own.
        seed: of the draws.
    """
    spec, at = evaluator.spec, epochs or evaluator.spec.epochs
    rng = np.random.default_rng(np.random.SeedSequence([seed, world]))
    cells = spec.space.sample(sample, rng, blocks=blocks, unique=True)
    values, expected = ask_values(evaluator, cells, at, seed)
    best = np.argsort(-np.nan_to_num(expected, nan=-1.0), kind="stable")[:KEPT]
    kept, heights, asked = _climb(evaluator, cells[best], expected[best], local, at, rng)
    return Landmarks(
        world=world,
        data=spec.checksum,
        sample=sample,
        observed=find_thresholds(values),
        expected=find_thresholds(expected),
        local_evaluations=asked,
        local_best=float(heights[0]),
        local_cell=spec.space.format(kept[0]),
    )


def find_thresholds(values: Floats) -> dict[str, float]:
    """Accuracies of the targets by name, of those of random cells (`float64[n]`).

    The best 0.1% of 100 cells are none: a target that less than one cell would be above is left out.
    """
    return {
        name: float(np.nanquantile(values, share))
        for name, share in TARGETS.items()
        if round(len(values) * (1 - share), 9) >= 1
    }


def ask_values(evaluator: Evaluator, cells: Rows, epochs: float, seed: int) -> tuple[Floats, Floats]:
    """Validation accuracies of canonical rows, observed and noise-free (`float64[n]` each).

    Where the evaluator knows no noise-free values, the observed ones stand for them.
    """
    answers = ask_whole(evaluator, cells, epochs, seed)
    values, expected = answers.valid_accuracy, answers.expected_valid_accuracy
    return values, np.where(np.isnan(expected), values, expected)


def _climb(
    evaluator: Evaluator, cells: Rows, heights: Floats, budget: int, epochs: float, rng: np.random.Generator
) -> tuple[Rows, Floats, int]:
    """Mutates the best cells and keeps the best of all, until nothing gets better or the budget is spent.

    Returns:
        Cells kept, best first, their noise-free values, and the cells asked for.
    """
    space, asked, stale = evaluator.spec.space, 0, 0
    while asked < budget and stale < PATIENCE:
        count = min(CHILDREN, budget - asked)
        parents = cells[rng.integers(0, len(cells), count)]
        children = space.mutate(parents, rng)
        _, found = ask_values(evaluator, children, epochs, 0)
        asked += count
        cells, better = np.concatenate([cells, children]), np.concatenate([heights, found])
        first, _ = space.unique(cells)
        order = first[np.argsort(-np.nan_to_num(better[first], nan=-1.0), kind="stable")][:KEPT]
        stale = stale + 1 if better[order].sum() <= heights.sum() else 0
        cells, heights = cells[order], better[order]
    return cells, heights, asked
