"""Records of runs and comparisons in which something else stands: one line, exit code 2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pnas_sim.cli.toml import format_toml

RECORD: Mapping[str, Any] = {
    "schema": 1,
    "settings": {"blocks": 2, "budget": "12"},
    "backend": {"name": "table", "checksum": "abc", "settings": {}},
    "versions": {"python": "3.11"},
}
TOYS = {"random": {"search": "random"}, "raw": {"search": "random-raw"}}
DAMAGES = {  # what stands there instead, and what is said of it
    "settings": ({"settings": 5}, "settings is no table"),
    "backend": ({"backend": 5}, "backend is no table"),
    "no backend": ({"backend": None}, "backend is no table"),
    "checksum": ({"backend": {"checksum": 5}}, "backend.checksum is no text"),
    "its settings": ({"backend": {"settings": [5]}}, "backend.settings is no table"),
    "versions": ({"versions": "new"}, "versions is no table"),
}


def write(path: Path, kind: str, change: Mapping[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(format_toml({"kind": kind, **RECORD, **change}))


@pytest.mark.parametrize("command", ["resume", "verify"])
@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_a_damaged_record_of_a_run_is_told(pnas: Any, tmp_path: Path, damage: str, command: str) -> None:
    change, complaint = DAMAGES[damage]
    write(tmp_path / "r" / "run.toml", "run", change)
    outcome = pnas(command, "r")
    assert outcome.code == 2
    assert f"r/run.toml is damaged: {complaint}; bring a whole copy of the folder" in outcome.complaint


@pytest.mark.parametrize("option", ["search_options", "backend_options"])
def test_options_of_a_run_that_are_none_are_told(pnas: Any, tmp_path: Path, option: str) -> None:
    write(tmp_path / "r" / "run.toml", "run", {"settings": {option: 5}})
    outcome = pnas("resume", "r")
    assert outcome.code == 2 and f"{option} is 5" in outcome.complaint


@pytest.mark.parametrize("damage", sorted(set(DAMAGES) - {"no backend"}))
def test_a_damaged_record_of_a_comparison_is_told(
    pnas: Any, small_table: Path, tmp_path: Path, damage: str
) -> None:
    change, complaint = DAMAGES[damage]
    write(tmp_path / "c" / "compare.toml", "comparison", {"settings": {"searches": TOYS}, **change})
    begun = ("--table", small_table, "--searches", "random,random-raw", "--blocks", 2, "--out", "c")
    for words in (("--config", "c/compare.toml"), begun):
        outcome = pnas("compare", *words)
        assert outcome.code == 2
        assert f"c/compare.toml is damaged: {complaint}; bring a whole copy" in outcome.complaint


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"searches": 5}, "searches is 5; write a table"),
        ({"searches": {"mine": 5}}, "searches.mine is 5; write a table"),
        ({"searches": {"mine": {"search": "random", "options": [5]}}}, "searches.mine.options is [5]; write"),
        ({"searches": TOYS, "backend_options": "x"}, "backend_options is 'x'; write a table"),
    ],
)
@pytest.mark.parametrize("own", [False, True])
def test_settings_of_a_comparison_that_are_none_are_told(
    pnas: Any, tmp_path: Path, settings: dict[str, Any], complaint: str, own: bool
) -> None:
    """In a recorded file, and in one that somebody wrote."""
    write(tmp_path / "c" / "compare.toml", "comparison", {"settings": settings})
    if own:
        (tmp_path / "c" / "compare.toml").write_text(format_toml(settings))
    outcome = pnas("compare", "--config", "c/compare.toml", "--out", "d")
    assert outcome.code == 2 and complaint in outcome.complaint
    assert not (tmp_path / "d").exists()
