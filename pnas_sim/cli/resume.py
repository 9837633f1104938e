"""`pnas-sim resume`: goes on with a run that stopped, or shows one that has ended."""

from __future__ import annotations

from pathlib import Path

import click

from pnas_sim.cli.options import FOLDER, example, json_option, quiet_option, verbose_option


@click.command(
    short_help="Go on with a run that stopped, or show its result.",
    epilog=example(
        "pnas-sim resume runs/20261124-093000-pnas-0",
    ),
)
@click.argument("folder", type=FOLDER, metavar="DIR")
@json_option
@quiet_option
@verbose_option
def resume(folder: Path, as_json: bool, quiet: bool) -> None:
    """Go on with the run in DIR, to the same end as if it had not stopped; show it, if it has ended."""
    from pnas_sim.cli.execute import execute, prepare_again, show_result
    from pnas_sim.cli.folder import RunFolder

    run_folder = RunFolder(folder)
    result = run_folder.read_result()
    if result is None:
        with prepare_again(run_folder) as prepared:
            result = execute(prepared, run_folder, quiet)
    show_result(result, as_json)
