"""Structural features of cells: what a surrogate sees instead of tokens.

They see the wiring and not only a bag of operations: which input each operation reads, at which depth, which
operations share a block, which follow each other along an edge, paths, depth, reach, unread outputs. They do
not depend on the order of halves, the numbering of blocks or the padding of rows: any row of a cell, in a
space of any size over the same operations, has the same features. All are computed over whole arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement, product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.space import PAD, CellSpace
from pnas_sim.space.arrays import Floats, Rows

Places: TypeAlias = NDArray[np.intp]

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

FEATURE_VERSION = 2  # stored with every fitted surrogate; another definition needs another number
DEEPEST = 3  # depths from here on are counted together
ROWS_AT_ONCE = 4096  # keeps the arrays of a step in the processor's cache


def feature_names(operations: Sequence[str]) -> list[str]:
    """Names of the features, in their order."""
    names = [f"{op} {kind}" for kind in ("in all", "on -2", "on -1", "on a block") for op in operations]
    names += [f"{op} at depth {depth}" for depth in ("1", "2", "3 or more") for op in operations]
    names += [f"{one} with {two}" for one, two in combinations_with_replacement(operations, 2)]
    names += [f"{one} then {two}" for one, two in product(operations, operations)]
    names += [f"longest chain of {op}" for op in operations]
    names += [f"mean {op} per path" for op in operations]
    names += ["blocks", "reads of -2", "reads of -1", "reads of blocks", "-2 unused", "-1 unused"]
    names += ["output width", "loose ends", "most reads of a block"]
    names += ["depth", "mean depth", "log paths", "share of paths from -2"]
    for what in ("most layers", "fewest layers", "most reach"):
        names += [f"{what} of a block, largest", f"{what} of a block, mean", f"{what} of a block, smallest"]
    names += ["blocks of two convolutions", "blocks of one convolution", "blocks of none"]
    names += ["blocks with identity", "blocks of one operation twice", "blocks of one input twice"]
    return [*names, "different operations"]


def cell_features(space: CellSpace, cells: Rows) -> Floats:
    """Features of token rows, without costs.

    Args:
        space: whose rows they are.
        cells: `uint8[n, width]`, canonical or not.

    Returns:
        `float64[n, f]`, columns as `feature_names`.
    """
    features = np.empty((len(cells), len(feature_names(space.operations))))
    for start in range(0, len(cells), ROWS_AT_ONCE):
        part = cells[start : start + ROWS_AT_ONCE]
        wiring = Wiring.read(part, len(space.operations))
        columns = (
            *_count_operations(wiring),
            *_follow_operations(wiring),
            *_count_reads(wiring),
            *_follow_paths(wiring, space.operations),
            *_describe_blocks(wiring, space.operations),
        )
        _put_columns(columns, features[start : start + ROWS_AT_ONCE])
    return features


def _put_columns(columns: Sequence[Floats], features: Floats) -> None:
    place = 0
    for column in columns:
        width = 1 if column.ndim == 1 else column.shape[1]
        features[:, place : place + width] = column.reshape(len(column), width)
        place += width


class Wiring:
    """Tokens of n cells of at most b blocks as whole numbers, blocks first.

    Attributes:
        inputs: `intp[b, 2, n]`; 0 in blocks that are not there.
        operations: `intp[b, 2, n]`, likewise.
        there: `bool[b, n]`.
        depth: `intp[b, n]`, blocks on the longest way from a cell input through this block; 0 if not there.
        kinds: number of operations of the space.
    """

    def __init__(self, inputs: Places, operations: Places, there: NDArray[np.bool_], kinds: int) -> None:
        self.inputs, self.operations, self.there, self.kinds = inputs, operations, there, kinds
        self.blocks, _, self.count = inputs.shape
        self.columns = np.arange(self.count)
        depth = np.zeros((self.blocks + 2, self.count), np.intp)
        for b in range(self.blocks):
            deepest = np.maximum(*(depth[self.inputs[b, half], self.columns] for half in (0, 1)))
            depth[b + 2] = (deepest + 1) * self.there[b]
        self.depth = depth[2:]

    @classmethod
    def read(cls, cells: Rows, kinds: int) -> Wiring:
        """Of token rows `uint8[n, width]`; blocks that no cell has are left out."""
        tokens = np.ascontiguousarray(cells.T).reshape(-1, 4, len(cells))
        there = tokens[:, 0] != PAD
        used = there.any(axis=1)
        tokens, there = tokens[used], there[used]
        whole: Places = np.where(there[:, None], tokens, 0).astype(np.intp)
        return cls(whole[:, :2], whole[:, 2:], there, kinds)

    def tally(self, codes: Places, counted: NDArray[np.bool_], kinds: int) -> Floats:
        """How often each code below `kinds` is among a cell's (`[..., n]`), if counted: `[n, kinds]`."""
        places = np.where(counted, codes, kinds) + self.columns * (kinds + 1)
        counts = np.bincount(places.ravel(), minlength=self.count * (kinds + 1))
        return counts.reshape(self.count, kinds + 1)[:, :kinds].astype(np.float64)


def _count_operations(wiring: Wiring) -> list[Floats]:
    """Operations by input and by depth, pairs within a block and along an edge; `[n, k]` each."""
    kinds, operations, inputs = wiring.kinds, wiring.operations, wiring.inputs
    there = np.broadcast_to(wiring.there[:, None], operations.shape)
    by_input = wiring.tally(np.minimum(inputs, 2) * kinds + operations, there, 3 * kinds)
    depths = np.minimum(wiring.depth, DEEPEST)[:, None] - 1
    by_depth = wiring.tally(depths * kinds + operations, there, DEEPEST * kinds)
    low, high = np.minimum(*operations.swapaxes(0, 1)), np.maximum(*operations.swapaxes(0, 1))
    places = low * kinds - low * (low - 1) // 2 + high - low  # of the pair, among unordered ones
    pairs = wiring.tally(places, wiring.there, kinds * (kinds + 1) // 2)
    in_all = by_input.reshape(-1, 3, kinds).sum(axis=1)
    return [in_all, by_input, by_depth, pairs, _count_edges(wiring)]


def _count_edges(wiring: Wiring) -> Floats:
    """For each half that reads a block: that block's operations before the half's own; `[n, kinds ** 2]`."""
    reads_block = wiring.inputs >= 2
    sources = np.maximum(wiring.inputs - 2, 0)
    before = np.stack([wiring.operations[sources, half, wiring.columns] for half in (0, 1)])
    codes = before * wiring.kinds + wiring.operations
    return wiring.tally(codes, np.broadcast_to(reads_block, codes.shape), wiring.kinds**2)


def _follow_operations(wiring: Wiring) -> list[Floats]:
    """The most of each operation on one path, their mean over paths to all blocks; `[n, kinds]`."""
    n, kinds, columns = wiring.count, wiring.kinds, wiring.columns
    paths = np.ones((wiring.blocks + 2, n))
    longest = np.zeros((wiring.blocks + 2, n, kinds))
    total = np.zeros((wiring.blocks + 2, n, kinds))
    for b in range(wiring.blocks):
        ends = []
        for half in (0, 1):
            source, operation = wiring.inputs[b, half], wiring.operations[b, half]
            chain, passed = longest[source, columns], total[source, columns]
            chain[columns, operation] += 1
            passed[columns, operation] += paths[source, columns]
            ends.append((chain, passed, paths[source, columns]))
        alive = wiring.there[b]
        longest[b + 2] = np.maximum(ends[0][0], ends[1][0]) * alive[:, None]
        total[b + 2] = (ends[0][1] + ends[1][1]) * alive[:, None]
        paths[b + 2] = (ends[0][2] + ends[1][2]) * alive
    all_paths = np.maximum(paths[2:].sum(axis=0), 1)
    return [longest.max(axis=0), total.sum(axis=0) / all_paths[:, None]]


def _count_reads(wiring: Wiring) -> list[Floats]:
    """Blocks, reads of each kind of input, unused cell inputs, output width, loose ends, fan-out; `[n]`."""
    there = np.broadcast_to(wiring.there[:, None], wiring.inputs.shape)
    reads = wiring.tally(wiring.inputs, there, wiring.blocks + 2)
    blocks = wiring.there.sum(axis=0)
    unused = (reads[:, :2] == 0).astype(np.float64)
    of_blocks = reads[:, 2:]
    loose = ((of_blocks == 0) & wiring.there.T).sum(axis=1)
    columns = [blocks, reads[:, 0], reads[:, 1], of_blocks.sum(axis=1), *unused.T]
    columns += [blocks + unused.sum(axis=1), loose, of_blocks.max(axis=1, initial=0)]
    return [column.astype(np.float64) for column in columns]


def _follow_paths(wiring: Wiring, names: Sequence[str]) -> list[Floats]:
    """Depth, paths, and the layers and reach along them; `[n]` each."""
    n, columns = wiring.count, wiring.columns
    layers, reach = np.array([TRAITS.get(name, UNKNOWN_TRAITS) for name in names], np.float64).T
    most, fewest, far, from_before, from_previous = np.zeros((5, wiring.blocks + 2, n))
    from_before[0] = from_previous[1] = 1
    for b in range(wiring.blocks):
        (one, two), (first, second) = wiring.inputs[b], wiring.operations[b]
        most[b + 2] = np.maximum(most[one, columns] + layers[first], most[two, columns] + layers[second])
        fewest[b + 2] = np.minimum(
            fewest[one, columns] + layers[first], fewest[two, columns] + layers[second]
        )
        far[b + 2] = np.maximum(far[one, columns] + reach[first], far[two, columns] + reach[second])
        from_before[b + 2] = from_before[one, columns] + from_before[two, columns]
        from_previous[b + 2] = from_previous[one, columns] + from_previous[two, columns]
    there = wiring.there
    count = np.maximum(there.sum(axis=0), 1)
    before = (from_before[2:] * there).sum(axis=0)
    paths = np.maximum(before + (from_previous[2:] * there).sum(axis=0), 1)
    described = [wiring.depth.max(axis=0, initial=0), wiring.depth.sum(axis=0) / count]
    described += [np.log(paths), before / paths]
    for values in (most[2:], fewest[2:], far[2:]):
        inside = values * there
        smallest = np.where(there, values, np.inf).min(axis=0, initial=np.inf)
        described += [inside.max(axis=0, initial=0), inside.sum(axis=0) / count, smallest]
    return [np.asarray(column, np.float64) for column in described]


def _describe_blocks(wiring: Wiring, names: Sequence[str]) -> list[Floats]:
    """How the two halves of blocks go together; `[n]` each."""
    inputs, operations, there = wiring.inputs, wiring.operations, wiring.there
    has_layers = np.array([TRAITS.get(name, UNKNOWN_TRAITS)[0] > 0 for name in names])
    convolutions = has_layers[operations].sum(axis=1)
    identity = np.array([name == "id" for name in names])[operations].any(axis=1)
    same_operation, same_input = (part[:, 0] == part[:, 1] for part in (operations, inputs))
    marks = [convolutions == 2, convolutions == 1, convolutions == 0, identity, same_operation, same_input]
    counts = wiring.tally(operations, np.broadcast_to(there[:, None], operations.shape), len(names))
    columns = [*((mark & there).sum(axis=0) for mark in marks), (counts > 0).sum(axis=1)]
    return [column.astype(np.float64) for column in columns]
