"""Parameters and multiply-adds of whole arrays of cells, counted from the layers that are trained; no torch.

Multiply-adds are those of convolutions and the classifier, for one image, as the paper counts (section 5.5).
Additions, pooling and BatchNorm are not counted.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pnas_backends.training.layout import CellPlan, NetworkShape, plan_cells, plan_head, plan_stem
from pnas_backends.training.operations import BatchNorm, Convolution, FactorisedReduction, Layer, Layers
from pnas_sim.space import PAD, CellSpace

SOURCES = 3  # what an operation can read: the two cell inputs, or a block


def cell_costs(
    cells: NDArray[np.uint8], space: CellSpace, shape: NetworkShape | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Costs of the networks of cells.

    Args:
        cells: token rows `uint8[n, width]` of `space`.
        space: names the operations.
        shape: of the network; by default the paper's at search time.

    Returns:
        Parameters `int64[n]` and multiply-adds `int64[n]`.

    Raises:
        CellError: the space has an operation that cannot be trained.
    """
    shape = shape or NetworkShape()
    blocks = cells.reshape(len(cells), cells.shape[1] // 4, 4)
    there = blocks[:, :, 0] != PAD
    counts, read = _count_operations(blocks, there, len(space.operations))
    each = _price_operations(shape, space.operations)
    sums = np.einsum("nso,soc->nc", counts, each)
    unread = ~read
    for key in np.unique(np.column_stack([there.sum(1), unread]), axis=0):
        mine = (there.sum(1) == key[0]) & (unread == key[1:]).all(1)
        sums[mine] += _price_frame(shape, int(key[0]), bool(key[1]), bool(key[2]))
    return sums[:, 0].copy(), sums[:, 1].copy()


def _count_operations(
    blocks: NDArray[np.uint8], there: NDArray[np.bool_], operations: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Counts `int64[n, 3, operations]` of operations by source; which cell inputs are read, `bool[n, 2]`."""
    row = np.broadcast_to(np.arange(len(blocks))[:, None, None], (*there.shape, 2))[there]
    source = np.minimum(blocks[:, :, :2][there], SOURCES - 1)
    operation = blocks[:, :, 2:][there]
    counts = np.zeros((len(blocks), SOURCES, operations), np.int64)
    np.add.at(counts, (row, source, operation), 1)
    return counts, counts[:, :2].sum(2) > 0


@lru_cache(maxsize=64)
def _price_operations(shape: NetworkShape, operations: tuple[str, ...]) -> NDArray[np.int64]:
    """Costs of each operation over all cells of a network, `int64[3, operations, 2]`."""
    prices = np.zeros((SOURCES, len(operations), 2), np.int64)
    for plan in plan_cells(shape, 1):  # neither F nor sizes depend on how many states are joined
        for source in range(SOURCES):
            size = plan.size if source < 2 else plan.output_size
            for place, name in enumerate(operations):
                prices[source, place] += count_layers(plan.operation(name, source), size)[0]
    prices.setflags(write=False)
    return prices


@lru_cache(maxsize=256)
def _price_frame(shape: NetworkShape, blocks: int, unread0: bool, unread1: bool) -> NDArray[np.int64]:
    """Costs of all but operations, `int64[2]`: stem, what adapts and joins cell inputs, classifier."""
    joined = blocks + unread0 + unread1
    stem, _, _ = plan_stem(shape)
    total = count_layers(stem, shape.image_size)[0]
    for plan in plan_cells(shape, joined):
        total += _price_plumbing(plan, [source for source, unread in enumerate((unread0, unread1)) if unread])
    head = plan_head(shape, joined)
    total += ((head + 1) * shape.classes, head * shape.classes)
    total.setflags(write=False)
    return total


def _price_plumbing(plan: CellPlan, unread: list[int]) -> NDArray[np.int64]:
    total = count_layers(plan.previous, plan.previous_size)[0] + count_layers(plan.current, plan.size)[0]
    for source in unread:
        total += count_layers(plan.join(source), plan.size)[0]
    return total


def count_layers(layers: Layers, size: int) -> tuple[NDArray[np.int64], int]:
    """Parameters and multiply-adds `int64[2]` of layers that read `size` x `size` pixels; pixels given."""
    total = np.zeros(2, np.int64)
    height = width = size
    for layer in layers:
        parameters, multiply_adds, height, width = _count_layer(layer, height, width)
        total += (parameters, multiply_adds)
    return total, height


def _count_layer(layer: Layer, height: int, width: int) -> tuple[int, int, int, int]:
    """Parameters, multiply-adds, output height and width."""
    match layer:
        case Convolution():
            across, along = layer.kernel
            weights = layer.inputs // layer.groups * layer.outputs * across * along
            if not layer.same:
                height, width = height - across + 1, width - along + 1
            height, width = -(-height // layer.stride[0]), -(-width // layer.stride[1])
            return weights, weights * height * width, height, width
        case FactorisedReduction(inputs, outputs):
            height, width = -(-height // 2), -(-width // 2)
            return inputs * outputs, inputs * outputs * height * width, height, width
        case BatchNorm(channels):
            return 2 * channels, 0, height, width
        case _:
            stride = getattr(layer, "stride", 1)
            return 0, 0, -(-height // stride), -(-width // stride)
