"""The runs of a comparison: every search in every world with every seed, all on the same data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pnas_sim.errors import RunError, SettingError
from pnas_sim.space.arrays import Floats
from pnas_sim.study.curves import (
    Counting,
    Kind,
    TopCurve,
    follow_levels,
    follow_top,
    stack_curves,
)
from pnas_sim.study.finished import FinishedRun, Place
from pnas_sim.summary import grows_by_levels


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """How one search went in all its runs, by one way of choosing and averaging the top M.

    Attributes:
        values: `float64[runs, n]`, means over the top M after each model; a run that ended stays there.
        lengths: `float64[runs]`, models of each run.
        examples: `float64[runs, n]`, trained on until then.
        reranks: whether the search is reinforcement learning (it has a policy), which in the paper's account
            trains its best again.
    """

    values: Floats
    lengths: Floats
    examples: Floats
    reranks: bool = False

    @property
    def finals(self) -> Floats:
        """Where each run ended, `float64[runs]`."""
        return self.values[:, -1]

    def read_at(self, models: Floats) -> Floats:
        """Each run's value after so many models (`float64[runs]`), `float64[runs]`."""
        places = np.clip(models.astype(np.int64), 1, self.values.shape[1]) - 1
        return np.asarray(self.values[np.arange(len(places)), places])


@dataclass(frozen=True, slots=True, eq=False)
class RunGrid:
    """Runs of every search in every world with every seed.

    Attributes:
        labels: of the searches, in the order asked for.
        worlds: ascending.
        seeds: ascending.
        runs: of each search, in order of world, then seed.
    """

    labels: tuple[str, ...]
    worlds: tuple[int, ...]
    seeds: tuple[int, ...]
    runs: Mapping[str, tuple[FinishedRun, ...]]

    def follow(self, label: str, top: int, counting: Counting) -> list[TopCurve]:
        """The curve of each run of a search.

        Args:
            label: of the search.
            top: M.
            counting: by the paper's, a search that grows cells by levels is followed level by level.
        """
        return [_follow(run, top, counting) for run in self.runs[label]]

    def join(self, label: str, curves: Sequence[TopCurve], kind: Kind) -> Course:
        """The curves of a search's runs together."""
        runs = self.runs[label]
        return Course(
            values=stack_curves([curve.read(kind) for curve in curves]),
            lengths=np.array([len(run) for run in runs], np.float64),
            examples=stack_curves([np.cumsum(run.examples) for run in runs]),
            reranks=any(run.facts.first_entropy is not None for run in runs),
        )

    def knows_expected(self) -> bool:
        """Whether noise-free values are known of all cells that have an accuracy."""
        everything = (run for runs in self.runs.values() for run in runs)
        return all(not np.isnan(run.expected[~np.isnan(run.values)]).any() for run in everything)


def _follow(run: FinishedRun, top: int, counting: Counting) -> TopCurve:
    if counting is Counting.PAPER and grows_by_levels(run.blocks):
        return follow_levels(run.values, run.expected, run.blocks, top)
    return follow_top(run.values, run.expected, top)


def arrange_runs(
    runs: Sequence[FinishedRun], labels: Sequence[str], worlds: Sequence[int], seeds: Sequence[int]
) -> RunGrid:
    """Puts runs in their places; others than those asked for are left aside.

    Raises:
        RunError: a run is missing or empty, two are of one place, runs of one world have different data, or
            runs of one search different settings.
    """
    found: dict[Place, FinishedRun] = {}
    for run in runs:
        if found.setdefault(run.facts.place, run) is not run:
            raise RunError(f"two runs are of {_name(run.facts.place)}; keep one of them")
    wanted = [Place(label, world, seed) for label in labels for world in worlds for seed in seeds]
    missing = [place for place in wanted if place not in found]
    if missing:
        raise RunError(
            f"{len(missing)} of {len(wanted)} runs are missing ({_name(missing[0])}); give the command again"
        )
    order = [(world, seed) for world in sorted(worlds) for seed in sorted(seeds)]
    rows = {label: tuple(found[Place(label, *where)] for where in order) for label in labels}
    grid = RunGrid(tuple(labels), tuple(sorted(worlds)), tuple(sorted(seeds)), rows)
    _demand_same(grid)
    return grid


def _name(place: Place) -> str:
    return f"{place.label}, world {place.world}, seed {place.seed}"


def _demand_same(grid: RunGrid) -> None:
    """Checks that runs may be compared.

    Raises:
        RunError: data or settings differ, or a run is empty.
    """
    by_world: dict[int, FinishedRun] = {}
    for label, runs in grid.runs.items():
        for run in runs:
            _demand_same_data(run, by_world.setdefault(run.facts.world, run))
            if run.facts.fingerprint != runs[0].facts.fingerprint:
                seeds = f"seeds {runs[0].facts.seed} and {run.facts.seed}"
                raise RunError(f"runs of {label} ({seeds}) have different settings; use another --out")
            if len(run) == 0:
                raise RunError(f"{_name(run.facts.place)} evaluated nothing; give it a larger budget")


def _demand_same_data(run: FinishedRun, other: FinishedRun) -> None:
    if run.facts.data != other.facts.data:
        sums = [one.facts.data[:12] or "none" for one in (run, other)]
        raise RunError(
            f"{_name(run.facts.place)} is of a table with checksum {sums[0]}, "
            f"{_name(other.facts.place)} of one with {sums[1]}; compare runs of one table only"
        )


def demand_tops(grid: RunGrid, tops: Sequence[int]) -> None:
    """Checks that every run has as many cells with an accuracy of full training as the largest top M.

    Raises:
        SettingError: one has fewer.
    """
    most = max(tops)
    for runs in grid.runs.values():
        for run in runs:
            known = int((~np.isnan(run.values)).sum())
            if known < most:
                raise SettingError(
                    f"top {most} asked for; {_name(run.facts.place)} has {known} cells trained "
                    "in full; lower --top or raise --budget"
                )
