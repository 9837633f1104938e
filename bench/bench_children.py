"""Speed of a child's training step. Run: `pytest bench/bench_children.py --benchmark-only`.

Today's network and optimiser against those of the first issue, frozen below, at the recipe of the table that
ships: batch 100 of 16 x 16 images, F = 8, one thread, channels-last. 20 random five-block cells; both take
turns, step by step, in one process, and are given the same images and weights. Outputs must be equal to the
last bit and gradients up to rounding. The figure is the mean over cells of the ratio of the median CPU
seconds of a step (forward, backward, clipping, SGD), 9 steps of each.

The goal of 1.3 is missed: 1.16 is reached (20 cells, 158 against 136 ms a step, an Intel Xeon of two cores,
both busy with other work; 1.08 there before BatchNorm was given gradients of their own instead of slices). To
this the memory settings of the training workers add 1.05 (114 against 120 ms, 3 runs each of 8 cells), which
this comparison, both sides being in one process, does not contain.

Where the rest of a step goes (torch.profiler, 12 cells, each operation's 20th percentile times its number;
taken before kernels were turned around): gradients of convolutions 40% (before: 62%), convolutions 15%,
BatchNorm and its gradient 15%, copies 5%, the strips' own bookkeeping 3%, additions 3%, ReLU's gradient 3%,
average pooling and its gradient 3%; nothing else above 2%. Tried and left out, being no faster or only on
some shapes: 1x1 convolutions as matrix products, depthwise and pointwise kernel merged into one full kernel,
weight gradients in dilated instead of contiguous strips, overlapping strips of three columns, zeros at the
edges alone, contiguous instead of channels-last, native kernels without oneDNN, the factorised reduction as
one 2x2 convolution, BatchNorm over folded rows, the whole network in bfloat16 (4 cells: 1.15 to 2 times as
long a step as float32). Average pooling as a depthwise convolution is faster below 16 channels (1% of a
step), but rounds differently; outputs that stay equal to the last bit were worth more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pnas_backends.training.layout import CellPlan, NetworkShape, plan_cells, plan_head, plan_stem
from pnas_backends.training.network import build_network, find_unread_inputs, read_blocks
from pnas_backends.training.operations import (
    BatchNorm,
    Convolution,
    FactorisedReduction,
    Layer,
    Layers,
    Pool,
    Relu,
)
from pnas_backends.training.recipe import CIFAR10_16PX
from pnas_backends.training.train import make_optimiser, use_threads
from pnas_sim.space import CellSpace

TIMES_FASTER = 1.1  # guards what was reached
GOAL = 1.3  # what was wanted, and missed; see above
CELLS, STEPS, BATCH = 20, 9, 100


# ------------------------------------------------------------------------------------- the first network


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


class ShiftedHalves(nn.Module):
    """Factorised reduction: one path reads even pixels, the other odd ones (beyond the edge: zeros)."""

    def __init__(self, layer: FactorisedReduction) -> None:
        super().__init__()
        half = layer.outputs // 2
        self.even = nn.Conv2d(layer.inputs, half, 1, bias=False) if half else None
        self.odd = nn.Conv2d(layer.inputs, layer.outputs - half, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[n, inputs, h, w]` to `[n, outputs, ceil(h / 2), ceil(w / 2)]`."""
        pixels = x.permute(0, 2, 3, 1)  # sliced in this order the gradient comes back channels-last too
        padded = functional.pad(pixels, (0, 0, 0, x.shape[3] % 2, 0, x.shape[2] % 2))
        odd: Tensor = self.odd(padded[:, 1::2, 1::2].permute(0, 3, 1, 2))
        if self.even is None:
            return odd
        return torch.cat([self.even(pixels[:, ::2, ::2].permute(0, 3, 1, 2)), odd], 1)


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

    def __init__(self, blocks: Sequence[tuple[int, int, str, str]], plan: CellPlan) -> None:
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
        return HiddenState(torch.cat(outputs, 1) if len(outputs) > 1 else outputs[0])


class Network(nn.Module):
    """A cell's network; images `float32[n, channels, size, size]` to logits `[n, classes]`."""

    def __init__(self, blocks: Sequence[tuple[int, int, str, str]], shape: NetworkShape) -> None:
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


def build_layer(layer: Layer) -> nn.Module:
    """The torch module of a layer."""
    match layer:
        case Convolution(inputs, outputs, kernel, stride, dilation, groups):
            return nn.Conv2d(inputs, outputs, kernel, stride, layer.padding, dilation, groups, bias=False)
        case FactorisedReduction():
            return ShiftedHalves(layer)
        case BatchNorm(channels):
            return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)
        case Pool("average", stride):
            return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
        case Pool(_, stride):
            return nn.MaxPool2d(3, stride, padding=1)
        case Relu():
            return nn.ReLU()


def build_first_network(row: NDArray[np.uint8], space: CellSpace, shape: NetworkShape) -> Network:
    """The network of a cell, with today's initial weights of seed 0."""
    network = Network(read_blocks(row, space), shape)
    today = build_network(row, space=space, shape=shape)
    network.load_state_dict(today.state_dict())
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


# ------------------------------------------------------------------------------------------ the comparison


def draw_batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    size = CIFAR10_16PX.image_size
    images = torch.randn(BATCH, 3, size, size, generator=generator)
    labels = torch.randint(0, 10, (BATCH,), generator=generator)
    return images.to(memory_format=torch.channels_last), labels


def take_gradients(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Forward and backward; returns the logits."""
    logits: Tensor = network(images)
    network.zero_grad(set_to_none=True)
    functional.cross_entropy(logits, labels).backward()
    return logits.detach()


def make_step(network: nn.Module, optimiser: torch.optim.Optimizer) -> Callable[[Tensor, Tensor], None]:
    def step(images: Tensor, labels: Tensor) -> None:
        take_gradients(network, images, labels)
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()

    return step


def first_optimiser(network: nn.Module) -> torch.optim.SGD:
    groups = [
        {
            "params": [p for p in network.parameters() if p.ndim > 1],
            "weight_decay": CIFAR10_16PX.weight_decay,
        },
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, 0.1, 0.9, nesterov=True, foreach=True)


def demand_same(first: nn.Module, today: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Logits to the last bit; gradients relative to each parameter's largest.

    Where a gradient is zero but for rounding (below a thousandth of the network's largest) the
    latter is the measure.
    """
    one_logits, other_logits = (take_gradients(network, images, labels) for network in (first, today))
    assert torch.equal(one_logits, other_logits)
    floor = 1e-3 * max(float(p.grad.abs().max()) for p in first.parameters() if p.grad is not None)
    for one, other in zip(first.parameters(), today.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        scale = one.grad.abs().max().clamp_min(floor)
        torch.testing.assert_close(one.grad / scale, other.grad / scale, rtol=1e-4, atol=1e-4)


def compare_cell(row: np.ndarray, space: CellSpace, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Median CPU seconds of a step, the first issue's and today's."""
    first = build_first_network(row, space, CIFAR10_16PX.shape)
    today = build_network(row, space=space, shape=CIFAR10_16PX.shape)
    demand_same(first, today, images, labels)
    steps = [
        make_step(first, first_optimiser(first)),
        make_step(today, make_optimiser(today, CIFAR10_16PX)),
    ]
    seconds: list[list[float]] = [[], []]
    for _ in range(STEPS):
        for step, taken in zip(steps, seconds, strict=True):
            begun = time.process_time()
            step(images, labels)
            taken.append(time.process_time() - begun)
    return float(np.median(seconds[0])), float(np.median(seconds[1]))


def compare() -> tuple[float, float, float]:
    """Mean ratio over cells, and mean seconds of either."""
    space = CellSpace()
    cells = space.sample(CELLS, np.random.default_rng(5), blocks=5)
    with use_threads(1):
        images, labels = draw_batch()
        found = np.array([compare_cell(row, space, images, labels) for row in cells])
    return float((found[:, 0] / found[:, 1]).mean()), *found.mean(axis=0).tolist()


@pytest.mark.benchmark(timer=time.process_time)
def test_a_training_step_against_the_first_issues(benchmark) -> None:
    ratio, first, today = benchmark.pedantic(compare, rounds=1)
    benchmark.extra_info.update(
        target=TIMES_FASTER,
        goal=GOAL,
        unit="times",
        n=CELLS * STEPS,
        measured=ratio,
        first_seconds=first,
        today_seconds=today,
    )
