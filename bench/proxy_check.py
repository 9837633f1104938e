"""Is a table's proxy right? Trains some of its cells again with one thing of the recipe changed, resumably.

    python bench/proxy_check.py train --table NAME --data DIR --workers 2 [--factors LIST] [--hours H]
    python bench/proxy_check.py report [--table NAME] [--json] [--write FILE.json]
    pnas-sim table card NAME --proxy FILE.json

Factors, one at a time against the table's own recipe: `steps-x4` (4 times the steps, on all images that are
not validated on), `cells-2` (2 cells a stage), `pixels-32` (images of 32 x 32). 24 cells of the table's
largest size, in turns: 12 are the first of the plan's uniform stream, 12 are drawn from the top tenth of its
uniform cells by their first seed. They are chosen once and kept, with the table's figures and checksum, in a
line of `proxy_check.jsonl`; each finished training is a line more, appended at once. A killed check goes on
where it stopped, and a table that has grown since changes nothing but the slopes of all its random cells that
a report sets beside those of the chosen ones. Work goes factor by factor, a uniform and a top cell in turns,
so a check that is stopped anywhere has equally many of both.

The top cells were chosen by their first seed, so their value in the table is the mean of the others. The
factor `again` (not among the default ones) trains the table's own recipe with seed 1 on those that have no
other, at a table child's cost; without it the report counts them and says that they are biased.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keeping import append_line, hold_lines, read_lines
from trainings import Job, add_training_options, find_lines, train

from pnas_backends.training.data import read_source
from pnas_backends.training.recipe import Recipe, make_recipe
from pnas_sim.errors import PnasError, SettingError
from pnas_sim.space import CellSpace
from pnas_tables.card_proxy import FACTORS, describe_proxy
from pnas_tables.catalogue import DEFAULT_TABLE, find_table
from pnas_tables.format import read_table, write_file
from pnas_tables.proxy_cells import FIRST_SEED, Choice, choose_cells
from pnas_tables.proxy_file import AGAIN, add_slopes, as_json, summarise
from pnas_tables.record import Table
from pnas_tables.trainer import stored_recipe

LINES = Path(__file__).with_name("proxy_check.jsonl")
EACH = 12  # cells of either kind
SHARE = 0.1  # the best of the uniform cells that the top ones are drawn from
SEED = 0  # of a changed training
SECOND_SEED = 1  # of `again`


def find_settings(factor: str, recipe: Recipe, images: int) -> dict[str, Any]:
    """The settings that a factor changes.

    Args:
        factor: its name.
        recipe: of the table.
        images: there are to train on.

    Raises:
        SettingError: it is unknown, or changes nothing.
    """
    steps = 4 * recipe.epochs * recipe.train_images
    changes: Mapping[str, Callable[[], dict[str, Any]]] = {
        "steps-x4": lambda: {"train_images": images, "epochs": steps / images},
        "cells-2": lambda: {"cells_per_stage": 2},
        "pixels-32": lambda: {"image_size": 32},
        AGAIN: dict,
    }
    if factor not in changes:
        raise SettingError(f"factor {factor!r} is unknown; known are: {', '.join(changes)}")
    settings = changes[factor]()
    if factor != AGAIN and recipe.change(**settings) == recipe:
        raise SettingError(f"factor {factor} changes nothing: the table's own recipe has {settings}")
    return settings


def list_jobs(choice: Choice, factors: Sequence[str], images: int) -> Iterator[Job]:
    """The check's trainings in order."""
    recipe = make_recipe(choice.recipe)
    for factor in factors:
        settings = find_settings(factor, recipe, images)
        labels = {"table": choice.table, "factor": factor}
        for cell in choice.cells:
            if factor != AGAIN:
                yield Job(labels, recipe, settings, cell.cell, SEED)
            elif cell.kind == "top" and set(cell.accuracies) == {FIRST_SEED}:
                yield Job(labels, recipe, settings, cell.cell, SECOND_SEED)


# ------------------------------------------------------------------------------------------------- the lines


def find_choice(lines: Sequence[Mapping[str, Any]], table: str) -> Choice | None:
    """The cells that were chosen of this table, if they were."""
    for line in lines:
        if line["table"] == table and "cells" in line:
            return Choice.from_json(line)
    return None


def find_trainings(lines: Sequence[Mapping[str, Any]], table: str) -> list[Mapping[str, Any]]:
    """The lines of trainings of this table's cells."""
    return [line for line in lines if line["table"] == table and "factor" in line]


def keep_choice(path: Path, table: Table, each: int, share: float) -> Choice:
    """The cells chosen of a table, by now or by an earlier run.

    Raises:
        SettingError: those of the earlier run are of another recipe.
    """
    choice = find_choice(read_lines(path), table.name)
    if choice is None:
        choice = choose_cells(table, each, share)
        append_line(path, choice.as_json())
    if make_recipe(choice.recipe) != stored_recipe(table):
        raise SettingError(
            f"{path} has a check of table {table.name} under another recipe; move that file away first"
        )
    return choice


# --------------------------------------------------------------------------------------------------- commands


def run_train(options: argparse.Namespace) -> None:
    table = read_table(find_table(options.table))
    recipe = stored_recipe(table)
    images = len(read_source(recipe.dataset, options.data).train_images) - recipe.valid_images
    factors = [name.strip() for name in options.factors.split(",")]
    for factor in factors:  # all are checked before anything is written
        find_settings(factor, recipe, images)
    with hold_lines(options.lines):
        choice = keep_choice(options.lines, table, options.each, options.share)
        lines = find_trainings(read_lines(options.lines), choice.table)
        listed = list_jobs(choice, factors, images)
        jobs = [job for job in listed if not any(find_lines(job, lines, options.lines))]
        space = CellSpace(operations=choice.operations, max_blocks=choice.max_blocks)
        train(jobs, options.lines, space, options.data, options.workers, options.hours)


def run_report(options: argparse.Namespace) -> None:
    table, lines = read_table(find_table(options.table)), read_lines(options.lines)
    choice = find_choice(lines, table.name)
    if choice is None:
        raise SettingError(f"{options.lines} has no check of table {table.name}; train one first")
    check = add_slopes(summarise(choice, FACTORS, find_trainings(lines, choice.table)), table)
    body = json.dumps(as_json(check), indent=2, allow_nan=False)
    print(body if options.json else "\n".join(describe_proxy(check)))
    if options.write is not None:
        write_file(options.write, f"{body}\n".encode())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("train")
    command.add_argument("--table", default=DEFAULT_TABLE, help="a shipped table's name, or a file")
    add_training_options(command, "folder of the table's data set")
    command.add_argument("--factors", default=",".join(FACTORS), help=f"of {', '.join((*FACTORS, AGAIN))}")
    command.add_argument("--each", type=int, default=EACH, help="cells of either kind, when they are chosen")
    command.add_argument(
        "--share",
        type=float,
        default=SHARE,
        help="the best of the uniform cells that top ones are drawn from",
    )
    report = commands.add_parser("report")
    report.add_argument("--table", default=DEFAULT_TABLE, help="a shipped table's name, or a file")
    report.add_argument("--json", action="store_true")
    report.add_argument("--write", type=Path, metavar="FILE", help="write the JSON there, for the card")
    for each in (command, report):
        each.add_argument("--lines", type=Path, default=LINES, help="the file that keeps the trainings")
    options = parser.parse_args()
    try:
        (run_train if options.command == "train" else run_report)(options)
    except PnasError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
