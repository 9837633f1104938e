"""What the two networks share: several of them with stacked weights, run and fitted as one.

Member j's weights are slice j of every tensor, so one batched matrix product serves all members. A member's
gradient depends on its own slice alone and Adam works element by element, so fitting them together is the
same as fitting them one after the other, only several times faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pnas_sim.predict.data import choose_training_sets
from pnas_sim.space.arrays import Rows

Weights: TypeAlias = dict[str, Tensor]
Arrays: TypeAlias = dict[str, NDArray[np.float64]]
Shapes: TypeAlias = dict[str, tuple[tuple[int, ...], float]]  # one member's shape, half-width of its draw

EMBEDDING_WIDTH = 0.1  # embeddings start in U[-0.1, 0.1] (section 5.1)

_DRAW, _FOLDS, _ORDERS = 1, 2, 3  # random streams of a fit's seed


class StackedNetwork(Protocol):
    """A network on cells; m members, n cells."""

    @property
    def shapes(self) -> Shapes:
        """Name, shape and initial half-width of one member's weights; the last layer's bias is `bias`."""
        ...

    def encode(self, cells: Rows) -> Tensor:
        """Reads rows (`uint8[n, width]`) as features `[n, f]`."""
        ...

    def logits(self, weights: Weights, features: Tensor) -> Tensor:
        """Logits `[m, n]` of features `[m, n, f]` (or `[1, n, f]`, the same for every member)."""
        ...

    def expansion_logits(self, weights: Weights, parents: Rows, blocks: Rows) -> Iterator[Tensor]:
        """Logits `[m, p, k]` of p parents, all of one size, each with one of `blocks` (`uint8[k, 4]`) added.

        In chunks of parents, in order, so that memory stays small.
        """
        ...


def linear_width(fan_in: int) -> float:
    """Returns the half-width of a linear layer's first weights, as torch draws them."""
    return 1.0 / sqrt(fan_in)


def draw_weights(shapes: Shapes, bias: float, seed: int, members: int) -> Weights:
    """Draws each member's first weights from its own stream.

    Args:
        shapes: of one member.
        bias: the last layer's bias, in logits.
        seed: of the fit.
        members: how many.

    Returns:
        Tensors `float32[members, ...]`.
    """
    streams = [np.random.default_rng([seed, _DRAW, member]) for member in range(members)]
    drawn = [_draw_member(shapes, stream) for stream in streams]
    weights = {name: torch.from_numpy(np.stack([one[name] for one in drawn])).float() for name in shapes}
    weights["bias"] = torch.full_like(weights["bias"], bias)
    return weights


def _draw_member(shapes: Shapes, stream: np.random.Generator) -> Arrays:
    return {name: stream.uniform(-width, width, shape) for name, (shape, width) in shapes.items()}


def draw_training_sets(cells: int, members: int, seed: int) -> list[NDArray[np.intp]]:
    """Returns the cells each member is fitted on, as `choose_training_sets` of a fit's seed."""
    return choose_training_sets(cells, members, np.random.default_rng([seed, _FOLDS]))


class Watcher(Protocol):
    """Looks at a fit after every epoch."""

    best: Weights

    def take(self, weights: Weights) -> bool:
        """Looks at the weights; returns whether the fit is over, and `best` its result."""
        ...


def fit_weights(
    network: StackedNetwork,
    weights: Weights,
    features: Tensor,
    accuracies: Tensor,
    training_sets: list[NDArray[np.intp]],
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    watcher: Watcher | None = None,
) -> Weights:
    """Fits all members with L1 loss and Adam (section 5.1).

    Args:
        network: what turns weights and features into logits.
        weights: `[m, ...]`, where to begin.
        features: `[n, f]`, of all cells.
        accuracies: `float32[n]`.
        training_sets: m index arrays; their sizes may differ by one.
        epochs: passes over each member's cells, at most.
        batch_size: cells in a minibatch, at most.
        learning_rate: Adam's.
        seed: of the order of minibatches.
        watcher: may end the fit early, and then has its result.

    Returns:
        The fitted weights, free of any graph.
    """
    fitted = {name: value.clone().requires_grad_() for name, value in weights.items()}
    optimiser = torch.optim.Adam(list(fitted.values()), lr=learning_rate, fused=True)
    orders = np.random.default_rng([seed, _ORDERS])
    for _ in range(epochs):
        for batch in _cut_minibatches(training_sets, batch_size, orders):
            with torch.enable_grad():
                optimiser.zero_grad()
                predicted = torch.sigmoid(network.logits(fitted, features[batch]))
                (predicted - accuracies[batch]).abs().mean(dim=1).sum().backward()  # type: ignore[no-untyped-call]
                optimiser.step()
        if watcher is not None and watcher.take(fitted):
            break
    return {name: value.detach() for name, value in (watcher.best if watcher else fitted).items()}


def _cut_minibatches(
    training_sets: list[NDArray[np.intp]], batch_size: int, orders: np.random.Generator
) -> Iterator[Tensor]:
    """Yields an epoch's minibatches, `int64[m, batch]`, each member's cells in an order of its own.

    Members with one cell fewer see their first one twice; minibatches are of equal size, give or take one, so
    that no step rests on a handful of left-over cells.
    """
    length = max(len(chosen) for chosen in training_sets)
    epoch = np.stack([np.resize(orders.permutation(chosen), length) for chosen in training_sets])
    for batch in np.array_split(epoch, -(-length // batch_size), axis=1):
        yield torch.from_numpy(batch.astype(np.int64))
