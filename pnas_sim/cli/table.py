"""`pnas-sim table`: looks at tables of trained cells, checks them, makes them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from pnas_sim.cli.options import DEFAULT_TABLE, FOLDER, example, json_option, quiet_option, verbose_option
from pnas_sim.cli.output import say, write_json, write_text
from pnas_sim.cli.table_audit import audit
from pnas_sim.cli.table_build import build
from pnas_sim.cli.table_card import card
from pnas_sim.cli.table_files import import_, merge
from pnas_sim.cli.table_fit import fit, quality
from pnas_sim.errors import WorkError


@click.group(
    epilog=example(
        "pnas-sim table info",
        "pnas-sim table check --retrain 10 --data cifar10",
    )
)
def table() -> None:
    """Look at tables of trained cells, check them, make them."""


@table.command(
    short_help="Say what a table holds.",
    epilog=example(
        "pnas-sim table info",
        "pnas-sim table info my-table.h5 --json",
    ),
)
@click.argument("table", default=DEFAULT_TABLE)
@json_option
@verbose_option
def info(table: str, as_json: bool) -> None:
    """Say what TABLE holds: a file, or the name of a table that ships (the default)."""
    from pnas_tables.catalogue import find_table
    from pnas_tables.check import describe_table
    from pnas_tables.format import read_table

    facts = describe_table(read_table(find_table(table)))
    if as_json:
        write_json({"kind": "table", "schema": 1, **facts})
    else:
        from pnas_sim.report.table_summary import print_table_facts

        print_table_facts(facts)


@table.command(
    short_help="Check a table; train some of it again.",
    epilog=example(
        "pnas-sim table check",
        "pnas-sim table check --retrain 10 --data cifar10",
    ),
)
@click.argument("table", default=DEFAULT_TABLE)
@click.option("--retrain", type=int, metavar="N", help="Train N random runs again and compare.")
@click.option("--data", type=FOLDER, metavar="DIR", help="Folder of the data set, for --retrain.")
@click.option("--device", default="cpu", show_default=True, help="To train on, for --retrain.")
@click.option("--workers", type=int, default=1, show_default=True, help="Processes, for --retrain.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Chooses the runs, for --retrain."
)
@json_option
@quiet_option
@verbose_option
def check(
    table: str,
    retrain: int | None,
    data: Path | None,
    device: str,
    workers: int,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Check a TABLE: its file, its counts of networks and, with --retrain, its accuracies.

    A run that is trained again on the machine and versions of the table is identical to the last bit, in its
    accuracies on validation and test images and at each checkpoint; elsewhere they may differ by as much as
    another seed's. If one differs by more, or all of them together do, the exit code is 1.
    """
    from pnas_tables.catalogue import find_table
    from pnas_tables.check import check_table
    from pnas_tables.record import checksum

    path = find_table(table)
    read = check_table(path)
    answer: dict[str, Any] = {
        "kind": "table-check",
        "schema": 1,
        "table": read.name,
        "cells": len(read),
        "runs": len(read.seeds),
        "checksum": checksum(read),
        "retrained": [],
        "verdict": None,
        "tests": None,
        "power": None,
    }
    if retrain is not None:
        answer |= _retrain(read, retrain, seed, data, workers, device, quiet)
    if as_json:
        write_json(answer)
    else:
        _print_check(path, answer)
    if answer["verdict"] == "differs":
        raise WorkError(f"table {read.name}: what was trained again differs by more than seed noise")


def _retrain(
    table: Any, count: int, seed: int, data: Path | None, workers: int, device: str, quiet: bool
) -> dict[str, Any]:
    """Trains some runs again; returns their part of the answer."""
    from pnas_tables.agreement import find_power
    from pnas_tables.check import Retrained, judge_runs, retrain
    from pnas_tables.trainer import make_retrainer

    def tell(run: Retrained) -> None:
        if not quiet:
            say(run.line())

    runs = retrain(table, count, seed, make_retrainer(data, workers, device), tell)
    listed = [
        {
            "cell": run.cell,
            "seed": run.seed,
            "stored": run.stored,
            "found": run.found,
            "verdict": run.verdict.value,
            "score": run.score,
            "differences": [asdict(one) for one in run.differences],
        }
        for run in runs
    ]
    found = judge_runs(runs)
    power = find_power(table, found.count)
    return {"retrained": listed, "verdict": found.verdict.value, "tests": found.list_lines(), "power": power}


def _print_check(path: Path, answer: dict[str, Any]) -> None:
    write_text(
        f"{path}: sound; {answer['cells']} cells, {answer['runs']} runs, checksum {answer['checksum']}"
    )
    if answer["verdict"] is not None:
        verdicts = [run["verdict"] for run in answer["retrained"]]
        parts = [f"{verdicts.count(word)} {word}" for word in dict.fromkeys(verdicts)]
        write_text(f"trained again: {len(verdicts)} runs, {', '.join(parts)}")
        for line in answer["tests"]:
            write_text(line)
        write_text(
            f"had accuracies been interchanged among cells of a size, {100 * answer['power']:.0f} in 100 "
            "such checks would find it"
        )


for _command in (build, merge, fit, quality, audit, card, import_):
    table.add_command(_command)
