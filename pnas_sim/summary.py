"""What a run came to, level by level."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pnas_sim.evaluate import Evaluation, Status
from pnas_sim.ledger import Figures, Ledger, Models, Round
from pnas_sim.space.arrays import Floats

MOST_REASONS = 3  # of failures, in a note


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
        evaluations: every model, in order of proposal: as arrays, one `Evaluation` after the other, or a
            frame of pandas (`to_frame`).
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
    evaluations: Models

    @property
    def best(self) -> Evaluation | None:
        """The model with the highest validation accuracy, the first of equals; None if none has any.

        Of a search that went level by level it is of the last level. Its `expected_valid_accuracy` says more,
        where it is known: the best of many noisy values is biased upwards.
        """
        figures = self.evaluations.figures
        chosen = choose_final(figures)
        values = np.where(chosen, figures["valid_accuracy"], -np.inf)
        return self.evaluations[int(values.argmax())] if chosen.any() else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know of the run, in sentences: how many children failed, and why."""
        failed = np.flatnonzero(self.evaluations.figures["status"] == Status.FAILED).tolist()
        if not failed:
            return ()
        errors = self.evaluations.errors
        counted = Counter(errors.get(place, "no reason given") for place in failed).most_common()
        reasons = [f"{reason} ({count})" for reason, count in counted[:MOST_REASONS]]
        if len(counted) > MOST_REASONS:
            reasons.append(f"{len(counted) - MOST_REASONS} other reasons")
        return (f"{len(failed)} of {self.models_evaluated} children failed: {'; '.join(reasons)}",)


def choose_final(figures: Figures) -> NDArray[np.bool_]:
    """Which models a run hands over, `bool[n]`: those that have an accuracy.

    Of a search that went level by level, only those of the last level that has any.
    """
    chosen: NDArray[np.bool_] = np.isfinite(figures["valid_accuracy"])
    blocks = figures["blocks"].astype(np.int64)
    if chosen.any() and grows_by_levels(blocks):
        chosen &= blocks == blocks[chosen].max()
    return chosen


def grows_by_levels(blocks: NDArray[np.int64]) -> bool:
    """Whether a run went through cells level by level: of several sizes, and never back to a smaller one."""
    return len(blocks) > 0 and bool((np.diff(blocks) >= 0).all() and blocks[0] != blocks[-1])


def sum_up(ledger: Ledger, stopped: str, seconds: float) -> RunResult:
    """The result of a run that ended for the reason `stopped`, after so many seconds of this sitting."""
    models = ledger.read_models()
    figures = models.figures
    return RunResult(
        models_evaluated=len(models),
        proposals=ledger.proposals,
        repeats=ledger.repeats,
        failed=int((figures["status"] == Status.FAILED).sum()),
        examples=math.fsum(figures["examples"]),
        seconds=seconds,
        child_seconds=math.fsum(figures["seconds"]),
        stopped=stopped,
        levels=tuple(_describe_level(ledger, int(blocks)) for blocks in np.unique(figures["blocks"])),
        evaluations=models,
    )


def _describe_level(ledger: Ledger, blocks: int) -> Level:
    figures = ledger.figures
    mine = figures[figures["answered"] & (figures["blocks"] == blocks)]
    known = mine["valid_accuracy"][~np.isnan(mine["valid_accuracy"])]
    values = np.sort(known)[::-1]
    rounds = [one for one in ledger.rounds if one.blocks == blocks]
    return Level(
        blocks=blocks,
        candidates=sum(one.candidates for one in rounds) or len(mine),
        unique=sum(one.unique for one in rounds) or len(mine),
        evaluated=len(mine),
        best_valid_accuracy=_mean_of_best(values, 1),
        top5_valid_accuracy=_mean_of_best(values, 5),
        top25_valid_accuracy=_mean_of_best(values, 25),
        rank_correlation=_correlate(figures, rounds),
    )


def _mean_of_best(values: Floats, top: int) -> float | None:
    """Mean of the first `top` of values in falling order; None if there are none."""
    return float(np.mean(values[:top])) if len(values) else None


def _correlate(figures: Figures, rounds: Sequence[Round]) -> float | None:
    """Spearman's correlation of predictions and answers; None where there is none."""
    pairs = [(one.places, one.predicted) for one in rounds if one.predicted is not None]
    if not pairs:
        return None
    asked = figures[np.concatenate([places for places, _ in pairs])]
    kept = asked["answered"] & ~np.isnan(asked["valid_accuracy"])
    guesses = np.concatenate([predicted for _, predicted in pairs])[kept]
    answers = asked["valid_accuracy"][kept]
    if len(guesses) < 2 or np.ptp(guesses) == 0 or np.ptp(answers) == 0:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(guesses, answers).statistic)
