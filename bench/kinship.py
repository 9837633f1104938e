"""Do near cells share what a surrogate does not know of them, and do they in its worlds?

    python bench/licence.py draw --table cifar10-16px-mini --out results/tenth.h5
    pnas-sim table fit results/tenth.h5
    python bench/kinship.py results/tenth.h5 --write results/kinship.md

The table holds every cell of its space, and its surrogates are fitted on a part of them, the others being
`sealed`. Of those, for each surrogate: how far what was trained departs from what the model says, and the
correlation of these departures between cells of one size that differ in 1, 2 or 3 tokens, free of seed noise
(a cell's mean over seeds has that of its runs in it, which no two cells share). In brackets its deviation
where departures are shuffled among cells of a size. Beside it the same of the effects that worlds draw for
these cells, each cell's own or shared with near ones, means over the worlds with their deviation.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from effects import count_apart, shuffle_within
from numpy.typing import NDArray

from pnas_sim.evaluate import Status
from pnas_sim.report.comparison_markdown import make_table
from pnas_sim.space.rows import count_blocks
from pnas_tables.extras import within_variance
from pnas_tables.figures import mean_by_cell
from pnas_tables.format import read_table
from pnas_tables.record import Table
from pnas_tables.sample import SEALED, find_group
from pnas_tables.surrogate import EFFECTS, Surrogate

Floats = NDArray[np.float64]
Pairs = tuple[NDArray[np.intp], ...]
TOKENS = (1, 2, 3)
SHUFFLES = 200


def list_pairs(apart: NDArray[np.int64]) -> list[Pairs]:
    """Pairs of cells that differ in so many tokens."""
    upper = np.triu(np.ones_like(apart, dtype=bool), 1)
    return [np.nonzero((apart == tokens) & upper) for tokens in TOKENS]


def centre(values: Floats, blocks: NDArray[np.int64]) -> Floats:
    """Departures from the mean of each size, over their deviation, `float64[n]`."""
    centred = values.copy()
    for size in np.unique(blocks):
        centred[blocks == size] -= centred[blocks == size].mean()
    return np.asarray(centred / centred.std(), np.float64)


def correlate(values: Floats, pairs: Sequence[Pairs]) -> Floats:
    """Mean product over the pairs of each distance."""
    return np.array([(values[one] * values[other]).mean() for one, other in pairs])


def depart(
    table: Table, surrogate: Surrogate, chosen: NDArray[np.bool_], noisy: NDArray[np.bool_] | None = None
) -> tuple[Floats, Floats]:
    """What the mean of a cell's chosen runs is beyond the model, and the variance that seeds leave, `[n]`.

    Args:
        table: of n cells, with r runs.
        surrogate: of it.
        chosen: `bool[r]`; what is unknown is NaN.
        noisy: `bool[n]`, the cells that the seeds' variance is measured on; by default all.
    """
    trained = np.where(chosen, table.valid_accuracy, np.nan)
    runs = np.bincount(table.run_cells[~np.isnan(trained)], minlength=len(table))
    measured = trained if noisy is None else np.where(noisy[table.run_cells], trained, np.nan)
    noise = within_variance(table, measured) or 0.0
    return mean_by_cell(table, trained) - surrogate.predict_mean(table.cells), noise / np.maximum(runs, 1)


def draw_effects(table: Table, name: str, effects: str, cells: NDArray[np.uint8]) -> Iterator[Floats]:
    """What each of a surrogate's worlds adds to the model for these cells, `float64[n]`."""
    for world in range(Surrogate.from_table(table, name).worlds):
        there = Surrogate.from_table(table, name, world, effects)
        yield there.predict_accuracy(cells) - there.predict_mean(cells)


def describe(table: Table, name: str) -> list[tuple[str, ...]]:
    """A surrogate's rows."""
    asked = np.array([find_group(origin) == SEALED for origin in table.origins])
    surrogate = Surrogate.from_table(table, name)
    whole, noise = depart(table, surrogate, table.status == Status.OK)
    asked &= ~np.isnan(whole)
    cells, blocks = table.cells[asked], count_blocks(table.cells[asked])
    pairs, rng = list_pairs(count_apart(cells, blocks)), np.random.default_rng(0)
    departures = whole[asked]
    free = float(departures.var() - noise[asked].mean())
    standard = centre(departures, blocks)
    known = float(departures.var()) / free  # what noise takes off a correlation
    shuffled = [correlate(standard[shuffle_within(blocks, rng)], pairs) * known for _ in range(SHUFFLES)]
    found = correlate(standard, pairs) * known
    rows = [write_row(name, "trained", free**0.5, found, np.std(shuffled, axis=0))]
    for effects in EFFECTS:
        drawn = list(draw_effects(table, name, effects, cells))
        together = np.array([correlate(centre(one, blocks), pairs) for one in drawn])
        size = float(np.mean([one.std() for one in drawn]))
        rows.append(write_row(name, f"worlds, {effects}", size, together.mean(0), together.std(0)))
    return rows


def write_row(name: str, where: str, size: float, means: Floats, deviations: Floats) -> tuple[str, ...]:
    figures = [f"{mean:+.2f} ({spread:.2f})" for mean, spread in zip(means, deviations, strict=True)]
    return (name, where, f"{100 * size:.2f}", *figures)


def main() -> None:
    """Prints a row for the trainings and the worlds of every surrogate of a table, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--write", type=Path, metavar="FILE", help="written instead of printed")
    options = parser.parse_args()
    table = read_table(options.table)
    heads = ("surrogate", "where", "deviation, points", *(f"{tokens} apart" for tokens in TOKENS))
    rows = [row for name in sorted(table.surrogates) for row in describe(table, name)]
    text = "\n".join(("### What near cells share", "", *make_table(heads, rows))) + "\n"
    if options.write is None:
        print(text, end="")
    else:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
