"""Trained cells as a surrogate is fitted on them: features and means over seeds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.evaluate import Status
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows
from pnas_tables.costs import describe_cells, find_cost_rule
from pnas_tables.figures import mean_by_cell
from pnas_tables.record import Table

SEALED = "sealed"  # the origin of cells that are never fitted: a uniform sample
SEALED_TOP = "sealed-top"  # the same, of the region that a surrogate puts highest
SEALED_SEARCH = "sealed-search"  # the same, found by searches in the last round of an audit
SEARCH = "search"  # of cells that a search asked for
KEPT_APART = (SEALED, SEALED_TOP, SEALED_SEARCH)  # a cell of several counts as of the first
VISITED = (SEARCH, "verify")  # `verify` trains what a search visited
RAW = "raw"  # drawn uniformly over raw rows: a cell as often as rows write it, so not as other cells are
DRAWN = ("uniform", RAW)  # of the whole space; so are `all-N`
SUBSPACE = "subspace"  # the origin of cells that were drawn from, or are all of, a smaller space
RANDOM = "random"  # drawn uniformly over unique cells, or all of a size: figures of these are the space's
GROUPS = (RANDOM, RAW, SUBSPACE, "other", SEARCH, SEALED, SEALED_TOP, SEALED_SEARCH)  # other: imported


@dataclass(frozen=True, slots=True)
class Sample:
    """n cells with an accuracy, c checkpoints.

    Attributes:
        space: of the cells.
        cells: `uint8[n, width]`, canonical.
        features: `float64[n, f]`, with logs of costs where the recipe tells them.
        accuracies: `float64[n, c]`, means over the runs that did not diverge, or over all where all did; the
            last column is the validation accuracy. Earlier ones may be NaN.
        seconds: `float64[n]`, means over runs, NaN if unknown.
        runs: `float64[n]`, how many runs the means are of.
        blocks: `int64[n]`.
        groups: `int64[n]`, why the cell was trained: place in `GROUPS`.
    """

    space: CellSpace
    cells: Rows
    features: Floats
    accuracies: Floats
    seconds: Floats
    runs: Floats
    blocks: NDArray[np.int64]
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def final(self) -> Floats:
        """Validation accuracy after the whole training, `float64[n]`."""
        return np.asarray(self.accuracies[:, -1], np.float64)

    @property
    def weights(self) -> Floats:
        """How much a cell counts in a fit, `float64[n]`: 1 with one run, towards 2 with many.

        Of what features leave unexplained about half is seed noise (seed deviation .0078 beside a held-out
        RMSE of .0117 when this was chosen, 223 cells); only that half shrinks with the number of runs.
        """
        return 2 * self.runs / (self.runs + 1)

    def take(self, places: NDArray[Any]) -> Sample:
        """The cells at these places, or where this mask is true."""
        arrays = {field.name: getattr(self, field.name)[places] for field in fields(self)[1:]}
        return Sample(self.space, **arrays)

    @property
    def sealed(self) -> NDArray[np.bool_]:
        """Which cells are never fitted, `bool[n]`."""
        return np.isin(self.groups, [GROUPS.index(group) for group in KEPT_APART])

    def of_group(self, group: str) -> NDArray[np.bool_]:
        """Which cells belong to this group, `bool[n]`."""
        return np.asarray(self.groups == GROUPS.index(group))


def gather_sample(table: Table) -> Sample:
    """All cells of a table that have an accuracy, sealed ones too."""
    features, _, _ = describe_cells(table.space, find_cost_rule(table.recipe), table.cells)
    curves = table.curves.copy()
    curves[:, -1] = table.valid_accuracy
    counted = _choose_runs(table)
    accuracies = mean_by_cell(table, np.where(counted[:, None], curves, np.nan))
    sample = Sample(
        table.space,
        table.cells,
        features,
        accuracies,
        mean_by_cell(table, table.seconds),
        np.bincount(table.run_cells[counted], minlength=len(table)).astype(np.float64),
        np.asarray(table.space.block_counts(table.cells), np.int64),
        np.array([GROUPS.index(find_group(origin)) for origin in table.origins], np.int64),
    )
    return sample.take(sample.runs > 0)


def _choose_runs(table: Table) -> NDArray[np.bool_]:
    """Runs that tell a cell's worth, `bool[m]`: those that ended well, or diverged ones where none did."""
    ended = table.status == Status.OK
    has_one = np.bincount(table.run_cells[ended], minlength=len(table)) > 0
    return np.asarray(ended | ((table.status == Status.DIVERGED) & ~has_one[table.run_cells]))


def choose_repeats(table: Table) -> NDArray[np.bool_]:
    """Runs that tell what another seed changes, `bool[m]`: ended well, and not why the cell was repeated.

    A cell that was trained again because its first accuracy was high, or low, had luck in it: together with
    the seeds that followed it would pass for noise (the 50 best of 2,178 cells: 1.4 times the deviation). So
    of three or more runs the one of the lowest seed is left out. Cells that a search visited, or that were
    sealed and never drawn otherwise, were asked for with all their seeds at once.
    """
    ended = table.status == Status.OK
    at_once = np.array([_asked_at_once(origin) for origin in table.origins], np.bool_)
    runs = np.flatnonzero(ended)
    runs = runs[np.lexsort((table.seeds[runs], table.run_cells[runs]))]
    cells = table.run_cells[runs]
    first = np.diff(cells, prepend=-1) != 0
    many = np.bincount(cells, minlength=len(table)) > 2
    chosen: NDArray[np.bool_] = ended.copy()
    chosen[runs[first & (many & ~at_once)[cells]]] = False
    return chosen


def _asked_at_once(origin: str) -> bool:
    return set(origin.split("+")) <= set(KEPT_APART) or find_group(origin) == SEARCH


def is_sealed(origin: str) -> bool:
    """Whether a cell of this origin is never fitted."""
    return find_group(origin) in KEPT_APART


def find_group(origin: str) -> str:
    """The group of a cell whose origin is these words, joined by `+`.

    Sealed ones first, then a search's, then those drawn of the whole space: `raw` only where it was not drawn
    uniformly, too.
    """
    words = origin.split("+")
    for group in KEPT_APART:
        if group in words:
            return group
    if any(word in VISITED for word in words):
        return SEARCH
    if any(word == "uniform" or word.startswith("all-") for word in words):
        return RANDOM
    return next((group for group in (RAW, SUBSPACE) if group in words), "other")
