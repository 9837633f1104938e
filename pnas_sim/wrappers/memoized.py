"""A memory around an evaluator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.answers import pack_answers, unpack_answers
from pnas_sim.errors import BudgetSpentError
from pnas_sim.evaluate import Answers, BulkEvaluator, Evaluation, Evaluator, EvaluatorSpec
from pnas_sim.space.arrays import Rows
from pnas_sim.wrappers.inside import asking, note_wrapper, wrap_bulk

Places: TypeAlias = NDArray[np.intp]


class Memoized:
    """Answers from memory what was asked before: the same cell at the same epochs with the same seed.

    A repeat costs nothing, as in the engine's ledger: its `examples` and `seconds` are 0, so that sums over
    answers count each child once; `repeats` counts it apart. Failed children are remembered, too: put
    `Retried` inside, not around. Of cells that were first asked as arrays no learning curve is remembered.

    Args:
        evaluator: asked for what is not known yet.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._inner = evaluator
        self._spec = note_wrapper(evaluator.spec, "memoized")
        self._known: dict[tuple[bytes, float, int], Evaluation] = {}
        self._repeats = 0
        self.evaluate_bulk = wrap_bulk(evaluator, self._evaluate_bulk)

    @property
    def spec(self) -> EvaluatorSpec:
        """The inner one's, with this among the wrappers."""
        return self._spec

    @property
    def repeats(self) -> int:
        """Answers so far that came from memory."""
        return self._repeats

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """Yields what is known at once, then the inner one's answers as they arrive; raises as it does."""
        space = self._spec.space
        waiting: dict[bytes, int] = {}
        new = []
        for place, key in enumerate(space.list_keys(cells)):
            known = self._known.get((key, epochs, seed))
            if known is not None:
                yield self._repeat(known)
            elif key in waiting:
                waiting[key] += 1
            else:
                waiting[key] = 0
                new.append(place)
        if not new:
            return
        with asking(self._inner, cells[new], epochs, seed) as answers:
            for answer in answers:
                key = space.parse(answer.cell).tobytes()
                self._known[key, epochs, seed] = answer
                yield answer
                for _ in range(waiting.pop(key, 0)):
                    yield self._repeat(answer)

    def close(self) -> None:
        """Closes the inner one and forgets everything."""
        self._known.clear()
        self._inner.close()

    def _repeat(self, known: Evaluation) -> Evaluation:
        self._repeats += 1
        return replace(known, examples=0.0, seconds=0.0)

    def _evaluate_bulk(self, inner: BulkEvaluator, cells: Rows, epochs: float, seed: int) -> Answers:
        keys = [(key, epochs, seed) for key in self._spec.space.list_keys(cells)]
        new = {key: place for place, key in reversed(list(enumerate(keys))) if key not in self._known}
        first = np.array(sorted(new.values()), np.intp)
        try:
            fresh = inner.evaluate_bulk(cells[first], epochs, seed)  # with no cells it says source and epochs
        except BudgetSpentError as spent:  # it brings what was still paid for: of the new cells alone
            if spent.answers is None:
                raise
            answers = self._join_known(keys, cells, first, spent.answers)
            raise BudgetSpentError(str(spent), answers) from spent
        return self._join_known(keys, cells, first, fresh)

    def _join_known(
        self, keys: list[tuple[bytes, float, int]], cells: Rows, first: Places, fresh: Answers
    ) -> Answers:
        """Remembers answers to the first of the new cells; answers all cells up to one still unknown.

        Args:
            keys: of the cells.
            cells: `uint8[n, width]`, asked for.
            first: `intp[k]`, ascending: where each new cell stands first.
            fresh: answers to the cells at the first places of `first`, or at all of them.
        """
        reach = int(first[len(fresh)]) if len(fresh) < len(first) else len(keys)
        first, keys = first[: len(fresh)], keys[:reach]
        texts = self._spec.space.format_many(cells[first])
        for place, answer in zip(first.tolist(), unpack_answers(fresh, texts), strict=True):
            self._known[keys[place]] = answer
        answers = pack_answers([self._known[key] for key in keys], fresh.source, fresh.epochs, fresh.seed)
        repeated = np.ones(len(keys), np.bool_)
        repeated[first] = False
        self._repeats += int(repeated.sum())
        return replace(
            answers,
            examples=np.where(repeated, 0.0, answers.examples),
            seconds=np.where(repeated, 0.0, answers.seconds),
        )
