"""`pnas-sim table build`: trains cells into a table, and can be stopped and gone on with at any moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from pnas_sim.cli.backend_options import TRAINING_NAMES, choose_given, training_options
from pnas_sim.cli.options import (
    FILE,
    FOLDER,
    NEW_FILE,
    GroupedCommand,
    InterruptionError,
    example,
    json_option,
    quiet_option,
    verbose_option,
)
from pnas_sim.cli.output import say, write_json
from pnas_sim.errors import SettingError

if TYPE_CHECKING:
    from pnas_backends.training.recipe import Recipe
    from pnas_sim.space import CellSpace
    from pnas_tables.build import BuildProgress
    from pnas_tables.plans import Jobs, Plan

DRAW_NAMES = ("cells", "blocks", "seeds", "seed")  # which cells, where no file names them
SAMPLE_NAMES = ("out", "name", "licence", *DRAW_NAMES, "epochs")
FREE_WITH_PLAN = ("data", "device", "workers")  # what a plan leaves to the user
HEADINGS = {
    "A plan that ships": ("plan", "parts"),
    "Cells that you choose": ("cells_file",),
    "A sample of one's own": SAMPLE_NAMES,
    "Limits of this sitting": ("hours", "children"),
    "Training": TRAINING_NAMES,
}


class BuildCommand(GroupedCommand):
    """`build` with its options under headings."""

    headings: ClassVar[Mapping[str, tuple[str, ...]]] = HEADINGS


@click.command(
    cls=BuildCommand,
    epilog=example(
        "pnas-sim table build --plan cifar10-16px --data cifar10 --hours 2",
        "pnas-sim table build --out small.h5 --cells 50 --blocks 1,2 --device cpu --epochs 2",
        "pnas-sim table build --out mine.h5 --cells-file mine.csv --dataset cifar10 --data cifar10",
    ),
)
@click.option("--plan", metavar="NAME", help="Go on with this plan; cifar10-16px ships. Trains on cpu.")
@click.option(
    "--parts", type=FOLDER, metavar="DIR", help="Folder of the plan's parts.  [default: a checkout's own]"
)
@click.option(
    "--cells-file",
    type=FILE,
    metavar="CSV",
    help="Train these: columns cell, seeds (as 0 1 2), origin (one word). With --plan, before its own.",
)
@click.option("--out", type=NEW_FILE, metavar="FILE", help="The table to train into, or go on with.")
@click.option("--name", help="Of the table.  [default: the file's]")
@click.option(
    "--licence",
    metavar="TEXT",
    help="Of the contents.  [default: as before; MIT for the data sets of plans, else unknown]",
)
@click.option("--cells", type=int, metavar="N", help="Random cells, shared among the block counts.")
@click.option("--blocks", metavar="LIST", help="Block counts, as 1,2,3.  [default: 1,2,3,4,5]")
@click.option("--seeds", type=int, metavar="N", help="Training seeds of each cell.  [default: 1]")
@click.option("--seed", type=int, metavar="N", help="Of the draw of cells.  [default: 0]")
@click.option("--epochs", type=float, metavar="E", help="Passes over the training images.  [default: 20]")
@click.option("--hours", type=float, metavar="H", help="Stop after these.")
@click.option("--children", type=int, metavar="N", help="Stop after these.")
@training_options
@json_option
@quiet_option
@verbose_option
def build(as_json: bool, quiet: bool, **given: Any) -> None:
    """Train cells into a table, child by child.

    Every finished child is kept at once: after a kill, the same command goes on. With --plan a new part of
    the table that ships is trained; else a sample of one's own, drawn or listed in a file, into --out.
    """
    progress = None if quiet else print_child
    work = _build_plan if given["plan"] is not None else _build_sample
    try:
        answer = work(given, progress)
    except KeyboardInterrupt:
        raise InterruptionError("interrupted; what was trained is kept; the same command goes on") from None
    if as_json:
        write_json({"kind": "table-build", "schema": 1, **answer})
    else:
        written = answer["out"]
        click.echo(f"written: {written}" if written else "nothing is left to train")


def _build_plan(given: dict[str, Any], progress: Callable[[BuildProgress], None] | None) -> dict[str, Any]:
    from pnas_tables.format import read_table
    from pnas_tables.trainer import train_plan

    fixed = [name for name in (*SAMPLE_NAMES, *TRAINING_NAMES) if name not in FREE_WITH_PLAN]
    _refuse(given, fixed, "is fixed by --plan; leave it out")
    part = train_plan(
        given["plan"],
        None if given["data"] is None else Path(given["data"]),
        given["parts"] or _find_parts(),
        workers=_or(given["workers"], 1),
        device=given["device"] or "cpu",
        hours=given["hours"],
        children=given["children"],
        cells_file=given["cells_file"],
        progress=progress,
        warn=say,
    )
    runs = len(read_table(part).seeds) if part.exists() else 0
    return {"plan": given["plan"], "out": str(part) if part.exists() else None, "runs": runs}


def _find_parts() -> Path:
    """A checkout's folder of parts; trainings of hours are not put among an installation's files."""
    from pnas_tables.catalogue import data_folder, is_checkout

    if not is_checkout():
        raise SettingError("a part of a plan belongs to a checkout; give --parts DIR, a folder of your own")
    return data_folder() / "parts"


def _build_sample(given: dict[str, Any], progress: Callable[[BuildProgress], None] | None) -> dict[str, Any]:
    from pnas_sim.cli.folder import demand_parent
    from pnas_tables.record import demand_name
    from pnas_tables.trainer import train_sample

    _refuse(given, ["parts"], "goes with --plan; name that, or leave it out")
    _refuse(given, ["time_limit"], "has no meaning here: a table's children are trained to their end")
    if given["out"] is None or (given["cells"] is None and given["cells_file"] is None):
        raise SettingError(
            "nothing to build: give --plan NAME, or --out FILE and --cells N or --cells-file CSV"
        )
    demand_parent(given["out"])
    demand_name(given["name"] or given["out"].stem)
    wanted, space = _choose_cells(given)
    recipe, data = _choose_recipe(given)
    table = train_sample(
        wanted,
        recipe,
        space,
        data,
        given["out"],
        name=given["name"],
        licence=given["licence"],
        workers=_or(given["workers"], 1),
        device=given["device"] or "cuda",
        hours=given["hours"],
        children=given["children"],
        progress=progress,
        warn=say,
    )
    return {"plan": None, "out": str(given["out"]), "runs": len(table.seeds)}


def _choose_recipe(given: dict[str, Any]) -> tuple[Recipe, Path | None]:
    """How the cells are trained, and where the images lie."""
    from pnas_backends.training.backend import choose_recipe
    from pnas_backends.training.data import place_dataset

    folder = None if given["data"] is None else Path(given["data"])
    dataset, data = place_dataset(given["dataset"] or "digits", folder)
    fixed = ("device", "dataset", "data", "workers")
    changes = tuple(name for name in (*TRAINING_NAMES, "epochs") if name not in fixed)
    return choose_recipe(dataset, data, choose_given(given, changes))[0], data


def _choose_cells(given: dict[str, Any]) -> tuple[Plan | Jobs, CellSpace]:
    """What is to be trained, and the space it is of."""
    from pnas_sim.space import CellSpace
    from pnas_tables.asked import read_cells_file
    from pnas_tables.plans import sample_plan

    if given["cells_file"] is not None:
        _refuse(given, DRAW_NAMES, "draws cells, and --cells-file names them; leave one out")
        space = CellSpace()
        return read_cells_file(given["cells_file"], space), space
    blocks = parse_blocks(given["blocks"] or "1,2,3,4,5")
    space = CellSpace(max_blocks=max(blocks))
    name = given["name"] or given["out"].stem
    seeds, seed = _or(given["seeds"], 1), _or(given["seed"], 0)
    return sample_plan(name, given["cells"], blocks, seeds, seed, space), space


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def _refuse(given: dict[str, Any], names: Sequence[str], reason: str) -> None:
    for name in names:
        if given[name] is not None:
            raise SettingError(f"--{name.replace('_', '-')} {reason}")


def parse_blocks(text: str) -> tuple[int, ...]:
    """Block counts of a list such as `1,2,3`.

    Raises:
        SettingError: one is not a whole number from 1 to 10.
    """
    try:
        blocks = tuple(int(part) for part in text.split(","))
    except ValueError:
        blocks = (0,)
    if not all(1 <= count <= 10 for count in blocks):
        raise SettingError(f"blocks is {text!r}; give whole numbers from 1 to 10, commas between")
    return blocks


def print_child(step: BuildProgress) -> None:
    """One line for each child, on standard error."""
    say(step.line())
