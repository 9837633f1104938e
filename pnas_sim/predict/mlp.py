"""The MLP predictor (section 4.2): embeddings averaged over blocks, two hidden layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pnas_sim.predict.base import Rows
from pnas_sim.predict.data import TOKENS_PER_BLOCK, block_tokens, input_vocabulary
from pnas_sim.predict.stacked import EMBEDDING_WIDTH, Shapes, Weights, linear_width
from pnas_sim.space import CellSpace

EXPANSION_ROWS = 2_048  # scored at once: 4 MB a hidden layer for five members; 16,384 take 3 times as long


@dataclass(frozen=True, slots=True)
class StackedMlp:
    """Embeds I1, I2, O1, O2 of a block, concatenates the four, averages over blocks: `[m, n, 4 * embedding]`.

    Embedding, averaging and the first layer are all linear, so they are one product of the token shares (how
    many of a cell's blocks have I1 = 0, I1 = 1, ..., O2 = 7, over their number) with a small table: each
    token's embedding times its quarter of the first layer. The result is the paper's network exactly.
    """

    space: CellSpace
    embedding: int
    hidden: int

    @property
    def shapes(self) -> Shapes:
        """As `StackedNetwork.shapes`."""
        size, hidden = self.embedding, self.hidden
        first, other = linear_width(TOKENS_PER_BLOCK * size), linear_width(hidden)
        return {
            "input_embedding": ((input_vocabulary(self.space), size), EMBEDDING_WIDTH),
            "operation_embedding": ((len(self.space.operations), size), EMBEDDING_WIDTH),
            "first_weight": ((TOKENS_PER_BLOCK, size, hidden), first),
            "first_bias": ((1, hidden), first),
            "second_weight": ((hidden, hidden), other),
            "second_bias": ((1, hidden), other),
            "last_weight": ((hidden, 1), other),
            "bias": ((1, 1), other),
        }

    def encode(self, cells: Rows) -> Tensor:
        """Returns the token shares, `float32[n, 2 * inputs + 2 * operations]`."""
        tokens, present = block_tokens(self.space, cells)
        seen = self._count_tokens(tokens, present)
        return torch.from_numpy(seen / present.sum(axis=1, keepdims=True)).float()

    def logits(self, weights: Weights, features: Tensor) -> Tensor:
        """As `StackedNetwork.logits`."""
        return _upper_layers(weights, features @ _first_layer_table(weights) + weights["first_bias"])

    def expansion_logits(self, weights: Weights, parents: Rows, blocks: Rows) -> Iterator[Tensor]:
        """As `StackedNetwork.expansion_logits`: the first layer is parent's part plus new block's part."""
        size = int(self.space.block_counts(parents[:1])[0])
        table = _first_layer_table(weights)
        of_parents = self.encode(parents) @ table * (size / (size + 1)) + weights["first_bias"]
        of_blocks = self._encode_blocks(blocks) @ table / (size + 1)
        for chunk in torch.split(of_parents, max(1, EXPANSION_ROWS // len(blocks)), dim=1):
            yield _upper_layers(weights, chunk[:, :, None] + of_blocks[:, None])

    def _encode_blocks(self, blocks: Rows) -> Tensor:
        tokens = blocks[:, None, :].astype(np.int64)
        seen = self._count_tokens(tokens, np.ones(tokens.shape[:2], np.bool_))
        return torch.from_numpy(seen).float()

    def _count_tokens(self, tokens: NDArray[np.int64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Counts each token at each of the four places over the blocks present: `float64[n, f]`."""
        inputs, operations = input_vocabulary(self.space), len(self.space.operations)
        starts = np.array([0, inputs, 2 * inputs, 2 * inputs + operations])
        width = 2 * (inputs + operations)
        columns = tokens + starts + np.arange(len(tokens))[:, None, None] * width
        counted = np.bincount(columns[present].ravel(), minlength=len(tokens) * width)
        return counted.reshape(len(tokens), width).astype(np.float64)


def _first_layer_table(weights: Weights) -> Tensor:
    """Returns each token's share in the first layer, `[m, 2 * inputs + 2 * operations, hidden]`."""
    vocabularies = ("input_embedding", "input_embedding", "operation_embedding", "operation_embedding")
    quarters = weights["first_weight"].unbind(dim=1)
    return torch.cat([weights[name] @ part for name, part in zip(vocabularies, quarters, strict=True)], dim=1)


def _upper_layers(weights: Weights, first: Tensor) -> Tensor:
    """Returns logits `[m, ...]` of the first hidden layer before its ReLU, `[m, ..., hidden]`."""
    rows = torch.relu(first).flatten(1, -2)
    second = torch.relu(torch.baddbmm(weights["second_bias"], rows, weights["second_weight"]))
    return torch.baddbmm(weights["bias"], second, weights["last_weight"]).reshape(first.shape[:-1])
