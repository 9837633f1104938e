"""Small decision trees as arrays, and their evaluation over many cells at once.

Each leaf of a tree is a bit, in order from left to right. A split whose condition (`value > threshold`) holds
rules out the leaves of its left side; the leaf reached is the first that no split rules out (Lucchese et al.,
"QuickScorer", SIGIR 2015). So all splits are compared at once, without branches, and no library is needed to
answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import TableError
from pnas_sim.space.arrays import Floats, Integers

MOST_LEAVES = 8  # of a tree: the bits of a byte
CELLS_AT_ONCE = 256  # keeps the arrays of a step in the processor's cache
FEWEST_AT_ONCE = 8  # fewer are padded: NumPy sums a single column in another order
NAMES = ("features", "thresholds", "conditions", "left", "leaves")

_FIRST_ALIVE = np.array(
    [next((b for b in range(8) if not dead >> b & 1), 7) for dead in range(256)], np.uint8
)


@dataclass(frozen=True, slots=True)
class Trees:
    """t trees of at most s splits, k distinct conditions. The forest's value is the sum over trees.

    Attributes:
        features: `int64[k]`, the feature of each condition.
        thresholds: `float64[k]`.
        conditions: `int64[s, t]`, the conditions of each tree's splits.
        left: `uint8[s, t]`, leaves on the left side of each split, as bits; 0 where a tree has fewer splits.
        leaves: `float64[t, MOST_LEAVES]`, values.
        width: number of features of a cell.
    """

    features: Integers
    thresholds: Floats
    conditions: Integers
    left: NDArray[np.uint8]
    leaves: Floats
    width: int

    def as_arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """The arrays by names that begin with `prefix`."""
        arrays = {f"{prefix}-{name}": getattr(self, name) for name in NAMES}
        return arrays | {f"{prefix}-width": np.array([self.width])}

    @classmethod
    def read(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> Trees:
        """What `as_arrays` gave.

        Raises:
            TableError: they are not those of trees.
        """
        parts: dict[str, Any] = {name: arrays[f"{prefix}-{name}"] for name in NAMES}
        trees = cls(**parts, width=int(arrays[f"{prefix}-width"][0]))
        trees.demand_sound()
        return trees

    def demand_sound(self) -> None:
        """Raises `TableError` where an array is of another type or a place points outside its array."""
        types = {"features": "<i8", "thresholds": "<f8", "conditions": "<i8", "left": "|u1", "leaves": "<f8"}
        sound = (
            all(getattr(self, name).dtype == dtype for name, dtype in types.items())
            and self.conditions.ndim == 2
            and self.features.ndim == 1
            and self.conditions.size > 0
            and self.left.shape == self.conditions.shape
            and self.leaves.shape == (self.conditions.shape[1], MOST_LEAVES)
            and self.features.shape == self.thresholds.shape
            and bool(np.all((self.conditions >= 0) & (self.conditions < len(self.features))))
            and bool(np.all((self.features >= 0) & (self.features < self.width)))
        )
        if not sound:
            raise TableError("the surrogate's trees are damaged; fit it again")

    def total(self, features: Floats) -> Floats:
        """The sum over trees, `float64[n]`, for features `float64[n, width]`; each cell's alone."""
        totals = np.empty(len(features))
        for start in range(0, len(features), CELLS_AT_ONCE):
            part = features[start : start + CELLS_AT_ONCE]
            short = max(0, FEWEST_AT_ONCE - len(part))
            padded = np.pad(part, ((0, short), (0, 0))) if short else part
            totals[start : start + CELLS_AT_ONCE] = self._total(np.ascontiguousarray(padded.T))[: len(part)]
        return totals

    def _total(self, columns: Floats) -> Floats:
        """The sums for features `float64[width, n]`."""
        holds = (columns[self.features] > self.thresholds[:, None]).view(np.uint8)
        dead = np.zeros((len(self.leaves), columns.shape[1]), np.uint8)
        for conditions, left in zip(self.conditions, self.left, strict=True):
            dead |= holds[conditions] * left[:, None]
        reached = MOST_LEAVES * np.arange(len(self.leaves))[:, None] + _FIRST_ALIVE[dead]
        return np.asarray(np.add.reduce(self.leaves.ravel()[reached], axis=0), np.float64)


# ----------------------------------------------------------------------------------------- LightGBM's text

_TREE = re.compile(r"^Tree=\d+\n(.*?)\n\n", re.MULTILINE | re.DOTALL)


def parse_trees(texts: Sequence[str], width: int) -> Trees:
    """The trees of LightGBM models, all together, in order.

    Args:
        texts: of regression models of numbers, nothing missing, of trees of at most `MOST_LEAVES` leaves.
        width: number of features.
    """
    trees = [_read_tree(body) for text in texts for body in _TREE.findall(text)]
    distinct = sorted({(feature, threshold) for _, splits in trees for feature, threshold, _ in splits})
    place = {condition: number for number, condition in enumerate(distinct)}
    most = max(len(splits) for _, splits in trees)
    conditions, left = np.zeros((most, len(trees)), np.int64), np.zeros((most, len(trees)), np.uint8)
    for column, (_, splits) in enumerate(trees):
        for row, (feature, threshold, mask) in enumerate(splits):
            conditions[row, column], left[row, column] = place[feature, threshold], mask
    return Trees(
        features=np.array([feature for feature, _ in distinct], np.int64),
        thresholds=np.array([threshold for _, threshold in distinct], np.float64),
        conditions=conditions,
        left=left,
        leaves=np.array([np.pad(values, (0, MOST_LEAVES - len(values))) for values, _ in trees]),
        width=width,
    )


def _read_tree(body: str) -> tuple[Floats, list[tuple[int, float, int]]]:
    """Leaf values from left to right; feature, threshold and leaves on the left of each split."""
    tree = dict(line.split("=", 1) for line in body.splitlines())
    leaf_values = [float(word) for word in tree["leaf_value"].split()]
    if int(tree["num_leaves"]) == 1:  # a constant: a split that never rules anything out
        return np.array(leaf_values), [(0, float("inf"), 0)]
    features = [int(word) for word in tree["split_feature"].split()]
    thresholds = [float(word) for word in tree["threshold"].split()]
    left, right = ([int(word) for word in tree[f"{side}_child"].split()] for side in ("left", "right"))
    order: list[int] = []
    masks = [0] * len(features)

    def walk(node: int) -> int:
        """Leaves below a node, as bits; leaves are numbered in the order they are met."""
        if node < 0:
            order.append(~node)
            return 1 << (len(order) - 1)
        masks[node] = walk(left[node])
        return masks[node] | walk(right[node])

    walk(0)
    values = np.array([leaf_values[leaf] for leaf in order])
    return values, list(zip(features, thresholds, masks, strict=True))
