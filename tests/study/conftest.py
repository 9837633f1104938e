from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b

import numpy as np
import pytest

from pnas_sim.evaluate import Answers, Evaluation, EvaluatorSpec, Source
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_sim.study.finished import Facts, FinishedRun
from pnas_tables.testing import made_up_accuracy


class MadeUpBulk:
    """Answers the made-up truth of a cell plus seed noise, whole arrays at once."""

    def __init__(self, space: CellSpace, noise: float = 0.01, world: int = 0) -> None:
        self.spec = EvaluatorSpec(name="made-up", space=space, epochs=1.0, train_images=100, checksum="abc")
        self._noise, self._world = noise, world
        self.asked = 0

    def evaluate_bulk(self, cells: Rows, epochs: float, seed: int) -> Answers:
        """The truth of a world is the made-up one plus a fixed effect of each cell."""
        self.asked += len(cells)
        truth = made_up_accuracy(self.spec.space, cells) + 0.01 * self._draw(cells, f"world {self._world}")
        noisy = np.clip(truth + self._noise * self._draw(cells, f"seed {seed}"), 0, 1)
        count = len(cells)
        return Answers(
            source=Source.PREDICTED,
            epochs=epochs,
            seed=seed,
            status=np.zeros(count, np.uint8),
            valid_accuracy=noisy,
            expected_valid_accuracy=truth,
            test_accuracy=np.full(count, np.nan),
            examples=np.full(count, epochs * 100),
            seconds=2.0 * self.spec.space.block_counts(cells),
            parameters=np.full(count, -1),
            multiply_adds=np.full(count, -1),
            extrapolated=np.zeros(count, np.bool_),
        )

    def _draw(self, cells: Rows, what: str) -> np.ndarray:
        texts = self.spec.space.format_many(cells)
        keys = [blake2b(f"{what} {text}".encode(), digest_size=8).digest() for text in texts]
        return np.array([np.random.default_rng(int.from_bytes(key, "little")).normal() for key in keys])

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """The same, one by one."""
        answers = self.evaluate_bulk(cells, epochs, seed)
        for place, text in enumerate(self.spec.space.format_many(cells)):
            yield Evaluation(
                cell=text,
                source=Source.PREDICTED,
                valid_accuracy=float(answers.valid_accuracy[place]),
                expected_valid_accuracy=float(answers.expected_valid_accuracy[place]),
                epochs=epochs,
                examples=float(answers.examples[place]),
                seconds=float(answers.seconds[place]),
                seed=seed,
            )

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def made_up_bulk() -> type[MadeUpBulk]:
    return MadeUpBulk


MakeRun = Callable[..., FinishedRun]


@pytest.fixture
def make_run() -> MakeRun:
    """Makes a run from its values; everything else has a plain default."""

    def make(
        values: object,
        expected: object = None,
        blocks: object = None,
        label: str = "random",
        world: int = 0,
        seed: int = 0,
        data: str = "abc",
    ) -> FinishedRun:
        seen = np.asarray(values, np.float64)
        count = len(seen)
        facts = Facts(
            label=label,
            world=world,
            seed=seed,
            fingerprint="f",
            data=data,
            proposals=2 * count,
            repeats=count,
            failed=0,
            stopped="budget",
            seconds=0.1,
            source="predicted",
        )
        return FinishedRun(
            facts=facts,
            cells=np.zeros((count, 4), np.uint8),
            blocks=np.full(count, 5) if blocks is None else np.asarray(blocks, np.int64),
            values=seen,
            expected=seen.copy() if expected is None else np.asarray(expected, np.float64),
            examples=np.full(count, 10.0),
            seconds=np.full(count, 3.0),
            proposals=2 * np.arange(1, count + 1),
        )

    return make
