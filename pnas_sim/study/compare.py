"""A comparison from its settings to its figures: everything is checked first, then run, then measured.

settings = make_compare_settings({"searches": {"pnas": {"search": "pnas"}, "random": {"search": "random"}}})
comparison = compare(prepare(settings), Path("runs/mine"), workers=2)
comparison.analysis.duels
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pnas_sim.budget import Budget
from pnas_sim.errors import SettingError
from pnas_sim.evaluate import BackendRequest, BulkEvaluator, Evaluator, EvaluatorSpec
from pnas_sim.plugins import OWN_PACKAGE
from pnas_sim.registry import make_backend
from pnas_sim.search.base import Strategy
from pnas_sim.search.catalogue import describe_search, make_search, resolve_options
from pnas_sim.study.accounts import Reranking
from pnas_sim.study.analysis import Analysis, Wishes, analyse
from pnas_sim.study.efficiency import Costs
from pnas_sim.study.finished import Place, read_run
from pnas_sim.study.grid import RunGrid, arrange_runs
from pnas_sim.study.landmarks import Landmarks
from pnas_sim.study.pool import Standing, do_jobs
from pnas_sim.study.recording import BATCH
from pnas_sim.study.settings import CompareSettings, SearchChoice
from pnas_sim.study.work import Job, Worker, do_in_pool, read_landmarks, request_search


@dataclass(frozen=True, slots=True)
class Prepared:
    """A comparison that can begin.

    Attributes:
        settings: of it.
        spec: of the evaluator, of the last world.
        options: of each search by label, with defaults filled in.
    """

    settings: CompareSettings
    spec: EvaluatorSpec
    options: Mapping[str, Mapping[str, Any]]

    @property
    def costs(self) -> Costs:
        """What examples are counted by: E1 is the table's full fidelity, or the epochs asked for."""
        epochs = self.settings.epochs or self.spec.epochs
        return Costs(full=epochs * self.spec.train_images, reranking=Reranking())


@dataclass(frozen=True, slots=True)
class Comparison:
    """A finished comparison.

    Attributes:
        prepared: what it was made from.
        grid: all runs.
        landmarks: by world.
        analysis: the figures.
    """

    prepared: Prepared
    grid: RunGrid
    landmarks: Mapping[int, Landmarks]
    analysis: Analysis


def prepare(settings: CompareSettings) -> Prepared:
    """Makes the evaluator and every search once, to see that they can be had, and nothing on the disk.

    Raises:
        RequestError: something that was asked for cannot be had.
    """
    with closing(_open_last_world(settings)) as evaluator:
        spec = evaluator.spec
        _demand_epochs(settings, spec)
        _demand_cheap_landmarks(settings, evaluator)
        tried = {
            label: _try_search(settings, evaluator, choice) for label, choice in settings.searches.items()
        }
        prepared = Prepared(settings, spec, {label: options for label, (options, _) in tried.items()})
        for label, (_, strategy) in tried.items():
            _demand_first_batch(prepared, label, strategy)
    _demand_top(prepared)
    _demand_runs(settings)
    return prepared


def _open_last_world(settings: CompareSettings) -> Evaluator:
    """The evaluator of the last world; they ascend: a backend that has this one has the others."""
    worlds, last = settings.worlds, settings.worlds[-1]
    request = BackendRequest(blocks=settings.blocks, options=settings.options_for_backend(last))
    try:
        return make_backend(settings.backend, request)
    except SettingError as error:
        start = f"world is {last};"
        if len(worlds) == 1 or not str(error).startswith(start):
            raise
        counted = worlds == tuple(range(len(worlds)))
        typed = str(len(worlds)) if counted else ",".join(map(str, worlds))
        limit = str(error).removeprefix(start)
        raise SettingError(f"--worlds {typed} asks for world {last};{limit}") from None


def _try_search(
    settings: CompareSettings, evaluator: Evaluator, choice: SearchChoice
) -> tuple[dict[str, Any], Strategy]:
    """Makes a search once, to see that it can be had; returns its options, with defaults, and the search."""
    options = resolve_options(choice.search, choice.options)
    return options, make_search(choice.search, request_search(settings, evaluator, options, seed=0))


def _demand_epochs(settings: CompareSettings, spec: EvaluatorSpec) -> None:
    if settings.epochs is not None and spec.fidelities and settings.epochs not in spec.fidelities:
        listed = ", ".join(f"{at:g}" for at in spec.fidelities)
        raise SettingError(
            f"epochs is {settings.epochs:g}; backend {settings.backend} has {listed}: choose one"
        )


def _demand_cheap_landmarks(settings: CompareSettings, evaluator: Evaluator) -> None:
    """Checks that nobody trains thousands of cells for targets by mistake."""
    asked = settings.sample + settings.local if settings.sample else 0
    models = Budget.parse(settings.budget).models or 0
    if asked > models and not isinstance(evaluator, BulkEvaluator):
        raise SettingError(
            f"targets and regret would ask backend {settings.backend} for {asked} cells in each world, "
            "one by one; lower --sample and --local (--sample 0: no targets and no regret)"
        )


def _demand_first_batch(prepared: Prepared, label: str, strategy: Strategy) -> None:
    """Checks that a run gets as far as its search's first batch; of seconds nobody knows.

    The option `batch` says how large one may be. A search that ships is asked for its first, which may be
    smaller, and of shorter trainings: a first level, a lowest rung.
    """
    batch, models = prepared.options[label].get("batch"), _count_affordable(prepared)
    if models is None or not isinstance(batch, int) or models >= batch:
        return
    if describe_search(prepared.settings.searches[label].search).package == OWN_PACKAGE:
        first = strategy.ask(min(batch, BATCH))
        batch, models = len(first), _count_affordable(prepared, first.epochs)
    if models is not None and models < batch:
        raise SettingError(
            f"budget is {models} models; the first batch of {label} has {batch}: raise --budget, or lower "
            f"--set {label}.batch"
        )


def _demand_top(prepared: Prepared) -> None:
    """Checks that a run gets as far as the largest top M; of seconds nobody knows."""
    models, most = _count_affordable(prepared), max(prepared.settings.tops)
    if models is not None and models < most:
        raise SettingError(
            f"budget is {models} models; the mean over the top {most} needs as many: raise --budget, or "
            "lower --top"
        )


def _count_affordable(prepared: Prepared, epochs: float | None = None) -> int | None:
    """Trainings that the budget of a run is enough for, by default full ones; None where it is of seconds."""
    budget, each = Budget.parse(prepared.settings.budget), prepared.costs.full
    if epochs is not None:
        each = epochs * prepared.spec.train_images
    if budget.examples is not None and each > 0:
        return int(budget.examples // each)
    return budget.models


def _demand_runs(settings: CompareSettings) -> None:
    if settings.demand_intervals and len(settings.seeds) * len(settings.worlds) == 1:
        raise SettingError(
            "intervals are demanded of one seed in one world; they need at least 2 runs: raise --seeds"
        )


def list_jobs(prepared: Prepared, folder: Path) -> list[Job]:
    """Every job, one world after the other, so that a worker reads few tables."""
    settings = prepared.settings
    jobs = []
    for world in settings.worlds:
        if settings.sample:
            place, mark = Place("", world, 0), settings.landmark_fingerprint()
            jobs.append(Job(settings=settings, place=place, fingerprint=mark, folder=folder))
        for seed in settings.seeds:
            jobs.extend(_list_runs(prepared, folder, world, seed))
    return jobs


def _list_runs(prepared: Prepared, folder: Path, world: int, seed: int) -> Iterator[Job]:
    for label, options in prepared.options.items():
        yield Job(
            settings=prepared.settings,
            place=Place(label, world, seed),
            fingerprint=prepared.settings.fingerprint(label, options),
            options=options,
            folder=folder,
        )


def list_left(prepared: Prepared, folder: Path) -> list[Job]:
    """The jobs that a folder does not hold yet; writes nothing.

    Raises:
        RunError: it holds runs of other settings or another table, or damaged ones.
    """
    return [job for job in list_jobs(prepared, folder) if not job.is_done(prepared.spec.checksum)]


def compare(
    prepared: Prepared,
    folder: Path,
    *,
    workers: int = 1,
    tell: Callable[[Standing], None] = lambda standing: None,
) -> Comparison:
    """Does what is not done yet in a folder, and measures all of it.

    Args:
        prepared: by `prepare`.
        folder: of the comparison; finished runs in it are kept, if they are of the same settings and data.
        workers: processes.
        tell: told at the start and after each job.

    Raises:
        RunError: the folder holds runs of other settings or another table, or damaged ones.
        PnasError: as the first run that fails; those finished are kept.
    """
    jobs, left = list_jobs(prepared, folder), list_left(prepared, folder)
    done = len(jobs) - len(left)
    tell(Standing(done, len(jobs)))

    def count(job: Job) -> None:
        nonlocal done
        done += 1
        tell(Standing(done, len(jobs), job.name))

    with closing(Worker()) as worker:
        do_jobs(left, workers, count, do_in_pool, here=worker.do)
    return measure(prepared, jobs)


def measure(prepared: Prepared, jobs: Sequence[Job]) -> Comparison:
    """Measures finished jobs.

    Raises:
        RunError: one is missing, damaged or may not be compared with the others.
        SettingError: a run has fewer cells than the largest top M.
    """
    settings = prepared.settings
    runs = [read_run(job.path) for job in jobs if job.place.label]
    grid = arrange_runs(runs, list(settings.searches), settings.worlds, settings.seeds)
    marks = {job.place.world: read_landmarks(job.path)[0] for job in jobs if not job.place.label}
    wishes = Wishes(
        references=settings.choose_references(),
        tops=settings.tops,
        costs=prepared.costs,
        confidence=settings.confidence,
        resamples=settings.resamples,
    )
    return Comparison(prepared, grid, marks, analyse(grid, marks, wishes))
