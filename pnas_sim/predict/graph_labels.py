"""Weisfeiler-Lehman labels of cells (Shervashidze et al. 2011), as NAS-BOWL has them (Ru et al., ICLR 2021).

A cell is a directed graph: cell inputs, operations, and sums; an operation reads a cell input or the sum of a
block, a sum reads its block's two operations. A node's label of level 0 is its kind (the operation's name, or
"sum"); of level h + 1 it is its label of level h with the labels of level h of what it reads, unordered. So
a label of level h tells what the last h steps before a node look like.

All cells are labelled at once. Labels are 64-bit hashes: two kinds of node that hash alike would be taken for
one, which costs accuracy and nothing else, once in 10^14 cells or so.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.predict.features import read_wiring
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows

Labels: TypeAlias = NDArray[np.uint64]

NODES_PER_BLOCK = 3  # two operations and their sum
ABSENT = np.uint64(0)  # the label of a node of a block that is not there

_SUM, _INPUT_BEFORE_PREVIOUS, _INPUT_PREVIOUS, _FIRST_OPERATION = range(1, 5)


def label_graphs(space: CellSpace, cells: Rows, levels: int) -> Labels:
    """Labels the nodes of cells.

    Args:
        space: of the cells.
        cells: `uint8[n, width]`; every row of a cell has the same labels, in some order.
        levels: how many, the first of them level 0.

    Returns:
        `uint64[levels, n, 3 * max_blocks]`; `ABSENT` for blocks that are not there.
    """
    wiring = read_wiring(space, cells)
    count, blocks = wiring.present.shape
    rows = np.arange(count)[:, None, None]
    operations = _mix(np.uint64(0), (wiring.operations + _FIRST_OPERATION).astype(np.uint64))
    # what a block can read: the two cell inputs, whose label is the same on every level, then sums
    readable = np.empty((count, blocks + 2), np.uint64)
    readable[:, :2] = _mix(np.uint64(0), np.array([_INPUT_BEFORE_PREVIOUS, _INPUT_PREVIOUS], np.uint64))
    readable[:, 2:] = _mix(np.uint64(0), np.uint64(_SUM))
    found = []
    for _ in range(levels):
        kinds = np.concatenate([operations, readable[:, 2:, None]], axis=2)
        nodes = np.where(wiring.present[:, :, None], kinds, ABSENT)
        found.append(nodes.reshape(count, NODES_PER_BLOCK * blocks))
        smaller, larger = operations.min(axis=2), operations.max(axis=2)
        operations = _mix(operations, readable[rows, wiring.inputs])
        readable = readable.copy()
        readable[:, 2:] = _mix(_mix(readable[:, 2:], smaller), larger)
    return np.stack(found)


def count_same(labels: Labels) -> NDArray[np.int64]:
    """Counts the pairs of nodes with equal labels in each graph, its squared norm: `int64[...]`.

    Args:
        labels: `uint64[..., nodes]`.
    """
    there = labels != ABSENT
    total = there.sum(axis=-1)
    for shift in range(1, labels.shape[-1]):
        same = (labels[..., shift:] == labels[..., :-shift]) & there[..., shift:]
        total += 2 * same.sum(axis=-1)
    return np.asarray(total, np.int64)


def _mix(labels: Labels | np.uint64, values: Labels | np.uint64) -> Labels:
    """The finaliser of SplitMix64 over both; products wrap around, as they must."""
    with np.errstate(over="ignore"):
        mixed = np.asarray(labels * np.uint64(0x9E3779B97F4A7C15) + values + np.uint64(1))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), np.uint64)
