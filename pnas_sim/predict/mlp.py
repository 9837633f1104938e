"""The MLP predictor (section 4.2): embeddings averaged over blocks, two hidden layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pnas_sim.predict.data import TOKENS_PER_BLOCK, block_tokens, input_vocabulary
from pnas_sim.predict.stacked import EMBEDDING_WIDTH, Shapes, Weights, linear_width
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows

PARENTS_AT_ONCE = 256  # scored at once, so that memory stays bounded
BLOCKS_AT_ONCE = 1_536  # of one parent, scored at once: 0.6 MB a layer


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
        of_blocks = (self._encode_blocks(blocks) @ table / (size + 1)).mT
        for chunk in torch.split(of_parents, PARENTS_AT_ONCE, dim=1):
            members = range(len(chunk))
            scores = [_score_sums(chunk[one], of_blocks[one], _slice_member(weights, one)) for one in members]
            yield torch.stack(scores)

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


def _slice_member(weights: Weights, member: int) -> Weights:
    return {name: value[member] for name, value in weights.items()}


def _score_sums(parents: Tensor, blocks: Tensor, weights: Weights) -> Tensor:
    """Scores one member's sums of a parent's and a block's part in the first layer.

    relu(p + q) = max(q, -p) + p. The p at the end is the same for all of a parent's children, so one pass
    does for addition and ReLU, and likewise for the second layer's bias and ReLU. Units that no child of a
    parent wakes, a third and more after a fit, are left out of its products.

    Args:
        parents: `[p, hidden]`, bias included.
        blocks: `[hidden, k]`.
        weights: of one member.

    Returns:
        Logits, `[p, k]`.
    """
    awake = parents + blocks.max(dim=1).values > 0
    bias = torch.addmm(weights["second_bias"], parents * awake, weights["second_weight"])
    last, columns = weights["last_weight"][:, 0], weights["second_weight"].t().contiguous()
    tiles = [tile.contiguous() for tile in torch.split(blocks, BLOCKS_AT_ONCE, dim=1)]
    logits = torch.empty(len(parents), blocks.shape[1])
    for row, units in enumerate(awake):
        chosen = units.nonzero()[:, 0]
        weight, floors = columns.index_select(1, chosen), (-parents[row, chosen, None], -bias[row, :, None])
        parts = (tile.index_select(0, chosen) for tile in tiles)
        scored = [_score_tile(part, floors, weight, last) for part in parts]
        torch.cat(scored, out=logits[row])
    return logits + (bias @ last)[:, None] + weights["bias"]


def _score_tile(tile: Tensor, floors: tuple[Tensor, Tensor], weight: Tensor, last: Tensor) -> Tensor:
    """Both layers of one parent with `[units, k]` blocks, which it overwrites: `[k]`."""
    second = torch.mm(weight, torch.maximum(tile, floors[0], out=tile))
    return torch.mv(torch.maximum(second, floors[1], out=second).t(), last)


def _upper_layers(weights: Weights, first: Tensor) -> Tensor:
    """Returns logits `[m, ...]` of the first hidden layer before its ReLU, `[m, ..., hidden]`."""
    rows = torch.relu(first).flatten(1, -2)
    second = torch.relu(torch.baddbmm(weights["second_bias"], rows, weights["second_weight"]))
    return torch.baddbmm(weights["bias"], second, weights["last_weight"]).reshape(first.shape[:-1])
