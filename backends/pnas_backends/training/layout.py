"""How cells are put together into a network: widths, strides and sizes of every cell, without torch.

Section 3.2 of the paper, with the details that its published code settles: 3N cells, those after N and 2N
with stride 2 and twice the filters; on ImageNet two more stride-2 cells right after the stem. See `CellPlan`
for the plumbing between cells. `network` builds what is planned here, `costs` counts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pnas_backends.training.operations import (
    BatchNorm,
    Convolution,
    Layers,
    Relu,
    describe_operation,
    pointwise,
    reduction,
)
from pnas_sim.errors import SettingError

IMAGENET_STEM_FILTERS = MappingProxyType({"imagenet-mobile": 32, "imagenet-large": 96})
STEMS = ("cifar", *IMAGENET_STEM_FILTERS)
MOST_CELLS_PER_STAGE, MOST_FILTERS, MOST_PIXELS = 100, 4096, 2048  # far above any use; costs stay 64-bit


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkShape:
    """Everything about a network but its cell.

    Attributes:
        cells_per_stage: N; the network has 3N cells, and two more on ImageNet.
        filters: F of the first stage.
        image_size: height and width of an image, in pixels.
        channels: of an image.
        classes: to tell apart.
        stem: "cifar" (3x3 with 3F filters), "imagenet-mobile" or "imagenet-large" (3x3, stride 2, 32 or 96
            filters).
    """

    cells_per_stage: int = 2
    filters: int = 24
    image_size: int = 32
    channels: int = 3
    classes: int = 10
    stem: str = "cifar"

    def __post_init__(self) -> None:
        for name in ("cells_per_stage", "filters", "image_size", "channels", "classes"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} is {getattr(self, name)}; it must be at least 1")
        limits = {
            "cells_per_stage": MOST_CELLS_PER_STAGE,
            "filters": MOST_FILTERS,
            "image_size": MOST_PIXELS,
        }
        for name, most in limits.items():
            if getattr(self, name) > most:
                raise SettingError(f"{name} is {getattr(self, name)}; it must be at most {most}")
        if self.stem not in STEMS:
            raise SettingError(f"unknown stem {self.stem!r}; known: {', '.join(STEMS)}")
        if self.stem != "cifar" and (self.filters < 4 or self.image_size < 3):
            raise SettingError(f"stem {self.stem} needs at least 4 filters and 3 x 3 pixels")


# The paper's networks: search (section 4.1), CIFAR-10 (5.4), ImageNet (5.5).
PRESETS: Mapping[str, NetworkShape] = MappingProxyType(
    {
        "search": NetworkShape(cells_per_stage=2, filters=24),
        "cifar10": NetworkShape(cells_per_stage=3, filters=48),
        "imagenet-mobile": NetworkShape(
            cells_per_stage=3, filters=54, image_size=224, classes=1000, stem="imagenet-mobile"
        ),
        "imagenet-large": NetworkShape(
            cells_per_stage=4, filters=216, image_size=331, classes=1000, stem="imagenet-large"
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPlan:
    """One cell's place in the network.

    Attributes:
        filters: F of this cell.
        stride: 1 or 2, of operations that read the two cell inputs.
        previous: layers that bring the output of the cell before the previous one to this cell's F and size.
        previous_size: pixels of that output.
        previous_filters: channels after `previous`; F but for the first cell, which reads the raw stem.
        current: layers that bring the previous cell's output to F; always ReLU, 1x1, BatchNorm.
        size: pixels of both inputs once adapted.
    """

    filters: int
    stride: int
    previous: Layers
    previous_size: int
    previous_filters: int
    current: Layers
    size: int

    @property
    def output_size(self) -> int:
        """Pixels of the cell's output."""
        return -(-self.size // self.stride)

    def input_filters(self, source: int) -> int:
        """Channels of an input of a block: 0 and 1 are the cell's inputs, others blocks."""
        return self.previous_filters if source == 0 else self.filters

    def operation(self, name: str, source: int) -> Layers:
        """Layers of an operation that reads `source`; only those that read a cell input stride."""
        stride = self.stride if source < 2 else 1
        return describe_operation(name, self.input_filters(source), self.filters, stride)

    def join(self, source: int) -> Layers:
        """Layers that bring a cell input which no block reads to the cell's output."""
        if self.size != self.output_size:
            return reduction(self.input_filters(source), self.filters)
        if self.input_filters(source) != self.filters:
            return pointwise(self.input_filters(source), self.filters)
        return ()


def plan_stem(shape: NetworkShape) -> tuple[Layers, int, int]:
    """Layers of the stem, and channels and pixels of its output."""
    if shape.stem == "cifar":
        filters = 3 * shape.filters
        stem = Convolution(shape.channels, filters, (3, 3))
        return (stem, BatchNorm(filters)), filters, shape.image_size
    filters = IMAGENET_STEM_FILTERS[shape.stem]
    stem = Convolution(shape.channels, filters, (3, 3), (2, 2), same=False)
    return (stem, BatchNorm(filters)), filters, (shape.image_size - 3) // 2 + 1


def list_cells(shape: NetworkShape) -> list[tuple[int, int]]:
    """Filters and stride of each cell, first to last."""
    stem_cells = [] if shape.stem == "cifar" else [(shape.filters // 4, 2), (shape.filters // 2, 2)]
    n = shape.cells_per_stage
    return stem_cells + [(shape.filters << i // n, 2 if i in (n, 2 * n) else 1) for i in range(3 * n)]


def plan_cells(shape: NetworkShape, joined: int) -> list[CellPlan]:
    """Plans every cell of a network.

    Args:
        shape: of the network.
        joined: states that a cell's output concatenates: its blocks and the cell inputs that no block reads.
    """
    _, channels, size = plan_stem(shape)
    before, now = (channels, size), (channels, size)  # outputs of the two cells before
    plans = []
    for index, (filters, stride) in enumerate(list_cells(shape)):
        previous: Layers = ()
        if index > 0:
            previous = _adapt_previous(before, now[1], filters)
        plan = CellPlan(
            filters=filters,
            stride=stride,
            previous=previous,
            previous_size=before[1],
            previous_filters=filters if index > 0 else channels,
            current=(Relu(), *pointwise(now[0], filters)),
            size=now[1],
        )
        plans.append(plan)
        before, now = now, (filters * joined, plan.output_size)
    return plans


def _adapt_previous(output: tuple[int, int], size: int, filters: int) -> Layers:
    channels, pixels = output
    if pixels != size:
        return (Relu(), *reduction(channels, filters))
    if channels != filters:
        return (Relu(), *pointwise(channels, filters))
    return ()


def plan_head(shape: NetworkShape, joined: int) -> int:
    """Channels that the classifier reads, after ReLU and global average pooling."""
    return list_cells(shape)[-1][0] * joined
