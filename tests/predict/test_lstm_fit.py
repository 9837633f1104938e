from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.predict.lstm_fit import lay_out, read_minibatches

VOCABULARY, PADDING = 5, 5


def draw_minibatches(rng: np.random.Generator, members: int, rows: int, longest: int) -> torch.Tensor:
    """Tokens padded on the left, of one to `longest` tokens, `int64[members, rows, longest]`."""
    tokens = rng.integers(0, VOCABULARY, (members, rows, longest))
    lengths = rng.integers(1, longest + 1, (members, rows))
    tokens[np.arange(longest) < (longest - lengths)[:, :, None]] = PADDING
    return torch.from_numpy(tokens)


def draw_weights(rng: np.random.Generator, members: int, hidden: int) -> tuple[torch.Tensor, torch.Tensor]:
    table = torch.from_numpy(rng.normal(0, 1, (members, VOCABULARY + 1, 4 * hidden)))
    table[:, PADDING] = 0
    table[:, PADDING, :hidden] = -1e4  # the input gate is shut
    recurrent = torch.from_numpy(rng.normal(0, 1, (members, hidden, 4 * hidden)))
    return table.requires_grad_(), recurrent.requires_grad_()


def read_one(table: torch.Tensor, recurrent: torch.Tensor, tokens: list[int]) -> torch.Tensor:
    """One cell, one member, as the textbook has it."""
    hidden = memory = table.new_zeros(recurrent.shape[0])
    for token in tokens:
        enter, keep, new, leave = (table[token] + hidden @ recurrent).chunk(4)
        memory = torch.sigmoid(keep) * memory + torch.sigmoid(enter) * torch.tanh(new)
        hidden = torch.sigmoid(leave) * torch.tanh(memory)
    return hidden


def read_all(table: torch.Tensor, recurrent: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    members = [
        [read_one(table[m], recurrent[m], row[row != PADDING].tolist()) for row in tokens[m]]
        for m in range(len(tokens))
    ]
    return torch.stack([torch.stack(rows) for rows in members])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 6), st.integers(1, 9))
def test_states_and_gradients_are_those_of_reading_one_by_one(
    seed: int, members: int, rows: int, longest: int
) -> None:
    rng = np.random.default_rng(seed)
    tokens = draw_minibatches(rng, members, rows, longest)
    table, recurrent = draw_weights(rng, members, 3)
    weight = torch.from_numpy(rng.normal(0, 1, (members, rows, 3)))
    read = read_minibatches(table, recurrent, lay_out(tokens, PADDING))
    expected = read_all(table, recurrent, tokens)
    assert torch.allclose(read, expected, atol=1e-12)
    found = torch.autograd.grad((read * weight).sum(), (table, recurrent))
    wanted = torch.autograd.grad((expected * weight).sum(), (table, recurrent), allow_unused=True)
    assert torch.allclose(found[0][:, :PADDING], wanted[0][:, :PADDING], atol=1e-10)
    recurrent_gradient = torch.zeros_like(recurrent) if wanted[1] is None else wanted[1]
    assert torch.allclose(found[1], recurrent_gradient, atol=1e-10)


def test_steps_begin_with_the_longest_and_hold_no_more_padding_than_members_differ() -> None:
    tokens = torch.tensor([[[5, 5, 1], [2, 3, 4]], [[5, 0, 1], [5, 2, 3]]])
    steps = lay_out(tokens, PADDING)
    assert steps.rows == [1, 2, 2]
    assert steps.order.tolist() == [[1, 0], [0, 1]]
    assert steps.tokens.tolist() == [[2, 3, 5, 4, 1], [5, 0, 2, 1, 3]]
    assert steps.bounds == [(0, 1), (1, 3), (3, 5)]


def test_columns_that_are_padding_everywhere_are_not_read() -> None:
    tokens = torch.tensor([[[5, 5, 1], [5, 5, 2]]])
    assert lay_out(tokens, PADDING).rows == [2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_states_keep_their_precision(dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    table, recurrent = draw_weights(rng, 2, 4)
    steps = lay_out(draw_minibatches(rng, 2, 5, 8), PADDING)
    assert read_minibatches(table.to(dtype), recurrent.to(dtype), steps).dtype == dtype
