"""The loop: ask, evaluate, record, tell. The ledger counts, not the strategy.

A model is a canonical cell at some epochs, answered for the first time, failed ones included; repeats are
answered from memory, cost nothing and are counted apart.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace

import numpy as np

from pnas_sim.budget import Budget
from pnas_sim.errors import BackendError
from pnas_sim.evaluate import Evaluation, Evaluator, Rows, Status
from pnas_sim.runlog import RunLog
from pnas_sim.search.base import Observations, Proposals, Strategy

__all__ = ["Budget", "Level", "Progress", "RunResult", "run_search"]

MOST_PROPOSALS = 10  # times the models of the budget
STALE_BATCHES = 50


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands, told after each answer (or batch of answers).

    Attributes:
        blocks: of the batch in work.
        done: models evaluated.
        best: the best validation accuracy so far; NaN before the first.
    """

    blocks: int
    done: int
    best: float


@dataclass(frozen=True, slots=True)
class Level:
    """All cells of one block count; accuracies None where nothing is known.

    Attributes:
        blocks: their number.
        candidates: rows the strategy scored.
        unique: unique cells among them.
        evaluated: models answered.
        best_valid_accuracy: of them.
        top5_valid_accuracy: mean of the best 5.
        top25_valid_accuracy: mean of the best 25.
        rank_correlation: Spearman of prediction, made before the refit, and answer.
    """

    blocks: int
    candidates: int
    unique: int
    evaluated: int
    best_valid_accuracy: float | None
    top5_valid_accuracy: float | None
    top25_valid_accuracy: float | None
    rank_correlation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run came to.

    Attributes:
        models_evaluated: unique (cell, epochs) answered, failed ones included.
        proposals: cells proposed.
        repeats: of them, those that were known already.
        failed: models without an accuracy.
        examples: summed over models.
        seconds: wall clock of this sitting.
        child_seconds: summed over models.
        stopped: "finished", "budget", "proposals" or "stalled".
        levels: ascending.
        evaluations: of every model, in order of proposal.
    """

    models_evaluated: int
    proposals: int
    repeats: int
    failed: int
    examples: float
    seconds: float
    child_seconds: float
    stopped: str
    levels: tuple[Level, ...]
    evaluations: tuple[Evaluation, ...]


@dataclass(slots=True)
class _Ledger:
    """What is known and counted of a run."""

    answers: dict[tuple[str, float], Evaluation] = field(default_factory=dict)
    counted: dict[tuple[str, float], int] = field(default_factory=dict)  # key to block count, in order
    batches: list[tuple[Proposals, list[tuple[str, float]], int]] = field(default_factory=list)
    proposals: int = 0
    repeats: int = 0
    stale: int = 0
    examples: float = 0.0
    seconds: float = 0.0
    best: float = math.nan

    def count(self, key: tuple[str, float], blocks: int) -> None:
        """Counts a model."""
        answer = self.answers[key]
        self.counted[key] = blocks
        self.examples += answer.examples
        self.seconds += answer.seconds
        if answer.status != Status.FAILED and not self.best >= answer.valid_accuracy:
            self.best = answer.valid_accuracy


def run_search(
    strategy: Strategy,
    evaluator: Evaluator,
    *,
    budget: Budget,
    log: RunLog | None = None,
    evaluation_seed: int = 0,
    epochs: float | None = None,
    batch: int = 256,
    progress: Callable[[Progress], None] | None = None,
) -> RunResult:
    """Runs a search to its end; with a log that holds batches already, goes on where it stopped.

    Args:
        strategy: fresh; logged batches are replayed to it.
        evaluator: answers for cells.
        budget: when to stop.
        log: keeps everything, if given.
        evaluation_seed: of training or of seed noise.
        epochs: of proposals that name none; by default the evaluator's own.
        batch: cells asked for at a time.
        progress: told where the run stands.
    """
    begun = time.monotonic()
    known = log.read_evaluations() if log is not None else {}
    chance = evaluator.spec.chance
    ledger = _Ledger(answers={key: _as_told(answer, chance) for key, answer in known.items()})
    logged = log.read_batches() if log is not None else []
    run = _Run(strategy, evaluator, budget, log, evaluation_seed, epochs, progress, ledger)
    stopped, number = None, 0
    while stopped is None:
        replayed = number < len(logged)
        proposals = logged[number] if replayed else strategy.ask(batch)
        stopped = run.take(number, proposals, replayed)
        number += 1
    return _sum_up(ledger, stopped, time.monotonic() - begun)


@dataclass(slots=True)
class _Run:
    strategy: Strategy
    evaluator: Evaluator
    budget: Budget
    log: RunLog | None
    seed: int
    epochs: float | None
    progress: Callable[[Progress], None] | None
    ledger: _Ledger

    def take(self, number: int, proposals: Proposals, replayed: bool) -> str | None:
        """Answers a batch and tells it; returns why the run ends, if it does."""
        if len(proposals) == 0:
            return "finished"
        spec, ledger = self.evaluator.spec, self.ledger
        rows = spec.space.canonical(spec.space.fit_width(proposals.cells))
        texts = spec.space.format_many(rows)
        at = float(proposals.epochs or self.epochs or spec.epochs)
        keys = [(text, at) for text in texts]
        if not replayed and self.log is not None:
            self.log.add_batch(number, proposals, texts)
        blocks = spec.space.block_counts(rows).tolist()
        new = {key: place for place, key in reversed(list(enumerate(keys))) if key not in ledger.counted}
        wanted = sorted(new.values())
        ledger.proposals += len(keys)
        ledger.repeats += len(keys) - len(wanted)
        ledger.batches.append((proposals, keys, blocks[0]))
        complete = self._answer(rows, keys, blocks, wanted, at)
        if not complete:
            return "budget"
        observed = self._observe(keys)
        if replayed:
            self.strategy.replay(proposals, observed)
        else:
            self.strategy.tell(observed)
        ledger.stale = 0 if wanted else ledger.stale + 1
        return self._find_end()

    def _find_end(self) -> str | None:
        models = self.budget.models
        if self._room() <= 0:
            return "budget"
        if models is not None and self.ledger.proposals >= MOST_PROPOSALS * models:
            return "proposals"
        return "stalled" if self.ledger.stale >= STALE_BATCHES else None

    def _room(self, examples_each: float = 0.0) -> float:
        """Models that the budget still allows."""
        room = math.inf
        if self.budget.models is not None:
            room = self.budget.models - len(self.ledger.counted)
        if self.budget.examples is not None:
            left = self.budget.examples - self.ledger.examples
            room = min(room, left // examples_each if examples_each > 0 else left)
        if self.budget.seconds is not None and self.ledger.seconds >= self.budget.seconds:
            room = 0
        return room

    def _answer(
        self, rows: Rows, keys: list[tuple[str, float]], blocks: list[int], wanted: list[int], at: float
    ) -> bool:
        """Answers the new cells of a batch as far as the budget goes; returns whether it did for all."""
        room = self._room(at * self.evaluator.spec.train_images)
        allowed = wanted if room >= len(wanted) else wanted[: int(room)]
        known = [place for place in allowed if keys[place] in self.ledger.answers]
        unknown = [place for place in allowed if keys[place] not in self.ledger.answers]
        for place in known:
            self.ledger.count(keys[place], blocks[place])
        if unknown:
            self._take_answers(rows[unknown], {keys[place]: blocks[place] for place in unknown}, at)
        elif allowed:
            self._tell_progress(blocks[0])
        return all(key in self.ledger.counted for key in keys)

    def _take_answers(self, rows: Rows, size: dict[tuple[str, float], int], at: float) -> None:
        """Logs and counts each answer as it arrives, until all have or the seconds are spent.

        Args:
            rows: `uint8[n, width]`, not answered yet.
            size: their keys and block counts.
            at: epochs.

        Raises:
            BackendError: the evaluator answers a cell that was not asked, or twice, or leaves one out.
        """
        waiting = dict(size)
        name = self.evaluator.spec.name
        answers = self.evaluator.evaluate(rows, at, self.seed)
        try:
            for answer in answers:
                key = (answer.cell, at)
                blocks = waiting.pop(key, None)
                if blocks is None:
                    raise BackendError(f"backend {name} answered {answer.cell} unasked; mend it")
                if self.log is not None:
                    self.log.add([answer], at)
                self.ledger.answers[key] = _as_told(answer, self.evaluator.spec.chance)
                self.ledger.count(key, blocks)
                self._tell_progress(blocks)
                if self.budget.seconds is not None and self.ledger.seconds >= self.budget.seconds:
                    return
        finally:
            if isinstance(answers, Generator):  # ends what it has in flight
                answers.close()
        if waiting:
            missing = next(iter(waiting))[0]
            raise BackendError(f"backend {name} left {len(waiting)} cells unanswered ({missing}); mend it")

    def _observe(self, keys: list[tuple[str, float]]) -> Observations:
        answers = [self.ledger.answers[key] for key in keys]
        values = [answer.valid_accuracy for answer in answers]
        return Observations(np.array(values), np.array([int(answer.status) for answer in answers], np.uint8))

    def _tell_progress(self, blocks: int) -> None:
        if self.progress is not None:
            self.progress(Progress(blocks, len(self.ledger.counted), self.ledger.best))


def _as_told(answer: Evaluation, chance: float) -> Evaluation:
    """The answer with the accuracy that everyone is told: chance if it diverged, NaN if it failed."""
    told = {Status.DIVERGED: chance, Status.FAILED: math.nan}
    if answer.status not in told:
        return answer
    return replace(answer, valid_accuracy=told[answer.status])


def _sum_up(ledger: _Ledger, stopped: str, seconds: float) -> RunResult:
    answers = tuple(ledger.answers[key] for key in _in_order(ledger))
    return RunResult(
        models_evaluated=len(answers),
        proposals=ledger.proposals,
        repeats=ledger.repeats,
        failed=sum(answer.status == Status.FAILED for answer in answers),
        examples=math.fsum(answer.examples for answer in answers),
        seconds=seconds,
        child_seconds=math.fsum(answer.seconds for answer in answers),
        stopped=stopped,
        levels=tuple(_describe_level(ledger, blocks) for blocks in sorted(set(ledger.counted.values()))),
        evaluations=answers,
    )


def _in_order(ledger: _Ledger) -> list[tuple[str, float]]:
    """Counted models in the order they were proposed, whatever the order of answers."""
    keys = dict.fromkeys(key for _, batch, _ in ledger.batches for key in batch)
    return [key for key in keys if key in ledger.counted]


def _describe_level(ledger: _Ledger, blocks: int) -> Level:
    keys = [key for key in _in_order(ledger) if ledger.counted[key] == blocks]
    answers = [ledger.answers[key] for key in keys]
    values = sorted((a.valid_accuracy for a in answers if a.status != Status.FAILED), reverse=True)
    mine = [(proposals, batch) for proposals, batch, size in ledger.batches if size == blocks]
    return Level(
        blocks=blocks,
        candidates=sum(proposals.candidates for proposals, _ in mine) or len(keys),
        unique=sum(proposals.unique for proposals, _ in mine) or len(keys),
        evaluated=len(keys),
        best_valid_accuracy=_mean_of_best(values, 1),
        top5_valid_accuracy=_mean_of_best(values, 5),
        top25_valid_accuracy=_mean_of_best(values, 25),
        rank_correlation=_correlate(ledger, mine),
    )


def _mean_of_best(values: list[float], top: int) -> float | None:
    """Mean of the first `top` of values in falling order; None if there are none."""
    return float(np.mean(values[:top])) if values else None


def _correlate(ledger: _Ledger, batches: list[tuple[Proposals, list[tuple[str, float]]]]) -> float | None:
    """Spearman's correlation of predictions and answers; None where there is none."""
    from scipy.stats import spearmanr

    pairs = [
        (float(guess), ledger.answers[key].valid_accuracy)
        for proposals, keys in batches
        if proposals.predicted is not None
        for guess, key in zip(proposals.predicted, keys, strict=True)
        if key in ledger.counted and ledger.answers[key].status != Status.FAILED
    ]
    guesses, answers = np.array(pairs).reshape(-1, 2).T
    if len(pairs) < 2 or np.ptp(guesses) == 0 or np.ptp(answers) == 0:
        return None
    return float(spearmanr(guesses, answers).statistic)
