"""What each operation of a cell is made of, written down once, as data.

An operation is a function from (input channels, filters, stride) to a tuple of layers. `network` turns layers
into torch modules and `costs` counts them, so what is trained and what is counted cannot drift apart. No
torch in here.

Choices where the paper leaves room:

- `conv1x7`: 1x7 from the input to max(1, F // 4) filters, then 7x1 to F, each after a ReLU and followed by
  BatchNorm; the only reading that fits the published size of PNASNet-3. At stride 2 the 1x7 strides along its
  width and the 7x1 along its height, so that between them every pixel is read.
- `dil3`: ReLU, one full 3x3 convolution with dilation 2 from the input to F filters, BatchNorm: the plain
  reading of "3x3 dilated convolution" (section 3.1); no published count decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from pnas_sim.errors import CellError


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution without biases.

    Attributes:
        inputs: input channels.
        outputs: output channels.
        kernel: height and width.
        stride: along height and width.
        dilation: distance of neighbouring taps.
        groups: 1, or `inputs` for a depthwise convolution.
        same: output size is ceil(size / stride); else no padding ("VALID").
    """

    inputs: int
    outputs: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: int = 1
    groups: int = 1
    same: bool = True

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros added on either side, along height and width.

        The same on both sides. At stride 1, and at stride 2 on odd sizes, that is TensorFlow's SAME; at
        stride 2 on even sizes TensorFlow has one zero less on top and left, which moves the windows by a
        pixel and changes neither shapes nor counts.
        """
        if not self.same:
            return (0, 0)
        return (self.dilation * (self.kernel[0] // 2), self.dilation * (self.kernel[1] // 2))


@dataclass(frozen=True, slots=True)
class FactorisedReduction:
    """Halves the size: two 1x1 convolutions of stride 2, the second one shifted by a pixel, concatenated.

    The first has outputs // 2 filters, the second the others.
    """

    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True)
class BatchNorm:
    """Batch normalisation with a scale and a shift for each channel."""

    channels: int


@dataclass(frozen=True, slots=True)
class Relu:
    """Rectifier."""


@dataclass(frozen=True, slots=True)
class Pool:
    """3x3 pooling, padded to keep ceil(size / stride); an average counts no padding."""

    kind: str  # "average" or "max"
    stride: int


Layer: TypeAlias = Convolution | FactorisedReduction | BatchNorm | Relu | Pool
Layers: TypeAlias = tuple[Layer, ...]
Describe: TypeAlias = Callable[[int, int, int], Layers]


def pointwise(inputs: int, filters: int, stride: int = 1) -> Layers:
    """1x1 convolution and BatchNorm."""
    return (Convolution(inputs, filters, stride=(stride, stride)), BatchNorm(filters))


def reduction(inputs: int, filters: int) -> Layers:
    """Factorised reduction and BatchNorm."""
    return (FactorisedReduction(inputs, filters), BatchNorm(filters))


def separable(size: int) -> Describe:
    """Twice ReLU, depthwise and pointwise convolution, BatchNorm; the stride is the first's [section 3.1]."""

    def once(inputs: int, filters: int, stride: int) -> Layers:
        depthwise = Convolution(inputs, inputs, (size, size), (stride, stride), groups=inputs)
        return (Relu(), depthwise, *pointwise(inputs, filters))

    def describe(inputs: int, filters: int, stride: int) -> Layers:
        return once(inputs, filters, stride) + once(filters, filters, 1)

    return describe


def row_then_column(length: int) -> Describe:
    """1 x length, then length x 1 convolution, with a quarter of the filters in between."""

    def describe(inputs: int, filters: int, stride: int) -> Layers:
        inner = max(1, filters // 4)
        row = Convolution(inputs, inner, (1, length), (1, stride))
        column = Convolution(inner, filters, (length, 1), (stride, 1))
        return (Relu(), row, BatchNorm(inner), Relu(), column, BatchNorm(filters))

    return describe


def dilated(size: int, dilation: int) -> Describe:
    """ReLU, full dilated convolution, BatchNorm."""

    def describe(inputs: int, filters: int, stride: int) -> Layers:
        taps = Convolution(inputs, filters, (size, size), (stride, stride), dilation)
        return (Relu(), taps, BatchNorm(filters))

    return describe


def pooling(kind: str) -> Describe:
    """Pooling, then 1x1 and BatchNorm only where channels differ."""

    def describe(inputs: int, filters: int, stride: int) -> Layers:
        pool = (Pool(kind, stride),)
        return pool if inputs == filters else pool + pointwise(inputs, filters)

    return describe


def identity(inputs: int, filters: int, stride: int) -> Layers:
    """Nothing; where size or channels differ ReLU, 1x1 with the stride, BatchNorm."""
    if stride == 1 and inputs == filters:
        return ()
    return (Relu(), *pointwise(inputs, filters, stride))


OPERATIONS: Mapping[str, Describe] = MappingProxyType(
    {
        "sep3": separable(3),
        "sep5": separable(5),
        "sep7": separable(7),
        "conv1x7": row_then_column(7),
        "id": identity,
        "avg3": pooling("average"),
        "max3": pooling("max"),
        "dil3": dilated(3, 2),
    }
)


def describe_operation(name: str, inputs: int, filters: int, stride: int) -> Layers:
    """Layers of one operation.

    Args:
        name: as in a cell's text.
        inputs: channels it reads.
        filters: channels it gives.
        stride: 1 or 2.

    Raises:
        CellError: no such operation can be trained.
    """
    if name not in OPERATIONS:
        raise CellError(f"operation {name!r} cannot be trained; those that can: {', '.join(OPERATIONS)}")
    return OPERATIONS[name](inputs, filters, stride)
