"""The run store: what goes in comes out, in whole commits, and no file is taken for what it is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import fields, replace
from math import nan
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.answers import pack_answers
from pnas_sim.errors import RunError, WorkError
from pnas_sim.evaluate import Answers, Evaluation, Source, Status
from pnas_sim.logged import read_log
from pnas_sim.runlog import RunLog
from pnas_sim.search import Proposals
from pnas_sim.space import CellSpace

SPACE = CellSpace(max_blocks=2)
TEXTS = SPACE.format_many(SPACE.initial()[:9])

accuracies = st.floats(0, 1) | st.just(nan)
amounts = st.floats(0, 1e12)
counts = st.integers(-1, 2**62)
evaluations = st.builds(
    Evaluation,
    cell=st.sampled_from(TEXTS),
    status=st.sampled_from(Status),
    source=st.sampled_from(Source),
    valid_accuracy=accuracies,
    expected_valid_accuracy=accuracies,
    test_accuracy=accuracies,
    epochs=amounts,
    examples=amounts,
    seconds=amounts,
    parameters=counts,
    multiply_adds=counts,
    curve=st.lists(st.tuples(amounts, accuracies), max_size=3).map(tuple),
    seed=st.integers(0, 2**63 - 1),
    extrapolated=st.booleans(),
    error=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
).filter(lambda one: one.status != Status.OK or one.valid_accuracy >= 0)  # a child that ended well has one


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RunLog]:
    with RunLog(tmp_path / "log") as opened:
        yield opened


def answer(place: int, **given: Any) -> Evaluation:
    return Evaluation(cell=TEXTS[place], **{"valid_accuracy": 0.5, **given})


@given(answers=st.lists(evaluations, max_size=6), epochs=st.sampled_from([0.25, 1.0, 20.0]))
@settings(max_examples=40, deadline=None)
def test_answers_come_back_as_they_were_kept(answers: list[Evaluation], epochs: float) -> None:
    with TemporaryDirectory() as folder:
        with RunLog(Path(folder, "log")) as log:
            log.add(answers, epochs)
        with RunLog(Path(folder, "log")) as log:
            found = log.read_evaluations()
    last = {
        (answer.cell, epochs): answer for answer in answers
    }  # a later answer takes an earlier one's place
    assert {key: repr(answer) for key, answer in found.items()} == {
        key: repr(answer) for key, answer in last.items()
    }


@given(n=st.integers(1, 8), width=st.sampled_from([4, 8, 20]), seed=st.integers(0, 99), data=st.data())
@settings(max_examples=30, deadline=None)
def test_batches_come_back_as_they_were_proposed(n: int, width: int, seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    predicted = data.draw(st.none() | st.just(rng.random(n)))
    asked = Proposals(
        cells=rng.integers(0, 256, (n, width)).astype(np.uint8),
        epochs=data.draw(st.none() | st.floats(0.01, 100)),
        predicted=predicted,
        candidates=data.draw(st.integers(0, 10**9)),
        unique=data.draw(st.integers(0, 10**9)),
    )
    with TemporaryDirectory() as folder:
        with RunLog(Path(folder, "log")) as log:
            log.add_batch(0, asked, ["a cell"] * n)
            log.add_batch(1, replace(asked, predicted=None), ["a cell"] * n)
        with RunLog(Path(folder, "log")) as log:
            first, second = log.read_batches()
    for field in fields(Proposals):
        np.testing.assert_equal(getattr(first, field.name), getattr(asked, field.name))
    assert second.predicted is None
    first.cells[0] = 0  # the strategy's own, not a read-only view


def test_arrays_of_answers_are_kept_as_one_by_one(tmp_path: Path) -> None:
    answers = Answers(
        source=Source.MEASURED,
        epochs=0.5,
        seed=7,
        status=np.array([0, 2], np.uint8),
        valid_accuracy=np.array([0.25, nan]),
        expected_valid_accuracy=np.array([0.5, nan]),
        test_accuracy=np.array([nan, 0.75]),
        examples=np.array([10.0, 20.0]),
        seconds=np.array([0.1, 0.2]),
        parameters=np.array([2**40, -1]),
        multiply_adds=np.array([-1, 3]),
        extrapolated=np.array([True, False]),
    )
    shared: dict[str, Any] = {"source": Source.MEASURED, "epochs": 0.5, "seed": 7}
    first = answer(0, valid_accuracy=0.25, expected_valid_accuracy=0.5, examples=10.0, seconds=0.1)
    first = replace(first, parameters=2**40, extrapolated=True, **shared)
    second = answer(1, status=Status.FAILED, valid_accuracy=nan, test_accuracy=0.75, examples=20.0)
    second = replace(second, seconds=0.2, multiply_adds=3, **shared)
    with RunLog(tmp_path / "a") as log:
        log.add_bulk(TEXTS[:2], answers, 1.0)
        told = replace(answers, seeds=np.array([1, 2]), errors=np.array(["", "killed"], np.object_))
        log.add_bulk(TEXTS[2:4], told, 2.0)
        found = log.read_evaluations()
    assert repr(found) == repr(
        {
            (TEXTS[0], 1.0): first,
            (TEXTS[1], 1.0): second,
            (TEXTS[2], 2.0): replace(first, cell=TEXTS[2], seed=1),
            (TEXTS[3], 2.0): replace(second, cell=TEXTS[3], seed=2, error="killed"),
        }
    )


def test_the_same_cell_at_other_epochs_is_another_model(log: RunLog) -> None:
    log.add([answer(0, valid_accuracy=0.1)], 1.0)
    log.add([answer(0, valid_accuracy=0.2)], 2.0)
    found = log.read_evaluations()
    assert [found[TEXTS[0], at].valid_accuracy for at in (1.0, 2.0)] == [0.1, 0.2]


def test_others_read_each_commit_while_the_log_is_open(log: RunLog, tmp_path: Path) -> None:
    reader = sqlite3.connect(f"file:{tmp_path / 'log'}?mode=ro", uri=True)
    for place in range(3):
        log.add([answer(place)], 1.0)
        assert reader.execute("SELECT count(*) FROM evaluations").fetchone() == (place + 1,)
    reader.close()


def test_a_commit_is_whole_or_nothing(log: RunLog) -> None:
    class Interrupted(Exception):  # noqa: N818
        """Comes in the middle."""

    def break_off() -> Iterator[tuple[Any, ...]]:
        yield ("a cell", 1.0, 0, "trained", *range(9), 0, "[]", "")
        raise Interrupted

    with pytest.raises(Interrupted):
        log._write(break_off())
    assert log.read_evaluations() == {}
    log.add([answer(0)], 1.0)
    assert len(log.read_evaluations()) == 1


def test_a_number_of_batch_is_taken_once(log: RunLog) -> None:
    batch = Proposals(SPACE.initial()[:2])
    log.add_batch(0, batch, TEXTS[:2])
    with pytest.raises(RunError, match="UNIQUE"):
        log.add_batch(0, batch, TEXTS[:2])
    assert len(log.read_batches()) == 1


def test_a_log_in_use_is_refused_until_it_is_closed(tmp_path: Path) -> None:
    first = RunLog(tmp_path / "log")
    with pytest.raises(RunError, match="in use; let the other process end"):
        RunLog(tmp_path / "log")
    first.close()
    RunLog(tmp_path / "log").close()


@pytest.mark.parametrize("links", [1, 2])
def test_a_log_in_use_is_known_by_any_name(tmp_path: Path, links: int) -> None:
    """Its lock, and what is not in the file itself yet, are beside the file, not beside a link to it."""
    (tmp_path / "far").mkdir()
    name = tmp_path / "far" / "log"
    for number in range(links):
        link = tmp_path / f"link-{number}"
        link.symlink_to(name)
        name = link
    with RunLog(name) as log:
        log.add([answer(0)], 1.0)
        assert len(read_log(name).evaluations) == 1
        for other in (name, tmp_path / "far" / "log"):
            with pytest.raises(RunError, match="in use; let the other process end"):
                RunLog(other)
    assert sorted(path.name for path in tmp_path.iterdir() if not path.is_symlink()) == ["far"]


def test_a_full_disk_is_said_and_nothing_before_it_is_lost(tmp_path: Path) -> None:
    with RunLog(tmp_path / "log") as log:
        log.add([answer(0)], 1.0)
        log._database.execute("PRAGMA max_page_count=12")
        with pytest.raises(WorkError, match=r"full; make room"):
            log.add([answer(1, error="x" * 10**5)], 1.0)
    with RunLog(tmp_path / "log") as log:
        assert list(log.read_evaluations()) == [(TEXTS[0], 1.0)]


def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"no database " * 100)
    with pytest.raises(RunError, match="not a database"):
        RunLog(tmp_path / "log")


def test_a_damaged_log_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with RunLog(path) as log:
        log.add([answer(place, error="x" * 5000) for place in range(9)], 1.0)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(RunError, match="log is damaged"), RunLog(path) as log:
        log.read_evaluations()


def test_what_parts_give_as_numpys_numbers_can_be_read_again(tmp_path: Path) -> None:
    """SQLite keeps them as bytes."""
    asked = Proposals(SPACE.initial()[:1], np.float32(0.5), None, np.int64(9), np.int32(7))
    answers = pack_answers([answer(0, error="x")], Source.PREDICTED, np.float32(0.5), 0)
    answers = replace(answers, errors=np.array([ValueError("x")], np.object_))
    with RunLog(tmp_path / "log") as log:
        log.add_batch(0, asked, TEXTS[:1])
        log.add_bulk(TEXTS[:1], answers, 0.5)
        (batch,) = log.read_batches(SPACE)
        (found,) = log.read_evaluations().values()
    assert (batch.epochs, batch.candidates, batch.unique) == (0.5, 9, 7)
    assert (found.epochs, found.error) == (0.5, "x")


def test_a_log_of_another_schema_is_refused(tmp_path: Path) -> None:
    RunLog(tmp_path / "log").close()
    with sqlite3.connect(tmp_path / "log") as database:
        database.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    database.close()
    with pytest.raises(RunError, match="schema is 99") as refused:
        RunLog(tmp_path / "log")
    (tmp_path / "log").unlink()
    RunLog(tmp_path / "log").close()  # a fresh one; what was refused holds no lock, though its error lives
    assert refused.value.__traceback__ is not None


@pytest.mark.parametrize(("shared", "mode", "safe"), [(False, "wal", 1), (True, "delete", 2)])
def test_on_network_file_systems_commits_go_the_safe_way(
    shared: bool, mode: str, safe: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write-ahead log needs memory that all who read share, and they may be on other machines."""
    monkeypatch.setattr("pnas_sim.runlog.lies_on_network", lambda path: shared)
    with RunLog(tmp_path / "log.sqlite") as log:
        assert log._database.execute("PRAGMA journal_mode").fetchone() == (mode,)
        assert log._database.execute("PRAGMA synchronous").fetchone() == (safe,)


@pytest.mark.parametrize("bulk", [False, True])
def test_trained_answers_are_flushed_each(tmp_path: Path, bulk: bool) -> None:
    def add(log: RunLog, one: Evaluation) -> None:
        if bulk:
            log.add_bulk([one.cell], pack_answers([one], one.source, 1.0, 0), 1.0)
        else:
            log.add([one], 1.0)

    order = (Source.PREDICTED, Source.MEASURED, Source.TRAINED, Source.PREDICTED)
    with RunLog(tmp_path / "log.sqlite") as log:
        for place, (source, safe) in enumerate(zip(order, (1, 1, 2, 2), strict=True)):
            add(log, answer(place, source=source))
            assert log._database.execute("PRAGMA synchronous").fetchone() == (safe,)
        assert len(log.read_evaluations()) == 4


def test_a_course_is_kept_until_there_is_a_batch(tmp_path: Path) -> None:
    with RunLog(tmp_path / "log") as log:
        assert not log.begin({"seed": 1}, 8)
        assert not log.begin({"seed": 2, "rate": nan}, 8)
        log.add_batch(0, Proposals(SPACE.initial()[:2]), TEXTS[:2])
    with RunLog(tmp_path / "log") as log:
        assert not log.begin({"seed": 2, "rate": nan}, 9)
        assert log.begin({"seed": 2, "rate": nan}, 8)
        with pytest.raises(RunError, match="log holds another run: seed was 2, is 1; rate was NaN, is unset"):
            log.begin({"seed": 1}, 8)
        log.demand_first(Proposals(SPACE.initial()[:2]))
        for other in (Proposals(SPACE.initial()[1:3]), Proposals(SPACE.initial()[:2], epochs=2.0)):
            with pytest.raises(RunError, match="this search begins with other cells"):
                log.demand_first(other)
