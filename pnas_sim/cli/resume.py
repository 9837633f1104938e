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
    ),
)
@click.argument("folder", type=FOLDER, metavar="DIR")
@click.option("--budget", metavar="B", help="More than the run had: it goes on past its end.")
@click.option("--device", help="To train on from now on: cuda, cuda:0,cuda:1, cpu or mps.")
@click.option("--workers", type=int, metavar="N", help="Processes from now on.")
@click.option("--data", metavar="DIR", help="Where the same data set lies now.")
@click.option("--time-limit", type=float, metavar="S", help="Seconds that a child may take from now on.")
@trust_option
@json_option
@quiet_option
@verbose_option
def resume(folder: Path, budget: str | None, trust: bool, as_json: bool, quiet: bool, **moved: Any) -> None:
    """Go on with the run in DIR, to the same end as if it had not stopped; show it, if it has ended.

    With a larger budget a run goes on that its budget had ended, as if it had been begun with that.

    On another machine a run that trains may want another device, number of workers or place of its data. On
    a CPU of the same kind nothing else changes by that; on GPUs two trainings of one child differ anyway.
    """
    from pnas_sim.cli.execute import execute, prepare_again, show_result
    from pnas_sim.cli.folder import RunFolder
    from pnas_sim.cli.raising import raise_budget
    from pnas_sim.cli.settings import read_toml

    run_folder = RunFolder(folder)
    result = run_folder.read_result()
    if result is None or budget is not None:
        if run_folder.settings.exists() and not trust:
            record = read_toml(run_folder.settings, "the run's")
            demand_trusted(run_folder.settings, record.get("settings", {}))
        with prepare_again(run_folder, choose_given(moved, tuple(moved)), budget) as prepared:
            if budget is not None:
                raise_budget(run_folder, budget)
            result = execute(prepared, run_folder, quiet)
    show_result({**result, "out": str(folder)}, as_json)  # where it lies now
