from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_backends.table import SurrogateBackend
from pnas_sim.cli.audit_rounds import AuditSettings, list_lines, run_audit
from pnas_sim.errors import RunError, SettingError
from pnas_sim.function_evaluator import FunctionEvaluator
from pnas_sim.search.catalogue import list_searches
from pnas_sim.space import CellSpace
from pnas_sim.study.audit import (
    Find,
    default_searches,
    explain_left_out,
    find_best,
    judge_finds,
    judge_noise_free,
)
from pnas_tables.audit_file import read_audit
from pnas_tables.card_facts import gather_facts
from pnas_tables.card_text import write_card
from pnas_tables.forest import ForestSettings
from pnas_tables.format import read_table
from pnas_tables.plans import list_jobs, sample_plan
from pnas_tables.record import Table, data_checksum
from pnas_tables.surrogate import FitSettings, Surrogate, fit_surrogate
from pnas_tables.testing import MadeUpTrainer, build_made_up_table

SETTINGS = AuditSettings(("random", "evolution"), budget=60, cells=10, seeds=2, rounds=2, most_rounds=2)


@pytest.fixture(scope="module")
def space() -> CellSpace:
    return CellSpace(max_blocks=3)


@pytest.fixture(scope="module")
def fitted(space: CellSpace, tmp_path_factory: pytest.TempPathFactory) -> Table:
    path = tmp_path_factory.mktemp("audit") / "small.h5"
    jobs = list_jobs(sample_plan("small", 80, (1, 2, 3), seeds=2, seed=3, space=space), space)
    settings = FitSettings(worlds=2, shares=(), forest=ForestSettings(forests=2, trees=20))
    return fit_surrogate(build_made_up_table(jobs, space, path, "small"), settings=settings)


class CountedTrainer:
    """Makes made-up trainers and counts what they train; stops the work after `limit` children."""

    def __init__(self, limit: float = float("inf")) -> None:
        self.trained, self.limit = 0, limit

    def open(self, table: Table) -> CountedTrainer:
        self.inner = MadeUpTrainer(table.space)
        return self

    @property
    def spec(self) -> Any:
        return self.inner.spec

    def evaluate(self, cells: Any, epochs: float, seed: int) -> Any:
        for answer in self.inner.evaluate(cells, epochs, seed):
            if self.trained >= self.limit:
                raise KeyboardInterrupt
            self.trained += 1
            yield answer

    def close(self) -> None:
        self.inner.close()


# ------------------------------------------------------------------------------------------------- judging


def judge(predicted: list[float], measured: list[float], deviation: float = 0.01) -> dict[str, Any]:
    finds = [Find(f"cell {i}", "pnas" if i % 2 else "random", 0.5) for i in range(len(predicted))]
    runs = np.full(len(predicted), 2)
    return judge_finds(finds, np.array(predicted), np.array(measured), runs, deviation)


def test_optimism_is_predicted_minus_measured() -> None:
    report = judge([0.52, 0.56, 0.50], [0.50, 0.50, 0.49])
    assert report["optimism"] == pytest.approx(0.03) and report["exploited"]
    assert report["standard_error"] == pytest.approx(np.std([0.02, 0.06, 0.01], ddof=1) / np.sqrt(3))
    assert report["by_search"] == {
        "random": {"cells": 2, "optimism": pytest.approx(0.015)},
        "pnas": {"cells": 1, "optimism": pytest.approx(0.06)},
    }
    assert report["verdict"].startswith("exploited: predicted minus measured is +0.0300")
    assert report["spearman"] is None, "too few cells for a rank correlation"
    assert report["told_too_much"] == pytest.approx(np.mean([0.0, 0.0, 0.01])), "each was told as .5"
    assert judge([0.5, 0.5], [0.4, np.nan])["told_too_much"] == pytest.approx(0.1), "of trained ones only"


def test_ranks_and_size_of_errors_are_what_they_are_called() -> None:
    predicted = np.linspace(0.4, 0.5, 9)
    measured = predicted[[1, 0, 2, 3, 4, 5, 6, 8, 7]] - 0.02  # two neighbouring pairs the wrong way round
    report = judge(predicted.tolist(), measured.tolist())
    assert report["kendall_tau"] == pytest.approx(1 - 2 * 2 / 36)
    assert report["spearman"] == pytest.approx(1 - 6 * 4 / (9 * 80))
    assert report["rmse"] == pytest.approx(math.sqrt(((predicted - measured) ** 2).sum() / 9))
    assert report["told_too_much"] == pytest.approx(0.5 - measured.mean())


def test_pessimism_and_small_errors_are_sound() -> None:
    assert not judge([0.505, 0.49], [0.5, 0.5])["exploited"]
    slight = judge([0.505, 0.505], [0.5, 0.5])  # upwards, but by less than a seed's deviation
    assert not slight["exploited"] and slight["verdict"].startswith("sound")
    report = judge(list(np.linspace(0.4, 0.5, 20)), list(np.linspace(0.5, 0.6, 20)))
    assert report["verdict"].endswith("a seed, 0.0100") and report["spearman"] == pytest.approx(1.0)


def test_a_sound_verdict_says_how_far_it_stands_on_its_cells() -> None:
    assert judge([0.5] * 5, [0.5] * 5)["verdict"].endswith("so few cells say little")
    wide = judge([0.508 + 0.05 * (-1) ** i for i in range(30)], [0.5] * 30)
    assert wide["verdict"].startswith("sound") and wide["verdict"].endswith("more cells would tell")


def test_cells_that_could_not_be_trained_are_left_out() -> None:
    report = judge([0.5, 0.9], [0.5, float("nan")])
    assert report["cells"] == 1 and report["optimism"] == 0 and report["standard_error"] is None
    assert report["rows"][1]["measured"] is None
    json.dumps(report, allow_nan=False)
    with pytest.raises(SettingError, match="no cell found was trained"):
        judge([0.5], [float("nan")])


def test_noise_free_values_are_judged_beside_their_own_error() -> None:
    """A model that is sound says nothing of the effects that a world draws for single cells."""
    measured = np.linspace(0.4, 0.5, 40)
    apart = 0.02 + 0.001 * (-1.0) ** np.arange(40)
    report = judge_noise_free(measured + apart, measured, 0.01)
    error = np.std(apart, ddof=1) / np.sqrt(40)
    assert report["noise_free_optimism"] == pytest.approx(0.02)
    assert report["noise_free_standard_error"] == pytest.approx(error)
    assert report["noise_free_spearman"] == pytest.approx(1.0)
    assert report["noise_free_verdict"] == (
        "a winner's noise-free value in its world is too high: minus measured it is +0.0200 (standard error "
        f"{error:.4f}), more than the deviation of a seed, 0.0100"
    )
    json.dumps(report, allow_nan=False)
    with pytest.raises(SettingError, match="no cell found was trained"):
        judge_noise_free(measured[:1], np.array([np.nan]), 0.01)


def test_the_noise_free_verdict_says_no_more_than_chance_allows() -> None:
    def word(apart: list[float], deviation: float = 0.01) -> str:
        measured = np.linspace(0.4, 0.5, len(apart) + 1)
        values = np.append(measured[:-1] + np.array(apart), 0.9)  # the last could not be trained
        measured[-1] = np.nan
        return str(judge_noise_free(values, measured, deviation)["noise_free_verdict"])

    assert "is too low" in word([-0.02, -0.021] * 20)
    wide = word([0.05, -0.048] * 20)
    assert "is not told from too high or too low" in wide and "about the deviation of a seed" in wide
    assert "less than the deviation of a seed" in word([0.001, 0.0] * 20)
    assert word([0.02] * 5).endswith("so few cells say little")
    assert "+0.0200, about the deviation" in word([0.02]), "one value has no standard error"


# ------------------------------------------------------------------------------------------------- searching


def test_finds_are_the_best_distinct_cells_not_yet_trained(space: CellSpace) -> None:
    trainer = MadeUpTrainer(space)
    first = find_best(["random", "evolution"], trainer, budget=50, cells=10, seed=1, known=set())
    assert [find.search for find in first] == ["random"] * 5 + ["evolution"] * 5
    assert len({find.cell for find in first}) == 10
    for name in ("random", "evolution"):
        told = [find.observed for find in first if find.search == name]
        assert told == sorted(told, reverse=True)
    known = {space.parse(find.cell).tobytes() for find in first}
    before = set(known)
    second = find_best(["random", "evolution"], trainer, budget=50, cells=10, seed=1, known=known)
    assert known == before, "what is known belongs to the caller"
    assert not {find.cell for find in first} & {find.cell for find in second}
    assert second[0].observed <= first[4].observed
    with pytest.raises(SettingError, match="1 cells for 2 searches"):
        find_best(["random", "evolution"], trainer, budget=50, cells=1, seed=1, known=set())


def test_cells_that_cannot_be_shared_evenly_are_all_found(space: CellSpace) -> None:
    names = ["random", "evolution", "local"]
    finds = find_best(names, MadeUpTrainer(space), budget=30, cells=8, seed=1, known=set())
    assert [sum(find.search == name for find in finds) for name in names] == [2, 3, 3]


def judge_half(cells: np.ndarray, epochs: float) -> np.ndarray:
    """Less training looks better than it is; cells that begin with the first operation diverge."""
    values = 0.5 + 0.1 * (1 - epochs) + 0.001 * cells[:, 2:4].sum(axis=1)
    return np.where(cells[:, 2] == 0, np.nan, values)


def test_only_whole_trainings_that_ended_well_are_finds(space: CellSpace) -> None:
    evaluator = FunctionEvaluator(judge_half, space, fidelities=(0.25, 0.5, 1.0), seconds=1.0, chance=0.9)
    finds = find_best(["hyperband"], evaluator, budget=300, cells=20, seed=1, known=set(), options={"eta": 2})
    assert len(finds) == 20
    assert all(0.5 <= find.observed < 0.52 for find in finds), "neither a guess of .9 nor a short training"


@pytest.mark.parametrize("seed", [1, 2])
def test_options_and_seeds_reach_searches_and_evaluations(space: CellSpace, seed: int) -> None:
    asked: list[tuple[int, int]] = []

    class Watched(MadeUpTrainer):
        def evaluate(self, cells: Any, epochs: float, seed: int) -> Any:
            asked.append((len(cells), seed))
            return MadeUpTrainer.evaluate(self, cells, epochs, seed)

    wishes = {"population": 7, "batch": 7, "starts": 3}
    find_best(["evolution"], Watched(space), budget=21, cells=2, seed=seed, known=set(), options=wishes)
    assert asked[0] == (7, seed) and {one for _, one in asked} == {seed}


def test_all_searches_that_ship_are_the_default_but_oracles(monkeypatch: pytest.MonkeyPatch) -> None:
    ship = {info.name for info in list_searches() if info.source}
    curves = (0.25, 0.5, 0.75, 1.0)
    monkeypatch.setattr("pnas_sim.study.audit.find_spec", lambda name: object())
    assert set(default_searches(curves)) == ship - {"pnas-oracle", "pnas-oracle-model"}
    assert explain_left_out(curves) == {}
    for without in ((1.0,), (0.5, 1.0)):
        assert "hyperband" not in default_searches(without)
        assert "learning curves" in explain_left_out(without)["hyperband"]
    monkeypatch.setattr("pnas_sim.study.audit.find_spec", lambda name: None)
    assert set(default_searches(curves)) == ship - {"pnas-oracle", "pnas-oracle-model", "tpe"}
    assert explain_left_out(curves) == {"tpe": "it needs pnas-sim[optuna]"}


def test_searches_that_need_something_find_cells_of_a_table(fitted: Table) -> None:
    """The tests have Optuna, and a table with curves has rungs for Hyperband."""
    backend = SurrogateBackend(fitted, 3, "small")
    names = ["hyperband", "tpe"]
    assert set(names) <= set(default_searches(backend.spec.fidelities))
    finds = find_best(names, backend, budget=40, cells=6, seed=1, known=set())
    assert [find.search for find in finds] == ["hyperband"] * 3 + ["tpe"] * 3


# ------------------------------------------------------------------------------------------------- rounds


def test_rounds_add_what_was_trained_and_seal_the_last(fitted: Table, tmp_path: Path) -> None:
    trainer = CountedTrainer()
    answer = run_audit(fitted, SETTINGS, tmp_path / "audit", trainer.open)
    assert [report["round"] for report in answer["rounds"]] == [1, 2]
    assert trainer.trained == 2 * 10 * 2
    second, audited = (read_table(tmp_path / "audit" / name) for name in ("round-2.h5", "audited.h5"))
    assert len(second) == len(fitted) + 10 and len(audited) == len(fitted) + 20
    assert second.origins.count("search") == 10
    assert audited.origins.count("search") == 10 and audited.origins.count("sealed-search") == 10
    stored = audited.surrogates["lightgbm"].metadata
    assert stored["cells"] == len(fitted) + 10, "the last round is not fitted"
    assert stored["quality"]["by_group"]["sealed-search"]["cells"] == 10
    last = read_table(tmp_path / "audit" / "round-2-trained.h5")
    assert set(last.origins) == {"sealed-search"}, "a copy of it is not fitted by accident"
    assert (answer["cells"], answer["data"]) == (len(fitted), data_checksum(fitted))
    row = answer["rounds"][1]["rows"][0]
    assert row["runs"] == 2 and row["cell"] not in fitted.space.format_many(second.cells)
    facts, ship = gather_facts(audited), ["pnas-oracle", "pnas"]
    text = write_card(audited, facts, {}, [], "small", [answer], searches=ship)
    assert (
        "## Exploitation audit" in text
        and f"Verdict of the last round: {answer['rounds'][1]['verdict']}" in text
    )
    assert "| 1 | 80 cells | 10 | 10 |" in text and "| 2 | 90 cells | 10 | 0 |" in text, (
        "the last round's cells are not fitted"
    )
    assert "Not among the searches: pnas-oracle" in text
    repeated = write_card(audited, facts, {}, [], "small", [answer, answer])
    assert "Not among the searches" not in repeated
    assert "| 3 | 80 cells | 10 | 10 |" in repeated and "| 4 | 90 cells | 10 | 0 |" in repeated, (
        "rounds of audits are counted on"
    )
    assert json.loads((tmp_path / "audit" / "audit.json").read_text()) == answer
    assert read_audit(tmp_path / "audit" / "audit.json", audited) == answer
    lines = list(list_lines(answer))
    assert lines[0].startswith("round 1: ") and any("evolution: 5 cells" in line for line in lines)
    assert f"  {answer['rounds'][1]['noise_free_verdict']}" in lines
    for report, met in zip(answer["rounds"], (fitted, second), strict=True):
        demand_noise_free(report, Surrogate.from_table(met, "lightgbm", report["round"] - 1), met.space)
    assert any(line.startswith("  what searches were told") for line in lines)


def demand_noise_free(report: dict[str, Any], surrogate: Surrogate, space: CellSpace) -> None:
    """Each round is judged in the world that its searches met, by the surrogate that they met."""
    rows = report["rows"]
    values = surrogate.predict_accuracy(space.canonical(space.parse_many([row["cell"] for row in rows])))
    assert report["world"] == surrogate.world
    assert [row["noise_free"] for row in rows] == pytest.approx(values.tolist())
    apart = values - np.array([row["measured"] for row in rows])
    assert report["noise_free_optimism"] == pytest.approx(apart.mean())
    assert not np.allclose(values, [row["predicted"] for row in rows]), "the model alone is another value"


def test_an_audit_that_was_cut_goes_on_to_the_same_end(fitted: Table, tmp_path: Path) -> None:
    whole = run_audit(fitted, SETTINGS, tmp_path / "whole", CountedTrainer().open)
    cut = CountedTrainer(limit=27)  # in the middle of the second round
    with pytest.raises(KeyboardInterrupt):
        run_audit(fitted, SETTINGS, tmp_path / "cut", cut.open)
    rest = CountedTrainer()
    assert run_audit(fitted, SETTINGS, tmp_path / "cut", rest.open) == whole
    assert rest.trained == 40 - 27
    again = CountedTrainer(limit=0)
    assert run_audit(fitted, SETTINGS, tmp_path / "cut", again.open) == whole


def test_another_audit_in_the_same_folder_is_refused(fitted: Table, tmp_path: Path) -> None:
    settings = AuditSettings(("random",), budget=20, cells=2, seeds=1, rounds=1, most_rounds=1)
    run_audit(fitted, settings, tmp_path, CountedTrainer().open)
    other = AuditSettings(("random",), budget=30, cells=2, seeds=1, rounds=1, most_rounds=1)
    with pytest.raises(RunError, match="holds another audit: budget is 20 there and 30 here"):
        run_audit(fitted, other, tmp_path, CountedTrainer().open)


@pytest.mark.parametrize("content", ["", "[]", "5", "{", "[" * 100_000, "[[1, 2]]"])
def test_settings_of_an_audit_that_are_none_are_told_in_a_line(
    fitted: Table, tmp_path: Path, content: str
) -> None:
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(RunError, match=r"settings.json is damaged, or something else; bring a whole copy"):
        run_audit(fitted, SETTINGS, tmp_path, CountedTrainer().open)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "5", "[5]", '[{"cell": "a"}]', '[{"cell": 5, "search": "a", "observed": 0.5}]'],
)
def test_finds_of_an_audit_that_are_none_are_told_in_a_line(
    fitted: Table, tmp_path: Path, content: str
) -> None:
    settings = AuditSettings(("random",), budget=20, cells=2, seeds=1, rounds=1, most_rounds=1)
    with pytest.raises(KeyboardInterrupt):
        run_audit(fitted, settings, tmp_path, CountedTrainer(limit=0).open)
    finds = tmp_path / "round-1-finds.json"
    finds.write_text(content)
    with pytest.raises(RunError, match=r"round-1-finds.json is damaged; remove it and give the same command"):
        run_audit(fitted, settings, tmp_path, CountedTrainer().open)
    finds.unlink()
    assert run_audit(fitted, settings, tmp_path, CountedTrainer().open)["rounds"][0]["round"] == 1
