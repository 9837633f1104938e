from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TextIO

import pytest

from pnas_sim.report.progress import Show, Standing
from pnas_sim.runlog import RunLog
from pnas_tables.format import read_table
from pnas_tables.record import checksum

TRAIN = (
    *(
        "run",
        "--backend",
        "gpu",
        "--device",
        "cpu",
        "--dataset",
        "digits",
        "--blocks",
        "1",
        "--epochs",
        "0.1",
    ),
    *("--filters", "2", "--cells-per-stage", "1", "--train-images", "40", "--valid-images", "20"),
    *("--test-images", "10", "--batch-size", "20", "--budget", "12", "--predictor", "ridge", "-q"),
)
VARYING = ("seconds", "child_seconds", "out")


def _search(table: Path, out: Path) -> tuple[object, ...]:
    return ("run", "--table", table, "--blocks", 3, "--beam", 4, "--predictor", "ridge", "--out", out)


def _lasting(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key not in VARYING}


@contextmanager
def _stop_after(models: int) -> Iterator[Any]:
    """Stands in for the progress display and presses Ctrl-C once so many models are done."""

    @contextmanager
    def open_stopping(stream: TextIO, quiet: bool) -> Iterator[Show]:
        def show(standing: Standing) -> None:
            if standing.done >= models:
                raise KeyboardInterrupt

        yield show

    yield open_stopping


@pytest.mark.parametrize("models", [1, 136, 140])
def test_an_interrupted_run_comes_to_the_same_end(
    pnas: Any, small_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: int
) -> None:
    whole = pnas(*_search(small_table, tmp_path / "whole"), "--json").json
    with monkeypatch.context() as stopping, _stop_after(models) as show:
        stopping.setattr("pnas_sim.report.progress.open_progress", show)
        outcome = pnas(*_search(small_table, tmp_path / "cut"))
    assert outcome.code == 130
    assert f"pnas-sim resume {tmp_path / 'cut'}" in outcome.complaint
    assert not (tmp_path / "cut" / "result.json").exists()
    resumed = pnas("resume", tmp_path / "cut", "--json")
    assert resumed.code == 0, resumed.err
    assert _lasting(resumed.json) == _lasting(whole)


def test_a_finished_run_is_shown_again(pnas: Any, small_table: Path, tmp_path: Path) -> None:
    first = pnas(*_search(small_table, tmp_path / "r"), "--json").json
    before = {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir()}
    assert pnas("resume", tmp_path / "r", "--json").json == first
    text = pnas("resume", tmp_path / "r")
    assert text.code == 0
    assert "best cell" in text.out
    assert {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir()} == before
    (tmp_path / "r").rename(tmp_path / "moved")
    assert pnas("resume", tmp_path / "moved", "--json").json["out"] == str(tmp_path / "moved")


def test_a_table_that_changed_is_refused(
    pnas: Any, small_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "table.h5"
    shutil.copy(small_table, table)
    with monkeypatch.context() as stopping, _stop_after(5) as show:
        stopping.setattr("pnas_sim.report.progress.open_progress", show)
        assert pnas(*_search(table, tmp_path / "r")).code == 130
    assert pnas("table", "fit", table, "--seed", 8).code == 0
    outcome = pnas("resume", tmp_path / "r")
    assert outcome.code == 2
    before, after = (checksum(read_table(path))[:12] for path in (small_table, table))
    assert (
        f"{tmp_path / 'r'} was begun on data with checksum {before}, which is now {after}; "
        "bring the old file back or start a new run"
    ) in outcome.complaint


def test_other_versions_are_said(
    pnas: Any, small_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as stopping, _stop_after(5) as show:
        stopping.setattr("pnas_sim.report.progress.open_progress", show)
        assert pnas(*_search(small_table, tmp_path / "r")).code == 130
    record = tmp_path / "r" / "run.toml"
    record.write_text(record.read_text().replace('pnas-sim = "0.1.0"', 'pnas-sim = "0.0.9"'))
    outcome = pnas("resume", tmp_path / "r", "--json")
    assert outcome.code == 0
    assert "warning: the run began with pnas-sim 0.0.9, this is 0.1.0" in outcome.err
    assert outcome.json["models_evaluated"] == 144


def test_another_version_with_another_recipe_does_not_go_on(
    pnas: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its defaults may differ, and half of the children would be trained otherwise."""
    with monkeypatch.context() as stopping, _stop_after(2) as show:
        stopping.setattr("pnas_sim.report.progress.open_progress", show)
        assert pnas(*TRAIN, "--out", tmp_path / "r").code == 130
    record = tmp_path / "r" / "run.toml"
    record.write_text(record.read_text().replace("warmup = 0.15", "warmup = 0.5"))
    outcome = pnas("resume", tmp_path / "r")
    assert outcome.code == 2
    assert "was begun with warmup 0.5, this version trains with 0.15; bring the old" in outcome.complaint


def test_a_run_of_a_version_with_other_options_goes_on(
    pnas: Any, small_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a failed child is taken for was an option of evolution's, recorded with its default."""
    words = ("run", "--table", small_table, "--blocks", 3, "--search", "evolution", "--budget", 60)
    whole = pnas(*words, "--out", tmp_path / "whole", "--json").json
    with monkeypatch.context() as stopping, _stop_after(30) as show:
        stopping.setattr("pnas_sim.report.progress.open_progress", show)
        assert pnas(*words, "--out", tmp_path / "r").code == 130
    record = tmp_path / "r" / "run.toml"
    text = record.read_text()
    assert "population = 100" in text
    record.write_text(text.replace("population = 100", "population = 100\nchance = 0.1"))
    resumed = pnas("resume", tmp_path / "r", "--json")
    assert resumed.code == 0, resumed.err
    assert _lasting(resumed.json) == _lasting(whole)
    assert pnas("run", "--config", record, "--out", tmp_path / "again").code == 0


def test_a_run_goes_on_with_what_another_machine_has(
    pnas: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pnas(*TRAIN, "--out", tmp_path / "whole", "--json").json
    with monkeypatch.context() as stopping, _stop_after(2) as show:
        stopping.setattr("pnas_sim.report.progress.open_progress", show)
        assert pnas(*TRAIN, "--out", tmp_path / "r").code == 130
    record = tmp_path / "r" / "run.toml"
    record.write_text(record.read_text().replace('device = "cpu"', 'device = "cuda:7"'))
    assert pnas("resume", tmp_path / "r").code == 2
    words = ("--device", "cpu", "--workers", 2, "--time-limit", 60)
    resumed = pnas("resume", tmp_path / "r", *words, "--json")
    assert resumed.code == 0, resumed.err
    assert _lasting(resumed.json) == _lasting(whole)


@pytest.mark.parametrize("content", [None, "", "beam = ", 'kind = "run"\nschema = 99\n'])
def test_folders_without_a_run_are_refused(pnas: Any, tmp_path: Path, content: str | None) -> None:
    (tmp_path / "r").mkdir()
    if content is not None:
        (tmp_path / "r" / "run.toml").write_text(content)
    outcome = pnas("resume", tmp_path / "r")
    assert outcome.code == 2
    assert "run" in outcome.complaint
    assert pnas("resume", tmp_path / "absent").code == 2


def _start(out: Path, folder: Path) -> subprocess.Popen[str]:
    """Starts a run of 12 trained children in another process."""
    words = [sys.executable, "-c", "from pnas_sim.cli import main; main()", *TRAIN, "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def _wait_for_answers(log: Path, count: int) -> None:
    """Waits until the log of another process holds some answers."""
    for _ in range(600):
        if log.exists() and _count_answers(log) >= count:
            return
        time.sleep(0.1)
    raise AssertionError("the run answered nothing within a minute")


def _count_answers(log: Path) -> int:
    with closing(sqlite3.connect(f"file:{log}?mode=ro", uri=True)) as database:
        try:
            return int(database.execute("SELECT count(*) FROM evaluations").fetchone()[0])
        except sqlite3.Error:
            return 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_comes_to_the_same_end(pnas: Any, tmp_path: Path, how: signal.Signals) -> None:
    whole = pnas(*TRAIN, "--out", tmp_path / "whole", "--json").json
    process = _start(tmp_path / "cut", tmp_path)
    try:
        _wait_for_answers(tmp_path / "cut" / "evaluations.sqlite", 3)
    finally:
        process.send_signal(how)
        error = process.communicate(timeout=60)[1]
    if how == signal.SIGTERM:
        assert process.returncode == 130
        assert error.splitlines() == [
            f"pnas-sim: error: interrupted; go on with: pnas-sim resume {tmp_path / 'cut'}"
        ]
    assert not (tmp_path / "cut" / "result.json").exists()
    outcome = pnas("resume", tmp_path / "cut", "-q", "--json")
    assert outcome.code == 0, outcome.err
    assert _lasting(outcome.json) == _lasting(whole)
    assert json.loads((tmp_path / "cut" / "result.json").read_text()) == outcome.json


def _evolve(table: Path, out: Path, budget: object) -> tuple[object, ...]:
    options = ("--search", "evolution", "--search-option", "population=10", "--search-option", "sample=3")
    return ("run", *options, "--table", table, "--blocks", 2, "--budget", budget, "--out", out)


@pytest.mark.parametrize("budget", [70, 90])  # a batch of 20 is cut, and is not
def test_a_raised_budget_comes_to_the_end_of_a_run_begun_with_it(
    pnas: Any, small_table: Path, tmp_path: Path, budget: int
) -> None:
    whole = pnas(*_evolve(small_table, tmp_path / "whole", budget), "--json").json
    pnas(*_evolve(small_table, tmp_path / "raised", 50))
    raised = pnas("resume", tmp_path / "raised", "--budget", budget, "--json").json
    assert _lasting(raised) == _lasting(whole)
    assert raised["models_evaluated"] == budget
    again = pnas("resume", tmp_path / "raised", "--json").json  # shown: it has ended with that
    assert _lasting(again) == _lasting(raised)
    repeated = pnas("run", "--config", tmp_path / "raised/run.toml", "--out", tmp_path / "again", "--json")
    assert _lasting(repeated.json) == _lasting(raised)


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ("50", "--budget is 50, the run's is 50; give more than that"),
        ("1e9ex", "--budget is 1e9ex, the run's is 50; give more of the same unit"),
        ("many", "budget is 'many'; give models (6000)"),
    ],
)
def test_a_budget_that_takes_no_run_further_changes_nothing(
    pnas: Any, small_table: Path, tmp_path: Path, budget: str, words: str
) -> None:
    pnas(*_evolve(small_table, tmp_path / "run", 50))
    then = {name: (tmp_path / "run" / name).read_bytes() for name in ("run.toml", "result.json")}
    outcome = pnas("resume", tmp_path / "run", "--budget", budget)
    assert outcome.code == 2 and words in outcome.complaint
    assert then == {name: (tmp_path / "run" / name).read_bytes() for name in then}


def test_a_run_that_ended_by_itself_is_not_taken_further(
    pnas: Any, small_table: Path, tmp_path: Path
) -> None:
    pnas(*_search(small_table, tmp_path / "run"))
    outcome = pnas("resume", tmp_path / "run", "--budget", 9000)
    assert outcome.code == 2
    assert "ended by itself (finished): no budget takes it further" in outcome.complaint


def test_a_raise_that_was_cut_short_comes_to_the_old_end(
    pnas: Any, small_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    then = pnas(*_evolve(small_table, tmp_path / "run", 50), "--json").json
    with monkeypatch.context() as full:
        full.setattr("pnas_sim.cli.reopening.format_toml", lambda record: 1 / 0)
        assert pnas("resume", tmp_path / "run", "--budget", 70).code == 1
    assert _lasting(pnas("resume", tmp_path / "run", "--json").json) == _lasting(then)
    assert pnas("resume", tmp_path / "run", "--budget", 70, "--json").json["models_evaluated"] == 70


def test_a_run_at_work_is_not_raised(pnas: Any, small_table: Path, tmp_path: Path) -> None:
    pnas(*_evolve(small_table, tmp_path / "run", 50))
    then = (tmp_path / "run/run.toml").read_bytes()
    with RunLog(tmp_path / "run"):
        outcome = pnas("resume", tmp_path / "run", "--budget", 70)
    assert outcome.code == 2 and "in use" in outcome.complaint
    assert (tmp_path / "run/run.toml").read_bytes() == then
    assert (tmp_path / "run/result.json").exists()


def test_children_that_failed_are_trained_again(pnas: Any, tmp_path: Path) -> None:
    whole = pnas(*TRAIN, "--out", tmp_path / "whole", "--json").json
    failed = pnas(*TRAIN, "--time-limit", 0.001, "--out", tmp_path / "run", "--json")
    assert failed.code == 1 and json.loads(failed.out)["failed"] == 12
    again = pnas("resume", tmp_path / "run", "--retry-failed", "--time-limit", 600, "-q", "--json").json
    assert _lasting(again) == _lasting(whole)
    assert again["failed"] == 0


def test_where_no_child_failed_none_is_tried_again(pnas: Any, small_table: Path, tmp_path: Path) -> None:
    then = pnas(*_search(small_table, tmp_path / "run"), "--json").json
    outcome = pnas("resume", tmp_path / "run", "--retry-failed")
    assert outcome.code == 2 and "no child of the run in" in outcome.complaint
    assert pnas("resume", tmp_path / "run", "--json").json == then
