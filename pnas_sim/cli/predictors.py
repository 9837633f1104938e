"""`pnas-sim predictors`: how good predictors are, by the paper's Algorithm 2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import click

from pnas_sim.cli.backend_options import TABLE_NAMES, choose_given, table_options
from pnas_sim.cli.options import (
    FOLDER,
    NEW_FILE,
    GroupedCommand,
    example,
    json_option,
    quiet_option,
    verbose_option,
)


class PredictorsCommand(GroupedCommand):
    """`predictors` with its options under headings."""

    headings: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(
        {
            "What is studied": ("predictors", "sources", "blocks", "trials", "fitted", "seed"),
            "Cells answered by the surrogate": ("surrogate_fitted", "cells", "epochs"),
            "Inside searches": ("search_seeds", "beam"),
            "Work and results": ("workers", "resamples", "out", "markdown", "pictures"),
            "Table": TABLE_NAMES,
        }
    )


@click.command(
    cls=PredictorsCommand,
    short_help="Measure how well predictors rank cells.",
    epilog=example(
        "pnas-sim predictors --predictors mlp-ensemble,rnn-ensemble,gp,ridge --trials 5",
        "pnas-sim predictors --sources trained --out study --markdown docs/predictors.md",
        "pnas-sim predictors --predictors ridge,my_package.mine:make --search-seeds 0 --json",
    ),
)
@click.option(
    "--predictors",
    metavar="LIST",
    help="Names or package.module:factory, with commas; differences are from the first.  [default: all]",
)
@click.option(
    "--sources",
    metavar="LIST",
    help="Of the truth: trained, surrogate.  [default: both, if the table has a surrogate]",
)
@click.option("--blocks", type=int, metavar="B", help="Of the largest cells.  [default: the table's]")
@click.option("--trials", type=int, metavar="T", default=20, show_default=True, help="Fits of each kind.")
@click.option(
    "--fitted",
    metavar="LIST",
    default="128,256",
    show_default=True,
    help="K, trained cells of a fit; all there are if fewer.",
)
@click.option(
    "--surrogate-fitted",
    metavar="LIST",
    default="256",
    show_default=True,
    help="K, cells of a fit where the surrogate answers.",
)
@click.option(
    "--cells", type=int, metavar="R", default=10_000, show_default=True, help="Of each size that it answers."
)
@click.option("--epochs", type=float, metavar="E", help="Of its answers.  [default: the table's]")
@click.option(
    "--search-seeds",
    metavar="N|LIST",
    default="1",
    show_default=True,
    help="PNAS searches to look into, a number or a list of seeds; 0: none.",
)
@click.option("--beam", type=int, metavar="K", default=256, show_default=True, help="Of those searches.")
@click.option("--seed", type=int, metavar="N", default=0, show_default=True, help="Of everything random.")
@click.option("--workers", type=int, metavar="N", help="Processes.  [default: the cores]")
@click.option("--resamples", type=int, metavar="N", default=400, show_default=True, help="Of the bootstrap.")
@click.option("--out", type=FOLDER, metavar="DIR", help="The folder; a begun one is gone on with.")
@click.option("--markdown", type=NEW_FILE, metavar="FILE", help="Write predictors.md there, too.")
@click.option("--pictures/--no-pictures", default=True, help="Draw scatter pictures.  [default: pictures]")
@table_options
@json_option
@quiet_option
@verbose_option
def predictors(
    out: Path | None,
    markdown: Path | None,
    pictures: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Measure how well predictors rank cells: the paper's Algorithm 2, on a table.

    Each is fitted on K random cells of b blocks, T times, and ranks those cells, others of their size, and
    cells one block larger. The folder holds predictors.md, predictors.csv, result.json and pictures; finished
    parts stay in it, so the same command goes on where it was stopped. A predictor of your own that you have
    changed since needs another --out, or its old parts stand.
    """
    from pnas_sim.cli.studying import carry_out, read_request, show

    request = read_request(given, choose_given(given, TABLE_NAMES))
    show(carry_out(request, out, markdown, pictures, quiet), as_json)
