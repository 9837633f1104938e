"""Do near cells share what a surrogate does not know of them, and do they in its worlds?

    python bench/licence.py draw --table cifar10-16px-mini --out results/tenth.h5
    pnas-sim table fit results/tenth.h5
    python bench/kinship.py results/tenth.h5

The table holds every cell of its space, and its surrogates are fitted on a part of them, the others being
`sealed`. Of those, for each surrogate: how far what was trained departs from what the model says, and the
correlation of these departures between cells of one size that differ in 1, 2 or 3 tokens, free of seed noise
(a cell's mean over seeds has that of its runs in it, which no two cells share). In brackets its deviation
where departures are shuffled among cells of a size. Beside it the same of the effects that worlds draw for
these cells, each cell's own or shared with near ones, means over the worlds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from effects import count_apart, shuffle_within
from numpy.typing import NDArray

from pnas_sim.evaluate import Status
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


def describe(table: Table, name: str) -> None:
    """Prints a surrogate's lines."""
    asked = np.array([find_group(origin) == SEALED for origin in table.origins])
    trained = np.where(table.status == Status.OK, table.valid_accuracy, np.nan)
    means, noise = mean_by_cell(table, trained), within_variance(table, trained) or 0.0
    asked &= ~np.isnan(means)
    runs = np.bincount(table.run_cells[~np.isnan(trained)], minlength=len(table))
    cells, blocks = table.cells[asked], count_blocks(table.cells[asked])
    pairs, rng = list_pairs(count_apart(cells, blocks)), np.random.default_rng(0)
    surrogate = Surrogate.from_table(table, name)
    departures = means[asked] - surrogate.predict_mean(cells)
    left = float((noise / runs[asked]).mean())
    total = float(departures.var())
    print(
        f"{name}: {len(cells)} cells that were not fitted; departures of {100 * total**0.5:.2f} points, "
        f"{100 * max(0.0, total - left) ** 0.5:.2f} free of seed noise"
    )
    standard = centre(departures, blocks)
    known = total / (total - left)  # what noise takes off a correlation
    shuffled = [correlate(standard[shuffle_within(blocks, rng)], pairs) * known for _ in range(SHUFFLES)]
    print(f"  {'trained':18}{write(correlate(standard, pairs) * known, np.std(shuffled, axis=0))}")
    for effects in EFFECTS:
        drawn = []
        for world in range(surrogate.worlds):
            there = Surrogate.from_table(table, name, world, effects)
            drawn.append(
                correlate(centre(there.predict_accuracy(cells) - there.predict_mean(cells), blocks), pairs)
            )
        print(f"  {'worlds, ' + effects:18}{write(np.mean(drawn, axis=0), np.std(drawn, axis=0))}")


def write(means: Floats, deviations: Floats) -> str:
    figures = zip(TOKENS, means, deviations, strict=True)
    return ", ".join(f"{tokens} apart {mean:+.3f} ({spread:.3f})" for tokens, mean, spread in figures)


def main() -> None:
    """Prints the lines of every surrogate of a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("table", type=Path)
    table = read_table(parser.parse_args().table)
    for name in sorted(table.surrogates):
        describe(table, name)


if __name__ == "__main__":
    main()
