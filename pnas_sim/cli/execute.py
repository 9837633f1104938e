"""Carries a run out: everything is made and checked first, then the folder, then the search."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnas_sim.budget import Budget
from pnas_sim.cli.folder import RunFolder
from pnas_sim.cli.options import InterruptionError
from pnas_sim.cli.output import say, strict, write_json
from pnas_sim.cli.reopening import demand_more
from pnas_sim.cli.run_result import SCHEMA, describe_run
from pnas_sim.cli.settings import RunSettings, demand_record, leave_out_gone, make_settings, read_toml
from pnas_sim.errors import PnasError, RunError, SettingError, WorkError
from pnas_sim.evaluate import BackendRequest, Evaluator
from pnas_sim.own_parts import write_command
from pnas_sim.plugins import describe_error
from pnas_sim.search.base import SearchRequest, Strategy
from pnas_sim.search.catalogue import describe_search, make_search, resolve_options
from pnas_sim.space import CellSpace
from pnas_sim.threads import default_threads, set_threads

if TYPE_CHECKING:
    from pnas_sim.engine import Progress, RunResult
    from pnas_sim.report.progress import Show

PACKAGES = ("pnas-sim", "numpy", "torch", "scikit-learn", "lightgbm", "optuna")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that can begin.

    Attributes:
        settings: with the number of threads, the evaluation seed and the search's own defaults filled in.
        evaluator: answers for cells.
        strategy: proposes them.
    """

    settings: RunSettings
    evaluator: Evaluator
    strategy: Strategy

    def record(self) -> dict[str, Any]:
        """What `run.toml` says: all that is needed to repeat the run."""
        spec = self.evaluator.spec
        return {
            "kind": "run",
            "schema": SCHEMA,
            "settings": self.settings.model_dump(exclude_none=True),
            "backend": {"name": spec.name, "checksum": spec.checksum, "settings": strict(spec.settings)},
            "versions": list_versions(),
            "machine": {"system": platform.system(), "processor": platform.machine()},
        }


@contextmanager
def prepare(settings: RunSettings) -> Iterator[Prepared]:
    """Makes everything a run needs, and nothing on the disk; closes the backend at the end.

    Raises:
        RequestError: something that was asked for cannot be had.
    """
    from pnas_sim.registry import make_backend

    threads = settings.threads or default_threads()
    set_threads(threads)
    filled = settings.model_copy(
        update={
            "threads": threads,
            "evaluation_seed": settings.seed
            if settings.evaluation_seed is None
            else settings.evaluation_seed,
            "search_options": resolve_options(settings.search, settings.search_options),
            "backend_options": make_absolute(settings.backend_options),
        }
    )
    request = BackendRequest(blocks=filled.blocks, options=filled.options_for_backend())
    with _closing(make_backend(filled.backend, request), filled.backend) as evaluator:
        _demand_epochs(filled, evaluator)
        _demand_counted(filled, evaluator)
        space = CellSpace(operations=evaluator.spec.space.operations, max_blocks=filled.blocks)
        wanted = SearchRequest(
            space=space,
            seed=filled.seed,
            fidelities=evaluator.spec.fidelities,
            chance=evaluator.spec.chance,
            options=filled.search_options,
        )
        yield Prepared(filled, evaluator, make_search(filled.search, wanted))


@contextmanager
def _closing(evaluator: Evaluator, name: str) -> Iterator[Evaluator]:
    """Closes a backend at the end; that it cannot be closed is no reason to lose what it answered."""
    try:
        yield evaluator
    finally:
        try:
            evaluator.close()
        except Exception as error:
            say(f"warning: backend {name} cannot be closed: {describe_error(error)}")


def _demand_epochs(settings: RunSettings, evaluator: Evaluator) -> None:
    """Checks that the backend has this fidelity, before a folder is made."""
    known = evaluator.spec.fidelities
    if settings.epochs is not None and known and settings.epochs not in known:
        listed = ", ".join(f"{at:g}" for at in known)
        raise SettingError(f"epochs is {settings.epochs:g}; backend {settings.backend} has {listed}")


def _demand_counted(settings: RunSettings, evaluator: Evaluator) -> None:
    """Checks that a table can count a budget of examples: one of a CSV file may not know its images."""
    spec, table = evaluator.spec, settings.backend == "table"
    if table and Budget.parse(settings.budget).examples is not None and spec.train_images == 0:
        raise SettingError(
            f"budget is {settings.budget}; the table does not know how many images were trained on, and "
            "counts no examples: give a number of models"
        )


@contextmanager
def prepare_again(
    folder: RunFolder, moved: Mapping[str, Any] | None = None, budget: str | None = None
) -> Iterator[Prepared]:
    """As `prepare`, of a run folder's own settings.

    Args:
        folder: of the run.
        moved: options of the backend that say where it works, not what it answers: device, workers, data
            and time limit may be others on another machine.
        budget: a larger one than the run was begun with.

    Raises:
        SettingError: the budget is not larger.
        RunError: there is no run in the folder, or a damaged one, or its backend answers from other data, or
            trains by another recipe, now.
    """
    if not folder.settings.exists():
        raise RunError(
            f"{folder.path} holds no run ({folder.settings.name} is not there); name a run's folder"
        )
    folder.demand_own_log()
    record = read_toml(folder.settings, "the run's")
    if record.get("kind") != "run" or record.get("schema") != SCHEMA:
        raise RunError(f"{folder.settings} is not of a run of schema {SCHEMA}; start a new one")
    demand_record(record, folder.settings)
    settings = make_settings(leave_out_gone(record["settings"]))
    if budget is not None:
        demand_more(budget, settings.budget, folder.read_result())
    options = {**settings.backend_options, **(moved or {})}
    dataset = str(options.get("dataset", ""))
    if dataset.endswith(".npz") and "data" in (moved or {}):  # recorded with its old place
        options["dataset"] = Path(dataset).name
    update = {"backend_options": options, "budget": budget or settings.budget}
    with prepare(settings.model_copy(update=update)) as prepared:
        _demand_same_data(folder, record, prepared)
        _demand_same_recipe(folder, record, prepared)
        _warn_of_versions(record)
        yield prepared


def _demand_same_data(folder: RunFolder, record: Mapping[str, Any], prepared: Prepared) -> None:
    then = record["backend"].get("checksum", "")
    now = prepared.evaluator.spec.checksum
    if then != now:
        raise RunError(
            f"{folder.path} was begun on data with checksum {then[:12] or 'none'}, which is now "
            f"{now[:12] or 'none'}; bring the old file back or start a new run"
        )


def _demand_same_recipe(folder: RunFolder, record: Mapping[str, Any], prepared: Prepared) -> None:
    """Checks that children are trained as before: another version may have other defaults."""
    then = record["backend"].get("settings", {}).get("recipe")
    now = strict(prepared.evaluator.spec.settings).get("recipe")
    if not isinstance(then, Mapping) or not isinstance(now, Mapping):
        return
    for name in sorted({*then, *now}):
        old, new = then.get(name), now.get(name)  # what is unset has no place in TOML
        if old != new:
            raise RunError(
                f"{folder.path} was begun with {name} {old}, this version trains with {new}; bring the old "
                "version back or start a new run"
            )


def _warn_of_versions(record: Mapping[str, Any]) -> None:
    """Says which versions differ: the same end is promised only for the same ones."""
    now = list_versions()
    for name, then in record.get("versions", {}).items():
        if now.get(name) != then:
            say(f"warning: the run began with {name} {then}, this is {now.get(name)}; it may end differently")


def list_versions() -> dict[str, str]:
    """Versions that a run's course may depend on, by name."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def count_cores() -> int:
    """The cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def make_absolute(options: Mapping[str, Any]) -> dict[str, Any]:
    """Backend options with the paths among them made absolute, so that a run can be resumed from anywhere."""
    return {name: _make_absolute(name, value) for name, value in options.items()}


def _make_absolute(name: str, value: Any) -> Any:
    if not isinstance(value, str) or not _is_path(name, value):
        return value
    return str(Path(value).absolute())


def _is_path(name: str, value: str) -> bool:
    """Whether an option of a backend names a file or folder that is there, and not a thing that ships."""
    if name == "table":
        from pnas_tables.catalogue import shipped_tables

        return value not in shipped_tables() and Path(value).is_file()
    return (name == "data" or (name == "dataset" and value.endswith(".npz"))) and Path(value).exists()


def execute(prepared: Prepared, folder: RunFolder, quiet: bool) -> dict[str, Any]:
    """Searches, from where the folder's log stops, and writes the result.

    Raises:
        InterruptionError: the user stopped it.
        WorkError: the disk is full.
        Exception: as a part of the run raises it, with a note that says whose it is.
    """
    from pnas_sim.report.progress import open_progress

    remedy = write_command(prepared.settings.model_dump(), "resume", str(folder.path))
    try:
        with open_progress(sys.stderr, quiet) as show:
            found = _search(prepared, folder, show)
        spec = prepared.evaluator.spec
        result = describe_run(prepared.settings, spec, prepared.strategy, found, folder.path)
        folder.finish(result)
    except KeyboardInterrupt:
        raise InterruptionError(f"interrupted; go on with: {remedy}") from None
    except sqlite3.Error as error:
        raise WorkError(f"{folder.log}: {error}; when there is room, go on with: {remedy}") from None
    except PnasError:
        raise
    except Exception as error:
        if note := _name_culprit(error, prepared.settings, remedy):
            error.add_note(note)
        raise
    return result


def _name_culprit(error: Exception, settings: RunSettings, remedy: str) -> str:
    from pnas_sim.cli.blame import name_culprit

    predictor = settings.search_options.get("predictor")
    parts = {"backend": settings.backend, "search": settings.search, "predictor": predictor}
    return name_culprit(error, parts, remedy)


def _search(prepared: Prepared, folder: RunFolder, show: Show) -> RunResult:
    from pnas_sim.engine import run_search
    from pnas_sim.report.progress import Standing
    from pnas_sim.runlog import RunLog

    settings = prepared.settings
    budget = Budget.parse(settings.budget)
    total = expect_models(prepared, budget)

    def tell(progress: Progress) -> None:
        show(Standing(progress.blocks, progress.done, total, progress.best, progress.failed))

    with RunLog(folder.log) as log:
        return run_search(
            prepared.strategy,
            prepared.evaluator,
            budget=budget,
            log=log,
            evaluation_seed=settings.evaluation_seed or 0,
            epochs=settings.epochs,
            progress=tell,
        )


def expect_models(prepared: Prepared, budget: Budget) -> int | None:
    """Models the run will evaluate, as far as its settings tell."""
    settings, space = prepared.settings, prepared.evaluator.spec.space
    if not describe_search(settings.search).progressive:
        return budget.models
    beam, first = int(settings.search_options["beam"]), len(space.initial())
    whole = first + sum(min(beam, space.count_unique(b)) for b in range(2, settings.blocks + 1))
    return whole if budget.models is None else min(whole, budget.models)


def show_result(result: Mapping[str, Any], as_json: bool) -> None:
    """Writes a run's result to standard output, as JSON or for a person.

    Raises:
        WorkError: no child could be trained, which whoever waits for the exit code has to learn.
    """
    if as_json:
        write_json(result)
    else:
        from pnas_sim.report.summary import print_run

        print_run(result)
    if result["best"] is None and result["failed"]:
        why = next((note for note in result["notes"] if "failed" in note), "every child failed")
        raise WorkError(
            f"nothing was found: {why}; mend it and go on with pnas-sim resume DIR --retry-failed, or search "
            "again into another folder"
        )
