from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from pnas_backends.training.augment import draw_batches, make_batch
from pnas_backends.training.data import Images
from pnas_backends.training.layers import ShiftedHalves
from pnas_backends.training.layout import PRESETS, NetworkShape
from pnas_backends.training.network import HiddenState, build_network, find_unread_inputs
from pnas_backends.training.operations import OPERATIONS, FactorisedReduction, describe_operation
from pnas_backends.training.recipe import Recipe
from pnas_sim.errors import CellError, SettingError
from pnas_sim.space import Cell, CellSpace

# The paper's best cells of each size (its figures 2 and 6).
PNASNETS = {
    1: "sep7(-1)+max3(-1)",
    2: "sep7(-1)+sep3(-1) | max3(-1)+sep5(-1)",
    3: "sep5(-1)+max3(-1) | id(-1)+sep3(-1) | conv1x7(-2)+max3(-2)",
    4: "sep5(-1)+max3(-1) | sep5(-1)+sep3(-1) | id(-1)+sep3(-2) | sep5(-2)+max3(-2)",
    5: "sep5(-2)+max3(-2) | sep7(-1)+max3(-1) | sep5(-1)+sep3(-1) | sep3(3)+max3(-1) | sep3(-2)+id(-1)",
}


def count(blocks: int, shape: NetworkShape) -> tuple[int, float, tuple[int, ...]]:
    """Parameters, multiply-adds in millions and output shape of a PNASNet."""
    network = build_network(PNASNETS[blocks], shape=shape, device="meta")
    images = torch.empty(2, shape.channels, shape.image_size, shape.image_size, device="meta")
    with FlopCounterMode(display=False) as counter:
        logits = network(images)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return parameters, counter.get_total_flops() / 2 / 2 / 1e6, tuple(logits.shape)


@pytest.mark.parametrize(
    ("blocks", "cells_per_stage", "filters", "parameters"),
    [(1, 6, 44, 1_556_510), (2, 6, 32, 1_728_234), (3, 6, 32, 1_791_626), (4, 4, 44, 3_008_686)],
)
def test_published_cifar_networks_have_the_published_size(
    blocks: int, cells_per_stage: int, filters: int, parameters: int
) -> None:
    shape = NetworkShape(cells_per_stage=cells_per_stage, filters=filters)
    assert count(blocks, shape)[0] == parameters


@pytest.mark.parametrize(
    ("preset", "parameters", "millions", "published", "classes"),
    [
        ("search", 559_090, 112.0, 112.0, 10),
        ("cifar10", 3_189_082, 574.9, 574.9, 10),
        ("imagenet-mobile", 5_064_487, 587.3, 588.0, 1000),
        ("imagenet-large", 86_057_668, 24_937.4, 25_000.0, 1000),
    ],
)
def test_pnasnet5_counts(
    preset: str, parameters: int, millions: float, published: float, classes: int
) -> None:
    found, multiply_adds, shape = count(5, PRESETS[preset])
    assert found == parameters
    assert multiply_adds == pytest.approx(millions, abs=0.05)
    assert multiply_adds == pytest.approx(published, rel=0.005)
    assert shape == (2, classes)


@pytest.mark.parametrize("size", [4, 7, 8, 9, 16, 17, 32])
@pytest.mark.parametrize("stem", ["cifar", "imagenet-mobile"])
def test_every_size_gives_logits(size: int, stem: str) -> None:
    shape = NetworkShape(cells_per_stage=1, filters=6, image_size=size, channels=1, classes=7, stem=stem)
    network = build_network(PNASNETS[5], shape=shape, device="meta")
    assert network(torch.empty(3, 1, size, size, device="meta")).shape == (3, 7)


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_every_operation_trains_every_parameter(name: str) -> None:
    """Reading each kind of source: at stride 1 and 2, with channels that differ (first cell) or not."""
    cell = f"{name}(-2)+{name}(-1) | {name}(1)+max3(-1)"
    network = build_network(cell, shape=NetworkShape(cells_per_stage=1, filters=4, image_size=9))
    images = torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    functional.cross_entropy(network(images), torch.tensor([0, 1, 2, 3])).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.ndim == 1 or float(parameter.grad.abs().sum()) > 0, key


@pytest.mark.parametrize("cell", ["max3(-2)+id(-2)", "avg3(-1)+dil3(-1)"])
def test_unread_inputs_join_the_output(cell: str) -> None:
    shape = NetworkShape(cells_per_stage=2, filters=4, image_size=8)
    network = build_network(cell, shape=shape)
    joined = network.classifier.in_features // 16  # the last stage has 4 x 4 filters
    assert joined == 2
    assert network(torch.zeros(1, 3, 8, 8)).shape == (1, 10)


def test_find_unread_inputs() -> None:
    assert find_unread_inputs([(0, 0, "id", "id")]) == (1,)
    assert find_unread_inputs([(1, 1, "id", "id"), (2, 1, "id", "id")]) == (0,)
    assert find_unread_inputs([(0, 1, "id", "id")]) == ()


def test_factorised_reduction_reads_even_and_odd_pixels() -> None:
    half = ShiftedHalves(FactorisedReduction(1, 2))
    assert half.even is not None
    torch.nn.init.ones_(half.even.weight)
    torch.nn.init.ones_(half.odd.weight)
    image = torch.arange(1.0, 26).reshape(1, 1, 5, 5)
    even, odd = half(image)[0]
    assert even.tolist() == image[0, 0, ::2, ::2].tolist()
    assert odd.tolist() == [[7, 9, 0], [17, 19, 0], [0, 0, 0]]
    assert [tuple(x.shape) for x in half(torch.zeros(1, 1, 4, 4))[0]] == [(2, 2), (2, 2)]


def test_average_pooling_counts_no_padding(space: CellSpace) -> None:
    """A constant image stays constant up to its edge."""
    network = build_network(
        "avg3(-1)+avg3(-1)", shape=NetworkShape(cells_per_stage=1, filters=4, image_size=8)
    )
    cell = network.cells[0]
    pooled = cell.first[0](HiddenState(torch.full((1, 4, 8, 8), 3.0)))
    assert torch.equal(pooled, torch.full((1, 4, 8, 8), 3.0))


def test_network_adds_the_two_operations_of_a_block() -> None:
    network = build_network("id(-1)+id(-1)", shape=NetworkShape(cells_per_stage=1, filters=4, image_size=8))
    state = HiddenState(torch.randn(2, 12, 8, 8, generator=torch.Generator().manual_seed(0)))
    cell = network.cells[0]
    output = cell(state, state).raw
    assert torch.equal(output[:, :4], 2 * cell.current(state))


def test_rectified_copy_is_made_once_and_leaves_the_state_as_it_was() -> None:
    state = HiddenState(torch.tensor([-1.0, 2.0]))
    assert state.rectified() is state.rectified()
    assert state.raw.tolist() == [-1.0, 2.0]


def test_weights_come_from_the_generator_alone(space: CellSpace) -> None:
    def weights(seed: int) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        shape = NetworkShape(cells_per_stage=1, filters=4, image_size=8)
        return list(build_network(PNASNETS[3], shape=shape, generator=generator).parameters())

    before = torch.random.get_rng_state()
    one, same, other = weights(1), weights(1), weights(2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_training_step_mixes_no_devices(images: Images, recipe: Recipe) -> None:
    """Batch, forward and backward of a cell with all operations, on another device than the processor."""
    cell = "sep3(-2)+sep5(-1) | sep7(-2)+conv1x7(-1) | id(-2)+avg3(-1) | max3(-2)+dil3(-1) | id(1)+avg3(2)"
    elsewhere = torch.device("meta")
    rng = np.random.default_rng(0)
    batches = draw_batches(recipe.change(crop="pad", flip=True), rng, rng, elsewhere)
    network = build_network(cell, shape=recipe.shape, device=elsewhere)
    inputs, labels = make_batch(images.to(elsewhere), batches, 0)
    functional.cross_entropy(network(inputs), labels).backward()
    assert {p.grad.device for p in network.parameters() if p.grad is not None} == {elsewhere}


def test_token_rows_text_and_cells_build_the_same_network(space: CellSpace) -> None:
    row = space.parse(PNASNETS[5])
    forms = (row, PNASNETS[5], Cell.parse(PNASNETS[5], space))
    by_row, by_text, by_cell = (str(build_network(cell, space=space, device="meta")) for cell in forms)
    assert by_row == by_text == by_cell
    wide = CellSpace(max_blocks=10)
    assert str(build_network(wide.parse(PNASNETS[5]), space=wide, device="meta")) == by_text


def test_errors_name_what_is_wrong() -> None:
    with pytest.raises(CellError, match="'sep9' cannot be trained; those that can: sep3, "):
        describe_operation("sep9", 4, 4, 1)
    with pytest.raises(SettingError, match="filters is 0; it must be at least 1"):
        NetworkShape(filters=0)
    with pytest.raises(SettingError, match="image_size is 4096; it must be at most 2048"):
        NetworkShape(image_size=4096)
    with pytest.raises(SettingError, match="unknown stem 'vgg'; known: cifar, "):
        NetworkShape(stem="vgg")
    with pytest.raises(SettingError, match="needs at least 4 filters"):
        NetworkShape(filters=3, stem="imagenet-mobile")


def test_kernels_are_stored_channels_last() -> None:
    network = build_network(PNASNETS[5], shape=NetworkShape(cells_per_stage=1, filters=4, image_size=8))
    kernels = [p for p in network.parameters() if p.ndim == 4]
    assert len(kernels) > 10
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
