"""What a run came to, level by level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pnas_sim.evaluate import Floats, Status
from pnas_sim.ledger import Figures, Ledger, Models, Round


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
        evaluations: every model, in order of proposal: as arrays, or one `Evaluation` after the other.
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
