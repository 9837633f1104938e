"""Cells that somebody asks for: a search, an audit, or the search for sealed cells of the top region.

They stand in a CSV file with the columns `cell`, `seeds` (with spaces between) and `origin`, one file a plan
(`data/asked/PLAN.csv`); a build trains them before anything else.

    python -m pnas_tables.asked --plan cifar10-16px --table cifar10-16px --top-region 40

adds 40 sealed cells of the top region: of a fixed stream of uniform draws over unique five-block cells, the
hundredth that the table's surrogate puts highest, and of those 40 at random. So they come from the region
where searches end, and are no search's own winners, whose surrogate values are flattered. Nothing is ever
fitted on them: their origin is `sealed-top`.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pnas_sim.errors import CellError, PnasError, SettingError, TableError
from pnas_sim.files import follow_link
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_tables.catalogue import data_folder, find_table
from pnas_tables.format import read_table, write_file
from pnas_tables.plans import Jobs, Plan, draw_cells, join_jobs
from pnas_tables.record import checksum
from pnas_tables.sample import SEALED_TOP
from pnas_tables.shipped_plans import find_plan

COLUMNS = ("cell", "seeds", "origin")
REGION_DRAWS = 10_000  # cells the top region is the best hundredth of
REGION_SHARE = 0.01
REGION_SEED = 1  # added to the plan's: the stream is not the one that surrogates are fitted on


def asked_file(plan: str) -> Path:
    """Where the cells asked for beside a plan stand."""
    return data_folder() / "asked" / f"{plan}.csv"


def read_asked(path: Path, space: CellSpace) -> Jobs:
    """The jobs of a file, seed by seed, in the file's order; none if there is no file.

    Raises:
        TableError: it cannot be read as UTF-8 or CSV, a line that is no cell of the space or has more fields,
            a seed that is no number, or another column.
    """
    if not path.exists():
        return join_jobs([], space)
    jobs = [_read_record(path, number, record, space) for number, record in _read_records(path)]
    seeds = sorted({int(seed) for one in jobs for seed in one.seeds})
    return join_jobs(
        [one.take(np.flatnonzero(one.seeds == seed).tolist()) for seed in seeds for one in jobs], space
    )


def _read_records(path: Path) -> list[tuple[int, dict[str | None, Any]]]:
    """The lines of a file below its first, with their numbers."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise TableError(f"{path}: its columns are not {', '.join(COLUMNS)}; correct its first line")
            return list(enumerate(reader, 2))
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except (OSError, csv.Error) as error:
        raise TableError(f"{path} cannot be read as CSV: {error}; correct it") from None


def read_cells_file(path: Path, space: CellSpace) -> Jobs:
    """The jobs of a file that a user names, which must be there and hold some.

    Raises:
        SettingError: it does not.
        TableError: as `read_asked`.
    """
    if not path.exists():
        raise SettingError(f"cells file {path} does not exist; give one with the columns {','.join(COLUMNS)}")
    jobs = read_asked(path, space)
    if not len(jobs):
        raise SettingError(
            f"cells file {path} has no cells; give at least one line: CELL,0,search for instance"
        )
    return jobs


def _read_record(path: Path, number: int, record: dict[str | None, Any], space: CellSpace) -> Jobs:
    if None in record:
        raise TableError(f"{path}, line {number}: it has more fields than {', '.join(COLUMNS)}")
    cell, seeds, origin = (record.get(name) or "" for name in COLUMNS)
    try:
        row = space.canonical(space.parse(cell)[None])
    except CellError as error:
        raise TableError(f"{path}, line {number}: {error}") from None
    wanted = seeds.split()
    if not wanted or not all(seed.isdecimal() and len(seed) < 20 and int(seed) < 2**63 for seed in wanted):
        raise TableError(
            f"{path}, line {number}: seeds are {seeds!r}; give whole numbers below 2**63, spaces between"
        )
    if not origin or origin.split() != [origin]:
        raise TableError(f"{path}, line {number}: origin is {origin!r}; give one word, search for instance")
    count = len(wanted)
    return Jobs(np.repeat(row, count, axis=0), np.array(wanted, np.int64), (origin,) * count)


def add_asked(path: Path, cells: Rows, seeds: Sequence[int], origin: str, space: CellSpace) -> int:
    """Adds cells to a file, in one write; those that it has already, with any seeds, are left out.

    Returns:
        How many were added.

    Raises:
        TableError: the file is damaged.
        WorkError: it cannot be written.
    """
    there = {row.tobytes() for row in read_asked(path, space).cells}
    rows = space.canonical(cells)
    fresh = [
        text for row, text in zip(rows, space.format_many(rows), strict=True) if row.tobytes() not in there
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    old = path.read_text(encoding="utf-8") if path.exists() else ",".join(COLUMNS)
    old = old if old.endswith("\n") else old + "\n"  # an editor may have left the last line open
    words = " ".join(map(str, seeds))
    lines = [f"{text},{words},{origin}\n" for text in dict.fromkeys(fresh)]
    write_file(path, (old + "".join(lines)).encode("utf-8"))
    return len(lines)


def draw_top_region(plan: Plan, count: int, table: Path) -> Rows:
    """`count` five-block cells at random from the best hundredth, by a table's surrogate, of a fixed stream.

    Raises:
        SettingError: the region has fewer cells.
        TableError: the table has no surrogate.
    """
    from pnas_tables.surrogate import Surrogate

    region = int(REGION_DRAWS * REGION_SHARE)
    if not 1 <= count <= region:
        raise SettingError(f"{count} cells of the top region asked for; it has {region}")
    cells = draw_cells(plan.space, plan.space.max_blocks, REGION_DRAWS, plan.seed + REGION_SEED)
    predicted = Surrogate.from_table(read_table(table, plan.space)).predict_mean(cells)
    best = np.argsort(-predicted, kind="stable")[:region]
    chosen = np.random.default_rng([plan.seed, region]).choice(best, count, replace=False)
    return np.asarray(cells[np.sort(chosen)], np.uint8)


def main(arguments: list[str] | None = None) -> int:
    """`python -m pnas_tables.asked`: adds sealed cells of the top region to a plan's file."""
    parser = argparse.ArgumentParser(prog="python -m pnas_tables.asked", description=__doc__)
    parser.add_argument("--plan", required=True)
    parser.add_argument("--table", required=True, help="with a surrogate")
    parser.add_argument("--top-region", type=int, required=True, metavar="N", help="sealed cells to add")
    parser.add_argument("--seeds", type=int, default=3, help="training seeds of each")
    parser.add_argument("--out", type=Path, help="file to add to, if not the plan's")
    options = parser.parse_args(arguments)
    try:
        plan, table = find_plan(options.plan), find_table(options.table)
        cells = draw_top_region(plan, options.top_region, table)
        out = follow_link(options.out or asked_file(plan.name))
        added = add_asked(out, cells, range(options.seeds), SEALED_TOP, plan.space)
        print(f"{added} cells added to {out}, by the surrogate of checksum {checksum(read_table(table))}")
    except PnasError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
