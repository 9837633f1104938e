"""The RNN predictor (section 4.2): an LSTM over the 4b tokens of a cell, block after block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pnas_sim.predict.data import TOKENS_PER_BLOCK, Tokens, block_tokens, input_vocabulary
from pnas_sim.predict.lstm_fit import lay_out, read_minibatches
from pnas_sim.predict.lstm_tree import LstmTree, prepare_tree
from pnas_sim.predict.stacked import EMBEDDING_WIDTH, Shapes, Weights, linear_width
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows

PARENTS_AT_ONCE = 256  # scored at once, so that memory stays bounded
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
        if torch.is_grad_enabled():
            steps = lay_out(features.expand(len(weights["bias"]), -1, -1), self._padding)
            hidden = read_minibatches(self._read_table(weights), weights["recurrent_weight"], steps)
        else:
            hidden, _ = self._read(weights, features)
        return (hidden @ weights["last_weight"] + weights["bias"]).squeeze(-1)

    def expansion_logits(self, weights: Weights, parents: Rows, blocks: Rows) -> Iterator[Tensor]:
        """As `StackedNetwork.expansion_logits`: parents are read once, new blocks as a tree (`lstm_tree`)."""
        trees = self._prepare_trees(weights)
        for start in range(0, len(parents), PARENTS_AT_ONCE):
            chunk = parents[start : start + PARENTS_AT_ONCE]
            if trees is None:
                yield self._read_in_full(weights, chunk)
                continue
            hidden, memory = self._read(weights, self.encode(chunk))
            members = zip(trees, hidden, memory, strict=True)
            scores = [tree.score(own_hidden, own_memory, blocks) for tree, own_hidden, own_memory in members]
            yield torch.stack(scores) + weights["bias"]

    def _prepare_trees(self, weights: Weights) -> list[LstmTree] | None:
        """Returns each member as a tree, or None if one of them has weights too large for it."""
        tables, last = self._read_table(weights)[:, : self._padding], weights["last_weight"][:, :, 0]
        parts = zip(tables, weights["recurrent_weight"], last, strict=True)
        trees = [prepare_tree(*part, input_vocabulary(self.space)) for part in parts]
        return None if None in trees else [tree for tree in trees if tree is not None]

    def _read_in_full(self, weights: Weights, parents: Rows) -> Tensor:
        """Reads every child from its first token on: `[m, p, k]`."""
        children = [self.space.expand(parents[row : row + 1]).cells for row in range(len(parents))]
        return torch.stack([self.logits(weights, self.encode(rows)[None]) for rows in children], dim=1)

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
