"""Whether a table can be believed: its file, its costs, and, by training some of it again, its accuracies."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from pnas_sim.errors import SettingError, TableError
from pnas_sim.evaluate import Evaluation, Evaluator, Status
from pnas_sim.space.arrays import Integers
from pnas_tables.agreement import (
    Limits,
    Retrained,
    Verdict,
    find_limits,
    judge_run,
    judge_runs,
    score_differences,
    worst_verdict,
)
from pnas_tables.costs import find_cost_rule
from pnas_tables.extras import within_variance
from pnas_tables.figures import cells_by_blocks, core_hours, seeds_per_cell
from pnas_tables.format import read_table
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

    On the machine and versions the table was made with the accuracies are equal to the last bit. Elsewhere
    they may differ as those of two seeds do, at the accuracy they have; `pnas_tables.agreement` says by how
    much. Each result has the verdict on its run by itself: the limit is one that no run exceeds in 999 of
    1,000 honest checks of so many runs. `judge_runs` also judges all of them together, by the sum of squares,
    with a limit that 99 of 100 honest checks keep.

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
    deviation = fit_deviation(table, table.valid_accuracy)
    limits = find_limits(len(chosen), deviation.freedom)
    evaluator = make_evaluator(table)
    results = []
    try:
        for training_seed in np.unique(table.seeds[chosen]).tolist():
            runs = chosen[table.seeds[chosen] == training_seed]
            stored = dict(zip(_texts(table, runs), runs.tolist(), strict=True))
            cells = table.cells[table.run_cells[runs]]
            for answer in evaluator.evaluate(cells, float(table.epochs[-1]), training_seed):
                results.append(_compare(table, stored[answer.cell], answer, deviation, limits))
                if progress is not None:
                    progress(results[-1])
    finally:
        evaluator.close()
    return results


def _texts(table: Table, runs: Integers) -> list[str]:
    return list(table.space.format_many(table.cells[table.run_cells[runs]]))


def _compare(table: Table, run: int, answer: Evaluation, deviation: Deviation, limits: Limits) -> Retrained:
    stored, found = float(table.valid_accuracy[run]), float(answer.valid_accuracy)
    test, found_test = float(table.test_accuracy[run]), float(answer.test_accuracy)
    same_test = np.isnan(test) or np.isnan(found_test) or test == found_test
    identical = bool(found == stored and same_test and answer.status == table.status[run])
    apart = score_differences(np.array(stored), np.array(found), deviation)
    score = 0.0 if identical else float(apart)
    verdict = judge_run(score, identical, limits)
    return Retrained(answer.cell, answer.seed, stored, found, verdict, score, deviation.freedom)


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
