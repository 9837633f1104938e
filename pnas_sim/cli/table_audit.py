"""`pnas-sim table audit`: trains what searches find on a surrogate, and says how far it can be believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from pnas_sim.cli.lists import split_list
from pnas_sim.cli.options import (
    DEFAULT_TABLE,
    FOLDER,
    InterruptionError,
    example,
    json_option,
    quiet_option,
    verbose_option,
)
from pnas_sim.cli.output import say, write_json, write_text
from pnas_sim.cli.searches import SEARCH_NAMES, search_options
from pnas_sim.errors import SettingError, WorkError


@click.command(
    short_help="Train what searches find on a surrogate, and compare.",
    epilog=example(
        "pnas-sim table audit --out audit --data cifar10",
        "pnas-sim table audit my-table.h5 --out audit --searches pnas,random --cells 40 --seeds 2",
    ),
)
@click.argument("table", default=DEFAULT_TABLE)
@click.option("--out", type=FOLDER, required=True, metavar="DIR", help="Folder that keeps the audit.")
@click.option(
    "--searches",
    metavar="LIST",
    help=(
        "Names, commas between.  [default: all that ship, without the oracles, which know what they search, "
        "tpe where Optuna is not installed, and hyperband where the table has no curves]"
    ),
)
@click.option(
    "--budget", type=click.IntRange(1), default=1160, show_default=True, help="Models of each search."
)
@click.option("--cells", type=click.IntRange(1), default=40, show_default=True, help="Trained in each round.")
@click.option("--seeds", type=click.IntRange(1), default=2, show_default=True, help="Trainings of each.")
@click.option("--rounds", type=click.IntRange(1), default=2, show_default=True, help="At least so many.")
@click.option("--most-rounds", type=click.IntRange(1), default=4, show_default=True, help="At most so many.")
@click.option("--surrogate", default="lightgbm", show_default=True, metavar="NAME", help="The one audited.")
@click.option("--world", type=int, default=0, show_default=True, help="Of the first round; then the next.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the searches.")
@click.option("--data", type=FOLDER, metavar="DIR", help="Folder of the data set.")
@click.option("--device", default="cpu", show_default=True, help="To train on.")
@click.option("--workers", type=int, default=1, show_default=True, help="Processes.")
@search_options
@json_option
@quiet_option
@verbose_option
def audit(
    table: str,
    out: Path,
    searches: str | None,
    budget: int,
    cells: int,
    seeds: int,
    rounds: int,
    most_rounds: int,
    surrogate: str,
    world: int,
    seed: int,
    data: Path | None,
    device: str,
    workers: int,
    as_json: bool,
    quiet: bool,
    **options: object,
) -> None:
    """Train the best cells that searches find on TABLE's surrogate, and compare with what it predicted.

    What was found is added and the surrogate fitted again, for at least two rounds and until it promises no
    more than a seed's deviation too much. The last round's cells are kept apart from the fit. It can be
    stopped and gone on with by the same command. If the last verdict is "exploited", the exit code is 1.
    """
    from pnas_sim.cli.audit_rounds import AuditSettings, list_lines, run_audit
    from pnas_tables.catalogue import find_table
    from pnas_tables.format import read_table
    from pnas_tables.trainer import make_retrainer

    counts = {"budget": budget, "cells": cells, "seeds": seeds, "rounds": rounds, "most_rounds": most_rounds}
    if most_rounds < rounds:
        raise SettingError(f"most_rounds is {most_rounds}, below the {rounds} rounds asked for")
    given = {name: options[name] for name in SEARCH_NAMES if options.get(name) is not None}
    tell = (lambda line: None) if quiet else say
    read = read_table(find_table(table))
    names = _choose_searches(searches, read.epochs.tolist(), tell)
    settings = AuditSettings(names, surrogate=surrogate, world=world, seed=seed, **counts)
    try:
        answer = run_audit(read, settings, out, make_retrainer(data, workers, device, say), given, tell)
    except KeyboardInterrupt:
        raise InterruptionError("interrupted; what was done is kept; the same command goes on") from None
    if as_json:
        write_json({"kind": "table-audit", "schema": 1, **answer})
    else:
        write_text("\n".join(list_lines(answer)))
    if answer["rounds"][-1]["exploited"]:
        raise WorkError(f"surrogate {surrogate}: {answer['rounds'][-1]['verdict']}")


def _choose_searches(
    searches: str | None, fidelities: Sequence[float], tell: Callable[[str], None]
) -> tuple[str, ...]:
    """Those asked for, or all that can be had; tells which cannot."""
    from pnas_sim.study.audit import default_searches, explain_left_out

    if searches is not None:
        return tuple(split_list(searches))
    for name, need in explain_left_out(fidelities).items():
        tell(f"{name} is left out: {need}")
    return tuple(default_searches(fidelities))
