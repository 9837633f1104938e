"""Seed noise around an evaluator of noise-free accuracies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pnas_sim.errors import SettingError
from pnas_sim.evaluate import (
    Answers,
    BulkEvaluator,
    Evaluation,
    Evaluator,
    EvaluatorSpec,
    Floats,
    Rows,
    Status,
)
from pnas_sim.noise import cell_keys, standard_noise
from pnas_sim.wrappers.inside import asking, note_wrapper, wrap_bulk


class Noisy:
    """Adds seed noise to validation and test accuracies of children that ended well.

    The noise is normal, and belongs to (canonical text, epochs, evaluation seed) through a stable hash, never
    to the order of asking; validation and test noise are independent. Each point of a learning curve has the
    noise it would have if it were asked for. Accuracies are clipped to [0, 1]; `expected_valid_accuracy` is
    the noise-free value.

    Args:
        evaluator: of noise-free accuracies.
        deviation: standard deviation of both accuracies, in units of accuracy; at least 0.

    Raises:
        SettingError: a deviation that is negative or no number.
    """

    def __init__(self, evaluator: Evaluator, deviation: float) -> None:
        if not (math.isfinite(deviation) and deviation >= 0):
            raise SettingError(f"deviation is {deviation}; it must be a number of at least 0")
        self._inner, self._deviation = evaluator, deviation
        self._spec = note_wrapper(evaluator.spec, "noisy", deviation=deviation)
        self.evaluate_bulk = wrap_bulk(evaluator, self._evaluate_bulk)

    @property
    def spec(self) -> EvaluatorSpec:
        """The inner one's, with the deviation among the wrappers."""
        return self._spec

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """Yields the inner evaluator's answers with noise, as they arrive; raises as it does."""
        with asking(self._inner, cells, epochs, seed) as answers:
            for answer in answers:
                yield answer if answer.status != Status.OK else self._disturb(answer, seed)

    def close(self) -> None:
        """Closes the inner one."""
        self._inner.close()

    def _disturb(self, answer: Evaluation, seed: int) -> Evaluation:
        row = self._spec.space.parse(answer.cell)[None]

        def add(value: float, epochs: float, what: str) -> float:
            return float(self._add_noise(np.array([value]), row, epochs, seed, what)[0])

        expected = answer.expected_valid_accuracy
        return replace(
            answer,
            valid_accuracy=add(answer.valid_accuracy, answer.epochs, "valid"),
            expected_valid_accuracy=answer.valid_accuracy if math.isnan(expected) else expected,
            test_accuracy=add(answer.test_accuracy, answer.epochs, "test"),
            curve=tuple((at, add(value, at, "valid")) for at, value in answer.curve),
        )

    def _evaluate_bulk(self, inner: BulkEvaluator, cells: Rows, epochs: float, seed: int) -> Answers:
        answers = inner.evaluate_bulk(cells, epochs, seed)
        fine = answers.status == Status.OK
        valid, expected = answers.valid_accuracy, answers.expected_valid_accuracy
        noisy_valid = self._add_noise(valid, cells, answers.epochs, seed, "valid")
        noisy_test = self._add_noise(answers.test_accuracy, cells, answers.epochs, seed, "test")
        return replace(
            answers,
            valid_accuracy=np.where(fine, noisy_valid, valid),
            expected_valid_accuracy=np.where(fine & np.isnan(expected), valid, expected),
            test_accuracy=np.where(fine, noisy_test, answers.test_accuracy),
        )

    def _add_noise(self, values: Floats, cells: Rows, epochs: float, seed: int, what: str) -> Floats:
        keys = cell_keys(self._spec.space.operations, cells)
        return np.clip(values + self._deviation * standard_noise(keys, epochs, seed, what), 0, 1)
