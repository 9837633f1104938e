"""A comparison as tidy tables: a row for each figure, and the course of each run for figures of one's own."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pnas_sim.study.curves import Counting, TopCurve
from pnas_sim.study.finished import FinishedRun
from pnas_sim.study.grid import RunGrid
from pnas_sim.study.lines import MOST_POINTS, choose_points

DIGITS = 6  # of accuracies in courses
COLUMNS: Mapping[str, str] = {
    "measure": "what the figure is; see MEASURES",
    "search": "label of the search",
    "reference": "label of the search it is measured against, or of the other one of a test; else empty",
    "top": "M: the figure is of the mean over the M best cells",
    "counting": "paper (a growing search: top M of its last level) or symmetrical (top M of all visited)",
    "kind": "observed (with seed noise) or expected (noise-free value of the cells chosen by observation)",
    "account": "who pays for reranking, of examples: paper (reinforcement learning), none or both",
    "at": "equal (after the first reference's number of models), end, or the name of a target",
    "unit": "what is paired in a test: run or world",
    "world": "of a single run; else empty",
    "seed": "which repetition in that world, of a single run; else empty. `pnas-sim run --world W --seed N`, "
    "N being 1000000 x world + seed, makes that run again",
    "value": "the figure, in the unit that MEASURES says; empty: not reached (right-censored) or unknown. "
    "Accuracies and their differences are shares: 0.01 is one point of per cent",
    "low": "lower end of its interval; where value is empty, at least this",
    "high": "upper end of its interval; empty: unbounded, or no interval",
    "reached": "share of bootstrap resamples in which it was reached, of figures that may be censored",
    "bound": "nothing above it could have been observed, of figures that may be censored",
    "runs": "runs (or pairs of a test) that the figure is from",
}

MEASURES: Mapping[str, str] = {
    "run_final": "accuracy, mean over the top M at the end of one run",
    "final": "accuracy, mean over the top M, over runs",
    "models": "models evaluated by one run",
    "proposals": "cells proposed by one run, repeats among them",
    "repeat_rate": "share of them that the run knew already, repeats over proposals",
    "failed": "models of one run without an accuracy",
    "examples": "training examples of all models of one run",
    "child_seconds": "seconds of training of all models of one run, simulated where a table answers",
    "entropy_first": "nats a cell of the policy, on one run's first batch; of searches that have a policy",
    "entropy_last": "the same on its last batch",
    "models_needed": "models until the mean curve is as high as the reference's at its end",
    "models_needed_for_good": "models until it is never lower again: expected curves may fall",
    "models_needed_median_run": "as models_needed, median over runs, each against the run beside it",
    "share_of_runs_reached": "share of runs that got as high as the reference's run beside them",
    "speed_up_models": "models_needed over the reference's number of models",
    "speed_up_examples": "the same in training examples, M1 E1 + M2 E2",
    "reference_first_crossing": "models after which the reference itself was as high as at its end",
    "difference": "accuracy, mean over runs of reference less search, after the reference's number of models "
    "(equal) or at the end; above 0: the reference is better",
    "log_efficiency": "Vizier's score; above 0: the reference needs fewer models",
    "models_to_target": "models until the best cell visited is in the best 1% or 0.1% of random cells, "
    "median run",
    "share_of_runs_at_target": "share of runs that got there",
    "target_accuracy": "accuracy that models_to_target asks for, mean over runs",
    "regret": "accuracy, the best noise-free one known in the world less that of the best cell visited, of "
    "any size, chosen by observation",
    "p_value": "of a paired rank test of search against reference",
    "p_value_holm": "the same with Holm's correction over all pairs of searches",
    "median_difference": "accuracy, median over the pairs of a test of reference less search, as difference",
    "share_won": "share of pairs in which search is better than reference, ties counted half",
}


RUN_COLUMNS: Mapping[str, str] = {
    "search": "label of the search",
    "world": "of the run",
    "seed": "which repetition in that world",
    "run_seed": "1000000 x world + seed: `pnas-sim run --world W --seed N` makes that run again",
    "top": "M: accuracies are means over the M best cells so far, of all visited (symmetrical), chosen by "
    "observation",
    "models": "models evaluated until then; rows lie closer at the beginning of a run, the last is its end",
    "proposals": "cells proposed until then, repeats among them",
    "examples": "training examples of all models until then",
    "child_seconds": "seconds of training of all models until then, simulated where a table answers",
    "observed": "accuracy with seed noise, a share from 0 to 1",
    "expected": "noise-free accuracy of the same cells; empty where not known. It may fall",
}


_BEST = {"top": 1, "counting": "symmetrical"}  # the best cell of all visited


def list_rows(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every figure as a row with those of `COLUMNS` that it has.

    Args:
        result: the object of a comparison.
    """
    runs = {"runs": len(result["searches"][0]["runs"])}  # the same of every search
    for search in result["searches"]:
        yield from _list_search(search)
    for duel in result["efficiency"]:
        yield from (runs | row for row in _list_duel(duel))
    for score in result["log_efficiency"]:
        yield {**_pick(score), **runs, "measure": "log_efficiency", "value": score["log_efficiency"]}
    for reach in result["targets"]:
        yield from (runs | row for row in _list_reach(reach))
    for regret in result["regret"]:
        yield {**_pick(regret), **runs, **_BEST, "measure": "regret", **regret["regret"]}
    for test in result["rank_tests"]:
        yield from _list_test(test)


def _pick(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("search", "reference", "top", "counting", "kind", "at", "unit")
    return {name: row[name] for name in names if name in row}


def _list_search(search: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    label = search["label"]
    for run in search["runs"]:
        head = {"search": label, "world": run["world"], "seed": run["seed"], "runs": 1}
        for measure, value in _list_totals(run):
            yield {**head, "measure": measure, "value": value}
    for final in search["final"]:
        head = {"search": label, **_pick(final)}
        runs = len(final["in_runs"])
        yield {**head, "measure": "final", "at": "end", "runs": runs, **final["end"]}
        yield {**head, "measure": "final", "at": "equal", "runs": runs, **final["equal_models"]}
        for run, value in zip(search["runs"], final["in_runs"], strict=True):
            where = {"world": run["world"], "seed": run["seed"]}
            yield {**head, **where, "measure": "run_final", "at": "end", "value": value, "runs": 1}


def _list_totals(run: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    """What one run took; of its policy, where it has one."""
    yield "models", run["models_evaluated"]
    yield "proposals", run["proposals"]
    yield "repeat_rate", run["repeats"] / run["proposals"] if run["proposals"] else None
    for measure in ("failed", "examples", "child_seconds"):
        yield measure, run[measure]
    if run["policy_entropy"]:
        yield from zip(("entropy_first", "entropy_last"), run["policy_entropy"], strict=True)


def _list_duel(duel: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    head = _pick(duel)
    needed = ("models_needed", "models_needed_for_good", "models_needed_median_run")
    for measure in (*needed, "speed_up_models"):
        yield {**head, "measure": measure, **duel[measure]}
    for account, figure in duel["speed_up_examples"].items():
        yield {**head, "measure": "speed_up_examples", "account": account, **figure}
    yield {**head, "measure": "share_of_runs_reached", "value": duel["share_of_runs_reached"]}
    yield {**head, "measure": "reference_first_crossing", **duel["reference_first_crossing"]}
    yield {**head, "measure": "difference", "at": "equal", **duel["difference_at_reference_models"]}
    yield {**head, "measure": "difference", "at": "end", **duel["difference_at_end"]}


def _list_reach(reach: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    head = {**_pick(reach), **_BEST, "at": reach["target"]}
    yield {**head, "measure": "models_to_target", **reach["models_median_run"]}
    yield {**head, "measure": "share_of_runs_at_target", "value": reach["share_of_runs_reached"]}
    yield {**head, "measure": "target_accuracy", "value": reach["threshold"]}


def _list_test(test: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    head = {**_pick(test), "search": test["first"], "reference": test["second"], "runs": test["pairs"]}
    median = test["median_difference"]  # of the first less the second: the other way round than differences
    for measure, value in (
        ("p_value", test["p_value"]),
        ("p_value_holm", test["p_value_holm"]),
        ("median_difference", None if median is None else -median),
        ("share_won", test["share_won_by_first"]),
    ):
        yield {**head, "measure": measure, "value": value}


def list_courses(grid: RunGrid, tops: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The course of every run, as rows of `RUN_COLUMNS`: best so far at points that rise to its end.

    Args:
        grid: of all runs.
        tops: M, of the means; before there are M cells a run has no rows.
    """
    for label in grid.labels:
        for top in tops:
            curves = grid.follow(label, top, Counting.SYMMETRICAL)
            for run, curve in zip(grid.runs[label], curves, strict=True):
                yield from _list_course(run, top, curve)


def _list_course(run: FinishedRun, top: int, curve: TopCurve) -> Iterator[dict[str, Any]]:
    place = run.facts.place
    head = {"search": place.label, "world": place.world, "seed": place.seed, "run_seed": place.run_seed}
    at = choose_points(len(run), whole=True, most=MOST_POINTS).astype(np.intp) - 1
    at = at[~np.isnan(curve.observed[at])]
    columns = {
        "models": at + 1,
        "proposals": run.proposals[at],
        "examples": np.cumsum(run.examples)[at],
        "child_seconds": np.cumsum(run.seconds)[at],
        "observed": curve.observed[at].round(DIGITS),
        "expected": curve.expected[at].round(DIGITS),
    }
    for values in zip(*(column.tolist() for column in columns.values()), strict=True):
        told = dict(zip(columns, values, strict=True))
        yield {
            **head,
            "top": top,
            **{name: None if value != value else value for name, value in told.items()},
        }


def format_csv(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> str:
    """Rows as CSV with a line of column names; an unknown number is an empty field."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: "" if value is None else value for name, value in row.items()})
    return text.getvalue()
