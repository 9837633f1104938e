"""`pnas-sim resume`: goes on with a run that stopped, or shows one that has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pnas_sim.cli.backend_options import choose_given
from pnas_sim.cli.options import FOLDER, example, json_option, quiet_option, verbose_option
from pnas_sim.cli.trust import demand_trusted, trust_option


@click.command(
    short_help="Go on with a run that stopped, or show its result.",
    epilog=example(
        "pnas-sim resume runs/20261124-093000-pnas-0",
        "pnas-sim resume runs/20261124-093000-evolution-0 --budget 12000",
        "pnas-sim resume runs/20261124-093000-pnas-0 --retry-failed --time-limit 3600",
    ),
)
@click.argument("folder", type=FOLDER, metavar="DIR")
@click.option("--budget", metavar="B", help="More than the run had: it goes on past its end.")
@click.option("--retry-failed", is_flag=True, help="Train children again that failed.")
@click.option("--device", help="To train on from now on: cuda, cuda:0,cuda:1, cpu or mps.")
@click.option("--workers", type=int, metavar="N", help="Processes from now on.")
@click.option("--data", metavar="DIR", help="Where the same data set lies now.")
@click.option("--time-limit", type=float, metavar="S", help="Seconds that a child may take from now on.")
@trust_option
@json_option
@quiet_option
@verbose_option
def resume(
    folder: Path,
    budget: str | None,
    retry_failed: bool,
    trust: bool,
    as_json: bool,
    quiet: bool,
    **moved: Any,
) -> None:
    """Go on with the run in DIR, to the same end as if it had not stopped; show it, if it has ended.

    With a larger budget a run goes on that its budget had ended, as if it had been begun with that. Children
    that failed stay so, unless they are to be tried again: the search is told the new answers, and what it
    proposed after the old ones stands.

    On another machine a run that trains may want another device, number of workers or place of its data. On
    a CPU of the same kind nothing else changes by that; on GPUs two trainings of one child differ anyway.
    """
    from pnas_sim.cli.execute import execute, prepare_again, show_result
    from pnas_sim.cli.folder import RunFolder
    from pnas_sim.cli.reopening import reopen
    from pnas_sim.cli.settings import read_toml

    run_folder = RunFolder(folder)
    result = run_folder.read_result()
    reopened = budget is not None or retry_failed
    if result is None or reopened:
        if run_folder.settings.exists() and not trust:
            record = read_toml(run_folder.settings, "the run's")
            demand_trusted(run_folder.settings, record.get("settings", {}))
        with prepare_again(run_folder, choose_given(moved, tuple(moved)), budget) as prepared:
            if reopened:
                reopen(run_folder, budget, retry_failed)
            result = execute(prepared, run_folder, quiet)
    show_result({**result, "out": str(folder)}, as_json)  # where it lies now
