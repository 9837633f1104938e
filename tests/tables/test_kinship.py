from __future__ import annotations

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.space import PAD, CellSpace
from pnas_tables.kinship import SHARE, draw_field, share_effects
from pnas_tables.record import Table
from pnas_tables.surrogate import EFFECTS, Surrogate

SPACE = CellSpace(max_blocks=5)
CELLS = SPACE.canonical(SPACE.sample(4000, np.random.default_rng(0), blocks=5))


def test_deviates_are_standard_normal_and_of_their_world() -> None:
    one, other = (draw_field(SPACE.operations, CELLS, world) for world in (0, 1))
    assert abs(one.mean()) < 0.1 and one.std() == pytest.approx(1, abs=0.05)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.06
    assert np.quantile(one, 0.975) == pytest.approx(1.96, abs=0.15)


def test_near_cells_are_alike_and_far_ones_are_not() -> None:
    rng = np.random.default_rng(1)
    near = SPACE.canonical(SPACE.mutate(CELLS, rng))
    nearer = SPACE.canonical(SPACE.mutate(near, rng))
    field = draw_field(SPACE.operations, CELLS, 0)
    once, twice = (np.corrcoef(field, draw_field(SPACE.operations, at, 0))[0, 1] for at in (near, nearer))
    assert 0.3 < once < 0.6
    assert 0.05 < twice < once - 0.1
    assert abs(np.corrcoef(field, np.roll(field, 1))[0, 1]) < 0.06


def test_a_cell_has_the_same_in_a_wider_row_and_another_list_of_operations() -> None:
    small = SPACE.canonical(SPACE.sample(300, np.random.default_rng(2), blocks=2))
    field = draw_field(SPACE.operations, small, 3)
    wide = np.full((300, small.shape[1] + 8), PAD, np.uint8)
    wide[:, : small.shape[1]] = small
    np.testing.assert_array_equal(draw_field(SPACE.operations, wide, 3), field)
    places = np.arange(small.shape[1]) % 4 >= 2
    turned = np.where(places & (small != PAD), len(SPACE.operations) - 1 - small, small).astype(np.uint8)
    np.testing.assert_array_equal(draw_field(SPACE.operations[::-1], turned, 3), field)


def test_one_cell_does_not_depend_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = draw_field(SPACE.operations, CELLS, 0)
    monkeypatch.setattr("pnas_tables.kinship.CHUNK", 7)
    np.testing.assert_array_equal(draw_field(SPACE.operations, CELLS[:50], 0), whole[:50])
    assert len(draw_field(SPACE.operations, CELLS[:0], 0)) == 0


def test_shares_add_up_to_one_deviate() -> None:
    rng = np.random.default_rng(3)
    field, own = rng.normal(size=(2, 20_000))
    both = share_effects(field, own)
    assert both.std() == pytest.approx(1, abs=0.02)
    assert np.corrcoef(both, field)[0, 1] ** 2 == pytest.approx(SHARE, abs=0.01)


def test_a_world_of_shared_effects_has_the_model_and_the_spread_of_its_own(fitted: Table) -> None:
    cells = fitted.space.canonical(fitted.space.sample(2000, np.random.default_rng(4)))
    own, shared = (Surrogate.from_table(fitted, "gp", effects=effects) for effects in EFFECTS)
    np.testing.assert_array_equal(own.predict_mean(cells), shared.predict_mean(cells))
    departures = [one.predict_accuracy(cells) - one.predict_mean(cells) for one in (own, shared)]
    assert departures[0].std() == pytest.approx(departures[1].std(), rel=0.15)
    near = fitted.space.canonical(fitted.space.mutate(cells, np.random.default_rng(5)))
    beside = [one.predict_accuracy(near) - one.predict_mean(near) for one in (own, shared)]
    assert abs(np.corrcoef(departures[0], beside[0])[0, 1]) < 0.1
    assert np.corrcoef(departures[1], beside[1])[0, 1] > 0.2
    with pytest.raises(SettingError, match="effects is 'none'; it must be one of: own, shared"):
        Surrogate.from_table(fitted, "gp", effects="none")
