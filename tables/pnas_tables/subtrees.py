"""Weisfeiler-Lehman labels of cells: what is the same, seen to a certain depth, in two cells.

Each half of a block is a node. At height 0 its label is its operation; at each further height, its operation
and what it reads: a cell input by name, a block by the labels (one height lower) of that block's two halves,
in no order. The kernel counts pairs of equal labels, height by height, normalised to 1 for a cell with
itself: Shervashidze et al., "Weisfeiler-Lehman Graph Kernels" (JMLR 2011); for architectures, Ru et al.,
"Interpretable Neural Architecture Search via Bayesian Optimisation with Weisfeiler-Lehman Kernels"
(ICLR 2021).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows
from pnas_tables.features import Wiring

Labels: TypeAlias = NDArray[np.uint64]

HEIGHTS = 3  # 0, 1, 2
NOTHING = np.uint64(0)  # the label of a half that is not there
_INPUTS = np.arange(1, 3, dtype=np.uint64)  # labels of the two cell inputs


def label_halves(space: CellSpace, cells: Rows) -> Labels:
    """Labels of all halves at all heights, `uint64[n, HEIGHTS, 2 b]`, `NOTHING` where there is no block.

    They depend neither on the order of halves, nor on the numbering of blocks, nor on padding.
    """
    wiring = Wiring.read(cells, len(space.operations))
    operations = wiring.operations.astype(np.uint64)
    there = np.broadcast_to(wiring.there[:, None], operations.shape)
    labels = [_mix(operations, np.full_like(operations, 7))]
    for _ in range(1, HEIGHTS):
        outputs = np.zeros((wiring.blocks + 2, wiring.count), np.uint64)
        outputs[:2] = _INPUTS[:, None]
        outputs[2:] = _mix(labels[-1].min(axis=1), labels[-1].max(axis=1))
        labels.append(_mix(operations, outputs[wiring.inputs, wiring.columns]))
    # told apart by height, or a half that reads a cell input would be the same at heights 1 and 2
    salted = [_mix(one, np.full_like(one, height)) for height, one in enumerate(labels)]
    stacked = np.stack([np.where(there, one, NOTHING) for one in salted])
    return np.ascontiguousarray(stacked.reshape(HEIGHTS, -1, wiring.count).transpose(2, 0, 1))


def _mix(one: Labels, two: Labels) -> Labels:
    """One label of two, in order; above the labels of cell inputs and of nothing."""
    mixed = (one + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + two * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((mixed ^ (mixed >> np.uint64(32))) | np.uint64(1 << 63), np.uint64)


def count_labels(labels: Labels, vocabulary: Labels) -> Floats:
    """Normalised counts `float64[n, len(vocabulary)]`: the kernel is their product, where all are known.

    Args:
        labels: as `label_halves` gives them.
        vocabulary: sorted, distinct; labels beyond it count for the norm alone.
    """
    places, known = find_labels(labels, vocabulary)
    shares = np.broadcast_to(_share(labels), labels.shape)
    rows = np.broadcast_to(np.arange(len(labels))[:, None, None], labels.shape)
    flat = rows[known] * len(vocabulary) + places[known]
    counts = np.bincount(flat, shares[known], minlength=len(labels) * len(vocabulary))
    return np.asarray(counts.reshape(len(labels), len(vocabulary)), np.float64)


def sum_weights(labels: Labels, vocabulary: Labels, weights: Floats) -> Floats:
    """`count_labels(labels, vocabulary) @ weights` without the counts, `float64[n]`."""
    places, known = find_labels(labels, vocabulary)
    values = np.where(known, weights[places], 0.0)
    total = np.zeros(labels.shape[:2])
    for half in range(labels.shape[2]):  # in this order whatever the longest cell: sums are rounded alike
        total += values[:, :, half]
    total *= _share(labels)[:, :, 0]
    return total[:, 0] + total[:, 1] + total[:, 2]


def find_labels(labels: Labels, vocabulary: Labels) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Place of each label in the vocabulary, and whether it is there at all."""
    places = np.minimum(np.searchsorted(vocabulary, labels), len(vocabulary) - 1)
    return places, np.asarray((vocabulary[places] == labels) & (labels != NOTHING))


def _share(labels: Labels) -> Floats:
    """What one half counts, `float64[n, HEIGHTS, 1]`, so that the kernel of a cell with itself is 1."""
    equal = np.zeros(labels.shape[:2])
    for half in range(labels.shape[2]):
        mine = labels[:, :, half : half + 1]
        equal += ((labels == mine) & (mine != NOTHING)).sum(axis=2)
    return np.asarray(1 / np.sqrt(np.maximum(equal, 1) * labels.shape[1]), np.float64)[:, :, None]
