"""No file has code imported unless the command says so, and what it would take is told."""

from __future__ import annotations

import html
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PART = """
from pathlib import Path
from pnas_sim.predict import make_predictor
from pnas_sim.search import RandomSearch

Path("imported").touch()


def search(request):
    return RandomSearch(request.space, seed=request.seed)


def predictor(space):
    return make_predictor("ridge", space)
"""
SEARCH, PREDICTOR = ("--search", "own_part:search"), ("--predictor", "own_part:predictor", "--beam", 4)


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of the user's own, whose import leaves the file that is returned."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "own_part.py").write_text(PART)
    monkeypatch.syspath_prepend(str(tmp_path / "parts"))
    yield tmp_path / "imported"
    sys.modules.pop("own_part", None)


def begin(pnas: Any, table: Path, parts: Path, *words: object) -> None:
    """Leaves a run in `r` that has lost its result, and a process that has not imported the part."""
    assert pnas("run", "--table", table, "--blocks", 2, "--budget", 150, "--out", "r", *words).code == 0
    Path("r/result.json").unlink()
    parts.unlink()
    del sys.modules["own_part"]


@pytest.mark.parametrize("own", [SEARCH, PREDICTOR])
def test_a_run_is_gone_on_with_by_parts_of_its_file_only_on_demand(
    pnas: Any, small_table: Path, parts: Path, own: tuple[object, ...]
) -> None:
    begin(pnas, small_table, parts, *own)
    refused = pnas("resume", "r", "-q")
    assert refused.code == 2 and not parts.exists()
    command = "pnas-sim resume --trust r -q"
    told = f"r/run.toml names code to import, {own[1]}; if you trust it, give: {command}"
    assert refused.complaint.endswith(told)
    assert pnas(*shlex.split(command)[1:]).code == 0
    assert parts.exists()
    assert pnas("resume", "r").code == 0  # which shows the result, and imports nothing


def test_commands_that_are_told_of_a_run_are_not_refused(pnas: Any, small_table: Path, parts: Path) -> None:
    begin(pnas, small_table, parts, *SEARCH)
    taken = pnas("run", "--out", "r")
    assert "go on with it by pnas-sim resume --trust r (it imports own_part:search), or" in taken.complaint
    assert pnas("report", "r").code == 0 and not parts.exists()
    page = html.unescape(Path("r/report.html").read_text())
    resume = "pnas-sim resume --trust r"
    assert f"The run can be gone on with (it imports own_part:search): {resume}" in page
    repeat = "pnas-sim run --trust --config r/run.toml --out NEW_FOLDER"
    assert "The same run again, in a new folder (it imports own_part:search):" in page and repeat in page
    for command in (repeat, resume):
        assert pnas(*shlex.split(command)[1:], "-q").code == 0


def test_so_is_a_run_repeated_unless_its_parts_are_named_again(
    pnas: Any, small_table: Path, parts: Path
) -> None:
    begin(pnas, small_table, parts, *SEARCH)
    words = ("run", "--config", "r/run.toml", "--out", "my runs")
    refused = pnas(*words)
    assert refused.code == 2 and not parts.exists() and not Path("my runs").exists()
    assert refused.complaint.endswith("give: pnas-sim run --trust --config r/run.toml --out 'my runs'")
    assert pnas(*words, *SEARCH).code == 0
    assert pnas(*words[:-1], "two", "--trust").code == 0
    assert pnas(*words[:-1], "three", "--search", "random").code == 0
