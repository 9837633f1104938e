from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pnas_sim.evaluate import Answers, Evaluation, EvaluatorSpec
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_sim.study.landmarks import TARGETS, Landmarks, ask_values, find_landmarks

SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=2)


class OneByOne:
    """The same answers as another evaluator, in reversed order and not in arrays."""

    def __init__(self, inner: Any, knows_expected: bool) -> None:
        self._inner, self._knows = inner, knows_expected

    @property
    def spec(self) -> EvaluatorSpec:
        spec: EvaluatorSpec = self._inner.spec
        return spec

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        for one in reversed(list(self._inner.evaluate(cells, epochs, seed))):
            values = {name: getattr(one, name) for name in ("cell", "valid_accuracy")}
            if self._knows:
                values["expected_valid_accuracy"] = one.expected_valid_accuracy
            yield Evaluation(**values)

    def close(self) -> None:
        """Nothing is held."""


def all_expected(evaluator: Any, blocks: int) -> np.ndarray:
    cells = SPACE.expand(SPACE.initial()).cells if blocks == 2 else SPACE.initial()
    return np.asarray(ask_values(evaluator, SPACE.canonical(cells), 1.0, 0)[1])


def test_local_search_finds_the_best_of_a_small_space(made_up_bulk: Any) -> None:
    evaluator = made_up_bulk(SPACE)
    found = find_landmarks(evaluator, 0, blocks=2, sample=50, local=5000)
    assert found.local_best == pytest.approx(all_expected(evaluator, 2).max())
    assert 0 < found.local_evaluations <= 5000
    row = SPACE.parse(found.local_cell)
    assert ask_values(evaluator, SPACE.canonical(row[None]), 1.0, 0)[1][0] == found.local_best


def test_targets_are_quantiles_of_random_cells(made_up_bulk: Any) -> None:
    evaluator = made_up_bulk(SPACE, noise=0.0)
    found = find_landmarks(evaluator, 0, blocks=1, sample=4000, local=0)
    assert found.observed == found.expected
    assert found.expected["top 0.1%"] >= found.expected["top 1%"]
    assert found.expected["top 0.1%"] == all_expected(evaluator, 1).max()
    assert found.local_evaluations == 0


@pytest.mark.parametrize(("sample", "targets"), [(99, set()), (100, {"top 1%"}), (1000, set(TARGETS))])
def test_a_sample_too_small_for_a_target_has_none(made_up_bulk: Any, sample: int, targets: set[str]) -> None:
    found = find_landmarks(made_up_bulk(SPACE), 0, blocks=2, sample=sample, local=0)
    assert set(found.observed) == set(found.expected) == targets


@pytest.mark.parametrize(
    ("local", "asked", "finder"), [(0, 0, "random sample"), (70, 70, "long local search")]
)
def test_a_short_local_search_asks_for_what_it_may(
    made_up_bulk: Any, local: int, asked: int, finder: str
) -> None:
    found = find_landmarks(made_up_bulk(SPACE), 0, blocks=2, sample=50, local=local)
    assert (found.local_evaluations, found.finder) == (asked, finder)


class Watched:
    """Passes array questions on, and keeps them with their answers."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.asked: list[tuple[Rows, float, int, Answers]] = []

    @property
    def spec(self) -> EvaluatorSpec:
        spec: EvaluatorSpec = self._inner.spec
        return spec

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        answers: Iterator[Evaluation] = self._inner.evaluate(cells, epochs, seed)
        return answers

    def evaluate_bulk(self, cells: Rows, epochs: float, seed: int) -> Answers:
        answers: Answers = self._inner.evaluate_bulk(cells, epochs, seed)
        self.asked.append((cells, epochs, seed, answers))
        return answers

    def close(self) -> None:
        """Nothing is held."""


def test_what_is_asked_is_what_was_set_and_targets_are_its_quantiles(made_up_bulk: Any) -> None:
    watched = Watched(made_up_bulk(SPACE, noise=0.05))
    found = find_landmarks(watched, 2, blocks=1, sample=1000, local=1200, epochs=0.5, seed=9)
    (cells, epochs, seed, answers), *climb = watched.asked
    assert (len(cells), epochs, seed) == (1000, 0.5, 9)
    assert set(SPACE.block_counts(cells)) == {1}
    assert [len(mutated) for mutated, *_ in climb] == [500, 500, 200], "no more than was given"
    assert {at for _, at, *_ in climb} == {0.5} and found.local_evaluations == 1200
    for name, share in (("top 1%", 0.99), ("top 0.1%", 0.999)):
        assert found.observed[name] == pytest.approx(np.quantile(answers.valid_accuracy, share))
        assert found.expected[name] == pytest.approx(np.quantile(answers.expected_valid_accuracy, share))


def test_each_world_has_cells_of_its_own(made_up_bulk: Any) -> None:
    watched = Watched(made_up_bulk(SPACE))
    for world, seed in ((0, 0), (1, 0), (0, 1), (0, 0)):
        find_landmarks(watched, world, blocks=2, sample=50, local=0, seed=seed)
    drawn = [cells.tobytes() for cells, *_ in watched.asked]
    assert len(set(drawn)) == 3 and drawn[0] == drawn[3]


@pytest.mark.parametrize("local", [0, 1500])
def test_the_best_is_worth_what_is_said_free_of_noise(made_up_bulk: Any, local: int) -> None:
    watched = Watched(made_up_bulk(SPACE, noise=0.2))
    found = find_landmarks(watched, 0, blocks=2, sample=40, local=local)
    everything = np.concatenate([answers.expected_valid_accuracy for *_, answers in watched.asked])
    assert found.local_best == everything.max()
    assert ask_values(watched, SPACE.parse(found.local_cell)[None], 1.0, 0)[1] == found.local_best


def test_the_local_search_goes_on_as_long_as_it_gets_better(
    made_up_bulk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pnas_sim.study.landmarks.CHILDREN", 20)
    monkeypatch.setattr("pnas_sim.study.landmarks.PATIENCE", 2)
    space = CellSpace(max_blocks=4)
    whole = find_landmarks(made_up_bulk(space), 0, blocks=4, sample=40, local=10_000)
    assert 100 < whole.local_evaluations < 10_000
    cut = find_landmarks(made_up_bulk(space), 0, blocks=4, sample=40, local=whole.local_evaluations - 2 * 20)
    assert (cut.local_best, cut.local_cell) == (whole.local_best, whole.local_cell)
    assert cut.local_evaluations == whole.local_evaluations - 40


def test_noise_raises_observed_targets_not_expected_ones(made_up_bulk: Any) -> None:
    noisy = find_landmarks(made_up_bulk(SPACE, noise=0.05), 0, blocks=2, sample=2000, local=0)
    plain = find_landmarks(made_up_bulk(SPACE, noise=0.0), 0, blocks=2, sample=2000, local=0)
    assert noisy.expected == plain.expected
    assert noisy.observed["top 1%"] > plain.observed["top 1%"]


def test_same_world_same_landmarks_and_json_keeps_them(made_up_bulk: Any) -> None:
    found = [find_landmarks(made_up_bulk(SPACE), 3, blocks=2, sample=100, local=1000) for _ in range(2)]
    assert found[0] == found[1]
    assert Landmarks(**json.loads(json.dumps(found[0].as_json()))) == found[0]


@pytest.mark.parametrize("knows_expected", [True, False])
def test_evaluators_without_arrays_are_asked_too(made_up_bulk: Any, knows_expected: bool) -> None:
    bulk = made_up_bulk(SPACE)
    cells = SPACE.canonical(SPACE.sample(30, np.random.default_rng(0), unique=False))
    values, expected = ask_values(OneByOne(bulk, knows_expected), cells, 1.0, 4)
    answers = bulk.evaluate_bulk(cells, 1.0, 4)
    np.testing.assert_array_equal(values, answers.valid_accuracy)
    wanted = answers.expected_valid_accuracy if knows_expected else answers.valid_accuracy
    np.testing.assert_array_equal(expected, wanted)
