"""The array path of the engine against its one-by-one path: same course, same counts, same log."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.answers import ARRAYS, OPTIONAL, unpack_answers
from pnas_sim.engine import Budget, Progress, RunResult, run_search
from pnas_sim.errors import BackendError
from pnas_sim.evaluate import Answers, BulkEvaluator, Evaluation, Evaluator, EvaluatorSpec, Source, Status
from pnas_sim.predict import make_predictor
from pnas_sim.runlog import RunLog
from pnas_sim.search import Observations, Pnas, Proposals, RandomSearch, Strategy
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows

SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=2)


class InArrays:
    """Made-up answers from the rows' hashes; some children diverge, some fail."""

    def __init__(self) -> None:
        self.spec = EvaluatorSpec(name="arrays", space=SPACE, epochs=2.0, train_images=10)
        self.calls = 0

    def evaluate_bulk(self, cells: Rows, epochs: float, seed: int) -> Answers:
        self.calls += 1
        draws = [np.random.default_rng([int(h), seed]).random(6) for h in SPACE.hash_rows(cells)]
        draw = np.array(draws).reshape(-1, 6)
        status = np.select([draw[:, 0] < 0.1, draw[:, 0] < 0.2], [Status.FAILED, Status.DIVERGED], Status.OK)
        return Answers(
            source=Source.PREDICTED,
            epochs=epochs,
            seed=seed,
            status=status.astype(np.uint8),
            valid_accuracy=np.where(status == Status.FAILED, np.nan, draw[:, 1]),
            expected_valid_accuracy=draw[:, 2],
            test_accuracy=np.where(draw[:, 0] > 0.9, np.nan, draw[:, 3]),
            examples=np.full(len(cells), epochs * 10),
            seconds=draw[:, 4],
            parameters=(draw[:, 5] * 1000).astype(np.int64),
            multiply_adds=np.full(len(cells), -1),
            extrapolated=draw[:, 5] > 0.5,
            seeds=(draw[:, 5] * 3).astype(np.int64),
            errors=np.where(status == Status.FAILED, "killed", "").astype(np.object_),
        )

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        yield from unpack_answers(self.evaluate_bulk(cells, epochs, seed), SPACE.format_many(cells))

    def close(self) -> None:
        """Nothing is held."""


class OneByOne:
    """Another evaluator without its array form."""

    def __init__(self, inner: Evaluator) -> None:
        self.inner = inner

    @property
    def spec(self) -> EvaluatorSpec:
        return self.inner.spec

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        yield from self.inner.evaluate(cells, epochs, seed)

    def close(self) -> None:
        self.inner.close()


class Told:
    """A strategy that remembers what it was told."""

    def __init__(self, inner: Strategy) -> None:
        self.inner, self.values = inner, []

    def ask(self, n: int) -> Proposals:
        return self.inner.ask(n)

    def tell(self, observations: Observations) -> None:
        self.values += [observations.valid_accuracy.tolist(), observations.status.tolist()]
        self.inner.tell(observations)

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        self.inner.replay(proposals, observations)


def make_strategy(name: str, seed: int, batch: int) -> Told:
    if name == "pnas":
        return Told(Pnas(SPACE, make_predictor("ridge", SPACE), beam=15, batch=batch, seed=seed))
    return Told(RandomSearch(SPACE, unique=name == "random", seed=seed))


def dump(path: Path) -> list[list[tuple[Any, ...]]]:
    database = sqlite3.connect(path)
    tables = [
        database.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall()
        for table in ("batches", "proposals", "evaluations")
    ]
    database.close()
    return tables


def run(strategy: Told, evaluator: Evaluator, path: Path, **given: Any) -> tuple[RunResult, list[Progress]]:
    seen: list[Progress] = []
    with RunLog(path) as log:
        result = run_search(strategy, evaluator, log=log, progress=seen.append, **given)
    return replace(result, seconds=0.0), seen


BUDGETS = st.one_of(
    st.builds(Budget, models=st.integers(1, 60)),
    st.builds(Budget, examples=st.floats(1, 900), models=st.just(200)),
    st.builds(Budget, seconds=st.floats(0.01, 25), models=st.just(200)),
)


@given(
    name=st.sampled_from(["pnas", "random", "raw"]),
    budget=BUDGETS,
    batch=st.integers(1, 40),
    seed=st.integers(0, 99),
    epochs=st.sampled_from([None, 0.5]),
)
@settings(max_examples=40, deadline=None)
def test_arrays_give_the_same_run_as_one_answer_after_another(
    name: str, budget: Budget, batch: int, seed: int, epochs: float | None
) -> None:
    asked: dict[str, Any] = {"budget": budget, "batch": batch, "evaluation_seed": seed, "epochs": epochs}
    at_once, told_at_once = InArrays(), make_strategy(name, seed, batch)
    one_by_one, told_one_by_one = OneByOne(InArrays()), make_strategy(name, seed, batch)
    assert isinstance(at_once, BulkEvaluator)
    assert not isinstance(one_by_one, BulkEvaluator)
    with TemporaryDirectory() as folder:
        first, seen_first = run(told_at_once, at_once, Path(folder, "a"), **asked)
        second, seen_second = run(told_one_by_one, one_by_one, Path(folder, "b"), **asked)
        assert repr(dump(Path(folder, "a"))) == repr(dump(Path(folder, "b")))
    assert repr(list(first.evaluations)) == repr(list(second.evaluations))  # repr: NaN equals NaN
    assert repr(first) == repr(second)
    assert repr(told_at_once.values) == repr(told_one_by_one.values)
    assert repr(seen_first[-1:]) == repr(seen_second[-1:])


@given(cut=st.integers(1, 60), batch=st.integers(1, 30), seed=st.integers(0, 9))
@settings(max_examples=15, deadline=None)
def test_a_run_cut_on_either_path_resumes_on_the_other(cut: int, batch: int, seed: int) -> None:
    more = Budget(models=60)
    whole = run_search(make_strategy("random", seed, batch), InArrays(), budget=more, batch=batch)
    with TemporaryDirectory() as folder:
        for path, begin, end in (
            (Path(folder, "a"), InArrays(), OneByOne(InArrays())),
            (Path(folder, "b"), OneByOne(InArrays()), InArrays()),
        ):
            strategy = make_strategy("random", seed, batch)
            run(strategy, begin, path, budget=Budget(models=cut), batch=batch)
            resumed, _ = run(make_strategy("random", seed, batch), end, path, budget=more, batch=batch)
            assert repr(list(resumed.evaluations)) == repr(list(whole.evaluations))
            assert resumed.levels == whole.levels


def test_a_batch_is_one_call_and_one_word_of_progress() -> None:
    evaluator, seen = InArrays(), []
    budget = Budget(models=40)
    run_search(RandomSearch(SPACE), evaluator, budget=budget, batch=20, progress=seen.append)
    assert evaluator.calls == len(seen)
    assert [one.done for one in seen][-1] == 40
    assert seen[0].blocks == 2


def test_a_run_without_a_log_comes_to_the_same() -> None:
    asked: dict[str, Any] = {"budget": Budget(models=50), "batch": 16}
    with TemporaryDirectory() as folder:
        logged, _ = run(make_strategy("random", 3, 16), InArrays(), Path(folder, "a"), **asked)
    free = run_search(RandomSearch(SPACE, seed=3), InArrays(), **asked)
    assert repr(replace(free, seconds=0.0)) == repr(logged)


class Changed:
    """Answers in arrays, changed by a function."""

    def __init__(self, change: Callable[[Answers], Answers]) -> None:
        self.inner, self.change = InArrays(), change
        self.spec, self.evaluate, self.close = self.inner.spec, self.inner.evaluate, self.inner.close

    def evaluate_bulk(self, cells: Rows, epochs: float, seed: int) -> Answers:
        return self.change(self.inner.evaluate_bulk(cells, epochs, seed))


@pytest.mark.parametrize("name", [*ARRAYS, *OPTIONAL])
def test_arrays_of_the_wrong_length_are_the_backends_fault(name: str) -> None:
    short = Changed(lambda answers: replace(answers, **{name: getattr(answers, name)[:-1]}))
    with pytest.raises(BackendError, match=rf"backend arrays gave {name} as \w+\[7\] for 8 cells"):
        run_search(RandomSearch(SPACE), short, budget=Budget(models=10), batch=8)


@pytest.mark.parametrize("accuracy", [np.nan, 1.5, -0.1])
def test_arrays_of_what_is_no_accuracy_are_refused(accuracy: float) -> None:
    def change(answers: Answers) -> Answers:
        values = answers.valid_accuracy.copy()
        values[3] = accuracy
        return replace(answers, valid_accuracy=values)

    with pytest.raises(BackendError, match="give a share from 0 to 1"):
        run_search(RandomSearch(SPACE), Changed(change), budget=Budget(models=10), batch=8)
