from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pnas_sim.cli.folder import hold_folder
from pnas_sim.cli.studying import _list_fit, _read_seeds
from pnas_sim.space import CellSpace
from pnas_tables.plans import list_jobs, sample_plan
from pnas_tables.testing import build_made_up_table

FAST = ("--trials", 1, "--cells", 40, "--fitted", "10", "--surrogate-fitted", "20", "--resamples", 20)
WHERE = ("--search-seeds", 1, "--beam", 6, "--workers", 1, "-q")


def test_a_study_of_both_sources_leaves_its_files(pnas: Any, small_table: Path, tmp_path: Path) -> None:
    words = ("predictors", "--table", small_table, "--predictors", "ridge,knn,gbt", *FAST, *WHERE)
    outcome = pnas(*words, "--out", "study", "--markdown", "mine.md", "--json")
    assert outcome.code == 0, outcome.err
    result = outcome.json
    assert (result["kind"], result["schema"], result["table"]["name"]) == ("predictors", 1, "bare")
    assert {(row["source"], row["place"]) for row in result["rows"]} >= {
        ("trained", "next"),
        ("surrogate", "fitted"),
        ("surrogate", "unseen"),
    }
    assert {row["predictor"] for row in result["rows"] if row["circular"]} == {"gbt"}
    assert not any(row["circular"] for row in result["rows"] if row["source"] == "trained")
    assert {(row["predictor"], row["blocks"]) for row in result["searches"]} == {
        (name, blocks) for name in ("ridge", "knn", "gbt") for blocks in (2, 3)
    }
    folder = tmp_path / "study"
    assert json.loads((folder / "result.json").read_text()) == result
    assert (tmp_path / "mine.md").read_text() == (folder / "predictors.md").read_text()
    assert (folder / "predictors.csv").read_text().count("\n") == len(result["rows"]) + 1
    assert (folder / "scatter-surrogate-20-knn.png").exists()
    parts = {path: path.stat().st_mtime_ns for path in (folder / "parts").iterdir()}
    again = pnas(*words, "--out", "study", "--no-pictures")
    assert again.code == 0 and "less the first's" in again.out and "written: study" in again.out
    assert {path: path.stat().st_mtime_ns for path in (folder / "parts").iterdir()} == parts


def test_a_table_without_a_surrogate_has_trained_cells_only(
    pnas: Any, bare_table: Path, tmp_path: Path
) -> None:
    outcome = pnas(
        "predictors", "--table", bare_table, "--predictors", "depth", *FAST, *WHERE, "--json", "--no-pictures"
    )
    assert outcome.code == 0, outcome.err
    assert "has no surrogate" in outcome.err
    assert {row["source"] for row in outcome.json["rows"]} == {"trained"}
    assert outcome.json["searches"] == []
    assert Path(outcome.json["out"]).parent.name == "runs"


def test_without_matplotlib_there_are_no_pictures_but_a_result(
    pnas: Any, bare_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # as where it is not installed
    words = ("predictors", "--table", bare_table, "--predictors", "depth", *FAST, *WHERE, "--out", "study")
    outcome = pnas(*words)
    assert outcome.code == 0
    assert "warning: pictures need matplotlib" in outcome.err
    assert (tmp_path / "study" / "result.json").exists()
    assert not list((tmp_path / "study").glob("*.png"))


def test_a_predictor_of_ones_own_comes_by_import_path(
    pnas: Any, bare_table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples"))
    outcome = pnas(
        "predictors",
        "--table",
        bare_table,
        "--predictors",
        "ridge,own_predictor:make",
        *FAST,
        *WHERE,
        "--json",
    )
    assert outcome.code == 0, outcome.err
    own = outcome.json["predictors"][1]
    assert (own["description"], own["family"]) == ("Mean worth of a cell's operations.", "unknown")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--predictors", "ridg"), "unknown predictor 'ridg'; did you mean 'ridge'?"),
        (("--predictors", "no_such.module:make"), "no module 'no_such'"),
        (("--predictors", ","), "no predictors"),
        (("--predictors", "knn,knn"), "named twice"),
        (("--sources", "imagined"), "sources is 'imagined'"),
        (("--blocks", 9), "blocks is 9"),
        (("--blocks", 1), "blocks is 1"),
        (("--trials", 0), "trials is 0; it must be from 1 to 10000"),
        (("--trials", 10**20), "it must be from 1 to 10000"),
        (("--resamples", 10**20), "it must be from 10 to 100000"),
        (("--cells", 10**20), "it must be from 2 to 10000000"),
        (("--beam", 10**20), "it must be from 1 to 10000000"),
        (("--seed", 2**63), "it must be from 0 to 9223372036854775807"),
        (("--markdown", "nowhere/page.md"), "nowhere is not a folder; make it, or give --markdown"),
        (("--fitted", "many"), "fitted is 'many'"),
        (("--fitted", "2"), "cells to fit on are 2"),
        (("--surrogate-fitted", ""), "surrogate-fitted is ''"),
        (("--search-seeds", "x"), "search-seeds is 'x'"),
        (("--search-seeds", "3,-7"), "search-seeds has -7"),
        (("--search-seeds", "10001"), "from 0 to 10000"),
        (("--beam", 0), "beam is 0"),
        (("--cells", 1), "cells is 1"),
        (("--epochs", 7), "7 epochs"),
        (("--resamples", 1), "resamples is 1"),
        (("--surrogate", "forest"), "forest"),
        (("--table", "nowhere.h5"), "nowhere.h5"),
    ],
)
def test_wrong_requests_are_answered_in_one_line(
    pnas: Any, small_table: Path, words: tuple[object, ...], named: str
) -> None:
    outcome = pnas("predictors", "--table", small_table, "--predictors", "ridge", *FAST, *WHERE, *words)
    assert outcome.code == 2, outcome.err
    assert named in outcome.complaint
    assert not Path("runs").exists()  # nothing is left behind


def test_another_commands_folder_is_refused(pnas: Any, bare_table: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "result.json").write_text('{"kind": "run"}')
    outcome = pnas(
        "predictors", "--table", bare_table, "--predictors", "ridge", *FAST, *WHERE, "--out", "other"
    )
    assert outcome.code == 2 and "result of another command (run)" in outcome.complaint
    (tmp_path / "file").write_text("")
    outcome = pnas(
        "predictors", "--table", bare_table, "--predictors", "ridge", *FAST, *WHERE, "--out", "file"
    )
    assert outcome.code == 2


def test_a_study_in_work_is_left_alone(pnas: Any, bare_table: Path, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    words = ("predictors", "--table", bare_table, "--predictors", "depth", *FAST, *WHERE, "--out", "study")
    with hold_folder(tmp_path / "study"):
        outcome = pnas(*words)
        assert outcome.code == 2 and "study is in use; let the other process end first" in outcome.complaint
    assert not (tmp_path / "study" / "result.json").exists()
    assert pnas(*words, "--no-pictures").code == 0


def test_what_cannot_serve_a_tables_operations_is_left_out_and_said(
    pnas: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = CellSpace(operations=("sep3", "mystery"), max_blocks=2)
    names = _list_fit(space)
    assert "log-parameters" not in names and {"mlp-ensemble", "gp", "depth"} <= set(names)
    assert "predictor multiply-adds is left out: the cost of operation 'mystery'" in capsys.readouterr().err
    jobs = list_jobs(sample_plan("other", 20, (1, 2), seeds=1, seed=0, space=space), space)
    build_made_up_table(jobs, space, tmp_path / "other.h5", "other")
    asked = pnas(
        "predictors",
        "--table",
        tmp_path / "other.h5",
        "--predictors",
        "log-parameters",
        "--sources",
        "trained",
    )
    assert asked.code == 2 and "'mystery'" in asked.complaint


def test_a_search_seed_named_twice_is_one_search() -> None:
    assert _read_seeds("4,7,4") == (4, 7)
    assert (_read_seeds("3"), _read_seeds("0"), _read_seeds("5,")) == ((0, 1, 2), (), (5,))
