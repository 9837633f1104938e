"""`pnas-sim verify`: trains the top cells of finished searches, and says how far to believe the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import click

from pnas_sim.cli.backend_options import TRAINING, choose_given
from pnas_sim.cli.options import (
    FOLDER,
    NEW_FILE,
    GroupedCommand,
    InterruptionError,
    Wishes,
    declare,
    example,
    json_option,
    quiet_option,
    verbose_option,
    wish,
)
from pnas_sim.cli.output import say, write_json, write_text

_Function = TypeVar("_Function", bound=Callable[..., Any])

MACHINE_NAMES = ("data", "device", "workers", "time_limit")  # no part of a recipe
RECIPE: Wishes = {
    name: partial(make, help="[default: as the table was trained]")
    for name, make in {"epochs": wish(type=float, metavar="E"), **TRAINING}.items()
    if name not in MACHINE_NAMES
}
RECIPE_NAMES = tuple(RECIPE)
CHOICE_NAMES = ("top", "spread", "searches", "again", "seeds")


def recipe_options(function: _Function) -> _Function:
    """Adds the options that change the table's recipe."""
    return declare(RECIPE, function)


class VerifyCommand(GroupedCommand):
    """`verify` with its options under headings."""

    headings: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(
        {
            "Cells": CHOICE_NAMES,
            "Files": ("out", "append"),
            "Figures": ("confidence", "resamples"),
            "Training": (*MACHINE_NAMES, *RECIPE_NAMES),
        }
    )


@click.command(
    cls=VerifyCommand,
    short_help="Train top cells of a run and others; say how far to believe the table.",
    epilog=example(
        "pnas-sim verify runs/mine --data cifar10",
        "pnas-sim verify runs/compared --searches pnas,evolution --top 12 --spread 24 --data cifar10",
        "pnas-sim verify runs/mine --data cifar10 --epochs 8 --out runs/mine-longer",
    ),
)
@click.argument("folders", nargs=-1, required=True, type=FOLDER, metavar="DIR...")
@click.option("--top", type=int, default=12, show_default=True, metavar="N", help="Best of each search.")
@click.option("--spread", type=int, default=24, show_default=True, metavar="N", help="Others, by rank.")
@click.option(
    "--searches", metavar="LIST", help="Labels in a comparison.  [default: pnas and the best of the others]"
)
@click.option("--again", is_flag=True, help="Choose cells that the table holds, too.")
@click.option("--seeds", type=int, default=2, show_default=True, metavar="N", help="Trainings of each cell.")
@click.option("--out", type=FOLDER, metavar="DIR", help="[default: verification in the first DIR]")
@click.option("--append", type=NEW_FILE, metavar="FILE", help="Add what was trained to this table.")
@click.option("--confidence", type=float, default=0.95, show_default=True, metavar="P", help="Of intervals.")
@click.option("--resamples", type=int, default=1000, show_default=True, metavar="N", help="Of the bootstrap.")
@click.option("--data", type=FOLDER, metavar="DIR", help="Folder of the data set.")
@click.option("--device", default="cpu", show_default=True, help="cuda, cuda:0,cuda:1, cpu or mps.")
@click.option("--workers", type=int, default=1, show_default=True, metavar="N", help="Processes.")
@click.option("--time-limit", type=float, metavar="S", help="Seconds that a child may take.")
@recipe_options
@json_option
@quiet_option
@verbose_option
def verify(folders: tuple[Path, ...], as_json: bool, quiet: bool, **given: Any) -> None:
    """Train cells that searches on a table found, and compare with what the surrogate had predicted.

    The top cells of each run, or of searches of a comparison (of the last level, where they grow cells by
    levels), and a spread of what they visited are trained by the table's own recipe, or as the options say.
    Every finished child is kept: after a kill the same command goes on. The folder then holds result.json, a
    scatter plot and the trainings.
    """
    from pnas_sim.cli import verifying
    from pnas_sim.cli.table_build import print_child

    recipe = choose_given(given, RECIPE_NAMES)
    own = {name: value for name, value in given.items() if name not in RECIPE_NAMES}
    own["out"] = own["out"] or folders[0] / "verification"
    settings = verifying.VerifySettings(**own, recipe=recipe)
    tell = (lambda line: None) if quiet else say
    try:
        result = verifying.verify(folders, settings, None if quiet else print_child, tell)
    except KeyboardInterrupt:
        raise InterruptionError("interrupted; what was trained is kept; the same command goes on") from None
    if as_json:
        write_json(result)
    else:
        write_text("\n".join(verifying.list_lines(result)))
