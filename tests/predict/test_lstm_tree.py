from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.predict.lstm_tree import GATE_LIMIT, TOKEN_LIMIT, _place_blocks, prepare_tree
from pnas_sim.space.expansion import list_half_ordered_blocks

HIDDEN = 7


def read_in_full(table, recurrent, last, hidden, memory, tokens) -> torch.Tensor:
    """An LSTM as the textbook has it, in double precision: `[nodes]` after reading `int64[nodes, 4]`."""
    table, recurrent, hidden, memory = (part.double() for part in (table, recurrent, hidden, memory))
    for column in tokens.T:
        enter, keep, new, leave = (hidden @ recurrent + table[column]).chunk(4, dim=1)
        memory = torch.sigmoid(keep) * memory + torch.sigmoid(enter) * torch.tanh(new)
        hidden = torch.sigmoid(leave) * torch.tanh(memory)
    return hidden @ last.double()


def draw_lstm(rng: np.random.Generator, tokens: int, size: float, recurrent: float):
    def draw(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.uniform(-1, 1, shape)).float()

    return draw(tokens, 4 * HIDDEN) * size, draw(HIDDEN, 4 * HIDDEN) * recurrent, draw(HIDDEN)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32),
    st.integers(2, 6),
    st.integers(1, 5),
    st.integers(1, 60),
    st.sampled_from([0.1, 1.0, TOKEN_LIMIT]),
    st.sampled_from([0.1, 1.0, 3 * GATE_LIMIT / HIDDEN]),
)
def test_scores_are_those_of_reading_in_full(
    seed: int, inputs: int, operations: int, parents: int, size: float, recurrent: float
) -> None:
    """Also where gates are shut and open for good, and with several tiles, the last of them not full."""
    rng = np.random.default_rng(seed)
    table, weight, last = draw_lstm(rng, inputs + operations, size, recurrent)
    hidden = torch.from_numpy(rng.uniform(-1, 1, (parents, HIDDEN))).float()
    memory = torch.from_numpy(rng.uniform(-8, 8, (parents, HIDDEN))).float()
    blocks = list_half_ordered_blocks(inputs, operations)
    tree = prepare_tree(table, weight, last, inputs)
    assert tree is not None
    scores = tree.score(hidden, memory, blocks)
    assert scores.shape == (parents, len(blocks))
    tokens = np.tile(blocks.astype(np.int64) + np.array([0, 0, inputs, inputs]), (parents, 1))
    repeated = (state.repeat_interleave(len(blocks), dim=0) for state in (hidden, memory))
    expected = read_in_full(table, weight, last, *repeated, tokens).view(parents, -1)
    error = (scores - expected).abs().max()
    # large recurrent weights pass a state's rounding on magnified, in any way of computing
    assert error < 2e-5 * max(1.0, recurrent)


def test_nothing_overflows_at_the_limits() -> None:
    """Every gate as far out as it goes, towards each side."""
    inputs, operations = 3, 2
    blocks = list_half_ordered_blocks(inputs, operations)
    for sign in (-1.0, 1.0):
        for token_sign in (-1.0, 1.0):
            table = torch.full((inputs + operations, 4 * HIDDEN), token_sign * TOKEN_LIMIT)
            weight = torch.full((HIDDEN, 4 * HIDDEN), sign * 1e6)
            tree = prepare_tree(table, weight, torch.ones(HIDDEN), inputs)
            assert tree is not None
            scores = tree.score(torch.ones(2, HIDDEN), torch.full((2, HIDDEN), 40.0), blocks)
            assert torch.isfinite(scores).all()
            assert scores.abs().max() <= HIDDEN


@pytest.mark.parametrize("sign", [-1, 1])
def test_tokens_beyond_the_limit_are_not_served(sign: int) -> None:
    table, weight, last = draw_lstm(np.random.default_rng(0), 5, 1.0, 1.0)
    table[3, 2] = sign * (TOKEN_LIMIT + 0.01)
    assert prepare_tree(table, weight, last, 3) is None


@pytest.mark.parametrize(("inputs", "operations"), [(2, 1), (3, 2), (6, 8), (11, 8)])
def test_every_block_has_a_place_of_its_own(inputs: int, operations: int) -> None:
    blocks = list_half_ordered_blocks(inputs, operations)
    places = _place_blocks(blocks, inputs, operations)
    pairs = inputs * (inputs + 1) // 2
    assert len(set(places.tolist())) == len(blocks)
    assert places.min() >= 0 and places.max() < operations**2 * pairs
    op2, op1 = places // (operations * pairs), places // pairs % operations
    assert np.array_equal(op1, blocks[:, 2]) and np.array_equal(op2, blocks[:, 3])
