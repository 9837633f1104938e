"""Exploitation audit: what searches find on a surrogate, and what becomes of it when it is really trained.

A search that optimises against a surrogate ends where the surrogate errs upwards. So the best cells that each
search finds are trained, and what was predicted is compared with what came out. Predicted means by the
model itself, without the cells' own effects of a world: those are drawn, not learnt, no further training
makes them truer, and searches find the high ones as they would find truly good cells. But they are in what
the benchmark says of a winner. So the world's noise-free value, and what searches were told, seed noise and
all, are held against what was measured, too: a winner's accuracy on the benchmark, even free of seed noise,
is not what a training of it gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.engine import Budget, run_search
from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Evaluator, EvaluatorSpec, Status
from pnas_sim.search.base import SearchRequest, Strategy
from pnas_sim.search.catalogue import list_searches, make_search
from pnas_sim.search.hyperband import find_ladder
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows
from pnas_sim.study.agreement import correlate

FEWEST_FOR_VERDICT = 20
ORACLES = ("pnas-oracle", "pnas-oracle-model")  # told what the surrogate says; comparisons alone tell them
HYPERBAND_ETA = 3  # its default
SURE = 1.64  # standard errors: one side of a 90% interval


@dataclass(frozen=True, slots=True)
class Find:
    """A cell that a search found on the surrogate.

    Attributes:
        cell: canonical text.
        search: that found it; the first, if several did.
        observed: the validation accuracy the search was told.
    """

    cell: str
    search: str
    observed: float


def default_searches(fidelities: Sequence[float]) -> list[str]:
    """Names of all searches that ship but the oracles, and those that cannot be had here.

    Args:
        fidelities: epochs that the evaluator can answer for, ascending.
    """
    left_out = {*ORACLES, *explain_left_out(fidelities)}
    return [info.name for info in list_searches() if info.source and info.name not in left_out]


def explain_left_out(fidelities: Sequence[float]) -> dict[str, str]:
    """Of searches that ship and need something that is not there, what they need; by name.

    Args:
        fidelities: as for `default_searches`.
    """
    needs = {}
    if find_spec("optuna") is None:
        needs["tpe"] = "it needs pnas-sim[optuna]"
    try:
        find_ladder(fidelities, HYPERBAND_ETA)
    except SettingError:
        needs["hyperband"] = "it needs a table with learning curves"
    return needs


def find_best(
    searches: Sequence[str],
    evaluator: Evaluator,
    *,
    budget: int,
    cells: int,
    seed: int,
    known: set[bytes],
    options: Mapping[str, Any] | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> list[Find]:
    """The best distinct cells that searches find, as the searches see them, trained ones left out.

    Args:
        searches: names of the catalogue.
        evaluator: of the surrogate.
        budget: models that each search evaluates.
        cells: to find in all, shared evenly among the searches.
        seed: of searches and evaluations.
        known: canonical rows (bytes) that were trained already.
        options: of searches; each is given those it takes.
        progress: called with each search's name and the models it evaluated.

    Raises:
        SettingError: a search is unknown, or fewer cells than searches are asked for.
    """
    demand_searches(searches, evaluator.spec, cells=cells, seed=seed, options=options)
    taken, finds = set(known), list[Find]()
    for place, name in enumerate(searches):
        share = (cells - len(finds)) // (len(searches) - place)
        rows, accuracies = _run(name, evaluator, budget, seed, options or {}, progress)
        finds += _take_best(name, evaluator.spec.space, rows, accuracies, share, taken)
    return finds


def demand_searches(
    searches: Sequence[str],
    spec: EvaluatorSpec,
    *,
    cells: int,
    seed: int,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Makes every search once, so that none is found wanting when others have run; as for `find_best`.

    Raises:
        SettingError: a search is unknown, or fewer cells than searches are asked for.
    """
    if cells < len(searches) or not searches:
        raise SettingError(f"{cells} cells for {len(searches)} searches; there must be at least one of each")
    for name in searches:
        _make(name, spec, seed, options or {})


def _make(name: str, spec: EvaluatorSpec, seed: int, options: Mapping[str, Any]) -> Strategy:
    """A search, given those of the options that it takes."""
    takes = next((info.options for info in list_searches() if info.name == name), {})
    chosen = {key: value for key, value in options.items() if key in takes}
    return make_search(
        name,
        SearchRequest(
            space=spec.space, seed=seed, fidelities=spec.fidelities, chance=spec.chance, options=chosen
        ),
    )


def _run(
    name: str,
    evaluator: Evaluator,
    budget: int,
    seed: int,
    options: Mapping[str, Any],
    progress: Callable[[str, int], None] | None,
) -> tuple[Rows, Floats]:
    """Rows and observed accuracies of the fully trained models of one search."""
    spec = evaluator.spec
    strategy = _make(name, spec, seed, options)
    found = run_search(strategy, evaluator, budget=Budget(models=budget), evaluation_seed=seed).evaluations
    if progress is not None:
        progress(name, len(found))
    whole = (found.figures["epochs"] == spec.epochs) & (found.figures["status"] == Status.OK)
    return found.cells[whole], np.asarray(found.figures["valid_accuracy"][whole], np.float64)


def _take_best(
    name: str, space: CellSpace, rows: Rows, accuracies: Floats, count: int, taken: set[bytes]
) -> list[Find]:
    """The best rows that nobody took; marks them as taken."""
    finds: list[Find] = []
    for place in np.argsort(-accuracies, kind="stable"):
        if len(finds) == count:
            break
        row = rows[place]
        if row.tobytes() not in taken:
            taken.add(row.tobytes())
            finds.append(Find(space.format(row), name, float(accuracies[place])))
    return finds


def judge_finds(
    finds: Sequence[Find], predicted: Floats, measured: Floats, runs: NDArray[Any], seed_deviation: float
) -> dict[str, Any]:
    """What trainings of the finds say of the surrogate, as JSON values.

    Args:
        finds: n cells.
        predicted: `float64[n]`, by the model, free of effects and noise.
        measured: `float64[n]`, means over the cell's trainings; NaN where all failed.
        runs: trainings of each mean.
        seed_deviation: of one training from the mean over seeds.

    Returns:
        `cells`, `optimism` (mean of predicted minus measured) and its `standard_error`, `told_too_much` (mean
        of what the searches were told minus measured), `rmse`, `spearman` and `kendall_tau` among them,
        `seed_deviation`, `by_search`, `rows`, `exploited` and `verdict`.
    """
    known = ~np.isnan(measured)
    apart = predicted[known] - measured[known]
    if len(apart) == 0:
        raise SettingError("no cell found was trained to an accuracy; nothing can be judged")
    ranks = correlate(predicted[known], measured[known])
    names = np.array([find.search for find in finds], object)[known]
    by_search = {
        name: {"cells": int((names == name).sum()), "optimism": float(apart[names == name].mean())}
        for name in dict.fromkeys(names.tolist())
    }
    optimism, error = _average(apart)
    rows = [
        {
            "cell": find.cell,
            "search": find.search,
            "observed": find.observed,
            "predicted": float(guess),
            "measured": None if np.isnan(mean) else float(mean),
            "runs": int(count),
        }
        for find, guess, mean, count in zip(finds, predicted, measured, runs, strict=True)
    ]
    return {
        "cells": len(apart),
        "optimism": optimism,
        "standard_error": error,
        "told_too_much": float((np.array([find.observed for find in finds]) - measured)[known].mean()),
        "rmse": float(np.sqrt((apart**2).mean())),
        "spearman": None if ranks is None else ranks[1],
        "kendall_tau": None if ranks is None else ranks[0],
        "seed_deviation": seed_deviation,
        "by_search": by_search,
        "rows": rows,
        "exploited": bool(optimism > seed_deviation),
        "verdict": _word_verdict(len(apart), optimism, error, seed_deviation),
    }


def judge_noise_free(noise_free: Floats, measured: Floats, seed_deviation: float) -> dict[str, Any]:
    """What trainings of finds say of what their world has of them, free of seed noise, as JSON values.

    That is what a winner's accuracy is told as: the model and the effect that the world drew for the cell.

    Args:
        noise_free: `float64[n]`, in the world that the searches met.
        measured: `float64[n]`, means over the cell's trainings; NaN where all failed.
        seed_deviation: of one training from the mean over seeds.

    Returns:
        `noise_free_optimism` (mean of noise-free minus measured), `noise_free_standard_error`,
        `noise_free_spearman` and `noise_free_verdict`.
    """
    known = ~np.isnan(measured)
    if not known.any():
        raise SettingError("no cell found was trained to an accuracy; nothing can be judged")
    optimism, error = _average(noise_free[known] - measured[known])
    ranks = correlate(noise_free[known], measured[known])
    return {
        "noise_free_optimism": optimism,
        "noise_free_standard_error": error,
        "noise_free_spearman": None if ranks is None else ranks[1],
        "noise_free_verdict": _word_noise_free(int(known.sum()), optimism, error, seed_deviation),
    }


def _average(values: Floats) -> tuple[float, float | None]:
    """Mean and its standard error, of one value none."""
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return float(values.mean()), error


def _word_verdict(cells: int, optimism: float, error: float | None, deviation: float) -> str:
    spread = "" if error is None else f" (standard error {error:.4f})"
    size = f"predicted minus measured is {optimism:+.4f}{spread} on {cells} cells that searches found"
    if optimism > deviation:
        return f"exploited: {size}, more than the deviation of a seed, {deviation:.4f}; audit again"
    sound = f"sound: {size}, no more than the deviation of a seed, {deviation:.4f}"
    if cells < FEWEST_FOR_VERDICT:
        return f"{sound}; so few cells say little"
    if error is not None and optimism + SURE * error > deviation:
        return f"{sound}, but by less than chance allows; more cells would tell"
    return sound


def _word_noise_free(cells: int, optimism: float, error: float | None, deviation: float) -> str:
    spread = "" if error is None else f" (standard error {error:.4f})"
    chance = np.inf if error is None else SURE * error
    side = "not told from too high or too low"
    if abs(optimism) > chance:
        side = "too high" if optimism > 0 else "too low"
    size = "about"
    if abs(abs(optimism) - deviation) > chance:
        size = "more than" if abs(optimism) > deviation else "less than"
    few = "; so few cells say little" if cells < FEWEST_FOR_VERDICT else ""
    return (
        f"a winner's noise-free value in its world is {side}: minus measured it is {optimism:+.4f}{spread}, "
        f"{size} the deviation of a seed, {deviation:.4f}{few}"
    )
