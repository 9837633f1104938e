"""Chooses trained cells to be trained again, so that seed noise is known where few cells have several seeds.

    python bench/repeats.py --cells 1=30,2=24,3=12,4=12 --seeds 1=3,2=2,3=2,4=2 > repeats.csv
    pnas-sim table build --plan cifar10-16px --cells-file repeats.csv --children 108 --device cpu --data DIR

Of each size so many cells, evenly spaced in the order of the first seed's accuracy among those that were
trained once: the worst and the best are among them, and every accuracy counts as often as it occurs. A
deviation fitted on five-block cells says nothing of small ones, with which a progressive search begins.
"""

from __future__ import annotations

import argparse
import csv
import sys

import numpy as np

from pnas_tables.catalogue import find_table
from pnas_tables.format import read_table
from pnas_tables.record import Table


def choose_places(table: Table, blocks: int, count: int) -> list[int]:
    """Places of so many cells of a size, evenly spaced by accuracy; all of them if there are fewer."""
    runs = np.bincount(table.run_cells, minlength=len(table))
    once = (runs == 1) & (table.space.block_counts(table.cells) == blocks)
    drawn = [bool({"uniform", f"all-{blocks}"} & set(origin.split("+"))) for origin in table.origins]
    places = np.flatnonzero(once & drawn)  # sealed cells have origins of their own
    first = np.full(len(table), np.nan)
    first[table.run_cells] = table.valid_accuracy
    ranked = sorted(places[~np.isnan(first[places])], key=lambda place: first[place])
    spaced = np.unique(np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int))
    return [int(ranked[place]) for place in spaced]


def read_counts(text: str) -> dict[int, int]:
    """`1=30,2=24` by block count."""
    return {int(size): int(count) for size, _, count in (one.partition("=") for one in text.split(","))}


def main() -> None:
    """Writes the CSV that `table build --cells-file` reads."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", default="cifar10-16px")
    parser.add_argument("--cells", type=read_counts, required=True, metavar="BLOCKS=N,...")
    parser.add_argument("--seeds", type=read_counts, required=True, metavar="BLOCKS=N,...")
    options = parser.parse_args()
    table = read_table(find_table(options.table))
    out = csv.writer(sys.stdout)
    out.writerow(("cell", "seeds", "origin"))
    for blocks, count in options.cells.items():
        for place in choose_places(table, blocks, count):
            seeds = " ".join(map(str, range(options.seeds.get(blocks, 2))))
            text = table.space.format(table.cells[place])
            out.writerow((text, seeds, "all-1" if blocks == 1 else "uniform"))


if __name__ == "__main__":
    main()
