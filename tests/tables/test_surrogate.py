from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.errors import SettingError, TableError
from pnas_sim.noise import cell_keys, standard_noise
from pnas_sim.space import CellSpace
from pnas_tables.forest import Forests, fit_forest, join_forests
from pnas_tables.format import read_table, write_table
from pnas_tables.quality import measure_quality
from pnas_tables.record import StoredSurrogate, Table
from pnas_tables.scale import NormalScores
from pnas_tables.surrogate import FitSettings, Surrogate, fit_surrogate
from pnas_tables.testing import CHECKPOINTS, NOISE, made_up_accuracy

QUICK = FitSettings(forests=3, trees=25, small_trees=10)


@pytest.fixture(scope="module")
def fitted(table: Table) -> Table:
    return fit_surrogate(table, settings=QUICK)


def test_a_fitted_table_is_stored_and_read(fitted: Table, tmp_path: Path) -> None:
    write_table(tmp_path / "x.h5", fitted)
    again = read_table(tmp_path / "x.h5")
    assert again.surrogates == fitted.surrogates
    one, two = Surrogate.from_table(fitted), Surrogate.from_table(again)
    np.testing.assert_array_equal(one.predict_curves(fitted.cells), two.predict_curves(fitted.cells))


def test_fitting_again_gives_the_same_and_another_seed_another(table: Table, fitted: Table) -> None:
    assert fit_surrogate(table, settings=QUICK).surrogates == fitted.surrogates
    other = fit_surrogate(table, seed=1, settings=QUICK)
    assert other.surrogates["lightgbm"].model != fitted.surrogates["lightgbm"].model
    with pytest.raises(SettingError, match="seed is -1"):
        fit_surrogate(table, seed=-1, settings=QUICK)


def test_several_surrogates_lie_side_by_side(fitted: Table) -> None:
    both = fit_surrogate(fitted, name="second", seed=1, settings=QUICK)
    assert sorted(both.surrogates) == ["lightgbm", "second"]
    one, two = (Surrogate.from_table(both, name).predict(both.cells) for name in ("lightgbm", "second"))
    assert not np.array_equal(one.valid_accuracy, two.valid_accuracy)


def test_metadata_says_what_was_measured(fitted: Table) -> None:
    about = fitted.surrogates["lightgbm"].metadata
    assert json.loads(json.dumps(about, allow_nan=False)) == about
    assert about["cells"] == 60 and about["largest_blocks"] == 3 and about["noise_degrees_of_freedom"] == 60
    for place in range(len(CHECKPOINTS)):
        assert about["noise"][f"valid {place}"] == pytest.approx(NOISE, rel=0.35)
    assert about["noise"]["test"] == pytest.approx(NOISE, rel=0.35)
    assert abs(about["noise"]["correlation"]) < 0.4
    assert about["runs_by_status"] == {"ok": 120, "diverged": 0, "failed": 0}
    quality = about["quality"]
    assert set(quality["by_blocks"]) == {"1", "2", "3"} and quality["folds"] == 5
    overall = quality["overall"]
    assert 0.3 < overall["kendall_tau"] < overall["ceiling_kendall_tau"] < 1
    assert overall["spearman"] < overall["ceiling_spearman"] and overall["r2"] < overall["ceiling_r2"]


def test_test_accuracy_is_validation_accuracy_and_a_gap(fitted: Table) -> None:
    surrogate = Surrogate.from_table(fitted)
    answer = surrogate.predict(fitted.cells)
    gap = np.mean(fitted.test_accuracy - fitted.valid_accuracy)
    np.testing.assert_allclose(answer.test_accuracy, answer.valid_accuracy + gap)
    early = surrogate.predict(fitted.cells, 0)
    np.testing.assert_array_equal(early.test_accuracy, answer.test_accuracy)


def test_seconds_follow_those_measured(fitted: Table) -> None:
    answer = Surrogate.from_table(fitted).predict(fitted.cells)
    expected = 2.0 * fitted.space.block_counts(fitted.cells)
    assert np.corrcoef(answer.seconds, expected)[0, 1] > 0.9


def test_curves_end_at_the_prediction(fitted: Table) -> None:
    surrogate = Surrogate.from_table(fitted)
    curves = surrogate.predict_curves(fitted.cells)
    for place in range(len(CHECKPOINTS)):
        np.testing.assert_array_equal(curves[:, place], surrogate.predict(fitted.cells, place).valid_accuracy)
    assert (curves[:, 0] < curves[:, 2]).all()


def test_failed_runs_are_left_out(table: Table, fitted: Table) -> None:
    """A cell with one failed seed is fitted on the other; one without any seed left is not fitted."""
    status, valid, curves = table.status.copy(), table.valid_accuracy.copy(), table.curves.copy()
    lost = [0, 1, 2]  # both seeds of the first cell, one of the second
    status[lost], valid[lost], curves[lost] = 2, np.nan, np.nan
    partial = replace(table, status=status, valid_accuracy=valid, curves=curves)
    about = fit_surrogate(partial, settings=QUICK).surrogates["lightgbm"].metadata
    assert about["cells"] == 59 and about["runs_by_status"] == {"ok": 117, "diverged": 0, "failed": 3}


def test_unknown_columns_are_not_made_up(table: Table) -> None:
    holes = replace(
        table,
        test_accuracy=np.full_like(table.test_accuracy, np.nan),
        seconds=np.full_like(table.seconds, np.nan),
    )
    answer = Surrogate.from_table(fit_surrogate(holes, settings=QUICK)).predict(table.cells)
    assert np.isnan(answer.test_accuracy).all() and (answer.seconds == 0).all()
    assert (answer.parameters == -1).all()


def test_too_few_cells_are_refused(table: Table) -> None:
    runs = np.flatnonzero(table.run_cells < 19)
    columns = ("run_cells", "seeds", "status", "valid_accuracy", "test_accuracy", "seconds", "curves")
    small = replace(
        table,
        cells=table.cells[:19],
        parameters=table.parameters[:19],
        multiply_adds=table.multiply_adds[:19],
        origins=table.origins[:19],
        errors=("",) * len(runs),
        **{name: getattr(table, name)[runs] for name in columns},
    )
    with pytest.raises(
        TableError, match=r"19 cells with an accuracy at 0\.25 epochs; a surrogate needs at least 20"
    ):
        fit_surrogate(small, settings=QUICK)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"kind": "gp"}, "is of kind 'gp'"),
        ({"features": 0}, "was fitted on other features"),
        ({"model": "import os"}, "model is not LightGBM's text"),
        ({"trees": {"final": [3]}}, "trees instead of 3"),
        ({"noise": {}}, "metadata is incomplete"),
        ({"noise": 5}, "metadata is incomplete"),
        ({"scales": []}, "another number of checkpoints"),
    ],
)
def test_a_stored_surrogate_that_cannot_be_read_is_named(
    change: dict[str, Any], complaint: str, fitted: Table
) -> None:
    stored = fitted.surrogates["lightgbm"]
    text = change.get("model", stored.model)
    about = {**stored.metadata, **{key: value for key, value in change.items() if key != "model"}}
    table = replace(fitted, surrogates={"lightgbm": StoredSurrogate(text, about)})
    with pytest.raises(TableError, match=complaint):
        Surrogate.from_table(table)


# ----------------------------------------------------------------------------------------------------- parts


def test_joined_forests_answer_as_each_alone() -> None:
    import lightgbm

    rng = np.random.default_rng(0)
    features, targets = rng.normal(size=(200, 5)), rng.normal(size=200)
    settings_ = FitSettings(trees=12).for_lightgbm()
    fitted = [fit_forest(features, targets, np.ones(200), settings_, seed) for seed in range(5)]
    counts = [count for _, count in fitted]
    joined = Forests(join_forests([text for text, _ in fitted]), {"one": counts[:2], "two": counts[2:]})
    alone = [lightgbm.Booster(model_str=text).predict(features) for text, _ in fitted]
    np.testing.assert_allclose(
        joined.predict("one", features), np.mean(alone[:2], axis=0), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        joined.predict("two", features), np.mean(alone[2:], axis=0), rtol=0, atol=1e-12
    )


@settings(deadline=None, max_examples=60)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=200))
def test_the_scale_keeps_the_order_and_its_inverse(values: list[float]) -> None:
    accuracies = np.array(values)
    scale = NormalScores.from_json(json.loads(json.dumps(NormalScores.fit(accuracies).as_json())))
    grid = np.linspace(-6, 6, 101)
    back = scale.to_accuracies(grid)
    assert ((back >= 0) & (back <= 1)).all() and (np.diff(back) >= 0).all()
    assert (np.diff(scale.to_scores(np.linspace(0, 1, 101))) > 0).all()
    np.testing.assert_allclose(scale.to_accuracies(scale.to_scores(accuracies)), accuracies, atol=1e-9)


def test_scores_of_the_fitted_values_are_normal() -> None:
    accuracies = np.random.default_rng(0).beta(5, 2, 2000)
    scores = NormalScores.fit(accuracies).to_scores(accuracies)
    assert abs(scores.mean()) < 0.02 and scores.std() == pytest.approx(1, abs=0.03)


def test_noise_is_normal_and_keyed() -> None:
    space = CellSpace()
    cells = space.sample(4000, np.random.default_rng(0))
    keys = cell_keys(space.operations, cells)
    noise = standard_noise(keys, 1.0, 0, "valid")
    assert abs(noise.mean()) < 0.06 and noise.std() == pytest.approx(1, abs=0.05)
    assert len(np.unique(keys)) == len(space.unique(cells)[0])
    others = [standard_noise(keys, *key) for key in ((1.0, 1, "valid"), (0.5, 0, "valid"), (1.0, 0, "test"))]
    for other in others:
        assert abs(np.corrcoef(noise, other)[0, 1]) < 0.06
    neighbours = standard_noise(keys + np.uint64(1), 1.0, 0, "valid")
    assert abs(np.corrcoef(noise, neighbours)[0, 1]) < 0.06


def test_keys_see_neither_padding_nor_the_order_of_operations() -> None:
    space, wide = CellSpace(max_blocks=3), CellSpace(max_blocks=10)
    rows = space.sample(50, np.random.default_rng(0), blocks=2)
    keys = cell_keys(space.operations, rows)
    np.testing.assert_array_equal(cell_keys(wide.operations, wide.fit_width(rows)), keys)
    flipped = rows.copy()
    flipped[:, [2, 3, 6, 7]] = 7 - rows[:, [2, 3, 6, 7]]
    np.testing.assert_array_equal(cell_keys(space.operations[::-1], flipped), keys)


def test_keys_are_the_same_for_ever() -> None:
    """Searches recorded with one version go on with the next: the key of this cell is part of the format."""
    space = CellSpace()
    row = space.parse("sep5(-2)+max3(-2) | sep7(-1)+max3(-1)")[None]
    keys = cell_keys(space.operations, row)
    assert keys.tolist() == [GOLDEN_KEY]
    assert standard_noise(keys, 1.0, 3, "valid")[0] == pytest.approx(GOLDEN_NOISE, abs=1e-12)


GOLDEN_KEY = 9762808417112845169
GOLDEN_NOISE = 0.11936476631329583


def test_quality_of_an_oracle_is_its_ceiling() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0.5, 0.05, 600)
    noise = np.full(600, 0.02)
    found = measure_quality(truth, truth + noise * rng.standard_normal(600), noise, np.full(600, 5))[
        "overall"
    ]
    for name in ("kendall_tau", "spearman", "r2"):
        assert found[name] == pytest.approx(found[f"ceiling_{name}"], abs=0.05)
    assert found["rmse"] == pytest.approx(0.02, rel=0.1)


def test_quality_of_too_few_cells_is_unknown() -> None:
    found = measure_quality(np.arange(9.0), np.arange(9.0), np.zeros(9), np.array([1] * 8 + [2]))
    assert found["by_blocks"]["2"]["kendall_tau"] is None and found["by_blocks"]["2"]["cells"] == 1
    assert found["by_blocks"]["1"]["kendall_tau"] == pytest.approx(1.0)


def test_predictions_follow_a_known_truth(fitted: Table) -> None:
    space = fitted.space
    rows = space.canonical(space.sample(300, np.random.default_rng(5), blocks=3))
    predicted = Surrogate.from_table(fitted).predict(rows).valid_accuracy
    assert np.corrcoef(predicted, made_up_accuracy(space, rows))[0, 1] > 0.5
