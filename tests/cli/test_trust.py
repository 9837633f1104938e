"""No file has code imported unless the command says so, and what it would take is told."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pnas_sim.cli.trust import list_own_parts

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


@pytest.mark.parametrize(
    ("settings", "own"),
    [
        ({"search": "pnas", "backend": "table"}, []),
        ({"search": "a:b", "backend": "c:d", "search_options": {"predictor": "e:f"}}, ["c:d", "a:b", "e:f"]),
        ({"searches": {"x": {"search": "a:b"}, "y": {"options": {"predictor": "a:b"}}}}, ["a:b"]),
        ({"backend_options": {"device": "cuda:0"}, "search_options": {"refit": "a:b"}}, []),
        ({"searches": 3, "search": 7, "search_options": "a:b"}, []),
        (["a:b"], []),
    ],
)
def test_parts_are_found_wherever_they_are_named(settings: Any, own: list[str]) -> None:
    assert list_own_parts(settings) == own
