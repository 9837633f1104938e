from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import skew

from pnas_sim.space import CellSpace
from pnas_tables.effects import Effects, find_score_noise
from pnas_tables.sample import Sample
from pnas_tables.scale import fit_scale
from pnas_tables.seeds import Deviation

Floats = NDArray[np.float64]
STILL = Deviation()  # no seed noise
SIZES = {1: 0.1, 3: 0.4}  # deviation of effects by block count


def make_sample(count: int) -> Sample:
    space, rng = CellSpace(max_blocks=3), np.random.default_rng(0)
    blocks = rng.choice(list(SIZES), count)
    return Sample(
        space,
        cells=np.zeros((count, 12), np.uint8),
        features=np.zeros((count, 1)),
        accuracies=rng.uniform(0.3, 0.6, (count, 1)),
        seconds=np.ones(count),
        runs=np.ones(count),
        blocks=blocks.astype(np.int64),
        groups=np.zeros(count, np.int64),
    )


def lean(count: int) -> Floats:
    """Deviates of mean 0 and deviation 1, with a heavy tail below and a light one above."""
    return (2 - np.random.default_rng(1).gamma(2.0, 1.0, count)) / np.sqrt(2)


def measure(count: int, own: Floats, seeds: Deviation = STILL) -> Effects:
    """Effects where a model's errors are `own`, in the deviations of `SIZES`."""
    sample = make_sample(count)
    scale = fit_scale("logit", sample.final, 0.1)
    errors = own * np.array([SIZES[int(size)] for size in sample.blocks])
    held = scale.to_accuracies(scale.to_scores(sample.final) - errors)
    return Effects.measure(sample, held, scale, seeds)


def test_effects_are_as_large_and_as_spread_as_residuals() -> None:
    own = lean(3_000)
    effects = measure(3_000, own)
    for size, deviation in SIZES.items():
        drawn = effects.draw(np.full(100_000, size), np.random.default_rng(2).standard_normal(100_000))
        assert drawn.std() == pytest.approx(deviation, rel=0.06)
        assert abs(drawn.mean()) < 0.02 * deviation
        assert skew(drawn) == pytest.approx(skew(own), abs=0.15) and skew(own) < -1
        assert drawn.max() < 1.1 * own.max() * deviation, "none is larger than the largest residual"


def test_a_gaussian_would_reach_further_than_any_residual() -> None:
    """Of 300,000 candidates a Gaussian makes some that no trained cell is like."""
    effects = measure(300, np.clip(np.random.default_rng(3).standard_normal(300), -2, 2))
    normal = np.random.default_rng(4).standard_normal(300_000)
    assert normal.max() > 4
    assert effects.draw(np.full(300_000, 3), normal).max() < 2.6 * SIZES[3]


def test_seed_noise_is_taken_off_the_size() -> None:
    own = np.random.default_rng(5).standard_normal(2_000)
    without, seeds = measure(2_000, own), Deviation(middle=0.02)
    with_noise = measure(2_000, own, seeds)
    assert (with_noise.deviations < without.deviations).all()
    assert measure(2_000, own, Deviation(middle=0.3)).deviations.max() == 0.0, "never below nothing"


def test_few_cells_of_a_size_are_drawn_towards_all() -> None:
    """As if 20 cells more of it had the variance of all."""
    sample = make_sample(200)
    chosen = np.concatenate([np.flatnonzero(sample.blocks == 1)[:60], np.flatnonzero(sample.blocks == 3)[:5]])
    sample, scale = sample.take(chosen), fit_scale("logit", sample.final, 0.1)
    errors = np.where(sample.blocks == 1, 0.1, 0.8) * (-1.0) ** np.arange(65)
    held = scale.to_accuracies(scale.to_scores(sample.final) - errors)
    pooled = (errors**2).mean()
    for size, own, count in ((1, 0.1, 60), (3, 0.8, 5)):
        variance = (count * own**2 + 20 * pooled) / (count + 20)
        found = Effects.measure(sample, held, scale, STILL).deviations[size]
        assert found == pytest.approx(np.sqrt(variance))


def test_noise_of_a_mean_is_that_of_its_runs_in_scores() -> None:
    sample = replace(make_sample(50), runs=np.tile([1.0, 4.0], 25))
    scale, seeds = fit_scale("logit", sample.final, 0.1), Deviation(middle=0.001)
    slope = (scale.to_scores(sample.final + 1e-6) - scale.to_scores(sample.final - 1e-6)) / 2e-6
    wanted = 0.001 * slope / np.sqrt(sample.runs)
    np.testing.assert_allclose(find_score_noise(sample, scale, seeds), wanted, rtol=1e-4)


def test_what_all_residuals_share_is_no_effect() -> None:
    """A model that errs upwards everywhere does not make the cells of a world better than it says."""
    effects = measure(400, np.random.default_rng(6).standard_normal(400) + 2.0)
    normal = np.random.default_rng(7).standard_normal(50_000)
    drawn = effects.draw(np.full(50_000, 3), normal)
    assert abs(drawn.mean()) < 0.02 * drawn.std()


def test_sizes_that_were_not_measured_have_the_next_smaller_ones() -> None:
    effects = measure(400, lean(400))
    assert effects.deviations[2] == effects.deviations[1]
    np.testing.assert_array_equal(
        effects.draw(np.array([3, 7]), np.ones(2)), np.repeat(effects.draw(np.array([3]), np.ones(1)), 2)
    )


def test_few_cells_tell_no_shape() -> None:
    effects = measure(30, lean(30))
    normal = np.linspace(-4, 4, 9)
    np.testing.assert_allclose(effects.draw(np.full(9, 3), normal), effects.deviations[3] * normal)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-6, 6), min_size=2, max_size=20))
def test_a_better_draw_is_a_better_effect(draws: list[float]) -> None:
    normal = np.sort(np.array(draws))
    assert (np.diff(EFFECTS.draw(np.full(len(normal), 3), normal)) >= 0).all()


def test_what_is_written_is_read_back() -> None:
    again = Effects.from_json(*EFFECTS.as_json())
    for name in ("deviations", "normal", "drawn"):
        np.testing.assert_array_equal(getattr(again, name)[1:], getattr(EFFECTS, name)[1:])
    assert not len(Effects.from_json({"1": 0.2}, None).normal), "older files have no shape"
    gaps = Effects.from_json({"1": 0.2, "2": 0.3, "4": 0.5}, None)
    assert gaps.deviations.tolist() == [0.2, 0.2, 0.3, 0.3, 0.5], "a size left out has that of the one below"


@pytest.mark.parametrize(
    "shape", [{"normal": [0.0, 1.0], "drawn": [1.0]}, {"normal": [1.0, 0.0], "drawn": [0.0, 1.0]}]
)
def test_a_damaged_shape_is_refused(shape: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="shape"):
        Effects.from_json({"1": 0.2}, shape)


@pytest.mark.parametrize("size", ["-1", "250000000"])
def test_sizes_that_no_cell_has_are_refused(size: str) -> None:
    with pytest.raises(ValueError, match="sizes"):
        Effects.from_json({"1": 0.2, size: 0.3}, None)


EFFECTS = measure(300, lean(300))
