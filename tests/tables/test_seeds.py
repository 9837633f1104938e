from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pnas_sim.evaluate import Status
from pnas_tables.record import Table
from pnas_tables.seeds import Deviation, SeedNoise, fit_deviation
from pnas_tables.testing import CHECKPOINTS, NOISE


def with_noise(table: Table, deviations: np.ndarray, seed: int = 0) -> np.ndarray:
    """One figure for each run: a mean of each cell from .3 to .6, plus noise of the cell's deviation."""
    rng = np.random.default_rng(seed)
    means = np.linspace(0.3, 0.6, len(table))
    return means[table.run_cells] + deviations[table.run_cells] * rng.standard_normal(len(table.run_cells))


def test_a_constant_deviation_is_found(table: Table) -> None:
    found = fit_deviation(table, with_noise(table, np.full(60, 0.01)))
    assert found.middle == pytest.approx(0.01, rel=0.25) and found.freedom == 60
    assert abs(found.slope) < 0.6
    assert found.at(np.array([0.3, 0.45, 0.6])).max() < 0.016


def test_a_deviation_that_falls_with_accuracy_is_found_in_part(table: Table) -> None:
    """The prior pulls the slope towards 0; with 60 degrees of freedom well over half of it is left."""
    deviations = np.geomspace(0.03, 0.003, 60)
    slopes = [fit_deviation(table, with_noise(table, deviations, seed)).slope for seed in range(5)]
    true = 2 * np.log(0.1) / np.sqrt(12)  # of the log variance, over one deviation of accuracy
    assert true < np.mean(slopes) < 0.4 * true
    found = fit_deviation(table, with_noise(table, deviations))
    assert found.at(np.array(0.3)) > 2 * found.at(np.array(0.6))
    assert found.at(np.array(0.0)) == found.at(np.array(found.lowest)), "no further than measured"
    assert found.at(np.array(1.0)) == found.at(np.array(found.highest))


def test_one_odd_run_does_not_tilt_the_deviation(table: Table) -> None:
    """Of the worst cell, ten deviations away: it counts for the level, hardly for the slope."""
    values = with_noise(table, np.full(60, 0.01))
    odd = values.copy()
    odd[np.flatnonzero(table.run_cells == 0)[0]] -= 0.1
    plain, found = fit_deviation(table, values), fit_deviation(table, odd)
    assert found.lowest < plain.lowest and found.middle > plain.middle
    assert abs(found.slope - plain.slope) < 0.3
    np.testing.assert_allclose(mean_variance(table, odd), pooled_variance(table, odd), rtol=0.02)


def mean_variance(table: Table, values: np.ndarray) -> float:
    """What the fit says of the cells, as they are."""
    means = np.bincount(table.run_cells, values) / np.bincount(table.run_cells)
    return float((fit_deviation(table, values).at(means) ** 2).mean())


def pooled_variance(table: Table, values: np.ndarray) -> float:
    """Within cells, of two runs each."""
    means = np.bincount(table.run_cells, values) / np.bincount(table.run_cells)
    return float(2 * ((values - means[table.run_cells]) ** 2).mean())


def test_the_slope_is_of_the_log_of_the_variance() -> None:
    found = Deviation(middle=0.01, slope=-1.0, center=0.5, spread=0.1, lowest=0.3, highest=0.7)
    deviations = found.at(np.array([0.5, 0.6, 0.7, 0.9, 0.1]))
    np.testing.assert_allclose(deviations**2, 0.01**2 * np.exp([0.0, -1.0, -2.0, -2.0, 2.0]))


def test_without_repeated_cells_there_is_no_noise(table: Table) -> None:
    once = table.seeds == 0
    columns = ("run_cells", "seeds", "status", "valid_accuracy", "test_accuracy", "seconds", "curves")
    single = replace(
        table,
        errors=tuple(np.array(table.errors, object)[once]),
        **{name: getattr(table, name)[once] for name in columns},
    )
    noise = SeedNoise.measure(single)
    assert noise.valid[-1] == Deviation() and noise.correlation == 0 and noise.divergence == 0
    keys = np.arange(5, dtype=np.uint64)
    drawn = noise.draw(keys, CHECKPOINTS, 2, 0, np.full(5, 0.5), np.full(5, 0.5))
    assert not drawn.valid.any() and not drawn.test.any() and not drawn.diverged.any()


def end(table: Table, statuses: dict[int, Status]) -> Table:
    """The table with some runs ended so; diverged ones have the accuracy of guessing."""
    status, valid = table.status.copy(), table.valid_accuracy.copy()
    for run, ending in statuses.items():
        status[run] = ending
        valid[run] = 0.1 if ending == Status.DIVERGED else np.nan
    return replace(table, status=status, valid_accuracy=valid)


def runs_of(table: Table, cell: int) -> list[int]:
    return np.flatnonzero(table.run_cells == cell).tolist()


def test_divergence_is_a_share_of_the_runs_of_cells_that_can_be_trained(table: Table) -> None:
    """Of 60 cells with two runs one diverges once, one always, and of one a run failed."""
    diverged, failed = Status.DIVERGED, Status.FAILED
    (first, _), (one, other), (lost, _) = (runs_of(table, cell) for cell in (0, 1, 2))
    noise = SeedNoise.measure(end(table, {first: diverged, one: diverged, other: diverged, lost: failed}))
    assert noise.divergence_runs == 2 * 58
    assert noise.divergence == pytest.approx(1 / 116)


def test_a_run_that_diverged_is_no_seed_noise(table: Table) -> None:
    run = runs_of(table, 0)[0]
    spoilt, without = (end(table, {run: status}) for status in (Status.DIVERGED, Status.FAILED))
    found = fit_deviation(spoilt, spoilt.valid_accuracy)
    assert found.freedom == 59
    assert found == fit_deviation(without, without.valid_accuracy)


def test_cells_with_more_runs_count_for_more(table: Table) -> None:
    """The middle accuracy is the mean of cells by their degrees of freedom: here one has 18 of 68."""
    run_cells = np.where(table.run_cells < 10, 0, table.run_cells)
    values = np.where(run_cells == 0, 0.3, 0.6) + np.random.default_rng(0).normal(0, 1e-3, len(run_cells))
    found = fit_deviation(replace(table, run_cells=run_cells), values)
    assert found.freedom == 18 + 50  # of its twenty runs the first may be why there are more
    assert found.center == pytest.approx((18 * 0.3 + 50 * 0.6) / 68, abs=1e-3)


def test_the_luck_that_a_cell_was_repeated_for_is_no_seed_noise(table: Table) -> None:
    """The best six of sixty equal cells by their first run are trained twice more; a hundred times over."""
    found = {
        origin: np.array([repeat_best(table, origin, seed) for seed in range(100)]) for origin in ORIGINS
    }
    assert np.sqrt((found["uniform"] ** 2).mean()) == pytest.approx(0.01, rel=0.1)
    assert np.sqrt((found["sealed"] ** 2).mean()) > 0.012, "with the run that they were chosen by"


ORIGINS = ("uniform", "sealed")


def repeat_best(table: Table, origin: str, seed: int) -> float:
    """The deviation that is found where the true one is .01."""
    rng = np.random.default_rng(seed)
    first = rng.normal(0.5, 0.01, len(table))
    best = np.argsort(-first)[:6]
    values = np.concatenate([first, rng.normal(0.5, 0.01, 12)])
    again = replace(
        table,
        origins=(origin,) * len(table),
        run_cells=np.concatenate([np.arange(len(table)), best, best]),
        seeds=np.repeat([0, 1, 2], [len(table), 6, 6]),
        status=np.zeros(len(values), np.uint8),
    )
    found = fit_deviation(again, values)
    assert found.freedom == (6 if origin == "uniform" else 12)
    return found.middle


def test_noise_that_is_opposed_on_both_sets_of_images_is_taken_for_none(table: Table) -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.01, len(table.seeds))
    for sign, low, high in ((1.0, 0.99, 0.99), (-1.0, 0.0, 0.0)):
        twin = replace(table, valid_accuracy=0.5 + noise, test_accuracy=0.5 + sign * noise)
        assert low <= SeedNoise.measure(twin).correlation <= high


def test_each_checkpoint_has_its_own_deviation(table: Table) -> None:
    scales = np.array([0.04, 0.02, 0.01])
    curves = 0.5 + scales * np.random.default_rng(0).standard_normal(table.curves.shape)
    noise = SeedNoise.measure(replace(table, curves=curves, valid_accuracy=curves[:, -1]))
    np.testing.assert_allclose([one.middle for one in noise.valid], scales, rtol=0.3)


def make_curves(table: Table, correlations: np.ndarray) -> Table:
    """The table with seed noise that goes together like this between checkpoints."""
    rng = np.random.default_rng(5)
    levels = rng.uniform(0.4, 0.6, len(table))[table.run_cells, None]
    noise = rng.multivariate_normal(np.zeros(3), correlations, len(table.seeds))
    curves = levels + np.array([0.03, 0.02, 0.01]) * noise
    return replace(table, curves=curves, valid_accuracy=curves[:, -1])


def test_noise_of_checkpoints_goes_together_as_it_was_measured(table: Table) -> None:
    wanted = np.array([[1.0, 0.6, 0.2], [0.6, 1.0, 0.7], [0.2, 0.7, 1.0]])
    noise = SeedNoise.measure(make_curves(table, wanted))
    keys = np.random.default_rng(0).integers(0, 2**63, 20_000, np.uint64)
    level = np.full(20_000, 0.5)
    drawn = np.array([noise.draw(keys, CHECKPOINTS, at, 3, level, level).valid for at in range(3)])
    np.testing.assert_allclose(np.corrcoef(drawn), wanted, atol=0.2)  # of 60 repeated cells
    np.testing.assert_allclose(np.square(noise.mixing).sum(axis=1), 1)
    alone = replace(noise, mixing=()).draw(keys, CHECKPOINTS, 2, 3, level, level)
    np.testing.assert_array_equal(drawn[2], alone.valid)  # full training draws as ever


def test_few_repeated_cells_say_little_of_how_noise_goes_together(table: Table) -> None:
    together = make_curves(table, np.full((3, 3), 0.99) + 0.01 * np.eye(3))
    found = [SeedNoise.measure(one).mixing for one in (together, keep_repeats(together, 2))]
    assert found[0][0][2] > 0.85
    assert abs(found[1][0][2]) < 0.4


def keep_repeats(table: Table, count: int) -> Table:
    """The table with second seeds of so many cells only."""
    kept = (table.seeds == 0) | (table.run_cells < count)
    columns = ("run_cells", "seeds", "status", "valid_accuracy", "test_accuracy", "seconds", "curves")
    errors = tuple(np.array(table.errors, object)[kept])
    return replace(table, errors=errors, **{name: getattr(table, name)[kept] for name in columns})


def test_a_run_diverges_at_every_checkpoint_or_at_none(table: Table) -> None:
    noise, keys = replace(SeedNoise.measure(table), divergence=0.3), np.arange(200, dtype=np.uint64)
    level = np.full(200, 0.5)
    early, late = (noise.draw(keys, CHECKPOINTS, at, 3, level, level) for at in (0, 2))
    assert early.diverged.any() and (early.diverged == late.diverged).all()
    assert (early.valid != late.valid).all()


def test_what_is_measured_is_what_is_drawn(table: Table) -> None:
    measured = SeedNoise.measure(table)
    noise = SeedNoise.from_json(json.loads(json.dumps(measured.as_json(), allow_nan=False)))
    assert noise == measured and len(noise.valid) == len(CHECKPOINTS)
    keys = np.random.default_rng(0).integers(0, 2**63, 20_000, np.uint64)
    noise = replace(noise, correlation=0.7, divergence=0.02)
    level = np.full(20_000, noise.valid[-1].center)
    drawn = noise.draw(keys, CHECKPOINTS, 2, 3, level, np.full(20_000, noise.test.center))
    assert drawn.valid.std() == pytest.approx(noise.valid[-1].middle, rel=0.03)
    assert drawn.valid.std() == pytest.approx(NOISE, rel=0.35)
    assert np.corrcoef(drawn.valid, drawn.test)[0, 1] == pytest.approx(0.7, abs=0.02)
    assert drawn.diverged.mean() == pytest.approx(0.02, abs=0.004)
    again, other = (noise.draw(keys, CHECKPOINTS, 2, seed, level, level) for seed in (3, 4))
    np.testing.assert_array_equal(drawn.valid, again.valid)
    np.testing.assert_array_equal(drawn.diverged, again.diverged)
    assert abs(np.corrcoef(drawn.valid, other.valid)[0, 1]) < 0.03
    assert 0 < (drawn.diverged & other.diverged).mean() + 0.002 < 0.006, "each seed diverges elsewhere"
