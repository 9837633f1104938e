"""Figures about a table, each a plain function of it."""

from __future__ import annotations

import numpy as np

from pnas_sim.space.arrays import Floats
from pnas_tables.record import Table


def cells_by_blocks(table: Table) -> dict[int, int]:
    """Number of cells of each block count that occurs, ascending."""
    values, counts = np.unique(table.space.block_counts(table.cells), return_counts=True)
    return {int(blocks): int(count) for blocks, count in zip(values, counts, strict=True)}


def seeds_per_cell(table: Table) -> dict[int, int]:
    """Number of cells that have each number of runs, ascending."""
    values, counts = np.unique(np.bincount(table.run_cells, minlength=len(table)), return_counts=True)
    return {int(runs): int(count) for runs, count in zip(values, counts, strict=True)}


def core_hours(table: Table) -> float:
    """Hours of all runs together, as far as known."""
    return float(np.nansum(table.seconds)) / 3600


def mean_by_cell(table: Table, values: Floats) -> Floats:
    """Mean over each cell's runs of `values` (`float64[m]` or `[m, c]`) as far as known; else NaN."""
    known = ~np.isnan(values)
    total = np.zeros((len(table), *values.shape[1:]))
    count = np.zeros_like(total)
    np.add.at(total, table.run_cells, np.where(known, values, 0.0))
    np.add.at(count, table.run_cells, known)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def is_complete(table: Table) -> bool:
    """Whether the table holds every cell of its space."""
    return not find_gaps(table)


def find_gaps(table: Table) -> dict[int, tuple[int, int]]:
    """Of each block count that lacks cells: how many the table holds, and how many the space has."""
    counts = cells_by_blocks(table)
    pairs = {b: (counts.get(b, 0), table.space.count_unique(b)) for b in range(1, table.space.max_blocks + 1)}
    return {blocks: (held, there) for blocks, (held, there) in pairs.items() if held < there}
