"""Every fast path gives what the plain torch layer gives: outputs and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pnas_backends.training.layers import (
    PickedConvolution,
    ShiftedHalves,
    WideDepthwise,
    build_layer,
    cut_columns,
    join_channels,
    pick_pixels,
)
from pnas_backends.training.operations import Convolution, FactorisedReduction

SIZES = [(16, 16), (7, 9), (4, 4), (1, 2), (3, 8)]


def plain(layer: Convolution) -> nn.Conv2d:
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


def run(module: nn.Module, image: Tensor) -> list[Tensor]:
    """Output, and gradients of a loss that weighs every place differently."""
    image = image.clone().requires_grad_()
    output = module(image)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    (output * weights).sum().backward()
    gradients = [image, *module.parameters()]
    return [output.detach(), *(tensor.grad for tensor in gradients if tensor.grad is not None)]


def random_image(channels: int, size: tuple[int, int]) -> Tensor:
    image = torch.randn(3, channels, *size, generator=torch.Generator().manual_seed(0))
    return image.to(memory_format=torch.channels_last)


def check_same(layer: Convolution, size: tuple[int, int], kind: type[nn.Module]) -> None:
    module, reference = build_layer(layer), plain(layer)
    assert isinstance(module, kind)
    module.load_state_dict(reference.state_dict())
    image = random_image(layer.inputs, size)
    found, expected = run(module, image), run(reference, image)
    assert len(found) == len(expected) == 3
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [5, 7])
def test_wide_depthwise_is_a_depthwise_convolution(kernel: int, stride: int, size: tuple[int, int]) -> None:
    layer = Convolution(6, 6, (kernel, kernel), (stride, stride), groups=6)
    check_same(layer, size, WideDepthwise)


@pytest.mark.parametrize("size", SIZES)
def test_dilated_convolution_may_read_picked_pixels(size: tuple[int, int]) -> None:
    check_same(Convolution(5, 4, (3, 3), (2, 2), dilation=2), size, PickedConvolution)


def test_other_convolutions_are_torchs_own() -> None:
    for layer in (
        Convolution(4, 4, (3, 3), groups=4),
        Convolution(4, 2, (1, 7), (1, 2)),
        Convolution(4, 4, (3, 3), dilation=2),
        Convolution(4, 4, (7, 7), groups=4, dilation=2),
    ):
        assert type(build_layer(layer)) is nn.Conv2d


def test_a_frozen_weight_or_image_costs_no_gradient() -> None:
    module = build_layer(Convolution(4, 4, (5, 5), groups=4))
    nn.init.ones_(module.weight)  # type: ignore[arg-type]
    image = random_image(4, (8, 8))
    module(image).sum().backward()
    assert image.grad is None and module.weight.grad is not None
    module.requires_grad_(False)
    module(image.requires_grad_()).sum().backward()
    assert image.grad is not None


def test_evaluation_gives_the_same_output() -> None:
    module = build_layer(Convolution(4, 4, (7, 7), (2, 2), groups=4))
    nn.init.normal_(module.weight, generator=torch.Generator().manual_seed(2))  # type: ignore[arg-type]
    image = random_image(4, (9, 8))
    with torch.inference_mode():
        measured = module(image)
    assert torch.equal(measured, module(image))


@pytest.mark.parametrize(("columns", "strips"), [(4, [2, 2]), (5, [3, 2]), (7, [3, 2, 2]), (9, [3, 3, 3])])
def test_strips_are_two_or_three_columns_wide(columns: int, strips: list[int]) -> None:
    assert cut_columns(columns) == strips


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("offsets", [(0,), (1,), (0, 1)])
def test_picked_pixels_have_the_gradient_of_slices(size: tuple[int, int], offsets: tuple[int, ...]) -> None:
    image = random_image(2, size).double().requires_grad_()
    for offset, picked in zip(offsets, pick_pixels(image, 2, offsets), strict=True):
        sliced = image[:, :, offset::2, offset::2]
        height, width = sliced.shape[2:]
        assert picked.shape[2:] == (-(-size[0] // 2), -(-size[1] // 2))
        assert torch.equal(picked[:, :, :height, :width], sliced)
        assert picked.sum().item() == pytest.approx(sliced.sum().item())  # what lies beyond the edge is zero
        assert picked.is_contiguous(memory_format=torch.channels_last)
    assert torch.autograd.gradcheck(lambda x: pick_pixels(x, 2, offsets), image)


def test_factorised_reduction_of_one_filter_has_one_path() -> None:
    module = ShiftedHalves(FactorisedReduction(3, 1))
    assert module.even is None
    assert module(random_image(3, (5, 4))).shape == (3, 1, 3, 2)


def test_joined_channels_are_a_concatenation() -> None:
    parts = [random_image(channels, (4, 3)).double().requires_grad_() for channels in (2, 1, 3)]
    joined = join_channels(parts)
    assert torch.equal(joined, torch.cat(parts, 1))
    assert joined.is_contiguous(memory_format=torch.channels_last)
    assert torch.autograd.gradcheck(lambda *some: join_channels(some), parts)


def test_gradients_of_joined_channels_are_no_slices() -> None:
    """On slices BatchNorm's gradient is several times slower."""
    parts = [random_image(channels, (4, 4)).requires_grad_() for channels in (2, 3)]
    seen: list[Tensor] = []
    for part in parts:
        part.register_hook(seen.append)  # type: ignore[no-untyped-call]
    join_channels(parts).square().sum().backward()
    assert len(seen) == 2
    assert all(gradient.is_contiguous(memory_format=torch.channels_last) for gradient in seen)


def test_joining_one_tensor_or_measuring_costs_nothing() -> None:
    (part,) = parts = [random_image(2, (3, 3))]
    assert join_channels(parts) is part
    with torch.inference_mode():
        assert torch.equal(join_channels([part, part]), torch.cat([part, part], 1))
