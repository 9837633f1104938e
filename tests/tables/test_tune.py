from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pnas_sim.errors import TableError
from pnas_tables.families import FitSettings
from pnas_tables.fit import FitTask
from pnas_tables.recheck import compare_quality, remeasure
from pnas_tables.record import Table
from pnas_tables.sample import Sample
from pnas_tables.scale import SCALES
from pnas_tables.surrogate import Surrogate, fit_surrogate
from pnas_tables.tune import list_candidates, tune_settings

QUICK = FitSettings(worlds=1, shares=())


def test_the_best_candidate_is_chosen_and_nested_figures_are_of_cells_held_out(table: Table) -> None:
    steps: list[tuple[int, int]] = []
    chosen, report = tune_settings(table, "gp", 0, QUICK, lambda done, total: steps.append((done, total)))
    taus = [candidate["kendall_tau"] for candidate in report["candidates"]]
    best = report["candidates"][int(np.argmax(taus))]
    assert report["chosen"] == {"scale": best["scale"]} and chosen.scale == best["scale"]
    assert chosen == replace(QUICK, scale=chosen.scale)
    assert steps[-1] == (36, 36) and len(steps) == 36
    nested = report["nested"]
    assert 0.2 < nested["kendall_tau"] < 1 and nested["cells"] == 60
    assert nested["kendall_tau"] < nested["ceiling_kendall_tau"] < 1  # the noise of seeds, not none at all
    assert tune_settings(table, "gp", 0, QUICK)[1] == report


@pytest.mark.parametrize(("ahead", "scale"), [(0.004, "normal"), (0.006, "logit")])
def test_another_scale_must_be_ahead_by_more_than_chance(
    ahead: float, scale: str, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    taus = {"normal": [0.7, 0.71, 0.705] * 2, "logit": [0.6, 0.71 + ahead, 0.5] * 2}

    def compare(*_: object) -> list[float]:
        return [*taus["normal"], *taus["logit"]]

    monkeypatch.setattr("pnas_tables.tune._compare", compare)
    chosen, _ = tune_settings(table, "lightgbm", 0, QUICK)
    order = [one.scale for one in list_candidates("lightgbm", QUICK)]
    assert order == ["normal"] * 6 + ["logit"] * 6 and chosen.scale == scale


def test_no_cell_has_a_say_in_what_predicts_it(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which scale serves alternates with the outer folds; the other one predicts the wrong way round."""
    asked_of: list[tuple[int, int, str]] = []

    def predict(task: FitTask, seen: Sample, asked: Sample) -> np.ndarray:
        assert not set(map(bytes, seen.cells)) & set(map(bytes, asked.cells)), "held out is held out"
        stage = (
            len(asked_of) // 7
        )  # in each outer fold twice three inner ones and the outer one; then the whole
        asked_of.append((len(seen), len(asked), task.settings.scale))
        serves = SCALES[stage % 2] if stage < 5 else "logit"
        return asked.final if task.settings.scale == serves else 1 - asked.final

    monkeypatch.setattr("pnas_tables.tune.predict_from", predict)
    chosen, report = tune_settings(table, "gp", 0, QUICK)
    picks = [SCALES[fold % 2] for fold in range(5)]
    assert [pick["scale"] for pick in report["chosen_in_outer_folds"]] == picks
    assert (chosen.scale, report["nested"]["kendall_tau"]) == ("logit", pytest.approx(1.0))
    assert [asked_of[7 * fold + 6] for fold in range(5)] == [(48, 12, pick) for pick in picks]
    inner = [call[:2] for fold in range(5) for call in asked_of[7 * fold : 7 * fold + 6]]
    assert inner == [(32, 16)] * 30 and [call[:2] for call in asked_of[35:]] == [(40, 20)] * 6


def test_folds_follow_the_seed(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    held: dict[int, list[bytes]] = {0: [], 1: []}
    for seed, parts in held.items():

        def predict(task: FitTask, seen: Sample, asked: Sample, parts: list[bytes] = parts) -> np.ndarray:
            parts.append(asked.cells.tobytes())
            return asked.final

        monkeypatch.setattr("pnas_tables.tune.predict_from", predict)
        tune_settings(table, "gp", seed, QUICK)
    assert not set(held[0]) & set(held[1])


def test_forests_are_tuned_in_size_too() -> None:
    candidates = list_candidates("lightgbm", QUICK)
    assert len(candidates) == len({repr(one) for one in candidates}) == 12
    assert {one.worlds for one in candidates} == {1}


def test_accuracies_all_equal_choose_nothing_but_can_be_fitted(table: Table) -> None:
    alike = np.full(len(table.seeds), 0.5)
    same = replace(table, valid_accuracy=alike, curves=np.broadcast_to(alike[:, None], table.curves.shape))
    with pytest.raises(TableError, match=r"all 60 cells of table .* have accuracy 0.5.*without --tune"):
        tune_settings(same, "gp", 0, QUICK)
    for family in ("lightgbm", "gp"):
        fitted = fit_surrogate(same, family=family, settings=QUICK)
        answers = Surrogate.from_table(fitted, family).predict_accuracy(table.cells)
        assert np.allclose(answers, 0.5, atol=1e-3)


def test_too_few_cells_to_choose_by_are_refused(table: Table) -> None:
    origins = ("sealed", *table.origins[1:])
    with pytest.raises(TableError, match="59 cells to choose settings by; at least 60 are needed"):
        tune_settings(replace(table, origins=origins), "gp", 0, QUICK)


def test_figures_are_found_again(table: Table) -> None:
    fitted = fit_surrogate(table, settings=QUICK, family="gp")
    stored = fitted.surrogates["gp"].metadata["quality"]
    found = remeasure(fitted, "gp")
    assert found == stored and compare_quality(found, stored) == 0
    praised = {**stored, "overall": {**stored["overall"], "kendall_tau": 1.0}}
    assert compare_quality(found, praised) == pytest.approx(1 - stored["overall"]["kendall_tau"])
    with pytest.raises(TableError, match="other parts of the table: by_training_share 50"):
        compare_quality(found, {**stored, "by_training_share": {"50": stored["overall"]}})
    with pytest.raises(TableError, match="other parts of the table: overall of all, overall of random"):
        compare_quality(found, {**stored, "group": None})
    with pytest.raises(TableError, match="surrogate 'x' is not in table made-up; it has: gp"):
        remeasure(fitted, "x")
