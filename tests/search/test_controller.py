from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from pnas_sim.search.controller import Controller
from pnas_sim.space import CellSpace

TINY = CellSpace(("sep3", "id"), 2)
pytestmark = pytest.mark.usefixtures("one_thread")


def list_raw(space: CellSpace) -> np.ndarray:
    """Every raw row of the largest size."""
    operations = len(space.operations)
    sizes = [limit for blocks in range(space.max_blocks) for limit in (*[blocks + 2] * 2, *[operations] * 2)]
    return np.array(list(itertools.product(*(range(size) for size in sizes))), np.uint8)


def make_decided(controller: Controller, seed: int = 0, scale: float = 15.0) -> dict[str, torch.Tensor]:
    """Weights large enough that the policy is far from uniform."""
    drawn = controller.draw_weights(np.random.default_rng(seed))
    return {name: (value.detach() * scale).requires_grad_() for name, value in drawn.items()}


def test_probabilities_of_all_raw_cells_sum_to_one() -> None:
    controller = Controller(TINY, hidden=8)
    rows = list_raw(TINY)
    assert len(rows) == TINY.count_raw(2) == 576
    log_chances, _ = controller.score(make_decided(controller), rows)
    chances = log_chances.sum(dim=1).exp().detach()
    assert float(chances.sum()) == pytest.approx(1, abs=1e-4)
    assert float(chances.max()) > 10 / 576


def test_cells_are_drawn_with_their_probabilities() -> None:
    controller = Controller(TINY, hidden=8)
    weights = make_decided(controller)
    rows = list_raw(TINY)
    chances = controller.score(weights, rows)[0].sum(dim=1).exp().detach().double().numpy()
    draws = controller.sample(weights, 20_000, torch.Generator().manual_seed(5))
    place = {row.tobytes(): at for at, row in enumerate(rows)}
    counts = np.bincount([place[row.tobytes()] for row in draws], minlength=len(rows))
    common = chances * len(draws) >= 5
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(chances[common], chances[~common].sum())
    assert chisquare(observed, expected / expected.sum() * len(draws)).pvalue > 1e-3
    uniform = np.full(len(observed), len(draws) / len(observed))
    assert chisquare(observed, uniform).pvalue < 1e-9  # the test can tell


def test_agrees_with_torch_lstm_token_by_token() -> None:
    space = CellSpace(max_blocks=3)
    controller = Controller(space, hidden=12)
    weights = make_decided(controller, scale=4)
    cells = space.sample(30, np.random.default_rng(0), unique=False)
    log_chances, entropies = controller.score(weights, cells)
    lstm = torch.nn.LSTMCell(12, 12)
    order = [0, 1, 3, 2]  # torch keeps enter, keep, new, leave
    with torch.no_grad():
        for name, value in (
            ("weight_ih", weights["read_weight"].T),
            ("weight_hh", weights["recurrent_weight"].T),
            ("bias_ih", weights["bias"]),
        ):
            getattr(lstm, name).copy_(torch.cat([value.chunk(4)[i] for i in order]))
        lstm.bias_hh.zero_()
        read = weights["embedding"][-1].expand(30, -1)
        state = (torch.zeros(30, 12), torch.zeros(30, 12))
        for at, column in enumerate(torch.from_numpy(cells.astype(np.int64)).T):
            state = lstm(read, state)
            kind = "input" if at % 4 < 2 else "operation"
            logits = state[0] @ weights[f"{kind}_weight"] + weights[f"{kind}_bias"]
            limit = at // 4 + 2 if kind == "input" else 8
            policy = torch.distributions.Categorical(logits=logits[:, :limit])
            torch.testing.assert_close(log_chances[:, at], policy.log_prob(column), atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(entropies[:, at], policy.entropy(), atol=1e-5, rtol=1e-4)
            read = weights["embedding"][column if kind == "input" else column + space.max_blocks + 1]


def test_each_token_and_the_start_have_an_embedding_of_their_own() -> None:
    """What cells do not hold has no part in their probability; the start has a part in every cell's."""
    controller = Controller(TINY, hidden=8)
    weights = make_decided(controller, scale=3)
    rows = list_raw(TINY)
    plain = rows[(rows[:, [2, 3, 6, 7]] == 0).all(axis=1)]  # inputs -2, -1 and 1; sep3 alone
    log_chances, _ = controller.score(weights, plain)
    for tokens, read in (
        (log_chances, [True] * 4 + [False, True]),
        (log_chances[:, :1], [False] * 5 + [True]),
    ):
        (gradient,) = torch.autograd.grad(tokens[1:].sum(), weights["embedding"], retain_graph=True)
        assert gradient.abs().sum(dim=1).gt(1e-6).tolist() == read


def test_begins_nearly_uniform_and_writes_legal_cells() -> None:
    space = CellSpace()
    controller = Controller(space)
    weights = controller.draw_weights(np.random.default_rng(1))
    assert all(float(value.detach().abs().max()) <= 0.1 for value in weights.values())
    cells = controller.sample(weights, 300, torch.Generator().manual_seed(1))
    space.validate(cells)
    assert (space.block_counts(cells) == 5).all()
    entropy = float(controller.score(weights, cells)[1].sum(dim=1).mean().detach())
    uniform = 2 * math.log(math.factorial(6)) + 10 * math.log(8)
    assert uniform - 0.5 < entropy <= uniform + 1e-3


def test_the_generator_is_the_only_source_of_chance() -> None:
    controller = Controller(CellSpace(), hidden=10)
    weights = make_decided(controller)
    state = torch.random.get_rng_state()
    one = controller.sample(weights, 50, torch.Generator().manual_seed(3))
    again = controller.sample(weights, 50, torch.Generator().manual_seed(3))
    other = controller.sample(weights, 50, torch.Generator().manual_seed(4))
    assert (one == again).all()
    assert (one != other).any()
    assert torch.equal(state, torch.random.get_rng_state())
