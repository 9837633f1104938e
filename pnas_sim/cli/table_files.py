"""`pnas-sim table merge`, `import`: make table files of other files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pnas_sim.cli.lists import split_list
from pnas_sim.cli.options import FILE, NEW_FILE, example, json_option, verbose_option
from pnas_sim.cli.output import write_json, write_text
from pnas_sim.errors import SettingError

if TYPE_CHECKING:
    from pnas_tables.record import Table

OUT = click.option("--out", type=NEW_FILE, required=True, metavar="FILE", help="The table to write.")
FORCE = click.option("--force", is_flag=True, help="Write over a table that is there, its surrogates lost.")


@click.command(
    short_help="Join tables of one recipe and space into one.",
    epilog=example(
        "pnas-sim table merge parts/*.h5 --out whole.h5",
        "pnas-sim table fit whole.h5",
    ),
)
@click.argument("files", nargs=-1, required=True, type=FILE)
@OUT
@FORCE
@click.option("--name", help="Of the table.  [default: the file's]")
@json_option
@verbose_option
def merge(files: tuple[Path, ...], out: Path, force: bool, name: str | None, as_json: bool) -> None:
    """Join table FILES of one recipe and space into one; fit a surrogate on it afterwards."""
    from pnas_tables.format import read_table
    from pnas_tables.locking import lock_table
    from pnas_tables.merge import merge_tables

    chosen = _choose_name(name, out, force)
    with lock_table(out):  # it may be one of the files
        write_file(out, merge_tables([read_table(path) for path in files], chosen), as_json)


@click.command(
    "import",
    short_help="Make a table of a CSV file.",
    epilog=example(
        "pnas-sim table import trained.csv --out trained.h5 --epochs 20",
        "pnas-sim table fit trained.h5",
        "pnas-sim run --table trained.h5",
    ),
)
@click.argument("file", type=FILE)
@OUT
@FORCE
@click.option("--name", help="Of the table.  [default: the file's]")
@click.option("--blocks", type=int, default=5, show_default=True, help="Of the space's largest cells.")
@click.option(
    "--operations", metavar="NAMES", help="The space's operations, commas between, if not the paper's."
)
@click.option("--epochs", type=float, default=1.0, show_default=True, help="Every child's full training.")
@click.option("--chance", type=float, default=0.1, show_default=True, help="The accuracy of guessing.")
@click.option(
    "--train-images",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Images of one epoch, to count examples by.  [default: 0, unknown]",
)
@click.option("--licence", default="unknown", show_default=True, help="Of the contents.")
@json_option
@verbose_option
def import_(
    file: Path,
    out: Path,
    force: bool,
    name: str | None,
    blocks: int,
    operations: str | None,
    epochs: float,
    chance: float,
    train_images: int,
    licence: str,
    as_json: bool,
) -> None:
    """Make a table of a CSV FILE with columns cell, seed, valid_accuracy, and others by name.

    The others are test_accuracy, seconds, parameters, multiply_adds, status (ok, diverged or failed), origin
    and error. A line is one training. Accuracies are from 0 to 1; a cell is written as
    'sep3(-2)+id(-1) | max3(1)+sep5(-1)': blocks of two operations, each with its input, which is -2 or -1 for
    the cells before and 1, 2, ... for blocks of this cell. An origin says how a cell was chosen: `uniform`
    for a random draw of its size, which is what `pnas-sim predictors` studies. Of 20 cells or more
    `table fit` then makes a surrogate, which searches ask; a table of all cells of its space can be asked
    itself (--table-mode measured).
    """
    from pnas_sim.space import PAPER_OPERATIONS, CellSpace
    from pnas_tables.csv_import import import_csv
    from pnas_tables.locking import lock_table

    chosen = _choose_name(name, out, force)
    if not 0 < epochs < float("inf"):
        raise SettingError(f"epochs is {epochs}; it must be above 0")
    if not 0 < chance < 1:
        raise SettingError(f"chance is {chance}; it must lie between 0 and 1")
    names = PAPER_OPERATIONS if operations is None else tuple(split_list(operations))
    space = CellSpace(operations=names, max_blocks=blocks)
    table = import_csv(
        file, chosen, space, epochs=epochs, chance=chance, train_images=train_images, licence=licence
    )
    with lock_table(out):
        write_file(out, table, as_json)


def _choose_name(name: str | None, out: Path, force: bool) -> str:
    """The name of a new table, once it is known that it may be had and that its file can be written.

    Raises:
        RequestError: one of them is not so.
    """
    from pnas_sim.cli.folder import demand_parent
    from pnas_tables.record import demand_name

    demand_parent(out)
    if out.exists() and not force:
        raise SettingError(f"{out} is there; give another --out, or --force to write over it")
    chosen = name or out.stem
    demand_name(chosen)
    return chosen


def write_file(out: Path, table: Table, as_json: bool) -> None:
    """Writes a table and says so."""
    from pnas_tables.format import write_table
    from pnas_tables.record import checksum

    write_table(out, table)
    facts = {"out": str(out), "name": table.name, "cells": len(table), "runs": len(table.seeds)}
    if as_json:
        write_json({"kind": "table-file", "schema": 1, **facts, "checksum": checksum(table)})
    else:
        write_text(f"written: {out}: {facts['cells']} cells, {facts['runs']} runs")
