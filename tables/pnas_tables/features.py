"""Structural features of cells: what a surrogate sees instead of tokens.

They see the wiring and not only a bag of operations: which input each operation reads, paths, depth, reach.
They do not depend on the order of halves, the numbering of blocks or the padding of rows: any row of a cell,
in a space of any size over the same operations, has the same features. All are computed over whole arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.space import PAD, CellSpace

Rows: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float64]

# convolution layers in a row, and pixels by which the window grows on each side of its centre, all together
TRAITS = {
    "sep3": (2, 4),
    "sep5": (2, 8),
    "sep7": (2, 12),
    "conv1x7": (2, 6),
    "dil3": (1, 4),
    "id": (0, 0),
    "avg3": (0, 2),
    "max3": (0, 2),
}
UNKNOWN_TRAITS = (1, 2)  # of operations of other spaces

FEATURE_VERSION = 1  # stored with every fitted surrogate; another definition needs another number


def feature_names(operations: Sequence[str]) -> list[str]:
    """Names of the features, in their order."""
    names = [f"{op} {kind}" for kind in ("in all", "on -2", "on -1", "on a block") for op in operations]
    names += [f"longest chain of {op}" for op in operations]
    names += [f"mean {op} per path" for op in operations]
    names += ["blocks", "reads of -2", "reads of -1", "reads of blocks", "-2 unused", "-1 unused"]
    names += ["output width", "loose ends", "depth", "mean depth", "log paths", "share of paths from -2"]
    for what in ("most layers", "fewest layers", "most reach"):
        names += [f"{what} of a block, largest", f"{what} of a block, mean", f"{what} of a block, smallest"]
    names += [
        "blocks of two convolutions",
        "blocks of one convolution",
        "blocks of none",
        "blocks with identity",
    ]
    names += ["blocks of one operation twice", "blocks of one input twice", "different operations"]
    return names


def cell_features(space: CellSpace, cells: Rows) -> Floats:
    """Features of token rows, without costs.

    Args:
        space: whose rows they are.
        cells: `uint8[n, width]`, canonical or not.

    Returns:
        `float64[n, f]`, columns as `feature_names`.
    """
    tokens = cells.reshape(len(cells), cells.shape[1] // 4, 4).astype(np.int64)
    there = tokens[:, :, 0] != PAD
    tokens = np.where(there[:, :, None], tokens, 0)
    inputs, operations = tokens[:, :, :2], tokens[:, :, 2:]
    columns = [
        *_count_operations(inputs, operations, there, len(space.operations)),
        *_follow_operations(inputs, operations, there, len(space.operations)),
        *_count_inputs(inputs, there),
        *_follow_paths(inputs, operations, there, space.operations),
        *_describe_blocks(inputs, operations, there, space.operations),
    ]
    return np.column_stack(columns)


def _count_operations(
    inputs: NDArray[np.int64], operations: NDArray[np.int64], there: NDArray[np.bool_], kinds: int
) -> list[Floats]:
    """How often each operation occurs: in all, on -2, on -1, on a block; 4 arrays `[n, operations]`."""
    hot = (operations[..., None] == np.arange(kinds)) & there[:, :, None, None]
    reads = np.minimum(inputs, 2)
    by_input = [(hot & (reads == kind)[..., None]).sum((1, 2)).astype(np.float64) for kind in range(3)]
    return [by_input[0] + by_input[1] + by_input[2], *by_input]


def _follow_operations(
    inputs: NDArray[np.int64], operations: NDArray[np.int64], there: NDArray[np.bool_], kinds: int
) -> list[Floats]:
    """The most of each operation on one path, their mean over paths to all blocks; `[n, operations]`."""
    n, blocks, _ = operations.shape
    rows = np.arange(n)
    paths = np.ones((n, blocks + 2))
    longest = np.zeros((n, blocks + 2, kinds))
    total = np.zeros((n, blocks + 2, kinds))
    for b in range(blocks):
        best, gathered = np.zeros((n, kinds)), np.zeros((n, kinds))
        for half in (0, 1):
            source, operation = inputs[:, b, half], operations[:, b, half]
            chain, passed = longest[rows, source], total[rows, source]
            chain[rows, operation] += 1
            passed[rows, operation] += paths[rows, source]
            best = np.maximum(best, chain)
            gathered += passed
        alive = there[:, b]
        longest[:, b + 2] = best * alive[:, None]
        total[:, b + 2] = gathered * alive[:, None]
        paths[:, b + 2] = (paths[rows, inputs[:, b, 0]] + paths[rows, inputs[:, b, 1]]) * alive
    all_paths = np.maximum(paths[:, 2:].sum(1), 1)
    return [longest[:, 2:].max(1), total[:, 2:].sum(1) / all_paths[:, None]]


def _count_inputs(inputs: NDArray[np.int64], there: NDArray[np.bool_]) -> list[Floats]:
    """Blocks, reads of each kind of input, unused cell inputs, output width, loose ends; `[n]` each."""
    blocks = inputs.shape[1]
    used = np.stack(
        [((inputs == node) & there[:, :, None]).sum((1, 2)) for node in range(blocks + 2)], axis=1
    )
    count = there.sum(1)
    unused = used[:, :2] == 0
    columns = [count, used[:, 0], used[:, 1], used[:, 2:].sum(1), unused[:, 0], unused[:, 1]]
    columns += [count + unused.sum(1), ((used[:, 2:] == 0) & there).sum(1)]
    return [column.astype(np.float64) for column in columns]


def _follow_paths(
    inputs: NDArray[np.int64], operations: NDArray[np.int64], there: NDArray[np.bool_], names: Sequence[str]
) -> list[Floats]:
    """Depth, paths, and the layers and reach along them; `[n]` each."""
    n, blocks, _ = inputs.shape
    rows = np.arange(n)
    traits = np.array([TRAITS.get(name, UNKNOWN_TRAITS) for name in names], np.float64)
    depth, most, fewest, reach, from_before, from_previous = np.zeros((6, n, blocks + 2))
    from_before[:, 0] = from_previous[:, 1] = 1
    for b in range(blocks):
        one, two = inputs[:, b, 0], inputs[:, b, 1]
        (layers_one, reach_one), (layers_two, reach_two) = (
            traits[operations[:, b, half]].T for half in (0, 1)
        )
        depth[:, b + 2] = 1 + np.maximum(depth[rows, one], depth[rows, two])
        most[:, b + 2] = np.maximum(most[rows, one] + layers_one, most[rows, two] + layers_two)
        fewest[:, b + 2] = np.minimum(fewest[rows, one] + layers_one, fewest[rows, two] + layers_two)
        reach[:, b + 2] = np.maximum(reach[rows, one] + reach_one, reach[rows, two] + reach_two)
        from_before[:, b + 2] = from_before[rows, one] + from_before[rows, two]
        from_previous[:, b + 2] = from_previous[rows, one] + from_previous[rows, two]
    count = np.maximum(there.sum(1), 1)
    before = (from_before[:, 2:] * there).sum(1)
    paths = np.maximum(before + (from_previous[:, 2:] * there).sum(1), 1)
    deep = depth[:, 2:] * there
    columns = [deep.max(1), deep.sum(1) / count, np.log(paths), before / paths]
    for values in (most, fewest, reach):
        inside = values[:, 2:] * there
        smallest = np.where(there, values[:, 2:], np.inf).min(1)
        columns += [inside.max(1), inside.sum(1) / count, smallest]
    return columns


def _describe_blocks(
    inputs: NDArray[np.int64], operations: NDArray[np.int64], there: NDArray[np.bool_], names: Sequence[str]
) -> list[Floats]:
    """How the two halves of blocks go together; `[n]` each."""
    layers = np.array([TRAITS.get(name, UNKNOWN_TRAITS)[0] > 0 for name in names])
    convolutions = layers[operations].sum(2)
    identity = np.array([name == "id" for name in names])[operations].any(2)
    same_operation = operations[:, :, 0] == operations[:, :, 1]
    same_input = inputs[:, :, 0] == inputs[:, :, 1]
    kinds = [((operations == kind) & there[:, :, None]).any((1, 2)) for kind in range(len(names))]
    marks = [convolutions == 2, convolutions == 1, convolutions == 0, identity, same_operation, same_input]
    columns = [(mark & there).sum(1) for mark in marks]
    return [column.astype(np.float64) for column in (*columns, np.sum(kinds, axis=0))]
