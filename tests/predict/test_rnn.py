from __future__ import annotations

import numpy as np
import pytest
import torch

from pnas_sim.predict.rnn import StackedRnn
from pnas_sim.predict.stacked import draw_weights


def torch_logits(weights: dict[str, torch.Tensor], member: int, tokens: list[int], inputs: int) -> float:
    """The same weights in torch's own LSTM, one cell, no padding."""
    own = {name: value[member] for name, value in weights.items()}
    hidden = own["recurrent_weight"].shape[0]
    lstm = torch.nn.LSTM(own["read_weight"].shape[0], hidden, batch_first=True)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(own["read_weight"].T)
        lstm.weight_hh_l0.copy_(own["recurrent_weight"].T)
        lstm.bias_ih_l0.copy_(own["read_bias"][0])
        lstm.bias_hh_l0.zero_()
        embedded = [
            own["input_embedding"][token] if place % 4 < 2 else own["operation_embedding"][token]
            for place, token in enumerate(tokens)
        ]
        last = lstm(torch.stack(embedded)[None])[1][0][0, 0]
        return float(last @ own["last_weight"][:, 0] + own["bias"][0, 0])


@pytest.mark.parametrize("hidden", [7, 100])
def test_is_torchs_lstm_on_rows_of_several_sizes(paper_space, hidden: int) -> None:
    rng = np.random.default_rng(0)
    network = StackedRnn(paper_space, 12, hidden)
    weights = draw_weights(network.shapes, 1.8, 0, 2)
    cells = np.concatenate([paper_space.sample(3, rng, blocks=b, unique=False) for b in (5, 1, 3, 2, 4)])
    logits = network.logits(weights, network.encode(cells)[None])
    assert logits.shape == (2, len(cells))
    for row, size in enumerate(paper_space.block_counts(cells).tolist()):
        for member in range(2):
            expected = torch_logits(weights, member, cells[row, : 4 * size].tolist(), 6)
            assert abs(expected - float(logits[member, row])) < 1e-5


def test_rows_are_padded_on_the_left(paper_space) -> None:
    cells = paper_space.parse_many(["sep3(-2)+sep5(-1)", "id(-2)+max3(-1) | sep3(1)+sep5(-2)"])
    padding = 6 + 8
    assert StackedRnn(paper_space, 2, 2).encode(cells).tolist() == [
        [padding] * 4 + [0, 1, 6, 7],
        [0, 1, 6 + 4, 6 + 6, 2, 0, 6, 7],
    ]


def test_gradients_pass_padding_unharmed(paper_space) -> None:
    network = StackedRnn(paper_space, 4, 4)
    weights = {
        name: value.requires_grad_() for name, value in draw_weights(network.shapes, 0.0, 0, 1).items()
    }
    cells = np.concatenate([paper_space.initial()[:2], paper_space.sample(2, np.random.default_rng(0))])
    network.logits(weights, network.encode(cells)[None]).sum().backward()
    for name, value in weights.items():
        assert torch.isfinite(value.grad).all(), name
        assert value.grad.any(), name
