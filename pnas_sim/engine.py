"""The loop: ask, evaluate, record, tell. The ledger counts, not the strategy.

A model is a canonical cell at some epochs, answered for the first time, failed ones included; repeats are
answered from memory, cost nothing and are counted apart. Where a training goes on from one for fewer epochs
(`EvaluatorSpec.continues`), it costs what it takes beyond that, and so it is logged.

An evaluator that answers whole arrays (`BulkEvaluator`) is asked that way: one call, one commit and one word
of progress a batch. Of any other, each answer is committed as it arrives. The course and the counts of a run
are the same on both ways, and so is the log but for learning curves: those are known only on the second.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pnas_sim.answers import select_answers
from pnas_sim.budget import Budget
from pnas_sim.errors import BackendError, BudgetSpentError, SettingError
from pnas_sim.evaluate import Answers, BulkEvaluator, Evaluator, EvaluatorSpec
from pnas_sim.ledger import Entry, Ledger, Models, Places, add_up
from pnas_sim.runlog import RunLog
from pnas_sim.seam_checks import check_answer, check_answers, check_parts, check_proposals
from pnas_sim.search.base import Described, Proposals, Strategy
from pnas_sim.summary import Level, RunResult, sum_up

__all__ = ["Budget", "Level", "Models", "Progress", "RunResult", "run_search"]

MOST_PROPOSALS = 10  # times the models of the budget
STALE_BATCHES = 50
MOST_FREE = 1000  # models, until what costs nothing is taken for not counted
# settings of evaluators that say where they work, not what they answer: a run may go on with others
WHERE = frozenset(("device", "workers", "time_limit", "data", "table", "cuda", "tf32_convolutions"))


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands, told after each answer (or batch of answers).

    Attributes:
        blocks: of the batch in work.
        done: models evaluated.
        best: the best validation accuracy so far; NaN before the first.
        failed: models without an accuracy.
    """

    blocks: int
    done: int
    best: float
    failed: int = 0


def run_search(
    strategy: Strategy,
    evaluator: Evaluator,
    *,
    budget: Budget | int,
    log: RunLog | None = None,
    evaluation_seed: int = 0,
    epochs: float | None = None,
    batch: int = 256,
    progress: Callable[[Progress], None] | None = None,
) -> RunResult:
    """Runs a search to its end; with a log that holds batches already, goes on where it stopped.

    A log knows what its run was begun with: the evaluator's name, data, space, epochs, images, chance and
    settings, the evaluation seed, the kind of search and, as far as its first batch or its `settings` tell,
    the search's seed. A run of other things is refused. A function that was edited looks the same: give it a
    new log.

    Args:
        strategy: fresh; logged batches are replayed to it.
        evaluator: answers for cells; it may have a budget of its own (`pnas_sim.wrappers.Budgeted`).
        budget: when to stop; a whole number means models. It may be raised for a log that is gone on with.
        log: keeps everything, if given.
        evaluation_seed: of training or of seed noise.
        epochs: of proposals that name none; by default the evaluator's own.
        batch: cells asked for at a time.
        progress: told where the run stands.

    Raises:
        BackendError: the evaluator answers other cells than it was asked, or what is no answer, or does not
            count what is budgeted.
        SettingError: the strategy proposes what are no cells of the space, or has finished before; strategy,
            evaluator, budget or log are something else.
        RunError: the log is of another run; as `RunLog`.
        WorkError: as `RunLog`.
    """
    begun = time.monotonic()
    check_parts(strategy, evaluator)
    if log is not None and not isinstance(log, RunLog):
        raise SettingError(f"log is {log!r:.60}; open it: with RunLog(path) as log")
    budget = Budget.of(budget)
    course = _describe_course(strategy, evaluator.spec, evaluation_seed, epochs)
    checked = log is not None and log.begin(course, batch)
    ledger, logged = _open_ledger(evaluator.spec, log)
    bulk = evaluator if isinstance(evaluator, BulkEvaluator) else None
    run = _Run(strategy, evaluator, bulk, budget, log, evaluation_seed, epochs, progress, ledger)
    stopped, number = None, 0
    while stopped is None:
        kept = number < len(logged)
        asked = not kept or (checked and number == 0)
        proposals = strategy.ask(batch) if asked else logged[number]
        if asked and number == 0:
            _demand_fresh(proposals, log if kept else None)
        stopped = run.take(number, proposals, kept, asked)
        number += 1
    return sum_up(ledger, stopped, time.monotonic() - begun)


def _open_ledger(spec: EvaluatorSpec, log: RunLog | None) -> tuple[Ledger, list[Proposals]]:
    """A ledger that knows a log's answers, and the batches to replay.

    Raises:
        RunError: they are damaged.
    """
    whole = spec.epochs if spec.continues else None
    if log is None:
        return Ledger(spec.space, spec.chance, {}, whole), []
    known, logged = log.read_evaluations(), log.read_batches(spec.space)
    with log.reading():
        return Ledger(spec.space, spec.chance, known, whole), logged


def _demand_fresh(first: Proposals, log: RunLog | None) -> None:
    """Checks that a search begins, and as the log has it.

    Raises:
        SettingError: it ended before.
        RunError: it begins with other cells.
    """
    if isinstance(first, Proposals) and len(first) == 0:
        raise SettingError("this search is finished already; make a fresh one for each run")
    if log is not None:
        log.demand_first(first)


def _describe_course(
    strategy: Strategy, spec: EvaluatorSpec, seed: int, epochs: float | None
) -> dict[str, Any]:
    """What decides a run's course and can be told of its parts: JSON values, for its log."""
    own = strategy.settings if isinstance(strategy, Described) else {}
    own = own if isinstance(own, Mapping) else {}  # somebody's attribute of this name
    return {
        "evaluator": spec.name,
        "checksum of its data": spec.checksum,
        "operations": spec.space.operations,
        "max_blocks": spec.space.max_blocks,
        "epochs": float(epochs or spec.epochs),
        "fidelities": spec.fidelities,
        "chance": spec.chance,
        "train_images": spec.train_images,
        "evaluation_seed": seed,
        "search": type(strategy).__name__,
        **{f"evaluator's {name}": value for name, value in spec.settings.items() if name not in WHERE},
        **{f"search's {name}": value for name, value in own.items()},
    }


@dataclass(slots=True)
class _Run:
    strategy: Strategy
    evaluator: Evaluator
    bulk: BulkEvaluator | None  # the same, if it answers whole arrays
    budget: Budget
    log: RunLog | None
    seed: int
    epochs: float | None
    progress: Callable[[Progress], None] | None
    ledger: Ledger

    def take(self, number: int, proposals: Proposals, kept: bool, asked: bool) -> str | None:
        """Answers a batch and tells it; returns why the run ends, if it does.

        Args:
            number: of the batch.
            proposals: the batch.
            kept: whether the log has it already.
            asked: whether the strategy was asked for it, and is told; else it is replayed to it.
        """
        if isinstance(proposals, Proposals) and len(proposals) == 0:
            return "finished"
        spec = self.evaluator.spec
        given = spec.space.fit_width(proposals.cells) if kept else check_proposals(proposals, spec.space)
        rows = spec.space.canonical(given)
        texts = spec.space.format_many(rows) if self.log is not None else []
        if not kept and self.log is not None:
            self.log.add_batch(number, proposals, texts)
        entry = self.ledger.enter(proposals, rows, float(proposals.epochs or self.epochs or spec.epochs))
        self._answer(entry, texts)
        if not self.ledger.is_complete(entry):
            return "budget"
        observed = self.ledger.observe(entry)
        if asked:
            self.strategy.tell(observed)
        else:
            self.strategy.replay(proposals, observed)
        return self._find_end()

    def _find_end(self) -> str | None:
        models = self.budget.models
        if self._room() <= 0:
            return "budget"
        if self.ledger.models >= MOST_FREE:
            self._demand_costs()
        if models is not None and self.ledger.proposals >= MOST_PROPOSALS * models:
            return "proposals"
        return "stalled" if self.ledger.stale >= STALE_BATCHES else None

    def _demand_costs(self) -> None:
        """Checks that what the budget counts is counted: a table of a CSV may tell of no images and seconds.

        Raises:
            BackendError: it is not, and the run would never end.
        """
        for unit, limit in (("examples", self.budget.examples), ("seconds", self.budget.seconds)):
            if limit is not None and getattr(self.ledger, unit) == 0:
                backend = self.evaluator.spec.name
                raise BackendError(
                    f"backend {backend} says that {self.ledger.models} models cost 0 {unit}, "
                    f"so a budget of {unit} never ends; give a number of models"
                )

    def _room(self, examples_each: float = 0.0) -> float:
        """Models that the budget still allows."""
        room = math.inf
        if self.budget.models is not None:
            room = self.budget.models - self.ledger.models
        if self.budget.examples is not None:
            left = self.budget.examples - self.ledger.examples
            room = min(room, left // examples_each if examples_each > 0 else left)
        return 0 if self._seconds_are_spent() else room

    def _seconds_are_spent(self) -> bool:
        return self.budget.seconds is not None and self.ledger.seconds >= self.budget.seconds

    def _answer(self, entry: Entry, texts: list[str]) -> None:
        """Answers the new cells of a batch as far as the budget goes; the log wants their canonical texts."""
        room = self._room(entry.epochs * self.evaluator.spec.train_images)
        allowed = entry.new if room >= len(entry.new) else entry.new[: int(room)]
        unknown = self.ledger.recall(entry, allowed)
        if len(unknown) and not self._seconds_are_spent():
            if self.bulk is not None:
                self._take_bulk(self.bulk, entry, unknown, texts)
            else:
                self._take_one_by_one(entry, unknown)
        elif len(allowed):
            self._tell_progress(entry, allowed[-1])

    def _take_bulk(self, evaluator: BulkEvaluator, entry: Entry, asked: Places, texts: list[str]) -> None:
        """Logs and counts all answers at once, up to the one that spends the last of the seconds.

        Raises:
            BackendError: as `check_answers`.
        """
        try:
            answers = evaluator.evaluate_bulk(entry.rows[asked], entry.epochs, self.seed)
        except BudgetSpentError as spent:  # a budget of the evaluator's own; it brings what it still paid for
            if not spent.answers:
                return
            answers, asked = spent.answers, asked[: len(spent.answers)]
        answers = check_answers(self.evaluator.spec.name, answers, len(asked))
        answers = self.ledger.price_all(entry.rows[asked], answers)
        kept = self._count_in_time(answers)
        if kept < len(asked):
            asked, answers = asked[:kept], select_answers(answers, slice(kept))
        if self.log is not None:
            self.log.add_bulk([texts[at] for at in asked.tolist()], answers, entry.epochs)
        self.ledger.add_all(entry.places[asked], answers)
        self._tell_progress(entry, asked[-1])

    def _count_in_time(self, answers: Answers) -> int:
        """Answers until the seconds are spent, the one that spends them included."""
        if self.budget.seconds is None:
            return len(answers)
        running = add_up(self.ledger.seconds, answers.seconds)[1:]
        late = np.flatnonzero(running >= self.budget.seconds)
        return int(late[0]) + 1 if len(late) else len(answers)

    def _take_one_by_one(self, entry: Entry, asked: Places) -> None:
        """Logs and counts each answer as it arrives, until all have or the seconds are spent.

        Raises:
            BackendError: the evaluator answers a cell that was not asked, or twice, or leaves one out; as
                `check_answer`.
        """
        spec, rows = self.evaluator.spec, entry.rows[asked]
        waiting = dict(zip(spec.space.format_many(rows), asked.tolist(), strict=True))
        answers = self.evaluator.evaluate(rows, entry.epochs, self.seed)
        if not isinstance(answers, Iterable):
            raise BackendError(f"backend {spec.name} answered with {type(answers).__name__}; yield answers")
        try:
            for given in answers:
                answer = check_answer(spec.name, given)
                at = waiting.pop(answer.cell, None)
                if at is None:
                    asked_for = answer.cell in spec.space.format_many(rows)
                    how = "twice" if asked_for else "unasked, or not in its canonical text"
                    raise BackendError(f"backend {spec.name} answered {answer.cell} {how}; mend it")
                answer = self.ledger.price(entry.rows[at], answer)
                if self.log is not None:
                    self.log.add([answer], entry.epochs)
                self.ledger.add(int(entry.places[at]), answer)
                self._tell_progress(entry, at)
                if self._seconds_are_spent():
                    return
        except BudgetSpentError:  # a budget of the evaluator's own
            return
        finally:
            if isinstance(answers, Generator):  # ends what it has in flight
                answers.close()
        if waiting:
            missing = next(iter(waiting))
            raise BackendError(
                f"backend {spec.name} left {len(waiting)} cells unanswered ({missing}); mend it"
            )

    def _tell_progress(self, entry: Entry, at: int) -> None:
        """Tells where the run stands after the answer to the batch's cell `at`."""
        if self.progress is not None:
            blocks = int(self.ledger.figures["blocks"][entry.places[at]])
            ledger = self.ledger
            self.progress(Progress(blocks, ledger.models, ledger.best, ledger.failed))
