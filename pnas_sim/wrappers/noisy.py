"""Seed noise around an evaluator of noise-free accuracies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pnas_sim.errors import BudgetSpentError, SettingError
from pnas_sim.evaluate import Answers, BulkEvaluator, Evaluation, Evaluator, EvaluatorSpec, Status
from pnas_sim.noise import cell_keys, standard_noise
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows
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
        noise: _Noise | None = None
        with asking(self._inner, cells, epochs, seed) as answers:
            for answer in answers:
                noise = noise or self._draw(cells, seed)  # now that the inner one took these cells
                yield noise.disturb(answer) if answer.status == Status.OK else answer

    def close(self) -> None:
        """Closes the inner one."""
        self._inner.close()

    def _evaluate_bulk(self, inner: BulkEvaluator, cells: Rows, epochs: float, seed: int) -> Answers:
        try:
            answers = inner.evaluate_bulk(cells, epochs, seed)
        except BudgetSpentError as spent:  # it brings what was still paid for, as yet without noise
            if spent.answers is None:
                raise
            noisy = self._disturb_all(cells[: len(spent.answers)], spent.answers, seed)
            raise BudgetSpentError(str(spent), noisy) from spent
        return self._disturb_all(cells, answers, seed)

    def _disturb_all(self, cells: Rows, answers: Answers, seed: int) -> Answers:
        """Answers for these cells with their noise."""
        fine = answers.status == Status.OK
        valid, expected = answers.valid_accuracy, answers.expected_valid_accuracy
        noise = self._draw(cells, seed)
        noisy_valid = np.clip(valid + noise.at(answers.epochs, "valid"), 0, 1)
        noisy_test = np.clip(answers.test_accuracy + noise.at(answers.epochs, "test"), 0, 1)
        return replace(
            answers,
            valid_accuracy=np.where(fine, noisy_valid, valid),
            expected_valid_accuracy=np.where(fine & np.isnan(expected), valid, expected),
            test_accuracy=np.where(fine, noisy_test, answers.test_accuracy),
        )

    def _draw(self, cells: Rows, seed: int) -> _Noise:
        return _Noise(self._spec.space, cells, seed, self._deviation)


class _Noise:
    """The noise of some cells with one seed, drawn for all of them when it is first needed."""

    def __init__(self, space: CellSpace, cells: Rows, seed: int, deviation: float) -> None:
        self._space, self._cells, self._seed, self._deviation = space, cells, seed, deviation
        self._keys = cell_keys(space.operations, cells)
        self._places: dict[str, int] = {}
        self._drawn: dict[tuple[float, str], Floats] = {}

    def at(self, epochs: float, what: str) -> Floats:
        """Of "valid" or "test" accuracies after so many epochs, `float64[n]`."""
        if (epochs, what) not in self._drawn:
            standard = standard_noise(self._keys, epochs, self._seed, what)
            self._drawn[epochs, what] = self._deviation * standard
        return self._drawn[epochs, what]

    def disturb(self, answer: Evaluation) -> Evaluation:
        """One cell's answer with its noise; one that was not asked for stays as it is."""
        if not self._places:
            self._places = {text: at for at, text in enumerate(self._space.format_many(self._cells))}
        place = self._places.get(answer.cell)
        if place is None:
            return answer

        def add(value: float, epochs: float, what: str) -> float:
            if math.isnan(value):
                return value
            return min(1.0, max(0.0, value + float(self.at(epochs, what)[place])))

        expected = answer.expected_valid_accuracy
        return replace(
            answer,
            valid_accuracy=add(answer.valid_accuracy, answer.epochs, "valid"),
            expected_valid_accuracy=answer.valid_accuracy if math.isnan(expected) else expected,
            test_accuracy=add(answer.test_accuracy, answer.epochs, "test"),
            curve=tuple((at, add(value, at, "valid")) for at, value in answer.curve),
        )
