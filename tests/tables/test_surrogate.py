from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_sim.errors import SettingError, TableError
from pnas_sim.noise import standard_noise
from pnas_sim.space import CellSpace
from pnas_tables.card_pictures import predict_again
from pnas_tables.families import FAMILIES
from pnas_tables.fit import choose_fitted
from pnas_tables.forest import ForestSettings
from pnas_tables.format import read_table, write_table
from pnas_tables.recheck import remeasure
from pnas_tables.record import StoredSurrogate, Table
from pnas_tables.sample import gather_sample
from pnas_tables.scale import read_scale
from pnas_tables.surrogate import FitSettings, Surrogate, fit_surrogate
from pnas_tables.testing import CHECKPOINTS, NOISE, made_up_accuracy

QUICK = FitSettings(worlds=3, shares=(0.5,), forest=ForestSettings(forests=2, trees=25))
NAMES = list(FAMILIES)


@pytest.fixture(scope="module")
def fitted(table: Table) -> Table:
    """With a surrogate of each family, under its name."""
    for name in NAMES:
        table = fit_surrogate(table, settings=QUICK, family=name)
    return table


def random_cells(space: CellSpace, count: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.concatenate([space.canonical(space.sample(count, rng, blocks=b)) for b in (1, 2, 3)])


# ------------------------------------------------------------------------- what every family's surrogate does


@pytest.mark.parametrize("name", NAMES)
def test_a_fitted_table_is_stored_and_read(name: str, fitted: Table, tmp_path: Path) -> None:
    write_table(tmp_path / "x.h5", fitted)
    again = read_table(tmp_path / "x.h5")
    assert again.surrogates == fitted.surrogates
    one, two = Surrogate.from_table(fitted, name), Surrogate.from_table(again, name)
    np.testing.assert_array_equal(one.predict_curves(fitted.cells), two.predict_curves(fitted.cells))


@pytest.mark.parametrize("name", NAMES)
def test_fitting_again_gives_the_same_and_another_seed_another(
    name: str, table: Table, fitted: Table
) -> None:
    again = fit_surrogate(table, settings=QUICK, family=name)
    assert again.surrogates[name] == fitted.surrogates[name]
    other = fit_surrogate(table, seed=1, settings=QUICK, family=name)
    worlds = [Surrogate.from_table(one, name, 1).predict_mean(table.cells) for one in (fitted, other)]
    assert not np.array_equal(*worlds)
    with pytest.raises(SettingError, match="seed is -1"):
        fit_surrogate(table, seed=-1, settings=QUICK, family=name)


@pytest.mark.parametrize("name", NAMES)
def test_answers_do_not_depend_on_company_width_or_blocks_of_others(name: str, fitted: Table) -> None:
    surrogate = Surrogate.from_table(fitted, name)
    cells = random_cells(fitted.space, 150)
    together = surrogate.predict_accuracy(cells)
    wide = CellSpace(max_blocks=9).fit_width(cells)
    np.testing.assert_array_equal(surrogate.predict_accuracy(wide), together)
    order = np.random.default_rng(0).permutation(len(cells))
    np.testing.assert_array_equal(surrogate.predict_accuracy(cells[order]), together[order])
    for place in range(0, len(cells), 29):
        assert surrogate.predict_accuracy(cells[place : place + 1])[0] == together[place]
    np.testing.assert_array_equal(surrogate.predict(cells).valid_accuracy, together)
    assert len(surrogate.predict_accuracy(cells[:0])) == 0


@pytest.mark.parametrize("name", NAMES)
def test_predictions_follow_a_known_truth(name: str, fitted: Table) -> None:
    cells = random_cells(fitted.space, 100)
    predicted = Surrogate.from_table(fitted, name).predict_mean(cells)
    assert np.corrcoef(predicted, made_up_accuracy(fitted.space, cells))[0, 1] > 0.6


@pytest.mark.parametrize("name", NAMES)
def test_worlds_differ_by_refit_and_by_fixed_effects(name: str, fitted: Table) -> None:
    cells = random_cells(fitted.space, 200)
    worlds = [Surrogate.from_table(fitted, name, world) for world in range(3)]
    means = np.array([world.predict_mean(cells) for world in worlds])
    values = np.array([world.predict_accuracy(cells) for world in worlds])
    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert not np.array_equal(means[one], means[two])
        effects = values - means
        assert abs(np.corrcoef(effects[one], effects[two])[0, 1]) < 0.25, "each world draws its own"
        assert 0.3 < np.corrcoef(values[one], values[two])[0, 1] < 1
    spread = worlds[0].metadata["effects"]
    assert set(spread) == {"1", "2", "3"} and all(value > 0 for value in spread.values())
    with pytest.raises(
        SettingError, match=r"world is 3; the surrogate has the worlds 0 to 2, 3 in all: choose"
    ):
        Surrogate.from_table(fitted, name, 3)
    with pytest.raises(SettingError, match="world is -1"):
        Surrogate.from_table(fitted, name, -1)


@pytest.mark.parametrize("name", NAMES)
def test_the_effect_is_the_cells_own_and_of_the_size_left_over(name: str, fitted: Table) -> None:
    """In scores it has the stored deviation; its sign and size belong to the canonical cell alone."""
    cells = fitted.space.canonical(fitted.space.sample(1500, np.random.default_rng(3), blocks=3))
    surrogate = Surrogate.from_table(fitted, name)
    scale = read_scale(surrogate.metadata["scales"][-1])
    effect = scale.to_scores(surrogate.predict_accuracy(cells)) - scale.to_scores(
        surrogate.predict_mean(cells)
    )
    assert effect.std() == pytest.approx(surrogate.metadata["effects"]["3"], rel=0.1)
    assert abs(effect.mean()) < 0.1 * effect.std() + 0.02


def test_the_mean_is_that_of_both_families_scores(fitted: Table) -> None:
    cells = random_cells(fitted.space, 50)
    scale = read_scale(fitted.surrogates["mean"].metadata["scales"][-1])
    for world in (0, 2):
        scores = {
            name: scale.to_scores(Surrogate.from_table(fitted, name, world).predict_mean(cells))
            for name in NAMES
        }
        np.testing.assert_allclose(scores["mean"], (scores["lightgbm"] + scores["gp"]) / 2, atol=1e-6)


def test_several_surrogates_lie_side_by_side(table: Table, fitted: Table) -> None:
    both = fit_surrogate(fitted, name="second", seed=1, settings=QUICK)
    assert sorted(both.surrogates) == ["gp", "lightgbm", "mean", "second"]
    with pytest.raises(SettingError, match="family 'svm' is unknown; known are: lightgbm, gp, mean"):
        fit_surrogate(table, family="svm")


# ----------------------------------------------------------------------------------------- what it is made of


def test_metadata_says_what_was_measured(fitted: Table) -> None:
    about = fitted.surrogates["lightgbm"].metadata
    assert json.loads(json.dumps(about, allow_nan=False)) == about
    assert about["cells"] == 60 and about["largest_blocks"] == 3
    assert about["runs_by_status"] == {"ok": 120, "diverged": 0, "failed": 0}
    for deviation in (*about["noise"]["valid"], about["noise"]["test"]):
        assert deviation["middle"] == pytest.approx(NOISE, rel=0.35) and deviation["freedom"] == 60
    quality = about["quality"]
    assert set(quality["by_blocks"]) == {"1", "2", "3"} and quality["folds"] == 5
    assert set(quality["by_group"]) == {"random"} and set(quality["by_training_share"]) == {"50"}
    overall = quality["overall"]
    assert quality["by_training_share"]["50"]["rmse"] > overall["rmse"]
    assert 0.3 < overall["kendall_tau"] < overall["ceiling_kendall_tau"] < 1
    assert overall["spearman"] < overall["ceiling_spearman"] and overall["r2"] < overall["ceiling_r2"]


def test_sealed_cells_are_never_fitted_and_measured_apart(table: Table, fitted: Table) -> None:
    """Whatever their accuracies are, the model stays the same; they are measured as a group of their own."""
    sealed = np.arange(len(table)) % 4 == 0
    origins = tuple("sealed+uniform" if mine else "search" for mine in sealed)
    apart = replace(table, origins=origins)
    of_sealed = sealed[table.run_cells]
    changed = replace(
        apart, valid_accuracy=np.where(of_sealed, 1 - table.valid_accuracy, table.valid_accuracy)
    )
    one, two = (fit_surrogate(with_, settings=QUICK).surrogates["lightgbm"] for with_ in (apart, changed))
    assert one.metadata["cells"] == 45
    assert all(np.array_equal(one.arrays[name], two.arrays[name]) for name in one.arrays if "world" in name)
    assert one.metadata["extras"]["test_gap"] == two.metadata["extras"]["test_gap"]
    groups = one.metadata["quality"]["by_group"]
    assert {name: group["cells"] for name, group in groups.items()} == {"search": 45, "sealed": 15}
    assert groups["sealed"]["spearman"] > 0.3 > two.metadata["quality"]["by_group"]["sealed"]["spearman"]


def test_test_accuracy_is_validation_accuracy_a_gap_and_an_effect(fitted: Table) -> None:
    surrogate = Surrogate.from_table(fitted)
    answer = surrogate.predict(fitted.cells)
    gap = np.mean(fitted.test_accuracy - fitted.valid_accuracy)
    apart = answer.test_accuracy - answer.valid_accuracy
    assert apart.mean() == pytest.approx(gap, abs=0.003)
    assert apart.std() == pytest.approx(surrogate.metadata["extras"]["test_effect"], abs=0.002)
    early = surrogate.predict(fitted.cells, 0)
    np.testing.assert_array_equal(early.test_accuracy, answer.test_accuracy)
    own = answer.valid_accuracy - surrogate.predict_mean(fitted.cells)
    assert abs(np.corrcoef(apart, own)[0, 1]) < 0.4, "no part of the cell's effect on validation images"


def test_each_size_has_effects_of_its_own_size(fitted: Table) -> None:
    surrogate = Surrogate.from_table(fitted)
    surrogate._effects = replace(surrogate._effects, deviations=np.array([9.0, 0.0, 0.0, 0.5]))
    same = surrogate.predict_accuracy(fitted.cells) == surrogate.predict_mean(fitted.cells)
    sizes = fitted.space.block_counts(fitted.cells)
    assert same[sizes < 3].all() and not same[sizes == 3].any()


def test_seconds_follow_those_measured(fitted: Table) -> None:
    answer = Surrogate.from_table(fitted).predict(fitted.cells)
    expected = 2.0 * fitted.space.block_counts(fitted.cells)
    assert np.corrcoef(answer.seconds, expected)[0, 1] > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_curves_end_at_the_prediction(name: str, fitted: Table) -> None:
    surrogate = Surrogate.from_table(fitted, name, 1)
    curves = surrogate.predict_curves(fitted.cells)
    for place in range(len(CHECKPOINTS)):
        np.testing.assert_array_equal(curves[:, place], surrogate.predict(fitted.cells, place).valid_accuracy)
    assert (curves[:, 0] < curves[:, 2]).all()
    assert np.corrcoef(curves[:, 1], curves[:, 2])[0, 1] > 0.9


def test_each_checkpoint_has_effects_and_noise_of_its_own(fitted: Table) -> None:
    surrogate = Surrogate.from_table(fitted)
    plain = surrogate.predict_curves(fitted.cells)
    effects = surrogate._extras.curve_effects
    surrogate._extras = replace(surrogate._extras, curve_effects=(effects[0] + 0.5, effects[1]))
    other = surrogate.predict_curves(fitted.cells)
    assert (other[:, 0] != plain[:, 0]).all()
    scale = read_scale(surrogate.metadata["scales"][0])
    own = (scale.to_scores(other[:, 0]) - scale.to_scores(plain[:, 0])) / 0.5
    drawn_apart = standard_noise(surrogate.keys(fitted.cells), CHECKPOINTS[0], 0, "effect")
    np.testing.assert_allclose(own, drawn_apart, atol=1e-6)
    np.testing.assert_array_equal(other[:, 1:], plain[:, 1:])
    keys, level = np.arange(500, dtype=np.uint64), np.full(500, 0.5)
    drawn = [surrogate.draw_noise(keys, place, 3, level, level).valid for place in (0, 2, -1)]
    wanted = surrogate.noise.draw(keys, CHECKPOINTS, 0, 3, level, level).valid
    np.testing.assert_array_equal(drawn[0], wanted)
    np.testing.assert_array_equal(drawn[1], drawn[2])
    assert abs(np.corrcoef(drawn[0], drawn[1])[0, 1]) < 0.2


def test_failed_runs_are_left_out_and_diverged_ones_are_a_rate(table: Table) -> None:
    """A cell with one failed seed is fitted on the other; one without any seed left is not fitted."""
    status, valid, curves = table.status.copy(), table.valid_accuracy.copy(), table.curves.copy()
    lost = [0, 1, 2]  # both seeds of the first cell, one of the second
    status[lost], valid[lost], curves[lost] = 2, np.nan, np.nan
    status[10], valid[10], curves[10] = 1, 0.1, 0.1
    partial = replace(table, status=status, valid_accuracy=valid, curves=curves)
    about = fit_surrogate(partial, settings=QUICK).surrogates["lightgbm"].metadata
    assert about["cells"] == 59 and about["runs_by_status"] == {"ok": 116, "diverged": 1, "failed": 3}
    assert about["noise"]["divergence"] == pytest.approx(1 / 116)
    assert about["noise"]["divergence_runs"] == 116


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
    ("settings", "complaint"),
    [
        (replace(QUICK, worlds=0), "worlds is 0"),
        (replace(QUICK, scale="cubic"), "scale is 'cubic'; it must be one of: normal, logit"),
        (replace(QUICK, forest=ForestSettings(leaves=9)), "leaves is 9; it must be from 2 to 8"),
        (replace(QUICK, forest=ForestSettings(trees=0)), "0 trees"),
    ],
)
def test_settings_out_of_range_are_named(settings: FitSettings, complaint: str, table: Table) -> None:
    with pytest.raises(SettingError, match=complaint):
        fit_surrogate(table, settings=settings)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"kind": "gaussian"}, "is of kind 'gaussian'"),
        ({"features": 0}, "was fitted on other features"),
        ({"noise": {}}, "contents are incomplete"),
        ({"noise": 5}, "contents are incomplete"),
        ({"settings": {"worlds": 3}}, "contents are incomplete"),
        ({"effects": {}}, "contents are incomplete"),
        ({"scales": []}, "another number of checkpoints"),
    ],
)
def test_a_stored_surrogate_that_cannot_be_read_is_named(
    change: dict[str, Any], complaint: str, fitted: Table
) -> None:
    stored = fitted.surrogates["lightgbm"]
    changed = StoredSurrogate({**stored.metadata, **change}, stored.arrays)
    with pytest.raises(TableError, match=complaint):
        Surrogate.from_table(replace(fitted, surrogates={"lightgbm": changed}))


def test_a_kind_of_another_version_is_named_wherever_it_is_asked_for(fitted: Table) -> None:
    stored = fitted.surrogates["gp"]
    changed = StoredSurrogate({**stored.metadata, "kind": "gaussian"}, stored.arrays)
    other = replace(fitted, surrogates={"gp": changed})
    for ask in (remeasure, predict_again):
        with pytest.raises(TableError, match="is of kind 'gaussian'; this version knows lightgbm-bagged-2, "):
            ask(other, "gp")


@pytest.mark.parametrize("name", NAMES)
def test_missing_and_damaged_arrays_are_named(name: str, fitted: Table) -> None:
    stored = fitted.surrogates[name]
    for lost in stored.arrays:
        if "world-1" in lost or "world-2" in lost:
            continue
        rest = {key: values for key, values in stored.arrays.items() if key != lost}
        with pytest.raises(TableError, match="contents are incomplete"):
            Surrogate.from_table(
                replace(fitted, surrogates={name: StoredSurrogate(stored.metadata, rest)}), name
            )


def test_trees_that_point_outside_are_refused(fitted: Table) -> None:
    stored = fitted.surrogates["lightgbm"]
    far = stored.arrays["world-0-conditions"] + 10**6
    broken = StoredSurrogate(stored.metadata, {**stored.arrays, "world-0-conditions": far})
    with pytest.raises(TableError, match="trees are damaged"):
        Surrogate.from_table(replace(fitted, surrogates={"lightgbm": broken}))


def test_of_a_smaller_spaces_cells_no_more_are_fitted_than_of_others(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sealed cells never are; those of a smaller space up to as many of a size as others, or the fewest."""
    monkeypatch.setattr("pnas_tables.fit.FEWEST_CELLS", 5)
    origins = np.full(len(table), "subspace", dtype="U8")
    sizes = table.space.block_counts(table.cells)
    large = np.flatnonzero(sizes == sizes[-1])
    origins[large[:8]], origins[large[8:10]] = "uniform", "sealed"
    whole = gather_sample(replace(table, origins=tuple(origins.tolist())))
    fitted = choose_fitted(whole, 0)
    assert fitted[large[:8]].all() and not fitted[large[8:10]].any()
    for size in np.unique(sizes):
        small = (sizes == size) & (origins == "subspace")
        assert fitted[small].sum() == min(small.sum(), 8 if size == sizes[large[0]] else 5)
    np.testing.assert_array_equal(fitted, choose_fitted(whole, 0))
    assert (fitted != choose_fitted(whole, 1)).any()


def test_cells_of_a_smaller_space_do_not_count_in_the_whole(table: Table) -> None:
    """Many cells of a few operations would otherwise decide what is said of all of them."""
    foreign = np.arange(len(table)) % 4 == 0
    origins = tuple("subspace" if mine else "uniform" for mine in foreign)
    quality = fit_surrogate(replace(table, origins=origins), settings=QUICK).surrogates["lightgbm"]
    about = quality.metadata["quality"]
    assert (
        quality.metadata["cells"]
        == about["by_group"]["random"]["cells"] + about["by_group"]["subspace"]["cells"]
    )
    assert about["overall"]["cells"] == sum(row["cells"] for row in about["by_blocks"].values()) == 45
    assert about["overall"]["kendall_tau"] == about["by_group"]["random"]["kendall_tau"]
    imported = fit_surrogate(replace(table, origins=("imported",) * len(table)), settings=QUICK)
    about = imported.surrogates["lightgbm"].metadata["quality"]
    assert about["group"] is None and about["overall"]["cells"] == len(table)


def test_what_searches_found_and_raw_draws_are_measured_apart(table: Table) -> None:
    """Each design by size: among random cells, finds would pass for order, being better than these."""
    origins = np.full(len(table), "uniform", dtype="U8")
    sizes = table.space.block_counts(table.cells)
    for size in (2, 3):
        origins[np.flatnonzero(sizes == size)[:9]] = "search"
    origins[np.flatnonzero(sizes == 1)[:5]] = "raw"
    stored = fit_surrogate(replace(table, origins=tuple(origins.tolist())), settings=QUICK)
    about = stored.surrogates["lightgbm"].metadata
    assert about["cells"] == len(table), "all of them are fitted"
    quality, counts = about["quality"], {"1": 15, "2": 11, "3": 11}
    assert quality["group"] == "random" and quality["overall"]["cells"] == 37
    assert {size: row["cells"] for size, row in quality["by_blocks"].items()} == counts
    assert quality["by_training_share"]["50"]["cells"] == 37
    groups = quality["by_group"]
    assert groups["random"] == {**quality["overall"], "by_blocks": quality["by_blocks"]}
    found = groups["search"]["by_blocks"]
    assert groups["search"]["cells"] == 18 and {size: row["cells"] for size, row in found.items()} == {
        "2": 9,
        "3": 9,
    }
    assert found["3"]["kendall_tau"] != groups["search"]["kendall_tau"]
    assert groups["raw"]["cells"] == groups["raw"]["by_blocks"]["1"]["cells"] == 5
