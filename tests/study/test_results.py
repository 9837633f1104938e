from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pnas_sim.evaluate import EvaluatorSpec
from pnas_sim.predict import describe_predictor, list_predictors
from pnas_sim.space import CellSpace
from pnas_sim.study.accounts import Reranking
from pnas_sim.study.analysis import Wishes, analyse
from pnas_sim.study.compare import Comparison, Prepared
from pnas_sim.study.efficiency import Costs
from pnas_sim.study.finished import FinishedRun
from pnas_sim.study.grid import arrange_runs
from pnas_sim.study.results import describe_comparison
from pnas_sim.study.settings import make_compare_settings
from pnas_sim.study.tidy import COLUMNS, MEASURES, RUN_COLUMNS, format_csv, list_courses, list_rows
from pnas_tables.families import FAMILIES

MakeRun = Callable[..., FinishedRun]


@pytest.fixture
def result(make_run: MakeRun) -> dict[str, Any]:
    """PNAS is better than random ever gets; two seeds."""
    runs = []
    for seed in (0, 1):
        runs.append(make_run([0.1, 0.5, 0.9 + 0.01 * seed], None, [1, 2, 2], "pnas", 0, seed))
        runs.append(make_run([0.2, 0.3, 0.4, 0.3], None, None, "random", 0, seed))
    return describe(runs, ["pnas", "random"], (0, 1), {"beam": 2})


def describe(
    runs: list[FinishedRun],
    labels: list[str],
    seeds: tuple[int, ...] = (0,),
    options: dict[str, Any] | None = None,
    surrogate: str = "lightgbm",
    kind: str = "",
    blocks: int = 2,
    more_options: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """The result object of these runs; the first search is PNAS with 4 tuning trials."""
    searches = {label: {"search": label, "tuning": 0 if number else 4} for number, label in enumerate(labels)}
    settings = make_compare_settings({"searches": searches, "seeds": seeds, "tops": (1, 2), "blocks": blocks})
    grid = arrange_runs(runs, labels, [0], seeds)
    wishes = Wishes(references=["pnas"], tops=[1, 2], costs=Costs(10.0, Reranking()), resamples=20)
    spec = EvaluatorSpec(
        name="table",
        space=CellSpace(max_blocks=blocks),
        epochs=1.0,
        train_images=10,
        checksum="abc",
        settings={"surrogate": surrogate, "surrogate_kind": kind},
    )
    given = {label: {} for label in labels} | {"pnas": options or {}, "evolution": {"population": 100}}
    prepared = Prepared(settings, spec, given | (more_options or {}))
    comparison = Comparison(prepared, grid, {}, analyse(grid, {}, wishes))
    return describe_comparison(comparison, {"python": "3"}, "here")


def test_object_is_strict_json_and_has_what_the_command_line_promises(result: dict[str, Any]) -> None:
    again = json.loads(json.dumps(result, allow_nan=False))
    assert again == result
    assert result["kind"] == "comparison"
    assert {"searches", "efficiency", "budget", "table", "schema"} <= set(result)
    for search in result["searches"]:
        assert {"seeds", "curves", "final", "options"} <= set(search)
        assert all(len(curve["at"]) <= 500 for curve in search["curves"])
        assert {final["kind"] for final in search["final"]} == {"observed", "expected"}
    first = result["efficiency"][0]
    assert {"accuracy", "reference_models", "models_needed", "speed_up_models", "speed_up_examples"} <= set(
        first
    )


def test_what_was_not_reached_is_null_with_its_bound(result: dict[str, Any]) -> None:
    row = result["efficiency"][0]
    needed = {"value": None, "low": 4.0, "high": None, "reached": 0.0, "bound": 4.0}
    assert row["models_needed"] == needed
    assert row["speed_up_models"]["low"] == pytest.approx(4 / 3)
    assert set(row["speed_up_examples"]) == {"paper", "none", "both"}


def test_manifest_says_what_was_run_and_how_it_was_tuned(result: dict[str, Any]) -> None:
    manifest = result["manifest"]
    assert manifest["runs"] == 4
    assert manifest["models_evaluated"] == 14
    assert manifest["tuning_trials"] == {"pnas": 4, "random": 0}
    assert manifest["data_checksum"] == "abc"
    assert manifest["reranking"] == {"models": 250, "factor": 15.0, "examples_each": 10.0}
    assert not any("tuned unequally" in note for note in result["notes"])  # random has nothing to tune


def test_searches_that_were_tuned_more_often_than_others_are_named(make_run: MakeRun) -> None:
    found = describe(
        [make_run([0.1, 0.5], label=name) for name in ("pnas", "evolution")], ["pnas", "evolution"]
    )
    assert "tuned unequally, trials of each: pnas 4, evolution 0" in found["notes"]


def test_a_search_that_is_compared_before_it_learnt_anything_is_noted(make_run: MakeRun) -> None:
    names, models = ["pnas", "evolution", "random", "ppo"], (100, 120, 120, 10)
    runs = [make_run([0.5] * count, label=name) for name, count in zip(names, models, strict=True)]
    options = {"evolution": {"population": 100}, "ppo": {"batch": 20}}
    notes = describe(runs, names, more_options=options)["notes"]
    assert "evolution learns from its first 100 cells: at the 10 models" not in str(notes)
    told = "evolution learns from its first 100 cells: at the 100 models of pnas it has learnt nothing yet"
    assert [note for note in notes if "learns" in note] == [
        "pnas learns from its first 136 cells, and had no more: raise --budget",
        told,
        "ppo learns from its first 20 cells, and had no more: raise --budget",
    ]


def test_searches_that_were_cut_off_before_their_largest_cells_are_noted(make_run: MakeRun) -> None:
    cut = make_run([0.1, 0.2, 0.3], blocks=[1, 1, 2], label="pnas", seed=0)
    whole = make_run([0.1, 0.2, 0.3], blocks=[1, 2, 3], label="pnas", seed=1)
    others = [make_run([0.1, 0.2, 0.3], label="random", seed=seed) for seed in (0, 1)]
    notes = describe([cut, whole, *others], ["pnas", "random"], (0, 1), blocks=3)["notes"]
    told = [note for note in notes if "cut off" in note]
    assert told == [
        "1 of 2 runs of pnas were cut off by the budget at cells of 2 blocks of 3: the accuracy it is judged "
        "by is of those; raise --budget"
    ]


def test_that_hyperband_counts_each_rung_is_noted(make_run: MakeRun) -> None:
    def tell(other: str) -> list[str]:
        runs = [make_run([0.1, 0.5], label=name) for name in ("pnas", other)]
        return [note for note in describe(runs, ["pnas", other])["notes"] if "rung" in note]

    (told,) = tell("hyperband")
    assert told.startswith("hyperband counts each rung as a new model: compare it by examples")
    assert tell("random") == []


def test_runs_that_ran_out_of_new_cells_are_noted(make_run: MakeRun) -> None:
    stalled = make_run([0.2, 0.3], label="ppo")
    stalled = replace(stalled, facts=replace(stalled.facts, stopped="stalled"))
    found = describe([make_run([0.1, 0.5], label="pnas"), stalled], ["pnas", "ppo"], (0,))
    assert "1 of 1 runs of ppo ended by proposing little but repeats, after 2 to 2 models" in found["notes"]


def make_trees(space: CellSpace) -> None:
    """A predictor's factory of another package."""


make_trees.model_family = "regression trees"  # type: ignore[attr-defined]


@pytest.mark.parametrize("family", list(FAMILIES))
def test_predictors_of_the_surrogates_own_kind_are_noted_whatever_its_name(
    make_run: MakeRun, family: str
) -> None:
    runs, kind = [make_run([0.1, 0.5], label=label) for label in ("pnas", "random")], FAMILIES[family].kind
    told = "pnas predicts by the surrogate's own kind of model (mine), which favours it"
    for name in (*(info.name for info in list_predictors()), f"{__name__}:make_trees"):
        found = describe(runs, ["pnas", "random"], (0,), {"predictor": name}, "mine", kind)
        assert (told in found["notes"]) == describe_predictor(name).is_favoured(kind)


@pytest.mark.parametrize("predictor", [3, "no such predictor"])
def test_what_another_packages_search_calls_a_predictor_may_be_anything(
    make_run: MakeRun, predictor: object
) -> None:
    runs = [make_run([0.1, 0.5], label=label) for label in ("pnas", "random")]
    found = describe(runs, ["pnas", "random"], (0,), {"predictor": predictor}, kind="gp")
    assert not any("own kind of model" in note for note in found["notes"])


def test_best_known_names_its_finder_and_cell(result: dict[str, Any]) -> None:
    assert result["best_known"] == []  # no landmarks here, and no regret


def test_runs_are_described_one_by_one(result: dict[str, Any]) -> None:
    run = result["searches"][0]["runs"][1]
    assert (run["world"], run["seed"], run["models_evaluated"]) == (0, 1, 3)
    assert run["best_valid_accuracy"] == pytest.approx(0.91)
    assert run["best_blocks"] == 2
    assert run["best_cell"] == "sep3(-2)+sep3(-2)"
    assert run["child_seconds"] == 9


def read_csv(result: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(format_csv(list_rows(result), COLUMNS))))


def test_every_row_has_the_documented_columns_and_measures(result: dict[str, Any]) -> None:
    rows = read_csv(result)
    assert list(rows[0]) == list(COLUMNS)
    assert {row["measure"] for row in rows} <= set(MEASURES)
    assert len(rows) == len(list(list_rows(result)))
    unused = set(MEASURES) - {row["measure"] for row in rows}
    of_landmarks = {"models_to_target", "share_of_runs_at_target", "target_accuracy", "regret"}
    assert unused == of_landmarks | {"entropy_first", "entropy_last"}  # no landmarks and no policies here


TOTALS = ("models", "proposals", "repeat_rate", "failed", "examples", "child_seconds")
ENTROPIES = ("entropy_first", "entropy_last")


def test_what_each_run_took_is_rows_of_their_own(make_run: MakeRun) -> None:
    plain, ppo = make_run([0.1, 0.5], label="pnas"), make_run([0.2, 0.3, 0.4], label="ppo")
    facts = replace(ppo.facts, proposals=8, repeats=5, failed=2, first_entropy=20.5, last_entropy=3.25)
    result = describe([plain, replace(ppo, facts=facts)], ["pnas", "ppo"], (0,))
    rows = [row for row in read_csv(result) if row["measure"] in (*TOTALS, *ENTROPIES)]
    found = {(row["search"], row["measure"]): float(row["value"]) for row in rows}
    assert len(found) == len(rows)
    assert [found["ppo", name] for name in TOTALS] == [3, 8, 0.625, 2, 30, 9]
    assert [found["ppo", name] for name in ENTROPIES] == [20.5, 3.25]
    assert {name for search, name in found if search == "pnas"} == set(TOTALS)  # it has no policy
    empty = {"top", "reference", "counting", "kind", "at", "low", "high"}
    assert all((row["world"], row["seed"], row["runs"]) == ("0", "0", "1") for row in rows)
    assert all(row[name] == "" for row in rows for name in empty)


def test_a_run_that_proposed_nothing_has_no_repeat_rate(result: dict[str, Any]) -> None:
    run = result["searches"][0]["runs"][0]
    run |= {"proposals": 0, "repeats": 0}
    rates = [row for row in read_csv(result) if row["measure"] == "repeat_rate"]
    assert [row["value"] for row in rates] == ["", "0.5", "0.5", "0.5"]


def test_figures_by_landmarks_are_rows_of_the_best_cell_of_all_visited(result: dict[str, Any]) -> None:
    needed = {"value": None, "low": 4.0, "high": None, "reached": 0.0, "bound": 4.0}
    reach = {"search": "random", "target": "top 1%", "kind": "expected", "threshold": 0.8}
    reach |= {"models_median_run": needed, "share_of_runs_reached": 0.0}
    regret = {"search": "random", "kind": "expected", "at": "end"}
    regret |= {"regret": {"value": 0.1, "low": 0.0, "high": 0.2}}
    rows = [row for row in read_csv({**result, "targets": [reach], "regret": [regret]}) if row["top"] == "1"]
    found = {row["measure"]: row for row in rows if row["at"] in ("top 1%", "end")}
    assert (found["models_to_target"]["value"], found["models_to_target"]["low"]) == ("", "4.0")
    assert found["target_accuracy"]["value"] == "0.8"
    assert found["regret"]["high"] == "0.2"
    for measure in ("models_to_target", "share_of_runs_at_target", "target_accuracy", "regret"):
        assert (found[measure]["counting"], found[measure]["runs"]) == ("symmetrical", "2")


def test_every_row_says_of_how_many_runs_it_is(result: dict[str, Any]) -> None:
    assert all(int(row["runs"]) == (1 if row["seed"] else 2) for row in read_csv(result))


def test_rows_are_told_apart_by_their_columns(result: dict[str, Any]) -> None:
    names = [name for name in COLUMNS if name not in ("value", "low", "high", "reached", "bound", "runs")]
    keys = [tuple(row[name] for name in names) for row in read_csv(result)]
    assert len(set(keys)) == len(keys)


def test_figures_of_the_table_are_those_of_the_object(result: dict[str, Any]) -> None:
    rows = read_csv(result)
    wanted = result["efficiency"][3]
    (row,) = [
        row
        for row in rows
        if row["measure"] == "difference"
        and row["at"] == "equal"
        and all(row[name] == str(wanted[name]) for name in ("reference", "search", "top", "counting", "kind"))
    ]
    assert float(row["value"]) == wanted["difference_at_reference_models"]["value"]
    unreached = next(row for row in rows if row["measure"] == "models_needed")
    assert (unreached["value"], unreached["low"], unreached["high"]) == ("", "4.0", "")


def test_differences_have_one_sign(result: dict[str, Any]) -> None:
    """Above 0: the reference is better, whatever the measure; random is far below PNAS here."""
    rows = [row for row in read_csv(result) if row["top"] == "1" and row["at"] == "end"]
    for search, reference in (("random", "pnas"), ("pnas", "random")):
        values = {
            row["measure"]: float(row["value"])
            for row in rows
            if (row["search"], row["reference"]) == (search, reference)
            and row["measure"].endswith("difference")
        }
        assert values
        assert all((value > 0) == (reference == "pnas") for value in values.values()), values
    measures = {row["measure"] for row in rows}
    assert {"difference", "median_difference"} <= measures
    assert all("reference less search" in MEASURES[name] for name in ("difference", "median_difference"))
    assert "0.01 is one point of per cent" in COLUMNS["value"]


def test_courses_are_of_every_run_up_to_its_end(make_run: MakeRun) -> None:
    pnas = make_run([0.1, 0.5, 0.4], [0.2, 0.3, 0.9], [1, 2, 2], "pnas", 2, 1)
    other = make_run([float("nan"), 0.3, 0.2, 0.4], None, None, "random", 2, 1)
    grid = arrange_runs([pnas, other], ["pnas", "random"], [2], [1])
    rows = list(csv.DictReader(io.StringIO(format_csv(list_courses(grid, [1, 2]), RUN_COLUMNS))))
    assert list(rows[0]) == list(RUN_COLUMNS)
    assert {(row["world"], row["seed"], row["run_seed"]) for row in rows} == {("2", "1", "2000001")}
    found = {
        (label, top): [row for row in rows if (row["search"], row["top"]) == (label, top)]
        for label in ("pnas", "random")
        for top in ("1", "2")
    }
    assert [row["models"] for row in found["pnas", "1"]] == ["1", "2", "3"]
    assert [row["observed"] for row in found["pnas", "1"]] == ["0.1", "0.5", "0.5"]
    assert [row["expected"] for row in found["pnas", "1"]] == ["0.2", "0.3", "0.3"]
    assert [row["observed"] for row in found["pnas", "2"]] == ["0.3", "0.45"]
    assert [row["models"] for row in found["random", "1"]] == ["2", "3", "4"]  # the first model failed
    last = found["pnas", "1"][-1]
    assert float(last["examples"]) == pnas.examples.sum()
    assert float(last["child_seconds"]) == pnas.seconds.sum()
    assert int(last["proposals"]) == int(pnas.proposals[-1])


def test_courses_know_what_is_not_known_and_end_where_runs_do(make_run: MakeRun) -> None:
    values = np.random.default_rng(0).random(1000)
    run = make_run(values.tolist(), np.full(1000, np.nan).tolist(), None, "random", 0, 0)
    rows = list(list_courses(arrange_runs([run], ["random"], [0], [0]), [5]))
    at = [row["models"] for row in rows]
    assert at == sorted(set(at)) and at[0] >= 5 and at[-1] == 1000
    assert 50 < len(rows) <= 120
    assert all(row["expected"] is None for row in rows)
    assert rows[-1]["observed"] == pytest.approx(np.sort(values)[-5:].mean(), abs=1e-6)
