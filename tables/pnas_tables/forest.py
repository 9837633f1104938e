"""Many boosted forests in one LightGBM model text, told apart by their numbers of trees."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import TableError

Floats: TypeAlias = NDArray[np.float64]

_TREE = re.compile(r"^Tree=\d+\n", re.MULTILINE)
_END = "end of trees\n"


def fit_forest(
    features: Floats, targets: Floats, weights: Floats, settings: Mapping[str, Any], seed: int
) -> tuple[str, int]:
    """One boosted forest.

    Args:
        features: `float64[n, f]`.
        targets: `float64[n]`.
        weights: `float64[n]`, above 0.
        settings: LightGBM's parameters, `num_iterations` among them.
        seed: of the columns each tree sees.

    Returns:
        LightGBM's text of it and its number of trees.
    """
    import lightgbm

    fixed = {
        "objective": "regression",
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
        "feature_pre_filter": False,
        "seed": seed,
    }
    data = lightgbm.Dataset(features, targets, weight=weights, params={"verbosity": -1, "num_threads": 1})
    booster = lightgbm.train({**fixed, **settings}, data)
    return str(booster.model_to_string()), int(booster.num_trees())


def join_forests(texts: Sequence[str]) -> str:
    """One model whose trees are those of all models, in order; their plain sum is its prediction."""
    head, _, tail = _split(texts[0])
    trees = [tree for text in texts for tree in _split(text)[1]]
    numbered = [_TREE.sub(f"Tree={number}\n", tree, count=1) for number, tree in enumerate(trees)]
    sizes = " ".join(str(len(tree.encode("utf-8"))) for tree in numbered)
    head = re.sub(r"^tree_sizes=.*$", f"tree_sizes={sizes}", head, flags=re.MULTILINE)
    return head + "".join(numbered) + tail


def _split(text: str) -> tuple[str, list[str], str]:
    """Head, trees and tail of a model text."""
    starts = [match.start() for match in _TREE.finditer(text)]
    end = text.index(_END)
    edges = [*starts, end]
    trees = [text[start:stop] for start, stop in pairwise(edges)]
    # the importances and parameters after the trees are of one forest only, and no prediction needs them
    return text[: edges[0]], trees, _END + "\npandas_categorical:null\n"


class Forests:
    """A joined model, ready to answer."""

    def __init__(self, model: str, trees: Mapping[str, Sequence[int]]) -> None:
        """Reads the model.

        Args:
            model: text as `join_forests` makes it.
            trees: for each group of forests, in order, the number of trees of each of its forests.

        Raises:
            TableError: the text is not a LightGBM model, or not one of these trees.
        """
        import lightgbm

        if not model.startswith("tree\n"):
            raise TableError("the surrogate's model is not LightGBM's text; fit it again")
        try:
            self._booster = lightgbm.Booster(model_str=model)
        except lightgbm.basic.LightGBMError as error:
            raise TableError(f"the surrogate's model cannot be read: {error}; fit it again") from None
        self._ranges: dict[str, tuple[int, int, int]] = {}
        start = 0
        for group, counts in trees.items():
            self._ranges[group] = (start, sum(counts), len(counts))
            start += sum(counts)
        if start != self._booster.num_trees():
            raise TableError(
                f"the surrogate's model has {self._booster.num_trees()} trees instead of {start}"
            )

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups of forests."""
        return tuple(self._ranges)

    @property
    def width(self) -> int:
        """Number of features it wants."""
        return int(self._booster.num_feature())

    def predict(self, group: str, features: Floats) -> Floats:
        """Mean over the group's forests, `float64[n]`, for features `float64[n, f]`."""
        start, count, forests = self._ranges[group]
        if count == 0 or len(features) == 0:  # LightGBM refuses no rows, and takes no trees for all of them
            return np.zeros(len(features))
        total = self._booster.predict(
            features, start_iteration=start, num_iteration=count, raw_score=True, num_threads=1
        )
        return np.asarray(total, np.float64) / forests
