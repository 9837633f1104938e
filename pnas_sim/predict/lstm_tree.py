"""Scores every expansion of some cells by an LSTM, at a fraction of reading each one in full.

The tokens of the new block form a tree below what was read of the parent: nodes of I1, of (I1, I2), of
(I1, I2, O1), and one leaf for each block. A recurrent product is made once for each inner node, and serves
all its children: 196 products for the 1,176 blocks of 6 inputs and 8 operations. Blocks are half-ordered, so
below equal inputs O2 begins at O1.

What is left are the gates of each leaf, and most of their exponentials can be shared too. A gate sees a + t,
a from the node above and t from the token, and exp(a + t) = exp(a) exp(t). With A = exp(-a) once for each
inner node and T = exp(t) once for each token, sigmoid(a + t) = T / (A + T); with A = exp(-2a) and T =
exp(2t), tanh(a + t) = (T - A) / (T + A). A leaf then costs two divisions and one sigmoid a unit, not three
sigmoids and two tanh, in sixteen passes over arrays that stay in the cache.

Arrays stand units first, `[hidden, nodes]`, so that a token's factors are one number for each contiguous row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from pnas_sim.space.arrays import Rows

States: TypeAlias = tuple[Tensor, Tensor]  # hidden state and twice the memory, `[hidden, nodes]` each

TOKEN_LIMIT = 6.0  # largest |t| served; fits end below 2. With the limit below no product leaves float32
GATE_LIMIT = 20.0  # of |a|: beyond it, sigmoid(a + t) is within 1e-6 of 0 or 1 whatever the token
PAIRS_AT_ONCE = 96  # (I1, I2) nodes read to their leaves at once: 3 MB of gates; 32 and 256 are slower


@dataclass(frozen=True, slots=True)
class TokenFactors:
    """What one token does to the gates, `[hidden, 1]` each; T is as in the module's docstring.

    Attributes:
        enter: T of the input gate.
        keep: T of the forget gate.
        new: T of the candidate, exp(2t).
        leave: T of the output gate.
        enter_by_keep: twice the quotient of the first two.
        twice_leave: twice `leave`.
        readout: `twice_leave` times the last layer's weights, `[hidden]`.
    """

    enter: Tensor
    keep: Tensor
    new: Tensor
    leave: Tensor
    enter_by_keep: Tensor
    twice_leave: Tensor
    readout: Tensor


@dataclass(frozen=True, slots=True)
class LstmTree:
    """One LSTM, prepared for reading trees of new blocks.

    Attributes:
        recurrent: `[4 * hidden, hidden]`, from hidden state to the exponents of A.
        inputs: factors of each input token.
        operations: factors of each operation token.
    """

    recurrent: Tensor
    inputs: list[TokenFactors]
    operations: list[TokenFactors]

    def score(self, hidden: Tensor, memory: Tensor, blocks: Rows) -> Tensor:
        """Scores every parent with every new block.

        Args:
            hidden: `float32[p, hidden]`, after reading each parent.
            memory: likewise.
            blocks: `uint8[k, 4]`, all half-ordered blocks over the first few inputs.

        Returns:
            The last layer's output without its bias, `[p, k]`.
        """
        parents, inputs = len(hidden), int(blocks[:, :2].max()) + 1
        root = (hidden.t().contiguous(), 2 * memory.t())
        firsts = self._grow(root, self.inputs[:inputs])
        different, equal = self._grow_pairs(firsts, inputs, parents)
        scores = torch.cat([self._score_pairs(different, False), self._score_pairs(equal, True)], dim=-1)
        return scores.view(-1, parents)[_place_blocks(blocks, inputs, len(self.operations))].t()

    def _grow(self, states: States, tokens: list[TokenFactors]) -> States:
        """Every node with every token, token by token: `[hidden, tokens * nodes]`."""
        gates = self._open_gates(states[0])
        return _join([_step(gates, states[1], token) for token in tokens])

    def _grow_pairs(self, firsts: States, inputs: int, parents: int) -> tuple[States, States]:
        """Reads I2 after I1, from nodes in the order of I1; pairs with I1 < I2, and those with I1 = I2."""
        gates = self._open_gates(firsts[0])
        below = [slice(0, token * parents) for token in range(1, inputs)]
        same = [slice(token * parents, (token + 1) * parents) for token in range(inputs)]
        memory = firsts[1]
        different = [
            _step(gates[:, :, here], memory[:, here], token)
            for token, here in zip(self.inputs[1:], below, strict=False)
        ]
        equal = [
            _step(gates[:, :, here], memory[:, here], token)
            for token, here in zip(self.inputs, same, strict=False)
        ]
        return _join(different), _join(equal)

    def _score_pairs(self, pairs: States, equal: bool) -> Tensor:
        """Reads O1 and O2 after some pairs: `[O2, O1, pairs]`; with equal inputs O1 > O2 is left out as 0."""
        count = len(self.operations)
        scores = torch.zeros(count, count, pairs[0].shape[1])
        for start in range(0, scores.shape[2], PAIRS_AT_ONCE):
            here = slice(start, start + PAIRS_AT_ONCE)
            hidden, memory = self._grow((pairs[0][:, here], pairs[1][:, here]), self.operations)
            gates, width = self._open_gates(hidden), hidden.shape[1] // count
            for place, token in enumerate(self.operations):
                nodes = width * (place + 1 if equal else count)
                read = _read_out(gates[:, :, :nodes], memory[:, :nodes], token)
                scores[place, : nodes // width, here] = read.view(-1, width)
        return scores

    def _open_gates(self, hidden: Tensor) -> Tensor:
        """Returns the four gates' A of nodes, `[4, hidden, nodes]`."""
        gates = torch.mm(self.recurrent, hidden).view(4, len(hidden), -1)
        for gate, limit in ((gates[:2], GATE_LIMIT), (gates[2], 2 * GATE_LIMIT), (gates[3], GATE_LIMIT)):
            gate.clamp_(-limit, limit)
        np.exp(gates.numpy(), out=gates.numpy())  # twice as fast as torch.exp
        return gates


def prepare_tree(table: Tensor, recurrent: Tensor, last: Tensor, inputs: int) -> LstmTree | None:
    """Prepares one LSTM whose gates stand in the order input, forget, new, output.

    Args:
        table: `[tokens, 4 * hidden]`, what each token adds to the gates: inputs first, then operations.
        recurrent: `[hidden, 4 * hidden]`.
        last: `[hidden]`, the last layer's weights.
        inputs: how many tokens are inputs.

    Returns:
        The tree, or None where some token's part is beyond `TOKEN_LIMIT`.
    """
    if float(table.abs().max()) > TOKEN_LIMIT:
        return None
    scale = torch.tensor([1.0, 1.0, 2.0, 1.0])[:, None]
    factors = torch.exp(table.view(len(table), 4, -1) * scale)[..., None]
    tokens = [_make_factors(factor, last) for factor in factors.unbind()]
    exponents = -(recurrent.view(len(recurrent), 4, -1) * scale).flatten(1).t()
    return LstmTree(exponents.contiguous(), tokens[:inputs], tokens[inputs:])


def _make_factors(factors: Tensor, last: Tensor) -> TokenFactors:
    enter, keep, new, leave = factors.unbind()
    readout = 2 * leave[:, 0] * last
    return TokenFactors(enter, keep, new, leave, 2 * enter / keep, 2 * leave, readout)


def _remember(gates: Tensor, memory: Tensor, token: TokenFactors) -> Tensor:
    """Returns twice the new memory: forget gate times memory plus input gate times candidate.

    Both terms are brought over one denominator, so that a single division serves them.
    """
    enter, keep, new, _ = gates
    below_keep, below, below_new = keep + token.keep, enter + token.enter, new + token.new
    below *= below_new
    candidate = token.new - new
    candidate *= below_keep
    result = torch.mul(memory, below, out=below_new)
    result.addcmul_(candidate, token.enter_by_keep)
    below *= below_keep
    result /= below
    result *= token.keep
    return result


def _halve_output(gates: Tensor, doubled: Tensor, token: TokenFactors) -> Tensor:
    """Returns the output gate times tanh of the memory, but for the factor `twice_leave`."""
    output = torch.sigmoid(doubled)  # tanh(c) = 2 sigmoid(2c) - 1, and six times as fast
    output -= 0.5
    output /= gates[3] + token.leave
    return output


def _step(gates: Tensor, memory: Tensor, token: TokenFactors) -> States:
    """One LSTM step: hidden state and twice the memory, `[hidden, nodes]` each."""
    doubled = _remember(gates, memory, token)
    return _halve_output(gates, doubled, token) * token.twice_leave, doubled


def _read_out(gates: Tensor, memory: Tensor, token: TokenFactors) -> Tensor:
    """One last LSTM step, as far as the last layer sees it: `[nodes]`."""
    return torch.mv(_halve_output(gates, _remember(gates, memory, token), token).t(), token.readout)


def _join(states: list[States]) -> States:
    hidden, memory = zip(*states, strict=True)
    return torch.cat(hidden, dim=1), torch.cat(memory, dim=1)


def _place_blocks(blocks: Rows, inputs: int, operations: int) -> Tensor:
    """Returns where each block's scores stand among rows in the order of O2, O1 and pairs: `int64[k]`.

    Pairs with I1 < I2 come first, by I2 and I1; those with I1 = I2 follow.
    """
    input1, input2, op1, op2 = blocks.astype(np.int64).T
    different = inputs * (inputs - 1) // 2
    pair = np.where(input1 < input2, input2 * (input2 - 1) // 2 + input1, different + input1)
    return torch.from_numpy((op2 * operations + op1) * (different + inputs) + pair)
