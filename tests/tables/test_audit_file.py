from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pnas_sim.errors import RunError
from pnas_tables.audit_file import read_audit
from pnas_tables.record import Table

Edit = Callable[[dict[str, Any]], object]


def make_audit(table: Table, **noise_free: Any) -> dict[str, Any]:
    """An audit of one round of two finds, without noise-free values unless they are given."""
    rows = [
        {"cell": cell, "search": "pnas", "observed": 0.5, "predicted": 0.4, "measured": 0.4, "runs": 2}
        for cell in table.space.format_many(table.cells[:2])
    ]
    report = {
        "round": 1,
        "cells": 2,
        "optimism": 0.0,
        "standard_error": 0.001,
        "told_too_much": 0.1,
        "rmse": 0.001,
        "spearman": None,
        "kendall_tau": None,
        "seed_deviation": 0.01,
        "by_search": {"pnas": {"cells": 2, "optimism": 0.0}},
        "rows": rows,
        "exploited": False,
        "verdict": "sound",
        **noise_free,
    }
    settings = {"searches": ["pnas"], "budget": 6, "cells": 2, "seeds": 2, "rounds": 1, "most_rounds": 1}
    settings |= {"surrogate": "lightgbm", "world": 0, "seed": 0}
    return {"table": table.name, "cells": 60, "data": "0" * 64, "settings": settings, "rounds": [report]}


def test_an_audit_is_read_as_it_was_written(table: Table, tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    figures = {"world": 0, "noise_free_optimism": 0.1, "noise_free_standard_error": None}
    for value in (make_audit(table), make_audit(table, **figures)):
        path.write_text(json.dumps(value))
        assert read_audit(path, table) == value
    oldest = make_audit(table)
    del oldest["cells"], oldest["data"]
    path.write_text(json.dumps(oldest))
    assert read_audit(path, table) == oldest


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda value: value.clear(), "table: Field required"),
        (lambda value: value.update(table="other"), "an audit of table other, not of"),
        (lambda value: value.update(settings={}, rounds=[{}]), "settings.searches: Field required"),
        (lambda value: value.update(settings=[], rounds=5), "settings: "),
        (lambda value: value.update(rounds=[]), "rounds: "),
        (lambda value: value.update(rounds=[{}]), "rounds.0.round: Field required"),
        (lambda value: value.update(cells=-1), "cells: "),
        (lambda value: value["settings"].update(searches="pnas"), "settings.searches: "),
        (lambda value: value["settings"].update(world="none"), "settings.world: "),
        (lambda value: value["rounds"][0].update(verdict=3), "rounds.0.verdict: "),
        (lambda value: value["rounds"][0].update(rmse=float("nan")), "rounds.0.rmse: "),
        (lambda value: value["rounds"][0].update(noise_free_optimism="x"), "noise_free_optimism: "),
        (lambda value: value["rounds"][0].update(by_search={"a\nb": {}}), "by_search.a b.cells: "),
        (lambda value: value["rounds"][0]["rows"][0].pop("predicted"), "rows.0.predicted: "),
        (lambda value: value["rounds"][0]["rows"][0].update(cell="sep9(-1)"), "no audit of table"),
    ],
)
def test_a_wrong_file_is_one_clear_line(table: Table, tmp_path: Path, edit: Edit, complaint: str) -> None:
    value = make_audit(table)
    edit(value)
    path = tmp_path / "audit.json"
    path.write_text(json.dumps(value))
    with pytest.raises(RunError) as caught:
        read_audit(path, table)
    assert complaint in str(caught.value) and "audit.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, "\xff"])
def test_what_is_no_object_is_refused(table: Table, tmp_path: Path, text: str) -> None:
    path = tmp_path / "audit.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"audit\.json"):
        read_audit(path, table)
    with pytest.raises(RunError, match="cannot be read"):
        read_audit(tmp_path / "absent.json", table)
