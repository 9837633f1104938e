"""Do near cells of a table's largest size share what its surrogates do not know of them? Trained, resumably.

    python bench/near_cells.py train --data DIR --workers 2 [--hours H]
    python bench/near_cells.py report

Sealed cells were trained two or three times each and never fitted: uniform draws, draws from the top region,
and finds of an audit's searches. Of each a neighbour is trained once, by the table's own recipe: a mutation
that differs from it in one token of the canonical row, and is not in the table. The neighbours are fixed by
`SEED`, work goes in turns over the three kinds, and each finished training is a line of `near_cells.jsonl`.

Reported, for each surrogate and kind: the deviation, free of seed noise, of what trainings give beyond the
model, over all sealed cells of the kind; how much of its square is the covariance of a cell's with its
neighbour's, a correlation (0: each its own); in brackets a 95% interval by bootstrap over pairs. Of a cell
the neighbours' seed is left out: one seed may move near cells alike. Beside it the correlation of what worlds
add for these pairs where effects are shared (`pnas_tables.kinship`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from effects import count_apart
from keeping import hold_lines, read_lines
from kinship import depart, draw_effects
from numpy.typing import NDArray
from trainings import Job, add_training_options, find_lines, train

from pnas_sim.evaluate import Status
from pnas_sim.report.comparison_markdown import make_table
from pnas_sim.space import CellSpace
from pnas_sim.space.rows import count_blocks
from pnas_tables.catalogue import DEFAULT_TABLE, find_table
from pnas_tables.format import read_table
from pnas_tables.record import Table
from pnas_tables.sample import SEALED, SEALED_SEARCH, SEALED_TOP, find_group
from pnas_tables.surrogate import SHARED, Surrogate
from pnas_tables.trainer import stored_recipe

Floats = NDArray[np.float64]
LINES = Path(__file__).with_name("near_cells.jsonl")
KINDS = (SEALED_TOP, SEALED_SEARCH, SEALED)
SEED = 0
ALL = "all"
FEWEST = 10  # pairs of a row
RESAMPLES = 4000


def find_neighbour(
    space: CellSpace, cell: NDArray[np.uint8], known: set[bytes], place: int
) -> NDArray[np.uint8]:
    """A mutation of a canonical row that differs from it in one token and is none of those known."""
    rng = np.random.default_rng([SEED, place])
    size = count_blocks(cell[None])
    while True:
        near = space.canonical(space.mutate(np.repeat(cell[None], 64, axis=0), rng))
        apart = count_apart(np.concatenate([cell[None], near]), np.repeat(size, 65))[0, 1:]
        for one in near[(apart == 1) & (count_blocks(near) == size)]:
            if one.tobytes() not in known:
                return np.asarray(one, np.uint8)


def list_jobs(table: Table) -> Iterator[Job]:
    """The trainings, a cell of each kind in turns."""
    space, recipe = CellSpace(table.space.operations, table.space.max_blocks), stored_recipe(table)
    rows, known = space.fit_width(table.cells), {row.tobytes() for row in space.fit_width(table.cells)}
    groups = [find_group(origin) for origin in table.origins]
    kinds = [[place for place, group in enumerate(groups) if group == kind] for kind in KINDS]
    for turn in zip_longest(*kinds):
        for kind, place in zip(KINDS, turn, strict=True):
            if place is not None:
                near = space.format(find_neighbour(space, rows[place], known, place))
                yield Job({"of": space.format(rows[place]), "kind": kind}, recipe, {}, near, SEED)


def report(table: Table, lines: list[dict[str, Any]]) -> str:
    """The table of a report, as Markdown."""
    lines = [line for line in lines if line["status"] == "ok"]
    rows = []
    for name in sorted(table.surrogates):
        for kind in (*KINDS, ALL):
            mine = [line for line in lines if kind in (line["kind"], ALL)]
            if len(mine) >= FEWEST:
                rows.append((name, kind, str(len(mine)), *describe(table, name, kind, mine)))
    heads = (
        "deviation, points",
        "correlation, trained",
        "in worlds that share",
        "neighbours less model, points",
    )
    return "\n".join(make_table(("surrogate", "cells", "pairs", *heads), rows))


def describe(table: Table, name: str, kind: str, lines: list[dict[str, Any]]) -> tuple[str, ...]:
    """The figures of a row."""
    space = CellSpace(table.space.operations, table.space.max_blocks)
    cells, near = (np.stack([space.parse(line[key]) for line in lines]) for key in ("of", "cell"))
    surrogate = Surrogate.from_table(table, name)
    of_kind = np.array([kind in (group, ALL) and group in KINDS for group in map(find_group, table.origins)])
    sealed = np.array([group in KINDS for group in map(find_group, table.origins)])
    departures, noise = depart(table, surrogate, table.status == Status.OK, sealed)
    own = float(np.var(departures[of_kind]) - noise[of_kind].mean())
    places = {row.tobytes(): place for place, row in enumerate(space.fit_width(table.cells))}
    mine = np.array([places[row.tobytes()] for row in space.fit_width(cells)])
    one = depart(table, surrogate, (table.status == Status.OK) & (table.seeds != SEED))[0][mine]
    other = np.array([line["valid_accuracy"] for line in lines]) - surrogate.predict_mean(near)
    kinds = np.array([line["kind"] for line in lines])
    found = covary(one, other, kinds) / own
    rng = np.random.default_rng(0)
    picks = [rng.integers(0, len(one), len(one)) for _ in range(RESAMPLES)]
    drawn = [covary(one[pick], other[pick], kinds[pick]) / own for pick in picks]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return (
        f"{100 * own**0.5:.2f}",
        f"{found:+.2f} ({low:+.2f} to {high:+.2f})",
        f"{correlate_worlds(table, name, cells, near):+.2f}",
        f"{100 * other.mean():+.2f}",
    )


def covary(one: Floats, other: Floats, kinds: NDArray[np.str_]) -> float:
    """Covariance of pairs; what a whole kind has beyond the model is not shared by neighbours alone."""
    centred = one.copy()
    for kind in np.unique(kinds):
        centred[kinds == kind] -= one[kinds == kind].mean()
    return float((centred * other).mean())


def correlate_worlds(table: Table, name: str, cells: NDArray[np.uint8], near: NDArray[np.uint8]) -> float:
    """Mean correlation of the effects that worlds draw for pairs, where they are shared."""
    pairs = zip(*(draw_effects(table, name, SHARED, at) for at in (cells, near)), strict=True)
    return float(np.mean([np.corrcoef(pair)[0, 1] for pair in pairs]))


def main() -> None:
    """Trains or reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    add_training_options(actions.add_parser("train"))
    actions.add_parser("report")
    options = parser.parse_args()
    table = read_table(find_table(DEFAULT_TABLE))
    if options.action == "report":
        print(report(table, read_lines(LINES)))
        return
    with hold_lines(LINES):
        lines = read_lines(LINES)
        jobs = [job for job in list_jobs(table) if not any(find_lines(job, lines, LINES))]
        space = CellSpace(table.space.operations, table.space.max_blocks)
        train(jobs, LINES, space, options.data, options.workers, options.hours)


if __name__ == "__main__":
    main()
