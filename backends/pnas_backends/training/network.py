"""One network class for any cell: stem, cells, ReLU, global average pool, classifier [section 3.2].

Choices: BatchNorm has epsilon 1e-5 and running averages that keep 0.9 at each step, as in the authors' CIFAR
code (their ImageNet code keeps 0.9997, which takes thousands of steps to settle). Weights start uniform
within 1 / sqrt(fan-in), torch's usual start, biases at zero, BatchNorm at scale 1 and shift 0. Variance 2 /
fan-in instead costs .035 of accuracy in a one-pass training (two cells): behind BatchNorm, larger weights
only learn more slowly. Activations are channels-last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pnas_backends.training.layers import PickedConvolution, WideDepthwise, build_layer, join_channels
from pnas_backends.training.layout import CellPlan, NetworkShape, plan_cells, plan_head, plan_stem
from pnas_backends.training.operations import Layers, Relu
from pnas_sim.space import PAD, Cell, CellSpace

Block: TypeAlias = tuple[int, int, str, str]  # two inputs, two operations


@dataclass(slots=True)
class HiddenState:
    """A tensor and its rectified copy, made at most once however many operations read it."""

    raw: Tensor
    _rectified: Tensor | None = field(default=None)

    def rectified(self) -> Tensor:
        """`relu(raw)`."""
        if self._rectified is None:
            self._rectified = functional.relu(self.raw)
        return self._rectified


class Branch(nn.Module):
    """Layers that read one hidden state; a leading ReLU is the state's own, shared with its other readers."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.reads_rectified = bool(layers) and isinstance(layers[0], Relu)
        self.layers = nn.Sequential(*map(build_layer, layers[1:] if self.reads_rectified else layers))

    def forward(self, state: HiddenState) -> Tensor:
        """The state itself if there are no layers."""
        x: Tensor = self.layers(state.rectified() if self.reads_rectified else state.raw)
        return x


class CellModule(nn.Module):
    """One cell: adapts its inputs, adds two operations a block, concatenates blocks and unread inputs."""

    def __init__(self, blocks: Sequence[Block], plan: CellPlan) -> None:
        super().__init__()
        self.blocks = tuple((first, second) for first, second, _, _ in blocks)
        self.previous = Branch(plan.previous)
        self.current = Branch(plan.current)
        self.first = nn.ModuleList(Branch(plan.operation(name, source)) for source, _, name, _ in blocks)
        self.second = nn.ModuleList(Branch(plan.operation(name, source)) for _, source, _, name in blocks)
        self.unread = find_unread_inputs(blocks)
        self.joins = nn.ModuleList(Branch(plan.join(source)) for source in self.unread)

    def forward(self, before: HiddenState, now: HiddenState) -> HiddenState:
        """Output of the cell, from those of the cell before the previous one and of the previous one."""
        previous = HiddenState(self.previous(before)) if len(self.previous.layers) else before
        states = [previous, HiddenState(self.current(now))]
        for (i, j), first, second in zip(self.blocks, self.first, self.second, strict=True):
            states.append(HiddenState(first(states[i]) + second(states[j])))
        outputs = [state.raw for state in states[2:]]
        outputs += [join(states[i]) for i, join in zip(self.unread, self.joins, strict=True)]
        return HiddenState(join_channels(outputs))


class Network(nn.Module):
    """A cell's network; images `float32[n, channels, size, size]` to logits `[n, classes]`."""

    def __init__(self, blocks: Sequence[Block], shape: NetworkShape) -> None:
        super().__init__()
        joined = len(blocks) + len(find_unread_inputs(blocks))
        self.stem = nn.Sequential(*map(build_layer, plan_stem(shape)[0]))
        self.cells = nn.ModuleList(CellModule(blocks, plan) for plan in plan_cells(shape, joined))
        self.classifier = nn.Linear(plan_head(shape, joined), shape.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        before = now = HiddenState(self.stem(images))
        for cell in self.cells:
            before, now = now, cell(before, now)
        logits: Tensor = self.classifier(now.rectified().mean((2, 3)))
        return logits


def find_unread_inputs(blocks: Sequence[Block]) -> tuple[int, ...]:
    """Those of the two cell inputs (0, 1) that no block reads; they join the cell's output."""
    read = {source for block in blocks for source in block[:2]}
    return tuple(source for source in (0, 1) if source not in read)


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draws all weights from `generator`, module by module in the order of construction."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # scale 1, shift 0, running averages too
        elif isinstance(module, nn.Conv2d | nn.Linear | WideDepthwise | PickedConvolution):
            bound = module.weight[0].numel() ** -0.5
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)


def read_blocks(row: NDArray[np.uint8], space: CellSpace) -> list[Block]:
    """Blocks of a token row, with the operations' names."""
    blocks = row[row != PAD].reshape(-1, 4).tolist()
    names = space.operations
    return [(first, second, names[one], names[other]) for first, second, one, other in blocks]


def read_row(cell: NDArray[np.uint8] | str | Cell, space: CellSpace) -> NDArray[np.uint8]:
    """A cell's token row in a space, `uint8[width]`, of the row itself, a `Cell` of any space, or text.

    Raises:
        CellError: the text is no cell of the space.
    """
    return space.parse(str(cell)) if isinstance(cell, str | Cell) else cell


def build_network(
    cell: NDArray[np.uint8] | str | Cell,
    *,
    space: CellSpace | None = None,
    shape: NetworkShape | None = None,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Network:
    """Builds the network of a cell; it touches no global random state.

    Args:
        cell: a token row `uint8[width]`, a `Cell`, or the cell's text.
        space: the cell's space; by default the paper's.
        shape: of the network; by default the paper's at search time. `PRESETS` holds others.
        generator: of the initial weights, on the CPU, so that they are the same for all devices; by default
            of seed 0.
        device: where the network goes. On "meta" it has shapes but no weights.

    Raises:
        CellError: the text is no cell of the space, or an operation cannot be trained.
    """
    space = space or CellSpace()
    row = read_row(cell, space)
    with torch.device("meta"):
        network = Network(read_blocks(row, space), shape or NetworkShape())
    if torch.device(device).type == "meta":
        return network
    network.to_empty(device="cpu")
    initialise(network, generator or torch.Generator().manual_seed(0))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.to(device)
