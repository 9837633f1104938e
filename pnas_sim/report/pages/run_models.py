"""The models of a run, read again from its log: also of one that has not ended, and without its backend."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pnas_sim.ledger import Figures, Ledger, Models, Places
from pnas_sim.logged import LoggedBatch, LoggedRun
from pnas_sim.space import PAPER_OPERATIONS, CellSpace
from pnas_sim.space.arrays import Floats
from pnas_sim.summary import RunResult, choose_final, sum_up

UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Guesses:
    """Predictions that a search chose cells by, and what was answered.

    Attributes:
        predicted: `float64[n]`, made before the answers were known.
        answered: `float64[n]`, validation accuracies with seed noise.
    """

    predicted: Floats
    answered: Floats


@dataclass(frozen=True, slots=True)
class Replayed:
    """A run as its log tells it.

    Attributes:
        ledger: with everything that the log holds.
        models: every model answered, in order of proposal.
        guesses: by block count, ascending; only of searches that predict.
    """

    ledger: Ledger
    models: Models
    guesses: Mapping[int, Guesses]

    def sum_up(self) -> RunResult:
        """Counts and levels; `stopped` is "unfinished", as the log does not say how a run ended."""
        return sum_up(self.ledger, UNFINISHED, 0.0)


def replay_log(log: LoggedRun, operations: Sequence[str] | None, epochs: float | None) -> Replayed:
    """Counts a log's models again.

    Children that diverged have no accuracy here: what a backend calls chance is not in the log.

    Args:
        log: of a run.
        operations: of its space; None: those that its cells name, the paper's if it has all of them.
        epochs: asked for where a batch names none; None: what its cells were answered at.

    Raises:
        CellError: a text in the log is no cell.
    """
    texts = [text for batch in log.batches for text in batch.cells]
    names = tuple(operations) if operations is not None else _list_operations(texts)
    space = CellSpace(names, max((text.count("|") + 1 for text in texts), default=1))
    ledger = Ledger(space, math.nan, log.evaluations)
    asked = dict(reversed(list(log.evaluations)))  # the first of several
    for batch in log.batches:
        if batch.cells:
            at = batch.proposals.epochs or epochs or _find_epochs(batch, asked)
            entry = ledger.enter(batch.proposals, space.parse_many(batch.cells), at)
            ledger.recall(entry, entry.new)
    guesses = {level: _collect(ledger, level) for level in sorted({one.blocks for one in ledger.rounds})}
    known = {level: found for level, found in guesses.items() if len(found.predicted)}
    return Replayed(ledger, ledger.read_models(), known)


def _list_operations(texts: Iterable[str]) -> tuple[str, ...]:
    """Operations that cells name: the paper's in its order where there are no others."""
    halves = (half for text in texts for block in text.split("|") for half in block.split("+"))
    found = dict.fromkeys(half.split("(")[0].strip() for half in halves)
    return PAPER_OPERATIONS if set(found) <= set(PAPER_OPERATIONS) else tuple(found)


def _find_epochs(batch: LoggedBatch, asked: Mapping[str, float]) -> float:
    return next((asked[cell] for cell in batch.cells if cell in asked), 1.0)


def _collect(ledger: Ledger, level: int) -> Guesses:
    rounds = [one for one in ledger.rounds if one.blocks == level and one.predicted is not None]
    if not rounds:
        return Guesses(np.zeros(0), np.zeros(0))
    places = np.concatenate([one.places for one in rounds])
    predicted = np.concatenate([one.predicted for one in rounds if one.predicted is not None])
    answered = ledger.figures["valid_accuracy"][places]
    kept = ledger.figures["answered"][places] & np.isfinite(answered) & np.isfinite(predicted)
    return Guesses(predicted[kept], answered[kept])


def rank_models(models: Models) -> Places:
    """Places of models from the best validation accuracy down, equal ones in order of proposal.

    Of a search that went level by level only those of its last level: see `choose_final`.
    """
    places = np.flatnonzero(choose_final(models.figures))
    return places[np.argsort(-models.figures["valid_accuracy"][places], kind="stable")]


def follow_best(figures: Figures, name: str) -> tuple[list[float], list[float]]:
    """The best cell so far by validation accuracy, as steps: models evaluated, and its value of field `name`.

    The last point is at the end of the run.
    """
    observed = figures["valid_accuracy"]
    filled = np.where(np.isfinite(observed), observed, -np.inf)
    best = np.maximum.accumulate(filled)
    new = np.flatnonzero((filled == best) & (np.concatenate([[-np.inf], best[:-1]]) < best))
    if len(new) == 0:
        return [], []
    at, values = (new + 1).tolist(), figures[name][new].tolist()
    return [*at, len(figures)], [*values, values[-1]]


def count_operations(models: Models, places: Places) -> Floats:
    """Share of each operation (`float64[operations]`) among all halves of blocks of these models."""
    tokens = models.cells[places].reshape(-1, 4)[:, 2:].reshape(-1)
    number = len(models.space.operations)
    counts = np.bincount(tokens[tokens < number], minlength=number)
    return counts / max(int(counts.sum()), 1)
