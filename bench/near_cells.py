"""Do near cells of a table's largest size share what its surrogates do not know of them? Trained, resumably.

    python bench/near_cells.py train --data DIR --workers 2 [--hours H]
    python bench/near_cells.py report

Sealed cells were trained two or three times each and never fitted: uniform draws, draws from the top region,
and finds of an audit's searches. Of each a neighbour is trained once, by the table's own recipe: a mutation
that differs from it in one token of the canonical row, and is not in the table. The neighbours are fixed by
`SEED`, work goes in turns over the three kinds, and each finished training is a line of `near_cells.jsonl`.

Reported, for each surrogate and kind: how far trainings depart from what the model says, in both; the
covariance of the two departures over pairs, in units of the variance of such departures free of seed noise.
That is the correlation of what near cells have beyond the model (0: each its own); in brackets a 95% interval
by bootstrap over pairs. Beside it the same of a world's effects, shared as `pnas_tables.kinship` has them.
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
from numpy.typing import NDArray
from trainings import Job, add_training_options, find_lines, train

from pnas_sim.evaluate import Status
from pnas_sim.report.comparison_markdown import make_table
from pnas_sim.space import CellSpace
from pnas_sim.space.rows import count_blocks
from pnas_tables.catalogue import DEFAULT_TABLE, find_table
from pnas_tables.extras import within_variance
from pnas_tables.figures import mean_by_cell
from pnas_tables.format import read_table
from pnas_tables.record import Table
from pnas_tables.sample import SEALED, SEALED_SEARCH, SEALED_TOP, find_group
from pnas_tables.surrogate import SHARED, Surrogate
from pnas_tables.trainer import stored_recipe

Floats = NDArray[np.float64]
LINES = Path(__file__).with_name("near_cells.jsonl")
KINDS = (SEALED_TOP, SEALED_SEARCH, SEALED)
SEED = 0
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
    rows = [
        row
        for name in sorted(table.surrogates)
        for kind in (*KINDS, "all")
        if (row := describe(table, name, kind, [one for one in lines if kind in (one["kind"], "all")]))
    ]
    return "\n".join(
        make_table(
            (
                "surrogate",
                "cells",
                "pairs",
                "deviation, points",
                "neighbours' lie, points",
                "correlation, trained",
                "in worlds that share",
            ),
            rows,
        )
    )


def describe(table: Table, name: str, kind: str, lines: list[dict[str, Any]]) -> tuple[str, ...] | None:
    """A row of the report; None with too few pairs."""
    lines = [line for line in lines if line["status"] == "ok"]
    if len(lines) < 10:
        return None
    space = CellSpace(table.space.operations, table.space.max_blocks)
    cells, near = (np.stack([space.parse(line[key]) for line in lines]) for key in ("of", "cell"))
    places = {row.tobytes(): place for place, row in enumerate(space.fit_width(table.cells))}
    mine = np.array([places[row.tobytes()] for row in space.fit_width(cells)])
    trained = np.where(table.status == Status.OK, table.valid_accuracy, np.nan)
    runs = np.bincount(table.run_cells[~np.isnan(trained)], minlength=len(table))[mine]
    noise = within_variance(table, np.where(np.isin(table.run_cells, mine), trained, np.nan)) or 0.0
    surrogate = Surrogate.from_table(table, name)
    one = mean_by_cell(table, trained)[mine] - surrogate.predict_mean(cells)
    other = np.array([line["valid_accuracy"] for line in lines]) - surrogate.predict_mean(near)
    kinds = np.array([line["kind"] for line in lines])
    for group in KINDS:  # what a whole kind has beyond the model is not shared by neighbours alone
        one[kinds == group] -= one[kinds == group].mean() if (kinds == group).any() else 0
    found = share(one, other, noise / runs)
    rng = np.random.default_rng(0)
    picks = (rng.integers(0, len(one), len(one)) for _ in range(RESAMPLES))
    low, high = np.quantile(
        [share(one[pick], other[pick], noise / runs[pick]) for pick in picks], [0.025, 0.975]
    )
    worlds = [Surrogate.from_table(table, name, world, SHARED) for world in range(surrogate.worlds)]
    drawn = [
        [there.predict_accuracy(at) - there.predict_mean(at) for at in (cells, near)] for there in worlds
    ]
    beside = float(np.mean([np.corrcoef(pair)[0, 1] for pair in drawn]))
    free = 100 * max(0.0, one.var() - (noise / runs).mean()) ** 0.5
    figures = (
        f"{free:.2f}",
        f"{100 * other.mean():+.2f}",
        f"{found:+.2f} ({low:+.2f} to {high:+.2f})",
        f"{beside:+.2f}",
    )
    return (name, kind, str(len(lines)), *figures)


def share(one: Floats, other: Floats, noise: Floats) -> float:
    """Covariance of two departures over the variance of the first free of seed noise."""
    together = ((one - one.mean()) * (other - other.mean())).mean()
    return float(together / (one.var() - noise.mean()))


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
