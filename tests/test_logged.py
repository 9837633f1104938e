"""What a log holds, read as a whole: as it was committed, and never what no log has."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_sim import logged
from pnas_sim.engine import run_search
from pnas_sim.errors import RunError
from pnas_sim.evaluate import Evaluation, Status
from pnas_sim.function_evaluator import FunctionEvaluator
from pnas_sim.logged import read_log
from pnas_sim.predict import make_predictor
from pnas_sim.runlog import RunLog
from pnas_sim.search import Pnas, Proposals
from pnas_sim.space import CellSpace

SPACE = CellSpace(max_blocks=2)
TEXTS = SPACE.format_many(SPACE.initial()[:9])


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RunLog]:
    with RunLog(tmp_path / "log") as opened:
        yield opened


def answer(place: int, **given: Any) -> Evaluation:
    return Evaluation(cell=TEXTS[place], **{"valid_accuracy": 0.5, **given})


def keep_two_batches(log: RunLog) -> list[Proposals]:
    batches = [Proposals(SPACE.initial()[:2]), Proposals(SPACE.initial()[2:5], 1.0, np.arange(3.0), 9, 7)]
    for number, batch in enumerate(batches):
        log.add_batch(number, batch, SPACE.format_many(batch.cells))
    log.add([answer(0, valid_accuracy=0.25), answer(3)], 1.0)
    return batches


@pytest.mark.parametrize("closed", [True, False])
def test_a_log_is_read_without_writing_whether_open_or_not(tmp_path: Path, closed: bool) -> None:
    log = RunLog(tmp_path / "odd #?% name")
    kept = keep_two_batches(log)
    if closed:
        log.close()
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    run = read_log(tmp_path / "odd #?% name")
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    log.close()
    assert [batch.cells for batch in run.batches] == [TEXTS[:2], TEXTS[2:5]]
    assert [batch.proposals.candidates for batch in run.batches] == [0, 9]
    np.testing.assert_array_equal(run.batches[1].proposals.cells, kept[1].cells)
    assert [(cell, at) for cell, at in run.evaluations] == [(TEXTS[0], 1.0), (TEXTS[3], 1.0)]
    assert run.evaluations[TEXTS[0], 1.0].valid_accuracy == 0.25


def test_what_cannot_be_read_as_a_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not there"):
        read_log(tmp_path / "none")
    assert not list(tmp_path.iterdir())
    (tmp_path / "text").write_text("no database, for long enough to be looked at as one" * 9)
    with pytest.raises(RunError, match="cannot be read"):
        read_log(tmp_path / "text")
    with RunLog(tmp_path / "other"):
        pass
    with closing(sqlite3.connect(tmp_path / "other")) as database, database:
        database.execute("UPDATE meta SET value = '2'")
    with pytest.raises(RunError, match="its schema is 2, this version reads 1"):
        read_log(tmp_path / "other")


@pytest.mark.parametrize("table", ["meta", "batches", "proposals", "evaluations"])
def test_a_log_that_asks_for_ever_is_refused(tmp_path: Path, table: str) -> None:
    RunLog(tmp_path / "log").close()
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, i FROM n"
    with closing(sqlite3.connect(tmp_path / "log")) as database:
        database.executescript(f"DROP TABLE {table}; CREATE VIEW {table}(key, value) AS {endless}")
    with pytest.raises(RunError, match=f"damaged: '{table}' in it is none of the tables"):
        RunLog(tmp_path / "log")
    with pytest.raises(RunError, match=f"cannot be read: '{table}' in it is none of the tables"):
        read_log(tmp_path / "log")


@pytest.mark.parametrize(
    "change",
    [
        f"evaluations SET curve = '{'[' * 100_000}'",
        "evaluations SET curve = '[1, 2]'",
        "evaluations SET curve = '[[\"first\", 0.5]]'",
        "evaluations SET status = 7",
        "evaluations SET status = 'ok'",
        "evaluations SET source = 'guessed'",
        "evaluations SET cell = x'00' WHERE rowid = 1",
        "evaluations SET asked_epochs = 'one' WHERE rowid = 1",
        "evaluations SET asked_epochs = 9e999 WHERE rowid = 1",
        "evaluations SET valid_accuracy = 7",
        "evaluations SET valid_accuracy = 9e999",
        "evaluations SET valid_accuracy = NULL",
        "evaluations SET valid_accuracy = 'good'",
        "evaluations SET test_accuracy = -0.5",
        "evaluations SET seconds = -1",
        "evaluations SET epochs = 'one'",
        "evaluations SET parameters = 'many'",
        "evaluations SET parameters = 1e300",
        "evaluations SET parameters = NULL",
        "evaluations SET extrapolated = 'no'",
        "evaluations SET error = x'00'",
        "batches SET number = 2 * number",
        "batches SET number = -number",
        "batches SET cells = x''",
        "batches SET epochs = 'one'",
        "batches SET candidates = 'many'",
        "batches SET unique_candidates = 1.5",
        "batches SET width = 'four'",
        "batches SET width = 0",
        "batches SET width = 9223372036854775807",
        "batches SET cells = 'text'",
        "batches SET predicted = x'00'",
        "batches SET predicted = x'0000000000000000'",
    ],
)
def test_values_that_no_log_has_are_told_in_a_line(tmp_path: Path, change: str) -> None:
    with RunLog(tmp_path / "log") as log:
        keep_two_batches(log)
    with closing(sqlite3.connect(tmp_path / "log")) as database:
        database.executescript(f"UPDATE {change}")
    with pytest.raises(RunError, match=r"log cannot be read: .*; bring a whole copy of it"):
        read_log(tmp_path / "log")
    with RunLog(tmp_path / "log") as log, pytest.raises(RunError, match="log cannot be read: "):
        log.read_batches()
        log.read_evaluations()


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM proposals WHERE place = 1",
        "DELETE FROM proposals WHERE batch = 1",
        "UPDATE proposals SET batch = 2 WHERE batch = 1",
        "UPDATE proposals SET cell = x'00'",
    ],
)
def test_proposals_that_are_not_those_of_the_batches_are_told_in_a_line(tmp_path: Path, change: str) -> None:
    with RunLog(tmp_path / "log") as log:
        keep_two_batches(log)
    with closing(sqlite3.connect(tmp_path / "log")) as database:
        database.executescript(change)
    with pytest.raises(RunError, match=r"log cannot be read: .*; bring a whole copy of it"):
        read_log(tmp_path / "log")


def test_a_log_with_a_rollback_journal_is_read_as_it_was_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process is in the middle of a commit, or died there with half of it in the file."""
    monkeypatch.setattr("pnas_sim.runlog.lies_on_network", lambda path: True)
    path, left = tmp_path / "log.sqlite", tmp_path / "left" / "log.sqlite"
    with RunLog(path) as log:
        log.add([answer(place, error="x" * 2000) for place in range(9)], 1.0)
        log._database.execute("PRAGMA cache_size=1")  # pages: what is more goes into the file at once
        log._database.execute("BEGIN IMMEDIATE")
        assert len(read_log(path).evaluations) == 9
        log._database.execute("UPDATE evaluations SET valid_accuracy = 0.75")
        left.parent.mkdir()
        for name in (path.name, f"{path.name}-journal"):
            shutil.copy(tmp_path / name, left.with_name(name))
        log._database.execute("ROLLBACK")
    half = f"file:{left}?immutable=1"
    with closing(sqlite3.connect(half, uri=True)) as database:
        values = database.execute("SELECT valid_accuracy FROM evaluations WHERE valid_accuracy > 0.5")
        assert values.fetchall()
    with pytest.raises(RunError, match="a commit was broken off in it; go on with its run, then read it"):
        read_log(left)
    RunLog(left).close()
    assert {one.valid_accuracy for one in read_log(left).evaluations.values()} == {0.5}


@pytest.mark.parametrize("shared", [False, True])
def test_a_log_is_read_as_it_was_at_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    """Another process goes on with its run meanwhile, or where it must, waits."""
    monkeypatch.setattr("pnas_sim.runlog.lies_on_network", lambda path: shared)
    real, tried = logged.read_batches, []
    with RunLog(tmp_path / "log") as log:
        keep_two_batches(log)
        log._database.execute("PRAGMA busy_timeout=1")

        def go_on(database: sqlite3.Connection) -> list[Proposals]:
            batches = real(database)
            tried.append(True)
            with suppress(RunError):  # in use
                log.add([answer(5)], 1.0)
            return batches

        monkeypatch.setattr("pnas_sim.logged.read_batches", go_on)
        assert [cell for cell, _ in read_log(tmp_path / "log").evaluations] == [TEXTS[0], TEXTS[3]]
    assert tried


def test_a_log_is_found_by_text_and_in_a_runs_folder(tmp_path: Path) -> None:
    for path in (str(tmp_path), tmp_path, str(tmp_path / "evaluations.sqlite")):
        with RunLog(path) as log:
            log.add([answer(0)], 1.0)
        assert list(read_log(path).evaluations) == [(TEXTS[0], 1.0)]
    assert (tmp_path / "evaluations.sqlite").is_file()
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"empty/evaluations.sqlite is not there"):
        read_log(tmp_path / "empty")


def test_a_frame_joins_proposals_and_answers_in_order_of_proposal(log: RunLog, tmp_path: Path) -> None:
    keep_two_batches(log)  # answers for the first of the one, and the second of the other
    log.add_batch(2, Proposals(SPACE.initial()[:2], 2.0, np.array([0.5, 0.6])), TEXTS[:2])
    log.add([answer(1, status=Status.FAILED, valid_accuracy=nan, error="killed", seconds=3.0)], 2.0)
    frame = read_log(tmp_path / "log").to_frame()
    assert frame["cell"].tolist() == [TEXTS[0], TEXTS[3], TEXTS[1]]
    assert frame["batch"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(frame["predicted"], [nan, 1.0, 0.6])
    np.testing.assert_array_equal(frame["valid_accuracy"], [0.25, 0.5, nan])
    assert frame["status"].tolist() == ["ok", "ok", "failed"]
    assert (frame["seconds"].tolist()[2], frame["error"].tolist()[2]) == (3.0, "killed")


def test_the_frames_of_a_log_and_of_a_result_are_the_same(log: RunLog, tmp_path: Path) -> None:
    search = Pnas(SPACE, make_predictor("ridge", SPACE), beam=7, seed=0)
    evaluator = FunctionEvaluator(lambda cells: 0.4 + 0.02 * (cells == 1).sum(axis=1), SPACE, seconds=1.0)
    result = run_search(search, evaluator, budget=140, log=log)
    kept, found = read_log(tmp_path / "log").to_frame(), result.evaluations.to_frame()
    assert list(kept.columns) == list(found.columns)
    assert len(found) == 140
    assert repr(kept.to_dict("records")) == repr(found.to_dict("records"))
    grown = found[found["blocks"] == 2]
    assert grown["predicted"].notna().all() and grown["valid_accuracy"].notna().all()
