from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pnas_tables.card_proxy import FACTORS
from pnas_tables.format import read_table
from pnas_tables.proxy_cells import choose_cells
from pnas_tables.proxy_file import as_json, summarise


@pytest.fixture
def proxy_file(bare_table: Path, tmp_path: Path) -> Path:
    """A check of the made-up table in one factor, under which cells rank the other way round."""
    table = replace(read_table(bare_table), provenance=({"plan": {"seed": 3}},))
    choice = choose_cells(table, 8, 1.0)
    lines: list[dict[str, Any]] = [
        {
            "factor": "cells-2",
            "settings": {"cells_per_stage": 2},
            "cell": cell.cell,
            "seed": 0,
            "status": "ok",
            "valid_accuracy": 1 - cell.value()[0],
            "seconds": 3.0,
        }
        for cell in choice.cells
    ]
    path = tmp_path / "proxy.json"
    path.write_text(json.dumps(as_json(summarise(choice, FACTORS, lines))))
    return path


def test_the_card_takes_a_check(pnas: Any, bare_table: Path, proxy_file: Path, tmp_path: Path) -> None:
    words = ("table", "card", bare_table, "--out", "cards", "--no-pictures", "--proxy", proxy_file, "--json")
    answer = pnas(*words).json
    factor = answer["proxy"]["factors"][1]
    assert factor["name"] == "cells-2" and factor["trained"] == 16
    assert factor["parts"][0]["spearman"]["value"] == pytest.approx(-1)
    assert answer["proxy"]["random_cells"] == 20 and any(row["everywhere"] for row in factor["effects"])
    for row in factor["effects"]:
        if row["everywhere"] is not None and row["changed"] is not None:
            assert row["signs_differ"] == (row["everywhere"]["value"] * row["changed"]["value"] < 0)
    text = (tmp_path / "cards" / "bare.md").read_text()
    assert "## Is the proxy right?" in text and "- With 2 cells a stage (n = 16) effects" in text
    assert (
        pnas("table", "card", bare_table, "--out", "cards", "--no-pictures", "--json").json["proxy"] is None
    )


def test_a_wrong_check_is_one_line_and_writes_nothing(
    pnas: Any, bare_table: Path, proxy_file: Path, tmp_path: Path
) -> None:
    value = json.loads(proxy_file.read_text())
    wrong = {"text.json": "no", "list.json": "[]", "empty.json": "{}"}
    wrong["other.json"] = json.dumps({**value, "table": "other"})
    wrong["recipe.json"] = json.dumps({**value, "recipe": {"epochs": 9.0}})
    for name, content in wrong.items():
        (tmp_path / name).write_text(content)
    for name in (*wrong, "absent.json"):
        outcome = pnas("table", "card", bare_table, "--out", "cards", "--no-pictures", "--proxy", name)
        assert outcome.code == 2
        assert name in outcome.complaint
    assert not (tmp_path / "cards").exists()
