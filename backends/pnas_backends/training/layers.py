"""Torch modules of the layers, written for small networks on a CPU.

Outputs are those of the plain layers to the last bit, gradients up to rounding.

What a profile of random cells at the table's recipe showed, and what is done about it
(`bench/bench_children.py` measures it):

- oneDNN has a fast weight gradient of depthwise convolutions for kernels of up to 3 columns; wider ones fall
  back to one that is 3 to 10 times slower. `WideDepthwise` cuts the kernel into strips of 2 or 3 columns.
- At stride 1 the gradient of its image is faster as a convolution with the kernel turned around.
- Slicing every other pixel costs a full-sized gradient for each slice. `PickPixels` writes them all into one.
- A dilated convolution whose stride is its dilation reads every other pixel only: they are picked, then it is
  a plain one on a quarter of the pixels.
- The gradient of a concatenation is slices of one tensor, and BatchNorm is 5 to 7 times slower on slices than
  on tensors of their own. `join_channels` copies them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from pnas_backends.training.operations import BatchNorm, Convolution, FactorisedReduction, Layer, Pool, Relu

BATCH_NORM_EPSILON = 1e-5
BATCH_NORM_MOMENTUM = 0.1  # torch's: the weight of the new batch
FAST_COLUMNS = 3  # widest kernel that oneDNN's depthwise weight gradient takes


def build_layer(layer: Layer) -> nn.Module:
    """The torch module of a layer."""
    match layer:
        case Convolution():
            return build_convolution(layer)
        case FactorisedReduction():
            return ShiftedHalves(layer)
        case BatchNorm(channels):
            return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)
        case Pool("average", stride):
            return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
        case Pool(_, stride):
            return nn.MaxPool2d(3, stride, padding=1)
        case Relu():
            return nn.ReLU(inplace=True)  # follows BatchNorm, whose gradient does not need its output


def build_convolution(layer: Convolution) -> nn.Module:
    """The module of a convolution; its one parameter is called `weight` in every case."""
    if layer.groups > 1 and layer.kernel[1] > FAST_COLUMNS and layer.dilation == 1:
        return WideDepthwise(layer)
    if layer.dilation > 1 and layer.stride == (layer.dilation, layer.dilation):
        return PickedConvolution(layer)
    return nn.Conv2d(
        layer.inputs,
        layer.outputs,
        layer.kernel,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
        bias=False,
    )


class WideDepthwise(nn.Module):
    """A depthwise convolution of more than three columns, with a faster gradient of its weights on CPUs."""

    def __init__(self, layer: Convolution) -> None:
        super().__init__()
        self.stride, self.padding = layer.stride, layer.padding
        self.weight = nn.Parameter(torch.empty(layer.inputs, 1, *layer.kernel))

    def forward(self, x: Tensor) -> Tensor:
        """`[n, channels, h, w]` to `[n, channels, ceil(h / stride), ceil(w / stride)]`."""
        if x.device.type == "cpu" and torch.is_grad_enabled():
            y: Tensor = _DepthwiseInStrips.apply(x, self.weight, self.stride, self.padding)  # type: ignore[no-untyped-call]
            return y
        return functional.conv2d(x, self.weight, None, self.stride, self.padding, groups=len(self.weight))


class _DepthwiseInStrips(torch.autograd.Function):
    """A depthwise convolution that takes its weights' gradient strip by strip."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(x, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = image_gradient(gradient, x, weight, ctx.stride, ctx.padding)
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(gradient, x, weight, ctx.stride, ctx.padding)
        return of_x, of_weight, None, None


def image_gradient(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """Gradient of a depthwise convolution's image; at stride 1 one with the kernel turned around."""
    if stride != (1, 1):
        return _gradients(gradient, x, weight, stride, padding, (True, False, False))[0]
    rows, columns = weight.shape[2:]
    around = (rows - 1 - padding[0], columns - 1 - padding[1])
    return functional.conv2d(gradient, weight.flip(2, 3), padding=around, groups=len(weight))


def weight_gradient(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """Gradient of a depthwise convolution's weights, `[channels, 1, rows, columns]`, in strips of columns.

    Each strip sees the part of the padded image that it slides over.
    """
    (channels, _, rows, columns), width = weight.shape, gradient.shape[3]
    (top, left), pixels = padding, x.permute(0, 2, 3, 1)
    strips, start = [], -left
    for strip in cut_columns(columns):
        stop = start + stride[1] * (width - 1) + strip
        edges = (-start, stop - x.shape[3])  # columns of zeros on either side; fewer than none: not seen
        seen = functional.pad(pixels, (0, 0, *edges, top, top)).permute(0, 3, 1, 2)
        part = weight.new_empty(channels, 1, rows, strip)  # for its shape only
        strips.append(_gradients(gradient, seen, part, stride, (0, 0), (False, True, False))[1])
        start += strip
    return torch.cat(strips, 3)


def cut_columns(columns: int) -> list[int]:
    """Widths of strips, 3 or 2 (a strip of 1 with a stride is slow again): 7 gives 3, 2 and 2."""
    count = -(-columns // FAST_COLUMNS)
    return [columns // count + (place < columns % count) for place in range(count)]


def _gradients(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    wanted: tuple[bool, bool, bool],
) -> tuple[Tensor, Tensor, Tensor]:
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, stride, padding, (1, 1), False, (0, 0), len(weight), wanted
    )
    return found


class PickPixels(torch.autograd.Function):
    """Every `step`-th pixel in both directions, once for each of some offsets; beyond the edge: zeros."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: int, offsets: tuple[int, ...]) -> tuple[Tensor, ...]:
        """`[n, c, h, w]` to one `[n, c, ceil(h / step), ceil(w / step)]` an offset, all channels-last."""
        ctx.shape, ctx.step, ctx.offsets = x.shape, step, offsets
        height, width = (-(-length // step) for length in x.shape[2:])
        picked = []
        for offset in offsets:
            some = x[:, :, offset::step, offset::step].permute(0, 2, 3, 1)
            edge = (0, 0, 0, width - some.shape[2], 0, height - some.shape[1])
            some = functional.pad(some, edge) if any(edge) else some.contiguous()
            picked.append(some.permute(0, 3, 1, 2))
        return tuple(picked)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Into one gradient of the image; different offsets pick different pixels."""
        number, channels, height, width = ctx.shape
        whole = gradients[0].new_zeros(number, height, width, channels).permute(0, 3, 1, 2)
        for offset, gradient in zip(ctx.offsets, gradients, strict=True):
            place = whole[:, :, offset :: ctx.step, offset :: ctx.step]
            place.copy_(gradient[:, :, : place.shape[2], : place.shape[3]])
        return whole, None, None


def pick_pixels(x: Tensor, step: int, offsets: tuple[int, ...]) -> tuple[Tensor, ...]:
    """See `PickPixels`; the offsets are distinct and below `step`."""
    picked: tuple[Tensor, ...] = PickPixels.apply(x, step, offsets)  # type: ignore[no-untyped-call]
    return picked


class _JoinedChannels(torch.autograd.Function):
    """A concatenation of channels whose gradients are tensors of their own instead of slices."""

    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        ctx.channels = [part.shape[1] for part in parts]
        return torch.cat(parts, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        slices = torch.split(gradient, ctx.channels, 1)
        return tuple(part.contiguous(memory_format=torch.channels_last) for part in slices)


def join_channels(parts: Sequence[Tensor]) -> Tensor:
    """`[n, c, h, w]` tensors to one of all their channels, in their order."""
    if len(parts) == 1:
        return parts[0]
    if parts[0].device.type == "cpu" and torch.is_grad_enabled():
        joined: Tensor = _JoinedChannels.apply(*parts)  # type: ignore[no-untyped-call]
        return joined
    return torch.cat(tuple(parts), 1)


class PickedConvolution(nn.Module):
    """A dilated convolution whose stride is its dilation: a plain one on the pixels that it reads."""

    def __init__(self, layer: Convolution) -> None:
        super().__init__()
        self.step = layer.dilation
        self.padding = (layer.padding[0] // self.step, layer.padding[1] // self.step)
        self.groups = layer.groups
        self.weight = nn.Parameter(torch.empty(layer.outputs, layer.inputs // layer.groups, *layer.kernel))

    def forward(self, x: Tensor) -> Tensor:
        """`[n, inputs, h, w]` to `[n, outputs, ceil(h / step), ceil(w / step)]`."""
        (read,) = pick_pixels(x, self.step, (0,))
        return functional.conv2d(read, self.weight, None, 1, self.padding, groups=self.groups)


class ShiftedHalves(nn.Module):
    """Factorised reduction: one path reads even pixels, the other odd ones (beyond the edge: zeros)."""

    def __init__(self, layer: FactorisedReduction) -> None:
        super().__init__()
        half = layer.outputs // 2
        self.even = nn.Conv2d(layer.inputs, half, 1, bias=False) if half else None
        self.odd = nn.Conv2d(layer.inputs, layer.outputs - half, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[n, inputs, h, w]` to `[n, outputs, ceil(h / 2), ceil(w / 2)]`."""
        if self.even is None:
            odd: Tensor = self.odd(pick_pixels(x, 2, (1,))[0])
            return odd
        even_pixels, odd_pixels = pick_pixels(x, 2, (0, 1))
        return join_channels([self.even(even_pixels), self.odd(odd_pixels)])
