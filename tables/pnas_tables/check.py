"""Whether a table can be believed: its file, its costs, and, by training some of it again, its accuracies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from pnas_sim.errors import SettingError, TableError
from pnas_sim.evaluate import Evaluation, Evaluator, Status
from pnas_sim.space.arrays import Floats, Integers
from pnas_tables.agreement import (
    TEST,
    VALID,
    Difference,
    Limits,
    Retrained,
    Verdict,
    judge_run,
    judge_runs,
    list_figures,
    name_checkpoint,
    score_differences,
    share_limits,
    worst_verdict,
)
from pnas_tables.costs import find_cost_rule
from pnas_tables.extras import within_variance
from pnas_tables.figures import cells_by_blocks, core_hours, seeds_per_cell
from pnas_tables.format import read_table
from pnas_tables.images import find_images
from pnas_tables.record import StoredSurrogate, Table, checksum
from pnas_tables.seeds import Deviation, fit_deviation
from pnas_tables.surrogate import DEFAULT_SURROGATE, Surrogate

__all__ = ["Retrained", "Verdict", "check_table", "describe_table", "judge_runs", "retrain", "worst_verdict"]


def check_table(path: Path) -> Table:
    """Reads a table with all its rules and its checksum, counts its networks again, and asks its surrogates.

    Raises:
        TableError: one line on the first thing that is wrong.
    """
    table = read_table(path)
    rule = find_cost_rule(table.recipe)
    if rule is not None and len(table):
        parameters, multiply_adds = rule(table.space.operations, table.cells)
        _demand_counts(path, table, "parameters", parameters)
        _demand_counts(path, table, "multiply_adds", multiply_adds)
    for name in table.surrogates:
        _demand_readable(path, table, name)
    return table


def _demand_readable(path: Path, table: Table, name: str) -> None:
    """Reads every world of a surrogate and asks it for one cell."""
    try:
        worlds = Surrogate.from_table(table, name).worlds
        for world in range(worlds):
            found = Surrogate.from_table(table, name, world).predict_curves(table.cells[:1])
            if not np.all((found >= 0) & (found <= 1)):
                raise TableError(f"world {world} answers {found.ravel().tolist()}, which are no accuracies")
    except TableError as error:
        raise TableError(f"table {path}: surrogate {name!r}: {error}") from None
    except Exception as error:  # whatever arrays and settings that do not fit come to
        what = f"{type(error).__name__}: {error}"
        raise TableError(f"table {path}: surrogate {name!r} is damaged ({what}); fit it again") from error


def _demand_counts(path: Path, table: Table, name: str, counted: Integers) -> None:
    stored: Integers = getattr(table, name)
    wrong = (stored != -1) & (stored != counted)
    if wrong.any():
        row = int(np.argmax(wrong))
        text = table.space.format(table.cells[row])
        raise TableError(f"table {path}: {name} of {text} is {stored[row]}; counted are {counted[row]}")


def retrain(
    table: Table,
    count: int,
    seed: int,
    make_evaluator: Callable[[Table], Evaluator],
    progress: Callable[[Retrained], None] | None = None,
) -> list[Retrained]:
    """Trains random runs again from the stored recipe and seed, and compares.

    On the machine and versions the table was made with all that it knows of a run, accuracies on validation
    and test images and at each checkpoint, is equal to the last bit. Elsewhere they may differ as those of
    two seeds do, at the accuracy they have; `pnas_tables.agreement` says by how much. Each result has the
    verdict on its run by itself: the limits are such that no run exceeds one in 999 of 1,000 honest checks of
    so many runs. `judge_runs` also judges all of them together, by sums of squares, with limits that 99 of
    100 honest checks keep.

    Args:
        table: the table.
        count: runs to train; all that did not fail, if there are fewer.
        seed: of the choice of runs.
        make_evaluator: makes a trainer of the table's recipe; closed at the end.
        progress: called after each run.

    Raises:
        SettingError: count is below 1.
        TableError: the table has no run that did not fail, or cannot be trained again.
    """
    if count < 1:
        raise SettingError(f"{count} runs asked for; at least 1 must be trained again")
    trained = np.flatnonzero(table.status != Status.FAILED)
    if len(trained) == 0:
        raise TableError(f"table {table.name} has no run that could be trained again")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(trained, min(count, len(trained)), replace=False))
    standard = _Standard.of(table, chosen)
    evaluator = make_evaluator(table)
    results = []
    try:
        for training_seed in np.unique(table.seeds[chosen]).tolist():
            runs = chosen[table.seeds[chosen] == training_seed]
            stored = dict(zip(_texts(table, runs), runs.tolist(), strict=True))
            cells = table.cells[table.run_cells[runs]]
            for answer in evaluator.evaluate(cells, float(table.epochs[-1]), training_seed):
                results.append(standard.compare(stored[answer.cell], answer))
                if progress is not None:
                    progress(results[-1])
    finally:
        evaluator.close()
    return results


def _texts(table: Table, runs: Integers) -> list[str]:
    return list(table.space.format_many(table.cells[table.run_cells[runs]]))


@dataclass(frozen=True, slots=True)
class _Standard:
    """What runs are compared with: the table, and how far each figure of it may be off."""

    table: Table
    figures: dict[str, Floats]
    deviations: dict[str, Deviation]
    limits: dict[str, Limits]

    @classmethod
    def of(cls, table: Table, runs: Integers) -> _Standard:
        """For a check of these runs: of figures that the table knows of one of them at least."""
        figures = {name: values for name, values in list_figures(table).items() if _count(values[runs])}
        deviations = {name: fit_deviation(table, values) for name, values in figures.items()}
        limits = {
            name: share_limits(_count(values[runs]), deviations[name].freedom, len(figures))
            for name, values in figures.items()
        }
        return cls(table, figures, deviations, limits)

    def compare(self, run: int, answer: Evaluation) -> Retrained:
        """A run of the table with what was found now."""
        now = _find_figures(answer, self.table.epochs.tolist())
        known = (name for name, values in self.figures.items() if not np.isnan(values[run]))
        differences = [self._compare_figure(name, run, now.get(name, nan)) for name in known]
        stored = Status(self.table.status[run])
        same = stored == answer.status
        words = (stored.name, answer.status.name)
        status = words[0] if same else ", now ".join(words)
        verdict = judge_run(differences, self.limits, same)
        return Retrained(answer.cell, answer.seed, verdict, tuple(differences), status.lower())

    def _compare_figure(self, name: str, run: int, found: float) -> Difference:
        stored, deviation = float(self.figures[name][run]), self.deviations[name]
        apart = score_differences(np.array(stored), np.array(found), deviation)
        score = 0.0 if found == stored else float(apart)
        return Difference(name, stored, found, score, deviation.freedom)


def _count(values: Floats) -> int:
    """How many values are known."""
    return int((~np.isnan(values)).sum())


def _find_figures(answer: Evaluation, epochs: Sequence[float]) -> dict[str, float]:
    """What was found, by the names of `list_figures`."""
    known = {round(at, 9): accuracy for at, accuracy in answer.curve}
    curve = {name_checkpoint(at): float(known.get(round(at, 9), nan)) for at in epochs}
    return {VALID: float(answer.valid_accuracy), TEST: float(answer.test_accuracy), **curve}


def describe_table(table: Table) -> dict[str, Any]:
    """What `pnas-sim table info` tells, as JSON values."""
    quality = {name: table.surrogates[name].metadata.get("quality") for name in sorted(table.surrogates)}
    variance = within_variance(table, table.valid_accuracy)
    return {
        "name": table.name,
        "space": {"operations": list(table.space.operations), "max_blocks": table.space.max_blocks},
        "recipe": dict(table.recipe),
        "cells": len(table),
        "cells_by_blocks": {str(size): count for size, count in cells_by_blocks(table).items()},
        "origins": {word: table.origins.count(word) for word in sorted(set(table.origins))},
        "runs": len(table.seeds),
        "seeds_per_cell": {str(runs): count for runs, count in seeds_per_cell(table).items()},
        "failed": int((table.status == Status.FAILED).sum()),
        "diverged": int((table.status == Status.DIVERGED).sum()),
        "seed_deviation": None if variance is None else sqrt(variance),
        "checkpoints": table.epochs.tolist(),
        "core_hours": core_hours(table),
        "closed": table.closed,
        "licence": table.licence,
        "checksum": checksum(table),
        "images_checksum": find_images(table) or None,
        "provenance": [dict(entry) for entry in table.provenance],
        "surrogate": quality.get(DEFAULT_SURROGATE, next(iter(quality.values()), None)),
        "surrogates": sorted(table.surrogates),
        "worlds": {name: _count_worlds(stored) for name, stored in sorted(table.surrogates.items())},
        "quality": quality,
    }


def _count_worlds(stored: StoredSurrogate) -> int | None:
    """How many worlds a surrogate has; None if it is of a kind that does not say."""
    settings = stored.metadata.get("settings")
    return settings.get("worlds") if isinstance(settings, dict) else None
