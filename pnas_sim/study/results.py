"""A comparison as one JSON object: what `--json` prints, `result.json` holds and pictures are drawn from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pnas_sim.files import hide_folders
from pnas_sim.space import CellSpace
from pnas_sim.study.analysis import Duel, Final, LogScore, Ranking
from pnas_sim.study.compare import Comparison
from pnas_sim.study.curves import View
from pnas_sim.study.finished import FinishedRun
from pnas_sim.study.lines import Line
from pnas_sim.study.notes import list_notes
from pnas_sim.study.resampling import Censored, Estimate
from pnas_sim.study.targets import Regret, TargetReach, find_best_known

SCHEMA = 1
DIGITS = 6  # of numbers in curves


def describe_comparison(comparison: Comparison, versions: Mapping[str, str], out: str) -> dict[str, Any]:
    """The whole object, of values that JSON has; null where a number is unknown or unbounded.

    Args:
        comparison: finished.
        versions: of what its course depends on, by name.
        out: the comparison's folder.
    """
    analysis, settings = comparison.analysis, comparison.prepared.settings
    return {
        "kind": "comparison",
        "schema": SCHEMA,
        "searches": [_describe_search(comparison, label) for label in comparison.grid.labels],
        "references": list(analysis.references),
        "kinds": [str(kind) for kind in analysis.kinds],
        "tops": list(settings.tops),
        "efficiency": [_describe_duel(duel) for duel in analysis.duels],
        "log_efficiency": [_describe_score(score) for score in analysis.scores],
        "targets": [_describe_reach(reach) for reach in analysis.reaches],
        "regret": [_describe_regret(regret) for regret in analysis.regrets],
        "best_known": _describe_best_known(comparison),
        "rank_tests": [_describe_ranking(ranking) for ranking in analysis.rankings],
        "budget": settings.budget,
        "table": _describe_table(comparison),
        "notes": list_notes(comparison),
        "manifest": _describe_manifest(comparison, versions),
        "out": out,
    }


def _describe_search(comparison: Comparison, label: str) -> dict[str, Any]:
    prepared, runs = comparison.prepared, comparison.grid.runs[label]
    choice = prepared.settings.searches[label]
    return {
        "label": label,
        "search": choice.search,
        "options": dict(prepared.options[label]),
        "tuning": choice.tuning,
        "seeds": list(comparison.grid.seeds),
        "worlds": list(comparison.grid.worlds),
        "runs": [_describe_run(comparison, run) for run in runs],
        "final": [_describe_final(final) for final in comparison.analysis.finals if final.search == label],
        "curves": [_describe_line(line) for line in comparison.analysis.lines if line.search == label],
    }


def _write_cell(comparison: Comparison, run: FinishedRun, model: int) -> str:
    spec, blocks = comparison.prepared.spec, comparison.prepared.settings.blocks
    space = CellSpace(operations=spec.space.operations, max_blocks=blocks)
    return space.format(space.fit_width(run.cells[model : model + 1])[0])


def _describe_run(comparison: Comparison, run: FinishedRun) -> dict[str, Any]:
    facts, values = run.facts, run.values
    best = int(np.nanargmax(values)) if not np.isnan(values).all() else None
    return {
        "world": facts.world,
        "seed": facts.seed,
        "run_seed": facts.place.run_seed,
        "models_evaluated": len(run),
        "proposals": facts.proposals,
        "repeats": facts.repeats,
        "failed": facts.failed,
        "examples": float(run.examples.sum()),
        "child_seconds": float(run.seconds.sum()),
        "seconds": facts.seconds,
        "stopped": facts.stopped,
        "policy_entropy": None if facts.last_entropy is None else [facts.first_entropy, facts.last_entropy],
        "best_cell": None if best is None else _write_cell(comparison, run, best),
        "best_valid_accuracy": None if best is None else known(values[best]),
        "best_expected_valid_accuracy": None if best is None else known(run.expected[best]),
        "best_blocks": None if best is None else int(run.blocks[best]),
    }


def _describe_view(view: View) -> dict[str, Any]:
    return {"top": view.top, "counting": str(view.counting), "kind": str(view.kind)}


def _describe_final(final: Final) -> dict[str, Any]:
    return {
        **_describe_view(final.view),
        "end": describe_estimate(final.end),
        "equal_models": describe_estimate(final.equal),
        "in_runs": [known(value) for value in final.in_runs],
    }


def _describe_line(line: Line) -> dict[str, Any]:
    return {
        **_describe_view(line.view),
        "axis": str(line.axis),
        "at": _round(line.at),
        "mean": _round(line.mean),
        "low": _round(line.low),
        "high": _round(line.high),
    }


def _round(values: Sequence[float] | Any) -> list[float | None]:
    return [known(round(float(value), DIGITS)) for value in values]


def _describe_duel(duel: Duel) -> dict[str, Any]:
    found = duel.efficiency
    return {
        "reference": duel.reference,
        "search": duel.search,
        **_describe_view(duel.view),
        "accuracy": describe_estimate(found.accuracy),
        "reference_models": found.own_models,
        "reference_first_crossing": describe_estimate(found.own_first),
        "models_needed": describe_censored(found.needed),
        "models_needed_for_good": describe_censored(found.needed_for_good),
        "models_needed_median_run": describe_censored(found.needed_in_runs),
        "share_of_runs_reached": known(found.reached_in_runs),
        "speed_up_models": describe_censored(found.speed_up_models),
        "speed_up_examples": {
            str(account): describe_censored(figure) for account, figure in found.speed_up_examples.items()
        },
        "difference_at_reference_models": describe_estimate(found.difference),
        "difference_at_end": describe_estimate(found.difference_at_end),
    }


def _describe_score(score: LogScore) -> dict[str, Any]:
    return {
        "reference": score.reference,
        "search": score.search,
        **_describe_view(score.view),
        "models": score.models,
        "log_efficiency": known(score.score),
    }


def _describe_reach(reach: TargetReach) -> dict[str, Any]:
    return {
        "search": reach.search,
        "target": reach.target,
        "kind": str(reach.kind),
        "threshold": known(reach.threshold),
        "models_median_run": describe_censored(reach.models),
        "share_of_runs_reached": known(reach.reached),
    }


def _describe_regret(regret: Regret) -> dict[str, Any]:
    return {
        "search": regret.search,
        "kind": str(regret.kind),
        "at": regret.at,
        "regret": describe_estimate(regret.regret),
    }


def _describe_best_known(comparison: Comparison) -> list[dict[str, Any]]:
    """What regret is counted from, and who found it."""
    rows = []
    for found in find_best_known(comparison.grid, list(comparison.landmarks.values())):
        cell: str | None = comparison.landmarks[found.world].local_cell
        if found.found_by:
            runs = comparison.grid.runs[found.found_by]
            place = (found.world, found.seed)
            run = next(run for run in runs if (run.facts.world, run.facts.seed) == place)
            cell = _write_cell(comparison, run, found.model)
        finder = found.found_by or comparison.landmarks[found.world].finder
        rows.append({"world": found.world, "accuracy": found.value, "found_by": finder, "cell": cell})
    return rows


def _describe_ranking(ranking: Ranking) -> dict[str, Any]:
    test = ranking.test
    return {
        **_describe_view(ranking.view),
        "at": ranking.at,
        "unit": ranking.unit,
        "first": test.first,
        "second": test.second,
        "median_difference": known(test.difference),
        "share_won_by_first": known(test.wins),
        "pairs": test.pairs,
        "p_value": known(test.p_value),
        "p_value_holm": known(test.holm),
    }


def _describe_table(comparison: Comparison) -> dict[str, Any]:
    spec = comparison.prepared.spec
    settings = {name: value for name, value in spec.settings.items() if name != "world"}
    return {
        "backend": spec.name,
        "checksum": spec.checksum,
        "settings": settings,
        "epochs": comparison.prepared.settings.epochs or spec.epochs,
        "train_images": spec.train_images,
        "operations": list(spec.space.operations),
        "blocks": comparison.prepared.settings.blocks,
        "landmarks": [mark.as_json() for mark in comparison.landmarks.values()],
    }


def _describe_manifest(comparison: Comparison, versions: Mapping[str, str]) -> dict[str, Any]:
    settings, grid = comparison.prepared.settings, comparison.grid
    everything = [run for runs in grid.runs.values() for run in runs]
    return {
        "settings": {
            **settings.model_dump(mode="json"),
            "backend_options": hide_folders(settings.backend_options),
        },
        "tuning_trials": {label: choice.tuning for label, choice in settings.searches.items()},
        "seeds": list(grid.seeds),
        "worlds": list(grid.worlds),
        "runs": len(everything),
        "models_evaluated": sum(len(run) for run in everything),
        "proposals": sum(run.facts.proposals for run in everything),
        "failed": sum(run.facts.failed for run in everything),
        "data_checksum": comparison.prepared.spec.checksum,
        "fingerprints": {label: runs[0].facts.fingerprint for label, runs in grid.runs.items()},
        "reranking": {
            "models": comparison.prepared.costs.reranking.models,
            "factor": comparison.prepared.costs.reranking.factor,
            "examples_each": comparison.prepared.costs.full,
        },
        "confidence": settings.confidence,
        "resamples": comparison.analysis.resamples,
        "versions": dict(versions),
    }


def describe_estimate(found: Estimate) -> dict[str, Any]:
    """A figure and its interval; null where there is none."""
    return {"value": known(found.value), "low": known(found.low), "high": known(found.high)}


def describe_censored(found: Censored) -> dict[str, Any]:
    """A right-censored figure.

    `value` is null where it was not reached, `high` where it is not bounded; `low` holds whatever happens.
    """
    return {
        "value": known(found.value),
        "low": known(found.low),
        "high": known(found.high),
        "reached": known(found.reached),
        "bound": known(found.bound),
    }


def known(value: float) -> float | None:
    """The number, or None where JSON has none."""
    return float(value) if math.isfinite(value) else None
