"""`pnas-sim report`: results as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from pnas_sim.cli.options import FOLDER, NEW_FILE, example, json_option, verbose_option


@click.command(
    short_help="Write a run or study as one HTML page.",
    epilog=example(
        "pnas-sim report runs/20261124-093000-pnas-0",
        "pnas-sim report runs/* --out report.html",
    ),
)
@click.argument("folders", type=FOLDER, nargs=-1, required=True, metavar="DIR...")
@click.option(
    "--out",
    type=NEW_FILE,
    metavar="FILE",
    help="The page.  [default: report.html in DIR; of several DIRs, here]",
)
@click.option(
    "--cells", type=int, metavar="N", default=6, show_default=True, help="Best cells to draw of each run."
)
@json_option
@verbose_option
def report(folders: tuple[Path, ...], out: Path | None, cells: int, as_json: bool) -> None:
    """Write one HTML page about the results in DIR: a run, comparison, study or verification.

    Everything is inside that one file: pictures, tables, and what repeats it. It needs no network and runs no
    script. A run that has not finished is shown as far as its log goes. Several DIRs stand under each other;
    of these a comparison or a predictor study that has not finished is left out with a warning.
    """
    from pnas_sim.cli.reporting import show, write_report

    show(write_report(folders, out, cells), as_json)
