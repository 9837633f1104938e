"""What a predictor study fits on and asks about: a pool of cells of each size, truth with noise and without.

Pools come from two sources that are never mixed: really trained cells, and cells that an evaluator (a table's
surrogate) answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.answers import ask_whole
from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Evaluator, Status
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows
from pnas_sim.study.finished import find_fingerprint

Source: TypeAlias = Literal["trained", "surrogate"]

TRAINED: Source = "trained"
SURROGATE: Source = "surrogate"
MOST_ROUNDS = 50  # of drawing, where a space has hardly more cells than are asked for
LEAST_FREEDOM = 8  # repeated trainings of one size, to know its seed noise by themselves


@dataclass(frozen=True, slots=True)
class Pool:
    """Cells of one size.

    Attributes:
        cells: `uint8[n, width]`, canonical, distinct.
        noisy: `float64[n]`, what one training (or one draw of noise) gave; what predictors are fitted on.
        expected: `float64[n]`, free of seed noise as far as known, NaN where it is not: the mean over seeds
            of cells trained more than once (the noisy one among them), or what the surrogate expects.
        noise: deviation of a training seed; NaN if unknown.
        pooled: that is of cells of all sizes, for want of this size's with several seeds.
    """

    cells: Rows
    noisy: Floats
    expected: Floats
    noise: float
    pooled: bool = False

    def __len__(self) -> int:
        return len(self.cells)


@dataclass(frozen=True, slots=True)
class Pools:
    """The pools of one source.

    Attributes:
        source: where the truth comes from.
        space: of the cells.
        by_blocks: pools by their cells' size.
        data: names everything that the truth comes from.
        left_out: cells without any accuracy (all their trainings failed).
    """

    source: Source
    space: CellSpace
    by_blocks: Mapping[int, Pool]
    data: str
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedCells:
    """Really trained cells as a table holds them: n cells, m runs.

    Attributes:
        space: whose canonical rows the cells are.
        cells: `uint8[n, width]`, distinct.
        origins: n words on why each was chosen, joined by `+`.
        run_cells: `int64[m]`, the cell of each run.
        seeds: `int64[m]`, training seeds.
        status: `uint8[m]`, of `pnas_sim.evaluate.Status`.
        valid_accuracy: `float64[m]`; NaN where the run failed.
        chance: what a diverged run is told as.
        data: checksum of the table.
    """

    space: CellSpace
    cells: Rows
    origins: Sequence[str]
    run_cells: NDArray[np.int64]
    seeds: NDArray[np.int64]
    status: NDArray[np.uint8]
    valid_accuracy: Floats
    chance: float
    data: str


def pool_trained(trained: TrainedCells) -> Pools:
    """Pools the cells that were drawn uniformly, or of a size that was trained whole; others are biased.

    The noisy truth is the run of the lowest seed. Failed runs are left out, diverged ones are told as chance,
    as a search is told.
    """
    accuracy = np.where(trained.status == Status.DIVERGED, trained.chance, trained.valid_accuracy)
    known = np.isfinite(accuracy) & (trained.status != Status.FAILED)
    count = len(trained.cells)
    order = np.lexsort((trained.seeds, trained.run_cells))
    order = order[known[order]]
    own = trained.run_cells[order]
    runs = np.bincount(own, minlength=count)
    noisy = np.full(count, np.nan)
    noisy[own[::-1]] = accuracy[order[::-1]]  # the first run of a cell is written last
    mean = np.bincount(own, accuracy[order], minlength=count) / np.maximum(runs, 1)
    away = accuracy[order] - mean[own]
    squares = np.asarray(np.bincount(own, away**2, minlength=count), np.float64)
    expected = np.where(runs > 1, mean, np.nan)
    sizes = trained.space.block_counts(trained.cells)
    uniform = np.array(
        [_is_uniform(word, size) for word, size in zip(trained.origins, sizes.tolist(), strict=True)],
        np.bool_,
    )
    pools = {}
    for size in np.unique(sizes[uniform & (runs > 0)]).tolist():
        mine = np.flatnonzero(uniform & (runs > 0) & (sizes == size))
        noise, pooled = _pool_noise(squares, runs, sizes == size)
        pools[size] = Pool(trained.cells[mine], noisy[mine], expected[mine], noise, pooled)
    left_out = int((uniform & (runs == 0)).sum())
    return Pools(TRAINED, trained.space, pools, trained.data, left_out)


def _is_uniform(origin: str, size: int) -> bool:
    words = origin.split("+")
    return "uniform" in words or f"all-{size}" in words


def _pool_noise(squares: Floats, runs: NDArray[np.integer], mine: NDArray[np.bool_]) -> tuple[float, bool]:
    """The deviation of a seed: of this size's repeated trainings, or of all; and whether it is of all."""
    for pooled, chosen in enumerate((mine & (runs > 1), runs > 1)):
        freedom = int((runs[chosen] - 1).sum())
        if freedom >= LEAST_FREEDOM:
            return float(np.sqrt(squares[chosen].sum() / freedom)), bool(pooled)
    return float("nan"), False


def pool_answers(evaluator: Evaluator, cells: int, epochs: float, seed: int, largest: int) -> Pools:
    """Pools random cells of every size that an evaluator answers (Algorithm 2's U).

    Args:
        evaluator: of a space; one that answers in bulk is asked in bulk.
        cells: R, of each size; all there are where there are fewer.
        epochs: the fidelity.
        seed: of the draws, and of the noise.
        largest: size of the largest cells.

    Raises:
        SettingError: fewer than 2 cells, or all of a size failed.
    """
    if cells < 2:
        raise SettingError(f"cells is {cells}; a pool has at least 2")
    space = evaluator.spec.space
    pools, left_out = {}, 0
    for size in range(1, largest + 1):
        rows = draw_distinct(space, size, cells, np.random.default_rng([seed, size]))
        noisy, expected, usable = ask_truth(evaluator, rows, epochs, seed)
        left_out += int((~usable).sum())
        if not usable.any():
            raise SettingError(f"all {len(rows)} cells of {size} blocks failed; ask another backend")
        noise = float(np.std(noisy[usable] - expected[usable]))
        pools[size] = Pool(rows[usable], noisy[usable], expected[usable], noise)
    spec = evaluator.spec
    # of the kind the checksum knows; finished parts of earlier versions keep their names
    settings = {name: value for name, value in spec.settings.items() if name != "surrogate_kind"}
    decides = {"checksum": spec.checksum, "settings": settings, "epochs": epochs, "seed": seed}
    return Pools(SURROGATE, space, pools, find_fingerprint(decides), left_out)


def draw_distinct(space: CellSpace, blocks: int, cells: int, rng: np.random.Generator) -> Rows:
    """Draws distinct cells uniformly, in the order of drawing; all of them where the space has no more."""
    if blocks == 1 and cells >= len(space.initial()):
        return space.initial()
    found = space.initial()[:0]
    for _ in range(MOST_ROUNDS):
        found = np.concatenate([found, space.sample(cells, rng, blocks=blocks)])
        found = found[space.unique(found)[0]]
        if len(found) >= min(cells, space.count_unique(blocks)):
            break
    return found[:cells]


def ask_truth(
    evaluator: Evaluator, cells: Rows, epochs: float, seed: int
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Asks how good cells are.

    Returns:
        The noisy accuracies (chance where a child diverged), those free of noise, and which cells did not
        fail; `[n]` each.
    """
    answers = ask_whole(evaluator, cells, epochs, seed)
    noisy = np.where(answers.status == Status.DIVERGED, evaluator.spec.chance, answers.valid_accuracy)
    usable = (answers.status != Status.FAILED) & np.isfinite(noisy)
    return noisy, answers.expected_valid_accuracy, usable
