from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from pnas_sim.answers import pack_answers
from pnas_sim.evaluate import Answers, Evaluation, EvaluatorSpec, Source, Status
from pnas_sim.space import CellSpace

SPACE = CellSpace(max_blocks=2)


@dataclass
class Scripted:
    """An evaluator without an array form that keeps a record of what it was asked.

    A cell's place in `rows` decides how it ends: those of `failing` fail as often as it says there, those of
    `diverged` diverge.
    """

    rows: np.ndarray
    failing: dict[int, int] = field(default_factory=dict)
    diverged: tuple[int, ...] = ()
    asked: list[tuple[str, float, int]] = field(default_factory=list)
    closed: int = 0
    ended: int = 0

    @property
    def spec(self) -> EvaluatorSpec:
        return EvaluatorSpec(name="scripted", space=SPACE, epochs=2.0, train_images=50, settings={"own": 1})

    def evaluate(self, cells: np.ndarray, epochs: float, seed: int) -> Iterator[Evaluation]:
        try:
            for text in SPACE.format_many(cells)[::-1]:
                yield self.answer(text, epochs, seed)
        finally:
            self.ended += 1

    def answer(self, text: str, epochs: float, seed: int) -> Evaluation:
        self.asked.append((text, epochs, seed))
        place = SPACE.format_many(self.rows).index(text)
        good = Evaluation(
            cell=text,
            valid_accuracy=0.5 + place / 100,
            test_accuracy=0.4 + place / 100,
            epochs=epochs,
            examples=50 * epochs,
            seconds=10.0 + place,
            curve=((epochs / 2, 0.3), (epochs, 0.5 + place / 100)),
            seed=seed,
        )
        if place in self.diverged:
            return replace(good, status=Status.DIVERGED, valid_accuracy=0.1, error="diverged")
        tried = Counter(asked for asked, *_ in self.asked)[text]
        if tried <= self.failing.get(place, 0):
            lost = {"valid_accuracy": np.nan, "test_accuracy": np.nan, "curve": ()}
            return replace(good, status=Status.FAILED, error=f"crash {tried}", **lost)
        return good

    def close(self) -> None:
        self.closed += 1


@dataclass
class BulkScripted(Scripted):
    """The same with an array form."""

    def evaluate_bulk(self, cells: np.ndarray, epochs: float, seed: int) -> Answers:
        answers = [self.answer(text, epochs, seed) for text in SPACE.format_many(cells)]
        return pack_answers(answers, Source.TRAINED, epochs, seed)


@pytest.fixture
def rows() -> np.ndarray:
    """Twelve cells of one and two blocks, no two the same."""
    return np.concatenate([SPACE.initial()[:6], SPACE.canonical(SPACE.expand(SPACE.initial()[:1]).cells)[:6]])


@pytest.fixture
def make_scripted(rows: np.ndarray) -> Callable[..., Scripted]:
    return lambda **script: Scripted(rows, **script)


@pytest.fixture
def make_bulk(rows: np.ndarray) -> Callable[..., BulkScripted]:
    return lambda **script: BulkScripted(rows, **script)
