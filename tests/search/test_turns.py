from __future__ import annotations

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.search.base import Observations, Proposals
from pnas_sim.search.turns import Turns, fill_failed
from pnas_sim.space import CellSpace

CELLS = CellSpace(max_blocks=1).initial()[:3]


def play(turns: Turns) -> list[int]:
    """A batch asked and told; what its stream and its seed begin with."""
    turns.begin(3)
    drawn = [int(turns.draw_stream().integers(2**40)), turns.draw_seed()]
    turns.give(Proposals(CELLS))
    turns.take(Observations.ok(np.full(3, 0.5)))
    return drawn


def test_each_batch_draws_from_its_own_stream_whatever_came_before() -> None:
    one, other = Turns(7), Turns(8)
    batches = [play(turns) for turns in (one, one, one, other)]
    assert len({value for drawn in batches for value in drawn}) == 8
    later = Turns(7, number=2)
    assert [play(later)] == batches[2:3]
    stream = np.random.default_rng(np.random.SeedSequence([7, 2]))
    assert batches[2][0] == stream.integers(2**40)


def test_a_batch_is_told_once_and_before_the_next() -> None:
    turns = Turns(0)
    with pytest.raises(SettingError, match="tell without ask"):
        turns.take(Observations.ok(np.zeros(3)))
    turns.begin(1)
    turns.give(Proposals(CELLS))
    with pytest.raises(SettingError, match="ask without tell: the last batch of 3 cells"):
        turns.begin(1)
    with pytest.raises(SettingError, match="told 2 answers to a batch of 3 cells"):
        turns.take(Observations.ok(np.zeros(2)))
    assert turns.number == 0
    turns.take(Observations.ok(np.zeros(3)))
    assert turns.number == 1
    with pytest.raises(SettingError, match="tell without ask"):
        turns.take(Observations.ok(np.zeros(3)))


def test_failed_children_are_told_as_chance_and_diverged_ones_as_they_were() -> None:
    told = Observations(np.array([0.5, 0.02, np.nan]), np.array([0, 1, 2], np.uint8))
    assert fill_failed(told, 0.1).tolist() == [0.5, 0.02, 0.1]
