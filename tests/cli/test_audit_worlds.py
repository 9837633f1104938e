from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_sim.cli.audit_worlds import add_noise_free, complete_audit, find_world
from pnas_tables.format import read_table
from pnas_tables.record import Table
from pnas_tables.surrogate import Surrogate


@pytest.fixture
def table(small_table: Path) -> Table:
    return read_table(small_table)


def make_audit(table: Table, world: int, count: int = 2) -> dict[str, Any]:
    """An older version's audit, of rounds that all met the table's surrogate."""
    surrogate, cells = Surrogate.from_table(table), table.cells[-10:]
    pairs = zip(table.space.format_many(cells), surrogate.predict_mean(cells).tolist(), strict=True)
    rows = [
        {"cell": cell, "search": "pnas", "observed": 0.5, "predicted": guess, "measured": guess, "runs": 1}
        for cell, guess in pairs
    ]
    rows[0]["measured"] = None
    report = {"cells": 9, "optimism": 0.0, "standard_error": 0.0, "told_too_much": 0.0, "rmse": 0.0}
    report |= {"spearman": 1.0, "seed_deviation": 0.01, "verdict": "sound", "rows": rows}
    report |= {"by_search": {"pnas": {"cells": 9, "optimism": 0.0}}}
    settings = {"searches": ["pnas"], "budget": 9, "seeds": 1, "surrogate": "lightgbm", "world": world}
    rounds = [{**report, "round": number} for number in range(1, count + 1)]
    return {"table": table.name, "settings": {**settings, "seed": 0}, "rounds": rounds}


def test_rounds_take_one_world_after_another() -> None:
    assert [find_world(8, number, 10) for number in (1, 2, 3)] == [8, 9, 0]


def test_an_older_audit_gets_the_values_of_the_worlds_it_met(table: Table) -> None:
    audit = make_audit(table, world=1)
    found = complete_audit(audit, table)
    for report, world in zip(found["rounds"], (1, 0), strict=True):
        values = Surrogate.from_table(table, "lightgbm", world).predict_accuracy(table.cells[-10:])
        assert report["world"] == world
        assert [row["noise_free"] for row in report["rows"]] == pytest.approx(values.tolist())
        measured = np.array([row["predicted"] for row in report["rows"]])
        assert report["noise_free_optimism"] == pytest.approx((values - measured)[1:].mean())
    assert "noise_free_optimism" not in audit["rounds"][0], "what was read is left alone"
    assert complete_audit(found, table) == found
    assert found["rounds"][0] == add_noise_free(audit["rounds"][0], table, "lightgbm", 1)


def test_nothing_is_added_of_a_surrogate_that_the_searches_did_not_meet(table: Table) -> None:
    audit = make_audit(table, world=0)
    audit["rounds"][1]["rows"] = [{**row, "predicted": 0.3} for row in audit["rounds"][1]["rows"]]
    first, second = complete_audit(audit, table)["rounds"]
    assert "noise_free_optimism" in first and "noise_free_optimism" not in second
    audit["settings"]["surrogate"] = "gp"
    assert complete_audit(audit, table) == audit


def test_the_card_has_them_of_an_older_audit(pnas: Any, small_table: Path, table: Table) -> None:
    Path("audit.json").write_text(json.dumps(make_audit(table, world=0, count=1)))
    words = ("table", "card", small_table, "--out", "cards", "--no-pictures", "--audit", "audit.json")
    answer = pnas(*words, "--json").json
    text = Path("cards", "small.md").read_text()
    report = complete_audit(make_audit(table, world=0, count=1), table)["rounds"][0]
    assert f"| {report['noise_free_optimism']:+.4f} ({report['noise_free_standard_error']:.4f}) |" in text
    assert f"That is of the model; {report['noise_free_verdict']}." in text
    (found,) = answer["audits"]
    assert found["rounds"][0]["noise_free_verdict"] == report["noise_free_verdict"]
    assert any(report["noise_free_verdict"] in sentence for sentence in answer["limits"])
