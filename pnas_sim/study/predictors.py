"""Predictor quality: Algorithm 2 of the paper (section 5.2), for any predictors, with intervals.

For each size b below the largest and each of T trials, a fresh predictor is fitted on K random cells of size
b; then its predictions are compared with the truth on three sets: the cells fitted (rho-hat), other cells of
the same size, and cells one block larger (rho-tilde). The truth is noisy, as in the paper, and noise-free
beside it. Predictors are fitted on noisy truth only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from pnas_sim.errors import SettingError, WorkError
from pnas_sim.space import name_size
from pnas_sim.space.arrays import Floats
from pnas_sim.study.pool import Standing
from pnas_sim.study.predictors_jobs import do_jobs
from pnas_sim.study.predictors_paper import NEXT, TRIALS
from pnas_sim.study.predictors_pools import SURROGATE, Pools
from pnas_sim.study.predictors_rows import (
    LEAST_CELLS,
    Key,
    Row,
    Sample,
    average_sizes,
    draw_shared,
    score_job,
)
from pnas_sim.study.predictors_scores import find_ceilings
from pnas_sim.study.predictors_search import SearchJob, SearchRow
from pnas_sim.study.predictors_trials import TrialJob, read_trials

_T = TypeVar("_T")
LIMITS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"trials": (1, 10_000), "resamples": (10, 100_000), "workers": (1, 1024), "seed": (0, 2**63 - 1)}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySettings:
    """What a study is asked for.

    Attributes:
        predictors: names, in order; differences are measured against the first.
        options: of predictors, by name.
        fitted: K, by source; a source may have several.
        trials: T.
        resamples: of the bootstrap.
        seed: of everything random.
        workers: processes.
    """

    predictors: tuple[str, ...]
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fitted: Mapping[str, tuple[int, ...]]
    trials: int = TRIALS
    resamples: int = 400
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        """Refuses values out of range.

        Raises:
            SettingError: one line naming the setting, its value and its limit.
        """
        if not self.predictors:
            raise SettingError("no predictors; name at least one")
        twice = [name for name in self.predictors if self.predictors.count(name) > 1]
        if twice:
            raise SettingError(f"predictor {twice[0]!r} is named twice; name each once")
        for name, (least, most) in LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise SettingError(f"{name} is {getattr(self, name)}; it must be from {least} to {most}")
        for counts in self.fitted.values():
            if not counts or min(counts) < LEAST_CELLS:
                listed = ", ".join(map(str, counts)) or "none"
                raise SettingError(f"cells to fit on are {listed}; they must be at least {LEAST_CELLS}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """What one who knew the noise-free truth would reach on noisy truth.

    Attributes:
        source: of the truth.
        blocks: size of the cells.
        cells: how many.
        noise: deviation of a seed.
        noise_of_all_sizes: of cells of all sizes, for want of this size's with several seeds.
        deviation: of the noisy accuracies.
        figures: by name; NaN where the noise is not known.
    """

    source: str
    blocks: int
    cells: int
    noise: float
    noise_of_all_sizes: bool
    deviation: float
    figures: Mapping[str, float]

    def flat(self) -> dict[str, Any]:
        """As one flat record."""
        about = {"source": self.source, "blocks": self.blocks, "cells": self.cells}
        about |= {"noise": self.noise, "noise_of_all_sizes": self.noise_of_all_sizes}
        return about | {"deviation": self.deviation} | dict(self.figures)


@dataclass(frozen=True, slots=True)
class Picture:
    """One trial on the cells one block larger, to be drawn.

    Attributes:
        blocks: of the cells fitted.
        predicted: `float64[n]`.
        truth: `float64[n]`, noisy.
    """

    blocks: int
    predicted: Floats
    truth: Floats


@dataclass(frozen=True, slots=True)
class Study:
    """What a study found.

    Attributes:
        rows: by source, K and size; then means over sizes.
        ceilings: by source and size.
        pictures: by source, K and predictor.
        searches: every level of every search.
    """

    rows: list[Row] = field(default_factory=list)
    ceilings: list[Ceiling] = field(default_factory=list)
    pictures: dict[tuple[str, int, str], list[Picture]] = field(default_factory=dict)
    searches: list[SearchRow] = field(default_factory=list)


def run_study(
    sources: Sequence[Pools],
    searches: Sequence[SearchJob],
    settings: StudySettings,
    folder: Path,
    tell: Callable[[Standing], None],
) -> Study:
    """Runs a study, or what of it is missing in a folder.

    Args:
        sources: pools of each source.
        searches: to be followed.
        settings: what is asked for.
        folder: where jobs leave their files.
        tell: told at the start and after each job.

    Raises:
        SettingError: no source has two neighbouring sizes to fit and test on, or all cells of a size that is
            asked about have one accuracy.
        WorkError: a predictor failed, or the folder cannot be written.
    """
    jobs = [list(list_jobs(pools, settings)) for pools in sources]
    every = [job for mine in jobs for job in mine]
    if not every and not searches:
        raise SettingError(
            f"no cells to study: two neighbouring sizes with {LEAST_CELLS} random cells each are needed, of "
            "the origin 'uniform' (or all of a size): how cells were chosen otherwise would count"
        )
    for pools, mine in zip(sources, jobs, strict=True):
        _demand_order(pools, mine)
    do_jobs([*every, *searches], folder, settings.workers, tell)
    study = Study()
    for pools, mine in zip(sources, jobs, strict=True):
        study.ceilings.extend(_list_ceilings(pools, settings.seed))
        _score_source(pools.source, mine, settings, folder, study)
    for search in searches:
        study.searches.extend(_demand(search.read(folder), folder / search.file_name))
    return study


def _demand_order(pools: Pools, jobs: Sequence[TrialJob]) -> None:
    """Refuses a size whose cells cannot be ranked: a correlation of 0 would look like a predictor's fault."""
    for blocks in sorted({job.blocks + 1 for job in jobs}):
        noisy = pools.by_blocks[blocks].noisy
        if np.ptp(noisy) == 0:
            raise SettingError(
                f"all {len(noisy):,} accuracies of {name_size(blocks)} ({pools.source}) are {noisy[0]:g}, "
                "which leaves nothing to rank; choose a table whose cells differ, or fewer --blocks"
            )


def _demand(found: _T | None, path: Path) -> _T:
    if found is None:
        raise WorkError(f"{path} is gone; give the same command again")
    return found


def list_jobs(pools: Pools, settings: StudySettings) -> Iterator[TrialJob]:
    """Lists the jobs of a source: for each K and pair of neighbouring sizes, one for each predictor."""
    for count in settings.fitted.get(pools.source, ()):
        for blocks in sorted(pools.by_blocks):
            here, beyond = pools.by_blocks[blocks], pools.by_blocks.get(blocks + 1)
            if beyond is None or min(len(here), len(beyond)) < LEAST_CELLS:
                continue
            for name in settings.predictors:
                yield TrialJob(
                    predictor=name,
                    options=settings.options.get(name, {}),
                    space=pools.space,
                    here=here,
                    beyond=beyond,
                    fitted=count,
                    trials=settings.trials,
                    seed=settings.seed,
                    data=f"{pools.source} {pools.data}",
                )


def _list_ceilings(pools: Pools, seed: int) -> Iterator[Ceiling]:
    for blocks, pool in sorted(pools.by_blocks.items()):
        if len(pool) >= LEAST_CELLS:
            yield Ceiling(
                source=pools.source,
                blocks=blocks,
                cells=len(pool),
                noise=pool.noise,
                noise_of_all_sizes=pool.pooled,
                deviation=float(pool.noisy.std()),
                # a mean over seeds holds the noisy accuracy itself, so it would flatter
                figures=find_ceilings(
                    pool.noisy, pool.expected if pools.source == SURROGATE else None, pool.noise, seed
                ),
            )


def _score_source(
    source: str, jobs: Sequence[TrialJob], settings: StudySettings, folder: Path, study: Study
) -> None:
    """Scores the jobs of a source; those of one K and size share their resamples, so they are paired."""
    groups: dict[tuple[int, int], list[TrialJob]] = {}
    for job in jobs:
        groups.setdefault((job.fitted, job.blocks), []).append(job)
    found: dict[tuple[int, str], list[tuple[Row, Sample]]] = {}
    for (fitted, _), group in groups.items():
        draws, reference = draw_shared(group[0], settings.resamples), dict[Key, Sample]()
        for job in group:
            trials = _demand(read_trials(folder / job.file_name), folder / job.file_name)
            scored = list(score_job(source, job, trials, draws, reference))
            reference = reference or {(row.place, row.truth): sample for row, sample in scored}
            study.rows.extend(row for row, _ in scored)
            found.setdefault((fitted, job.predictor), []).extend(scored)
            picture = Picture(job.blocks, trials.beyond[0], job.beyond.noisy)
            study.pictures.setdefault((source, fitted, job.predictor), []).append(picture)
    study.rows.extend(_average_all(found, settings.predictors))


def _average_all(
    found: Mapping[tuple[int, str], list[tuple[Row, Sample]]], predictors: Sequence[str]
) -> Iterator[Row]:
    """Means over sizes on the next size, for each K, truth and predictor."""
    for (fitted, name), scored in found.items():
        for truth in dict.fromkeys(row.truth for row, _ in scored):
            mine = _select(scored, truth)
            others = [] if name == predictors[0] else _select(found[fitted, predictors[0]], truth)
            if len(mine) > 1:
                reference = [sample for _, sample in others]
                yield average_sizes([row for row, _ in mine], [sample for _, sample in mine], reference)


def _select(scored: Sequence[tuple[Row, Sample]], truth: str) -> list[tuple[Row, Sample]]:
    return [(row, sample) for row, sample in scored if row.place == NEXT and row.truth == truth]
