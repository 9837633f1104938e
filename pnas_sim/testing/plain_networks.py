"""The paper's two predictors (section 4.2) in the plain words of `torch.nn`: a yardstick.

They read every cell in full, token by token, with modules and nothing clever. Given the weights of a fitted
predictor, they must say the same as it does, and a claim of speed is one against them.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from pnas_sim.predict.network import NetworkPredictor
from pnas_sim.predict.stacked import Weights
from pnas_sim.space.arrays import Rows

PlainNetwork: TypeAlias = "PlainLstm | PlainMlp"


class _Embedding(nn.Module):
    """One embedding for inputs, one for operations."""

    def __init__(self, inputs: int, operations: int, size: int) -> None:
        super().__init__()
        self.inputs = nn.Embedding(inputs, size)
        self.operations = nn.Embedding(operations, size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Embeds `int64[n, blocks, 4]`: `[n, blocks, 4, size]`."""
        return torch.cat([self.inputs(tokens[..., :2]), self.operations(tokens[..., 2:])], dim=-2)


class PlainLstm(nn.Module):
    """An LSTM over the 4b tokens, its last hidden state, and a linear layer."""

    def __init__(self, inputs: int, operations: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = _Embedding(inputs, operations, embedding)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.last = nn.Linear(hidden, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits `[n]` of cells of one size, `int64[n, blocks, 4]`."""
        states, _ = self.lstm(self.embedding(tokens).flatten(1, 2))
        return torch.as_tensor(self.last(states[:, -1]))[:, 0]

    def forward_padded(self, tokens: Tensor, blocks: Tensor) -> Tensor:
        """Logits `[n]` of cells of several sizes, `int64[n, most blocks, 4]` and `int64[n]`."""
        read = self.embedding(tokens).flatten(1, 2)
        packed = nn.utils.rnn.pack_padded_sequence(read, 4 * blocks, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.lstm(packed)
        return torch.as_tensor(self.last(hidden[0]))[:, 0]


class PlainMlp(nn.Module):
    """Embeddings of a block's four tokens joined, averaged over blocks; two hidden layers with ReLU."""

    def __init__(self, inputs: int, operations: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = _Embedding(inputs, operations, embedding)
        layers = (nn.Linear(4 * embedding, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, 1))

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits `[n]` of cells of one size, `int64[n, blocks, 4]`."""
        return torch.as_tensor(self.layers(self.embedding(tokens).flatten(2).mean(dim=1)))[:, 0]


def copy_network(predictor: NetworkPredictor, member: int) -> PlainNetwork:
    """Returns a plain network with the weights of one member of a fitted MLP or RNN predictor."""
    weights = {name: value[member] for name, value in predictor.weights.items()}
    return _copy_lstm(weights) if "recurrent_weight" in weights else _copy_mlp(weights)


def read_tokens(cells: Rows, blocks: int) -> Tensor:
    """Returns the tokens of rows of at most so many blocks: `int64[n, blocks, 4]`, padding as 0."""
    tokens = cells[:, : 4 * blocks].astype(np.int64).reshape(len(cells), blocks, 4)
    return torch.from_numpy(np.where(tokens == 255, 0, tokens))


def _sizes(weights: Weights) -> tuple[int, int, int, int]:
    embeddings = weights["input_embedding"], weights["operation_embedding"]
    return len(embeddings[0]), len(embeddings[1]), embeddings[0].shape[1], weights["last_weight"].shape[0]


def _copy_lstm(weights: Weights) -> PlainLstm:
    network = PlainLstm(*_sizes(weights))
    own = {
        "lstm.weight_ih_l0": weights["read_weight"].T,
        "lstm.weight_hh_l0": weights["recurrent_weight"].T,
        "lstm.bias_ih_l0": weights["read_bias"][0],
        "lstm.bias_hh_l0": torch.zeros_like(weights["read_bias"][0]),
    }
    network.load_state_dict(own | _name_ends(weights, "last"))
    return network


def _copy_mlp(weights: Weights) -> PlainMlp:
    network = PlainMlp(*_sizes(weights))
    own = {
        "layers.0.weight": weights["first_weight"].flatten(0, 1).T,
        "layers.0.bias": weights["first_bias"][0],
        "layers.2.weight": weights["second_weight"].T,
        "layers.2.bias": weights["second_bias"][0],
    }
    network.load_state_dict(own | _name_ends(weights, "layers.4"))
    return network


def _name_ends(weights: Weights, last: str) -> Weights:
    """Embeddings and last layer, by the names they have in either network."""
    return {
        "embedding.inputs.weight": weights["input_embedding"],
        "embedding.operations.weight": weights["operation_embedding"],
        f"{last}.weight": weights["last_weight"].T,
        f"{last}.bias": weights["bias"][0],
    }
