"""The RNN predictor (section 4.2): an LSTM over the 4b tokens of a cell, block after block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pnas_sim.predict.base import Rows
from pnas_sim.predict.data import TOKENS_PER_BLOCK, Tokens, block_tokens, input_vocabulary
from pnas_sim.predict.stacked import EMBEDDING_WIDTH, Shapes, Weights, linear_width
from pnas_sim.space import CellSpace

EXPANSION_ROWS = 2_048  # scored at once: 16 MB of gates for five members; 16,384 take a third longer
CLOSED_GATE = -1e4  # sigmoid(-1e4) is 0: nothing enters the memory


@dataclass(frozen=True, slots=True)
class StackedRnn:
    """One LSTM layer; its last hidden state, a linear layer and (by the caller) a sigmoid.

    Rows of several sizes are padded on the left with a token that keeps the input gate shut, so that the
    state is still exactly zero at a cell's first token, and every row's last column is its last token.
    """

    space: CellSpace
    embedding: int
    hidden: int

    @property
    def shapes(self) -> Shapes:
        """As `StackedNetwork.shapes`; all but the embeddings as torch draws an LSTM."""
        width = linear_width(self.hidden)
        return {
            "input_embedding": ((input_vocabulary(self.space), self.embedding), EMBEDDING_WIDTH),
            "operation_embedding": ((len(self.space.operations), self.embedding), EMBEDDING_WIDTH),
            "read_weight": ((self.embedding, 4 * self.hidden), width),
            "read_bias": ((1, 4 * self.hidden), width),
            "recurrent_weight": ((self.hidden, 4 * self.hidden), width),
            "last_weight": ((self.hidden, 1), width),
            "bias": ((1, 1), width),
        }

    def encode(self, cells: Rows) -> Tensor:
        """Returns tokens of one joint vocabulary, padded on the left: `int64[n, 4 * largest block count]`."""
        tokens, present = block_tokens(self.space, cells)
        joint = self._join_vocabularies(tokens)
        joint[~present] = self._padding
        counts = present.sum(axis=1)
        columns = np.arange(self.space.max_blocks) + counts[:, None]  # modulo their number: padding first
        shifted = np.take_along_axis(joint, (columns % self.space.max_blocks)[:, :, None], axis=1)
        largest = counts.max(initial=1)
        return torch.from_numpy(shifted[:, -largest:].reshape(len(cells), TOKENS_PER_BLOCK * largest))

    def logits(self, weights: Weights, features: Tensor) -> Tensor:
        """As `StackedNetwork.logits`."""
        hidden, _ = self._read(weights, features)
        return (hidden @ weights["last_weight"] + weights["bias"]).squeeze(-1)

    def expansion_logits(self, weights: Weights, parents: Rows, blocks: Rows) -> Iterator[Tensor]:
        """As `StackedNetwork.expansion_logits`.

        Parents are read once; the new blocks are read as a tree, so that blocks that begin alike share their
        steps: 1,176 blocks of 6 inputs and 8 operations cost 196 recurrent products, not 4 x 1,176.
        """
        table = self._read_table(weights)
        levels = _share_prefixes(self._join_vocabularies(blocks.astype(np.int64)))
        for chunk in torch.split(self.encode(parents), max(1, EXPANSION_ROWS // len(blocks))):
            hidden, memory = (state[:, :, None] for state in self._read(weights, chunk))
            for tokens, origins in levels:
                gates = _multiply(hidden, weights["recurrent_weight"])[:, :, origins]
                gates += table[:, None, tokens]
                hidden, memory = _step(gates, memory[:, :, origins])
            yield _multiply(hidden, weights["last_weight"]).squeeze(-1) + weights["bias"]

    @property
    def _padding(self) -> int:
        return input_vocabulary(self.space) + len(self.space.operations)

    def _join_vocabularies(self, tokens: Tokens) -> Tokens:
        """Numbers operations after inputs (`int64[..., 4]`)."""
        return tokens + np.array([0, 0, input_vocabulary(self.space), input_vocabulary(self.space)], np.int64)

    def _read_table(self, weights: Weights) -> Tensor:
        """Returns what each token adds to the gates, `[m, inputs + operations + 1, 4 * hidden]`.

        Gates stand in the order input, forget, new, output. The last row is padding.
        """
        embeddings = torch.cat([weights["input_embedding"], weights["operation_embedding"]], dim=1)
        read = embeddings @ weights["read_weight"] + weights["read_bias"]
        padding = read.new_zeros(len(read), 1, 4 * self.hidden)
        padding[:, :, : self.hidden] = CLOSED_GATE
        return torch.cat([read, padding], dim=1)

    def _read(self, weights: Weights, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Reads tokens (`int64[m or none, n, t]`); returns hidden state and memory, `[m, n, hidden]` each."""
        table = self._read_table(weights)
        members, rows = len(table), tokens.shape[-2]
        tokens = tokens.expand(members, rows, -1)
        pick = torch.arange(members)[:, None]
        hidden = memory = table.new_zeros(members, rows, self.hidden)
        for column in tokens.unbind(dim=-1):
            gates = torch.baddbmm(table[pick, column], hidden, weights["recurrent_weight"])
            hidden, memory = _step(gates, memory)
        return hidden, memory


def _step(gates: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """One LSTM step: gates `[..., 4 * hidden]` and memory `[..., hidden]` to hidden state and memory."""
    enter, keep, new, leave = gates.chunk(4, dim=-1)
    memory = torch.sigmoid(keep) * memory + torch.sigmoid(enter) * torch.tanh(new)
    return torch.sigmoid(leave) * torch.tanh(memory), memory


def _multiply(states: Tensor, weight: Tensor) -> Tensor:
    """Multiplies states `[m, p, u, a]` by each member's `[a, b]`."""
    members, parents, states_each, _ = states.shape
    return torch.bmm(states.flatten(1, 2), weight).view(members, parents, states_each, -1)


def _share_prefixes(blocks: Tokens) -> list[tuple[Tensor, Tensor]]:
    """Lays blocks (`int64[k, 4]`) out as a tree of shared beginnings.

    Returns:
        For each of the four places the distinct beginnings' tokens (`int64[u]`) and which beginning of the
        place before each goes on from (`int64[u]`). The last place has one for each block, in order.
    """
    levels = []
    before = np.zeros(len(blocks), np.int64)
    for place in range(TOKENS_PER_BLOCK):
        beginnings = blocks[:, : place + 1]
        if place == TOKENS_PER_BLOCK - 1:
            first, here = np.arange(len(blocks)), np.arange(len(blocks))
        else:
            _, first, here = np.unique(beginnings, axis=0, return_index=True, return_inverse=True)
        levels.append((torch.from_numpy(beginnings[first, place].copy()), torch.from_numpy(before[first])))
        before = here.reshape(-1).astype(np.int64)
    return levels
