"""The rounds of `pnas-sim table audit`: search, train what was found, compare, add, fit again.

Everything lies in one folder and nothing is done twice: after a kill the same command goes on with the step
it was at, and with the child it was at within a training.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pnas_backends.table import SurrogateBackend
from pnas_sim.cli.audit_worlds import add_noise_free, find_world
from pnas_sim.cli.folder import make_folder
from pnas_sim.errors import RunError
from pnas_sim.evaluate import Evaluator
from pnas_sim.study.audit import Find, demand_searches, find_best, judge_finds
from pnas_tables.build import build_table, list_missing
from pnas_tables.families import FitSettings, find_kind
from pnas_tables.figures import mean_by_cell
from pnas_tables.format import read_table, write_file, write_table
from pnas_tables.index import RowIndex
from pnas_tables.journal import TableHead
from pnas_tables.merge import merge_tables
from pnas_tables.plans import Jobs
from pnas_tables.provenance import describe_machine
from pnas_tables.record import Table, data_checksum
from pnas_tables.sample import SEALED_SEARCH, SEARCH
from pnas_tables.surrogate import Surrogate, fit_surrogate

DAMAGED = (OSError, ValueError, TypeError, RecursionError)  # what reading a file of JSON then raises


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """What an audit does.

    Attributes:
        searches: names of the catalogue.
        budget: models that each evaluates on the surrogate.
        cells: trained in each round, in all.
        seeds: trainings of each.
        rounds: at least so many.
        most_rounds: at most so many, however the verdict reads.
        surrogate: which of the table's.
        world: of the surrogate, in the first round; later rounds take the next ones.
        seed: of searches; each round adds one.
    """

    searches: tuple[str, ...]
    budget: int = 1160
    cells: int = 40
    seeds: int = 2
    rounds: int = 2
    most_rounds: int = 4
    surrogate: str = "lightgbm"
    world: int = 0
    seed: int = 0


Say = Callable[[str], None]


def run_audit(
    table: Table,
    settings: AuditSettings,
    folder: Path,
    make_evaluator: Callable[[Table], Evaluator],
    options: dict[str, Any] | None = None,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Runs or goes on with an audit; returns its reports as JSON values.

    The last round's cells are not fitted: `audited.h5` holds them sealed, beside all that was fitted.

    Args:
        table: with the surrogate that is audited.
        settings: of the audit.
        folder: where everything is kept.
        make_evaluator: makes the trainer of the table's recipe.
        options: of searches.
        say: told what is being done.

    Raises:
        RunError: the folder holds another audit, or a damaged one, or cannot be made.
        RequestError: something that was asked for cannot be had; nothing was begun.
    """
    record = folder / "settings.json"
    if not record.exists():
        _demand_possible(table, settings, options or {}, make_evaluator)
        make_folder(folder)
    _demand_same(record, {**asdict(settings), "options": options or {}}, table)
    reports: list[dict[str, Any]] = []
    base = table
    while not _is_finished(reports, settings):
        step = _Round(folder, len(reports) + 1, base, settings, make_evaluator, options or {}, say)
        reports.append(step.run())
        say(f"round {step.number}: {reports[-1]['verdict']}; {reports[-1]['noise_free_verdict']}")
        last = _is_finished(reports, settings)
        base = step.add_trained("audited.h5" if last else f"round-{step.number + 1}.h5", sealed=last)
    listed = asdict(settings) | {"searches": list(settings.searches)}
    about = {"table": table.name, "cells": len(table), "data": data_checksum(table)}
    answer = {**about, "settings": listed, "rounds": reports}
    _write_json(folder / "audit.json", answer)
    return answer


def _is_finished(reports: list[dict[str, Any]], settings: AuditSettings) -> bool:
    if len(reports) < settings.rounds:
        return False
    return not reports[-1]["exploited"] or len(reports) >= settings.most_rounds


def _demand_possible(
    table: Table,
    settings: AuditSettings,
    options: dict[str, Any],
    make_evaluator: Callable[[Table], Evaluator],
) -> None:
    """Checks surrogate, searches, data and device before the folder is bound to these settings.

    Raises:
        RequestError: one of them cannot be had.
    """
    backend = _open_backend(table, settings.surrogate, settings.world)
    demand_searches(
        settings.searches, backend.spec, cells=settings.cells, seed=settings.seed, options=options
    )
    make_evaluator(table).close()


def _open_backend(table: Table, surrogate: str, world: int) -> SurrogateBackend:
    """The surrogate as a backend, of cells as large as both the table and it hold."""
    blocks = min(table.space.max_blocks, Surrogate.from_table(table, surrogate).largest)
    return SurrogateBackend(table, blocks, table.name, surrogate=surrogate, world=world)


def _demand_same(path: Path, settings: dict[str, Any], table: Table) -> None:
    wanted = json.loads(json.dumps({**settings, "data": data_checksum(table)}))
    if not path.exists():
        _write_json(path, wanted)
        return
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except DAMAGED:
        stored = None
    if not isinstance(stored, dict):
        raise RunError(
            f"{path} is damaged, or something else; bring a whole copy of the folder, or give another --out"
        )
    differing = sorted(key for key in {*stored, *wanted} if stored.get(key) != wanted.get(key))
    if differing:
        key = differing[0]
        there, here = stored.get(key), wanted.get(key)
        raise RunError(
            f"{path.parent} holds another audit: {key} is {there} there and {here} here; give another --out"
        )


@dataclass(frozen=True, slots=True)
class _Round:
    folder: Path
    number: int
    base: Table
    settings: AuditSettings
    make_evaluator: Callable[[Table], Evaluator]
    options: dict[str, Any]
    say: Say

    def run(self) -> dict[str, Any]:
        """Searches, trains and compares, as far as that was not done; returns the report."""
        finds = self._find()
        trained = self._train(finds)
        report = {"round": self.number, **self._judge(finds, trained)}
        _write_json(self.folder / f"round-{self.number}.json", report)
        return report

    def _find(self) -> list[Find]:
        path = self.folder / f"round-{self.number}-finds.json"
        if path.exists():
            return _read_finds(path)
        settings = self.settings
        backend = _open_backend(self.base, settings.surrogate, self._world())
        finds = find_best(
            settings.searches,
            backend,
            budget=settings.budget,
            cells=settings.cells,
            seed=settings.seed + self.number - 1,
            known=set(backend.spec.space.list_keys(self._known(backend.spec.space.max_blocks))),
            options=self.options,
            progress=lambda name, models: self.say(f"round {self.number}: {name}: {models} models"),
        )
        _write_json(path, [asdict(find) for find in finds])
        return finds

    def _known(self, blocks: int) -> Any:
        """Trained cells as rows of the space that is searched."""
        from pnas_sim.space import CellSpace

        space = CellSpace(operations=self.base.space.operations, max_blocks=blocks)
        return space.fit_width(self.base.cells[self.base.space.block_counts(self.base.cells) <= blocks])

    def _surrogate(self) -> Surrogate:
        return Surrogate.from_table(self.base, self.settings.surrogate)

    def _world(self) -> int:
        return find_world(self.settings.world, self.number, self._surrogate().worlds)

    def _train(self, finds: list[Find]) -> Table:
        table = self.base
        head = TableHead(
            name=table.name,
            space=table.space,
            recipe=table.recipe,
            licence=table.licence,
            train_images=table.train_images,
            chance=table.chance,
            epochs=tuple(table.epochs.tolist()),
        )
        rows = table.space.canonical(table.space.parse_many([find.cell for find in finds]))
        jobs = Jobs.cross(rows, self.settings.seeds, SEARCH)
        path = self.folder / f"round-{self.number}-trained.h5"
        if path.exists() and not len(list_missing(jobs, read_table(path))):
            return read_table(path)
        with closing(self.make_evaluator(table)) as evaluator:
            return build_table(
                jobs,
                head,
                path,
                evaluator,
                provenance=describe_machine(f"pnas-sim table audit, round {self.number}"),
                progress=lambda step: self.say(
                    f"round {self.number}: {step.done}/{step.total} {step.evaluation.cell}: "
                    f"{step.evaluation.valid_accuracy:.4f}"
                ),
            )

    def _judge(self, finds: list[Find], trained: Table) -> dict[str, Any]:
        rows = trained.space.parse_many([find.cell for find in finds])
        places = RowIndex(trained.cells).find(rows)
        measured = mean_by_cell(trained, trained.valid_accuracy)[places]
        runs = np.bincount(trained.run_cells, minlength=len(trained))[places]
        surrogate = self._surrogate()
        deviation = surrogate.noise.valid[-1]
        level = float(np.nanmean(measured))
        at = float(deviation.at(np.array(level)))
        report = judge_finds(finds, surrogate.predict_mean(rows), measured, runs, at)
        return add_noise_free(report, self.base, self.settings.surrogate, self._world())

    def add_trained(self, name: str, sealed: bool) -> Table:
        """The table with the round's cells, fitted again; the last round's are sealed, in their file too."""
        path, own = self.folder / name, self.folder / f"round-{self.number}-trained.h5"
        if path.exists():
            return read_table(path)
        trained = read_table(own)
        trained = replace(trained, origins=(SEALED_SEARCH if sealed else SEARCH,) * len(trained))
        write_table(own, trained)  # whoever merges it elsewhere must not fit on sealed cells
        joined = merge_tables([replace(self.base, surrogates={}), trained], self.base.name)
        for surrogate, stored in self.base.surrogates.items():
            self.say(f"round {self.number}: fitting {surrogate} again")
            joined = fit_surrogate(joined, surrogate, *_how_fitted(stored.metadata))
        write_table(path, joined)
        return joined


def _read_finds(path: Path) -> list[Find]:
    """What searches of a round found; they would find it again.

    Raises:
        RunError: the file is damaged.
    """
    try:
        finds = [Find(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except DAMAGED:
        finds = []
    known = all(
        isinstance(one.cell, str) and isinstance(one.search, str) and isinstance(one.observed, int | float)
        for one in finds
    )
    if not finds or not known:
        raise RunError(f"{path} is damaged; remove it and give the same command again")
    return finds


def _how_fitted(about: Any) -> tuple[int, FitSettings, str, Any]:
    """Seed, settings, family and tuning of a stored surrogate."""
    family = find_kind(about["kind"]).name
    return int(about["seed"]), FitSettings.from_json(about["settings"]), family, about["tuning"]


def _write_json(path: Path, value: Any) -> None:
    write_file(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode("utf-8"))


def list_lines(answer: dict[str, Any]) -> Iterator[str]:
    """An audit's reports for a person, one line each."""
    for report in answer["rounds"]:
        yield f"round {report['round']}: {report['verdict']}"
        rho = "-" if report["spearman"] is None else f"{report['spearman']:.2f}"
        yield f"  {report['noise_free_verdict']}"
        yield f"  Spearman among them {rho}, RMSE {report['rmse']:.4f}"
        told = f"{report['told_too_much']:+.4f}"
        yield f"  what searches were told, with the world's effects and noise, minus measured {told}"
        for name, row in report["by_search"].items():
            yield f"  {name}: {row['cells']} cells, predicted minus measured {row['optimism']:+.4f}"
