"""The controller of the RL searches: an LSTM that writes cells token by token (NASNet, 1707.07012, A.2).

Per block it writes I1, I2, O1, O2, each from a softmax: inputs of block b over the b + 1 that exist (its
further logits are masked), operations over all. The token just written is embedded and read next. NASNet
gives one layer of 100 units, weights drawn from U[-0.1, 0.1] and a softmax for each token; it leaves open
what is shared. Here all inputs share one softmax layer and one embedding, all operations another; embeddings
have as many dimensions as the LSTM has units, and the first token reads a learnt start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from pnas_sim.predict.data import TOKENS_PER_BLOCK, input_vocabulary
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_sim.space.rows import PAD, token_limits

Weights: TypeAlias = dict[str, Tensor]

WEIGHT_WIDTH = 0.1  # half-width of the first weights' uniform draw (NASNet, A.2)
_MASKED = -1e9  # a logit whose probability is exactly 0 in float32, and whose entropy is too


@dataclass(frozen=True, slots=True)
class Controller:
    """The network; its weights are given to each call.

    Attributes:
        space: cells of its largest block count are written, T = 4 * max_blocks tokens each.
        hidden: units.
    """

    space: CellSpace
    hidden: int = 100

    def draw_weights(self, rng: np.random.Generator) -> Weights:
        """Draws first weights from U[-0.1, 0.1], ready for gradients."""
        inputs, operations = input_vocabulary(self.space), len(self.space.operations)
        shapes = {
            "embedding": (inputs + operations + 1, self.hidden),  # the last is the start
            "read_weight": (self.hidden, 4 * self.hidden),
            "bias": (4 * self.hidden,),
            "recurrent_weight": (self.hidden, 4 * self.hidden),
            "input_weight": (self.hidden, inputs),
            "input_bias": (inputs,),
            "operation_weight": (self.hidden, operations),
            "operation_bias": (operations,),
        }
        drawn = {name: rng.uniform(-WEIGHT_WIDTH, WEIGHT_WIDTH, shape) for name, shape in shapes.items()}
        return {name: torch.from_numpy(value).float().requires_grad_() for name, value in drawn.items()}

    def sample(self, weights: Weights, n: int, generator: torch.Generator) -> Rows:
        """Writes n raw cells at once, `uint8[n, width]`."""
        tokens: list[Tensor] = []
        with torch.inference_mode():
            table = _read_table(weights)
            gates = table[-1].expand(n, -1)
            hidden = memory = table.new_zeros(n, self.hidden)
            for place, (name, start, limit) in enumerate(self._places()):
                if place > 0:
                    gates = torch.addmm(gates, hidden, weights["recurrent_weight"])
                hidden, memory = _step(gates, memory)
                logits = torch.addmm(weights[f"{name}_bias"], hidden, weights[f"{name}_weight"])
                chances = torch.softmax(logits[:, :limit], dim=1)
                drawn = torch.multinomial(chances, 1, generator=generator).squeeze(1)
                tokens.append(drawn)
                gates = table[drawn + start]
        cells = np.full((n, self.space.width), PAD, np.uint8)
        cells[:, : len(tokens)] = torch.stack(tokens, dim=1).numpy()
        return cells

    def score(self, weights: Weights, cells: Rows) -> tuple[Tensor, Tensor]:
        """Reads raw cells (`uint8[n, width]`) as the controller would have written them.

        Returns:
            The logarithm of each token's probability given those before it, and the entropy (nats) of the
            softmax it is from; both `[n, T]`, with gradients.
        """
        tokens = torch.from_numpy(cells.astype(np.int64))
        by_block = (len(tokens), self.space.max_blocks, TOKENS_PER_BLOCK)
        hidden = self._run(weights, tokens).view(*by_block, self.hidden)
        tokens = tokens.view(by_block)
        log_chances, entropies = [], []
        for name, half in (("input", slice(0, 2)), ("operation", slice(2, 4))):
            logits = hidden[:, :, half] @ weights[f"{name}_weight"] + weights[f"{name}_bias"]
            if name == "input":
                choices = torch.arange(self.space.max_blocks)[:, None, None] + 2
                logits = logits.masked_fill(torch.arange(logits.shape[-1]) >= choices, _MASKED)
            logs = torch.log_softmax(logits, dim=-1)
            log_chances.append(logs.gather(-1, tokens[:, :, half, None]).squeeze(-1))
            entropies.append(-(logs.exp() * logs).sum(dim=-1))
        return torch.cat(log_chances, dim=2).flatten(1), torch.cat(entropies, dim=2).flatten(1)

    def _run(self, weights: Weights, tokens: Tensor) -> Tensor:
        """The hidden state that each token is written from, `[n, T, hidden]`."""
        table = _read_table(weights)
        starts = torch.tensor([start for _, start, _ in self._places()])
        read = table[(tokens + starts)[:, :-1]]
        hidden, memory = _step(table[-1].expand(len(tokens), -1), table.new_zeros(len(tokens), self.hidden))
        states = [hidden]
        for gates in read.unbind(dim=1):
            gates = torch.addmm(gates, hidden, weights["recurrent_weight"])
            hidden, memory = _step(gates, memory)
            states.append(hidden)
        return torch.stack(states, dim=1)

    def _places(self) -> list[tuple[str, int, int]]:
        """For each token: its softmax, where its embeddings start, and how many values it may take."""
        limits = token_limits(self.space.max_blocks, len(self.space.operations)).ravel().tolist()
        kinds = [("input", 0), ("input", 0), *([("operation", input_vocabulary(self.space))] * 2)]
        return [(*kinds[at % TOKENS_PER_BLOCK], limit) for at, limit in enumerate(limits)]


def _read_table(weights: Weights) -> Tensor:
    """What each token adds to the gates (enter, keep, leave, new), `[tokens, 4 * hidden]`."""
    return torch.addmm(weights["bias"], weights["embedding"], weights["read_weight"])


def _step(gates: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """One LSTM step: gates `[n, 4 * hidden]` and memory `[n, hidden]` to hidden state and memory."""
    size = memory.shape[1]
    opened = torch.sigmoid(gates[:, : 3 * size])
    enter, keep, leave = opened.chunk(3, dim=1)
    memory = keep * memory + enter * torch.tanh(gates[:, 3 * size :])
    return leave * torch.tanh(memory), memory
