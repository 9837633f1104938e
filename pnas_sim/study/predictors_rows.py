"""The rows of a predictor study: one predictor, one set of cells, one truth, its figures with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.space.arrays import Floats
from pnas_sim.study.predictors_paper import FITTED, NEXT, UNSEEN, find_paper_value
from pnas_sim.study.predictors_pools import Pool
from pnas_sim.study.predictors_scores import (
    MEASURES,
    UNKNOWN,
    CellResamples,
    bound,
    count_top,
    draw_cells,
    estimate_trials,
    score_pooled,
    score_trials,
)
from pnas_sim.study.predictors_trials import TrialJob, Trials
from pnas_sim.study.resampling import Estimate

Marks: TypeAlias = NDArray[np.bool_]
Key: TypeAlias = tuple[str, str]  # the set of cells, the truth

NOISY, EXPECTED = "noisy", "noise-free"
ALL_SIZES = 0  # in place of a size: the mean over all
LEAST_CELLS = 5  # a rank correlation on fewer says nothing
LEAST_TOP = 5  # cells of a top 5%, for an interval of its precision
RANK, POOLED, PRECISION, DIFFERENCE = "spearman", "spearman_pooled", "top5_precision", "difference"
FIGURES = (POOLED, *MEASURES, DIFFERENCE)

_RESAMPLING = 3  # random stream of a study's seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One predictor, one set of cells, one truth.

    Attributes:
        source: of the truth, "trained" or "surrogate".
        predictor: its name.
        fitted: K asked for.
        fitted_cells: cells each trial was fitted on; 0 in a mean over sizes.
        fitted_sets: different choices of them among the trials: 1 where a size has no more cells; 0 likewise.
        blocks: their size b; 0: the mean over all sizes.
        place: what is ranked: the cells "fitted", "unseen" ones of their size, or the "next" size.
        truth: "noisy" or "noise-free".
        cells: ranked in each trial; in a mean over sizes in all of them.
        trials: T.
        figures: by name: Spearman pooled over trials, means over trials of Spearman, tau and precision, and
            Spearman less the first predictor's, on the same resamples.
        by_trial: Spearman of each trial; none in a mean over sizes.
        deviation: of these.
        seconds: of a fit, the process's own, median.
        paper: the paper's pooled Spearman, where it has one.
    """

    source: str
    predictor: str
    fitted: int
    fitted_cells: int
    fitted_sets: int
    blocks: int
    place: str
    truth: str
    cells: int
    trials: int
    figures: Mapping[str, Estimate]
    by_trial: tuple[float, ...]
    deviation: float
    seconds: float
    paper: float | None

    def flat(self) -> dict[str, Any]:
        """As one flat record."""
        record = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "figures"}
        for name in FIGURES:
            figure = self.figures.get(name, UNKNOWN)
            record |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
        return record


@dataclass(frozen=True, slots=True)
class Sample:
    """A mean Spearman and its resamples.

    Attributes:
        value: of all cells and trials.
        drawn: `float64[resamples]`.
    """

    value: float
    drawn: Floats


def draw_shared(job: TrialJob, resamples: int) -> dict[str, CellResamples]:
    """Draws what all predictors of one pool share, by the set of cells."""
    seed = [job.seed, _RESAMPLING, job.blocks]
    here = draw_cells(len(job.here), job.trials, resamples, seed)
    beyond = draw_cells(len(job.beyond), job.trials, resamples, [*seed, 1])
    return {FITTED: here, UNSEEN: here, NEXT: beyond}


def score_job(
    source: str,
    job: TrialJob,
    trials: Trials,
    draws: Mapping[str, CellResamples],
    reference: Mapping[Key, Sample],
) -> Iterator[tuple[Row, Sample]]:
    """Scores what a job left, on each set of cells and truth that has cells enough.

    Args:
        source: of the truth.
        job: of one predictor.
        trials: what it said.
        draws: of `draw_shared`.
        reference: the first predictor's samples; empty for that one itself.
    """
    for place, truth, predicted, values, asked in _list_comparisons(job, trials):
        figures, sample, by_trial = _measure(predicted, values, asked, draws[place])
        row = Row(
            source=source,
            predictor=job.predictor,
            fitted=job.fitted,
            fitted_cells=trials.fitted.shape[1],
            fitted_sets=len(np.unique(trials.fitted, axis=0)),
            blocks=job.blocks,
            place=place,
            truth=truth,
            cells=int(asked.sum(axis=1).min()),
            trials=job.trials,
            figures={**figures, DIFFERENCE: _subtract(sample, reference.get((place, truth)))},
            by_trial=tuple(by_trial.tolist()),
            deviation=float(by_trial.std(ddof=1)) if job.trials > 1 else float("nan"),
            seconds=float(np.median(trials.seconds)),
            paper=find_paper_value(job.predictor, place, job.blocks),
        )
        yield row, sample


def _measure(
    predicted: Floats, values: Floats, asked: Marks, draws: CellResamples
) -> tuple[dict[str, Estimate], Sample, Floats]:
    """All figures of one comparison; of Spearman the resamples, and the correlation of each trial."""
    parts = {name: score_trials(measure, predicted, values, asked) for name, measure in MEASURES.items()}
    parts[POOLED] = score_pooled(MEASURES[RANK], predicted, values, asked)
    least = {PRECISION: 0.0}  # a share; the others are correlations
    found = {name: estimate_trials(part, draws, least.get(name)) for name, part in parts.items()}
    figures = {name: figure for name, (figure, _) in found.items()}
    if count_top(int(asked[0].sum())) < LEAST_TOP:
        figures[PRECISION] = Estimate(figures[PRECISION].value)
    sample = Sample(figures[RANK].value, found[RANK][1])
    return figures, sample, np.asarray(np.nanmean(parts[RANK], axis=1), np.float64)


def _list_comparisons(job: TrialJob, trials: Trials) -> Iterator[tuple[str, str, Floats, Floats, Marks]]:
    """Yields set, truth, predictions `[trials, n]`, true values `[n]`, and which count `[trials, n]`."""
    fitted = np.zeros(trials.here.shape, np.bool_)
    np.put_along_axis(fitted, trials.fitted, True, axis=1)
    everything = np.ones(trials.beyond.shape, np.bool_)
    sets: list[tuple[str, Pool, Floats, Marks]] = [
        (FITTED, job.here, trials.here, fitted),
        (UNSEEN, job.here, trials.here, ~fitted),
        (NEXT, job.beyond, trials.beyond, everything),
    ]
    for place, pool, predicted, asked in sets:
        for truth, values in ((NOISY, pool.noisy), (EXPECTED, pool.expected)):
            known = asked & np.isfinite(values)
            if known.sum(axis=1).min() >= LEAST_CELLS:
                yield place, truth, predicted, values, known


def _subtract(sample: Sample, reference: Sample | None) -> Estimate:
    if reference is None:
        return UNKNOWN
    return bound(sample.value - reference.value, sample.drawn - reference.drawn, largest=2.0)


def average_sizes(rows: list[Row], samples: list[Sample], reference: list[Sample]) -> Row:
    """The mean over sizes of one predictor's Spearman on one set and truth.

    Args:
        rows: of each size.
        samples: of each row.
        reference: the first predictor's, of the same sizes; empty for that one itself.
    """
    sample = _average(samples)
    first = rows[0]
    return Row(
        source=first.source,
        predictor=first.predictor,
        fitted=first.fitted,
        fitted_cells=0,
        fitted_sets=0,
        blocks=ALL_SIZES,
        place=first.place,
        truth=first.truth,
        cells=sum(row.cells for row in rows),
        trials=first.trials,
        figures={
            RANK: bound(sample.value, sample.drawn),
            DIFFERENCE: _subtract(sample, _average(reference) if reference else None),
        },
        by_trial=(),
        deviation=float("nan"),
        seconds=float(np.median([row.seconds for row in rows])),
        paper=None,
    )


def _average(samples: list[Sample]) -> Sample:
    return Sample(
        float(np.mean([sample.value for sample in samples])),
        np.asarray(np.mean([sample.drawn for sample in samples], axis=0), np.float64),
    )
