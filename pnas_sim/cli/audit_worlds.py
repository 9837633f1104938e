"""What the worlds of an audit's searches have of their finds, free of seed noise, beside their trainings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pnas_sim.space.arrays import Rows
from pnas_sim.study.audit import judge_noise_free
from pnas_tables.record import Table
from pnas_tables.surrogate import Surrogate

ROUNDING = 1e-6  # predictions of one model differ by less on any machine, those of two by more


def find_world(first: int, number: int, worlds: int) -> int:
    """The world of an audit's round: the first round's, then the next ones of all there are.

    Args:
        first: world of the first round.
        number: of the round, from 1.
        worlds: of the surrogate.
    """
    return (first + number - 1) % worlds


def add_noise_free(report: Mapping[str, Any], table: Table, name: str, world: int) -> dict[str, Any]:
    """A round's report with the noise-free value of each find, and what trainings say of these values.

    Args:
        report: of `pnas_sim.study.audit.judge_finds`.
        table: whose surrogate the round's searches met.
        name: of this surrogate.
        world: that they met.
    """
    values = Surrogate.from_table(table, name, world).predict_accuracy(_parse_finds(report, table))
    measured = [np.nan if row["measured"] is None else row["measured"] for row in report["rows"]]
    judged = judge_noise_free(values, np.array(measured, np.float64), report["seed_deviation"])
    pairs = zip(report["rows"], values.tolist(), strict=True)
    rows = [{**row, "noise_free": value} for row, value in pairs]
    return {**report, "rows": rows, "world": world, **judged}


def complete_audit(audit: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """An audit with the noise-free values that files of earlier versions lack.

    They are known of the rounds whose searches met the very surrogate that the table has: where it predicts
    each find as it did then. Of other rounds nothing is added.

    Args:
        audit: as `pnas_tables.audit_file.read_audit` gives it.
        table: any edition of the audited one.
    """
    name, first = audit["settings"]["surrogate"], audit["settings"]["world"]
    if name not in table.surrogates:
        return dict(audit)
    surrogate = Surrogate.from_table(table, name)
    rounds = [
        add_noise_free(report, table, name, find_world(first, report["round"], surrogate.worlds))
        if report.get("noise_free_optimism") is None and _has_met(report, table, surrogate)
        else report
        for report in audit["rounds"]
    ]
    return {**audit, "rounds": rounds}


def _has_met(report: Mapping[str, Any], table: Table, surrogate: Surrogate) -> bool:
    """Whether a round's searches met this surrogate, by what it predicts of their finds."""
    there = np.array([row["predicted"] for row in report["rows"]], np.float64)
    here = surrogate.predict_mean(_parse_finds(report, table))
    return bool(np.abs(here - there).max() <= ROUNDING)


def _parse_finds(report: Mapping[str, Any], table: Table) -> Rows:
    """A round's finds as canonical rows, `uint8[n, width]`."""
    return table.space.canonical(table.space.parse_many([row["cell"] for row in report["rows"]]))
