from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def make_run(pnas: Any, small_table: Path) -> Callable[[str], Path]:
    """Makes a small finished run in a folder."""

    def make(name: str) -> Path:
        words = ("--blocks", 2, "--beam", 4, "--predictor", "ridge", "--out", name, "-q")
        assert pnas("run", "--table", small_table, *words).code == 0
        return Path(name)

    return make


def test_a_run_becomes_a_page_in_its_folder(pnas: Any, make_run: Any) -> None:
    folder = make_run("my run")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    outcome = pnas("report", folder, "--cells", 2)
    assert outcome.code == 0, outcome.err
    assert "run: pnas on table, seed 0" in outcome.out
    assert "page: my run/report.html" in outcome.out
    page = (folder / "report.html").read_bytes()
    assert page.count(b"Rank ") == 2
    assert b"pnas-sim run --config &#39;my run/run.toml&#39;" in page
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before | {"report.html": page}
    assert pnas("report", folder, "--cells", 2).code == 0
    assert (folder / "report.html").read_bytes() == page


def test_json_says_what_was_written(pnas: Any, make_run: Any) -> None:
    folder = make_run("one")
    written = pnas("report", folder, "--out", "page.html", "--json").json
    assert (written["kind"], written["schema"], written["out"]) == ("report", 1, "page.html")
    assert written["bytes"] == Path("page.html").stat().st_size
    assert written["reports"] == [
        {"kind": "run", "folder": "one", "title": "pnas on table, seed 0", "finished": True}
    ]


def test_several_folders_share_a_page_here(pnas: Any, make_run: Any, tmp_path: Path) -> None:
    one, two = make_run("one"), make_run("two")
    (two / "result.json").unlink()
    outcome = pnas("report", one, two)
    assert outcome.code == 0, outcome.err
    assert "(not finished)" in outcome.out
    page = (tmp_path / "report.html").read_text()
    assert "2 reports of pnas-sim" in page
    assert page.count("<article") == 2
    assert page.count("Not finished.") == 1
    assert "pnas-sim resume two" in page


def test_a_study_in_work_is_left_out_of_a_page_of_several(pnas: Any, make_run: Any, tmp_path: Path) -> None:
    folder = make_run("one")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "compare.toml").write_text("")
    (tmp_path / "three" / "parts").mkdir(parents=True)
    outcome = pnas("report", folder, "two", "three", "--json")
    assert outcome.code == 0, outcome.err
    assert [report["folder"] for report in outcome.json["reports"]] == ["one"]
    assert "warning: left out: two holds a comparison that has not finished" in outcome.err
    assert "warning: left out: three holds no result; if a predictor study" in outcome.err
    assert "--seeds FEWER" in pnas("report", "two").complaint
    assert "none of these 2 folders holds a result" in pnas("report", "two", "three").err
    assert "nowhere is not there" in pnas("report", folder, "nowhere").complaint


def test_a_run_can_be_looked_at_while_it_is_in_work_and_where_nothing_can_be_written(
    pnas: Any, make_run: Any
) -> None:
    from pnas_sim.runlog import RunLog

    folder = make_run("one")
    (folder / "result.json").unlink()
    with RunLog(folder / "evaluations.sqlite"):
        assert pnas("report", folder, "--out", "page.html").code == 0
    (folder / "evaluations.sqlite.lock").unlink()
    assert pnas("report", folder, "--out", "page.html").code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["evaluations.sqlite", "run.toml"]


def test_a_study_of_predictors_becomes_a_page(pnas: Any, small_table: Path) -> None:
    words = (
        "--trials",
        1,
        "--cells",
        40,
        "--surrogate-fitted",
        "20",
        "--resamples",
        20,
        "--workers",
        1,
        "-q",
    )
    assert (
        pnas(
            *("predictors", "--table", small_table, "--predictors", "ridge,depth", "--sources", "surrogate"),
            *("--search-seeds", 0, "--out", "study", *words),
        ).code
        == 0
    )
    outcome = pnas("report", "study")
    assert outcome.code == 0, outcome.err
    page = Path("study/report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "Predictor study on bare" in page


def spoil(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    result = json.loads((folder / "result.json").read_text())
    change(result)
    (folder / "result.json").write_text(json.dumps(result))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda result: result.update(kind="dream"), "of kind 'dream'; a page can show: run, comparison"),
        (lambda result: result.update(schema=2), "has schema 2, this version reads 1"),
        (lambda result: result.pop("levels"), "or of another version (KeyError: 'levels')"),
        (lambda result: result.update(levels=3), "or of another version (TypeError"),
        (lambda result: result["best"].update(cell="fly(-1)+id(-1)"), "fly"),
        (lambda result: result.update(seconds=10**400), "or of another version (OverflowError"),
    ],
)
def test_a_result_that_cannot_be_shown_is_told_in_a_line(
    pnas: Any, make_run: Any, change: Any, named: str
) -> None:
    folder = make_run("one")
    spoil(folder, change)
    (folder / "evaluations.sqlite").unlink()
    outcome = pnas("report", folder)
    assert outcome.code == 2
    assert named in outcome.complaint
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({}, "holds no result"),
        ({"result.json": "[1, 2]"}, "of kind None"),
        ({"result.json": "{"}, "is no JSON"),
        ({"result.json": "[" * 100_000}, "is no JSON"),
        ({"result.json": "\udcff"}, "is no JSON"),
        ({"run.toml": "kind = 'run'"}, "holds no result"),
        ({"run.toml": "kind = 'run'\nschema = 9", "evaluations.sqlite": ""}, "not of a run of schema 1"),
        ({"run.toml": "kind = 'run'\nschema = 1", "evaluations.sqlite": "x"}, "cannot be read"),
        ({"run.toml": "kind", "evaluations.sqlite": ""}, "is not TOML"),
        ({"compare.toml": ""}, "go on with: pnas-sim compare --config odd/compare.toml --out odd"),
        (
            {"compare.toml": "[settings.searches.mine]\nsearch = 'a:b'"},
            "go on with (it imports a:b): pnas-sim compare --trust --config odd/compare.toml --out odd",
        ),
        ({"parts/one": ""}, "holds no result; if a predictor study is to go on here"),
    ],
)
def test_a_folder_without_anything_to_show_is_told_in_a_line(
    pnas: Any, tmp_path: Path, files: dict[str, str], named: str
) -> None:
    (tmp_path / "odd").mkdir()
    for name, text in files.items():
        path = tmp_path / "odd" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    outcome = pnas("report", "odd")
    assert outcome.code == 2
    assert named in outcome.complaint


def test_settings_that_say_too_little_of_a_run_in_work_are_told(pnas: Any, make_run: Any) -> None:
    folder = make_run("one")
    (folder / "result.json").unlink()
    (folder / "run.toml").write_text("kind = 'run'\nschema = 1\n")
    assert "or of another version (KeyError: 'settings')" in pnas("report", folder).complaint


def test_requests_out_of_range_and_missing_places_are_told(pnas: Any, make_run: Any) -> None:
    folder = make_run("one")
    assert "nowhere is not there" in pnas("report", "nowhere").complaint
    assert "Missing argument" in pnas("report").complaint
    assert "cells is 0; it must be from 1" in pnas("report", folder, "--cells", 0).complaint
    missing = pnas("report", folder, "--out", "no/such/folder/page.html")
    assert missing.code == 2
    assert "no/such/folder/page.html: No such file or directory; give another --out" in missing.complaint
    assert pnas("report", folder, "--out", folder).code == 2
    assert pnas("report", folder / "run.toml").code == 2


def test_a_full_disk_leaves_no_page_and_the_old_one_as_it_was(
    pnas: Any, make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run("one")
    (folder / "report.html").write_text("old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    outcome = pnas("report", folder)
    assert outcome.code == 1
    assert "the disk is full at one/report.html; make room, then give the command again" in outcome.complaint
    assert (folder / "report.html").read_text() == "old"
    assert not list(folder.glob(".report*"))
