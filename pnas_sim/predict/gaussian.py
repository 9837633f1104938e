"""A Gaussian process with a Weisfeiler-Lehman kernel on the cell's graph, fitted by marginal likelihood.

The kernel follows NAS-BOWL (Ru et al., "Interpretable Neural Architecture Search via Bayesian Optimisation
with Weisfeiler-Lehman Kernels", ICLR 2021): two cells are alike as far as their counts of labels are, level
by level, each level's product normalised so that size does not count. Three things differ. Every level has
a weight of its own, learnt, instead of a search for the number of levels. The kernel is squared exponential
in the distance that the weighted levels give: on 87 really trained cells of 2 to 5 blocks it ranked better
than their plain sum (Spearman .59 against .51, five folds, three times), on made-up landscapes about the same
(.852 against .861). And the number of blocks has a kernel beside it, for accuracies that shift with size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from pnas_sim.predict.base import Prediction
from pnas_sim.predict.graph_labels import ABSENT, NODES_PER_BLOCK, Labels, count_same, label_graphs
from pnas_sim.predict.regression import FeaturePredictor, Guess
from pnas_sim.predict.settings import demand_count
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows

Matrix: TypeAlias = Any  # a scipy.sparse matrix

ASKED_ROWS = 2_048  # at once: their kernel with 904 cells is 15 MB
SIZE_LENGTH = 2.0  # blocks; over how many the accuracies of sizes stay alike
JITTER = 1e-6  # of the standardised accuracies' variance; keeps equal cells apart
SMALLEST_SPREAD = 1e-6  # of accuracies; all equal are not divided by nothing
PRIOR_WEIGHT = 0.05  # of squared log parameters about their start: a deviation of 4.5, hardly anything
LOG_BOUNDS = (-7.0, 4.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianSettings:
    """Settings of the Gaussian process.

    Attributes:
        levels: of labels, at least 1; level h sees h steps back from a node.
        steps: of the search for the kernel's parameters, at most; 0 keeps where they start.
    """

    levels: int = 4
    steps: int = 25

    def __post_init__(self) -> None:
        """Refuses values out of range.

        Raises:
            SettingError: one line naming the setting, its value and its limit.
        """
        demand_count("levels", self.levels)
        demand_count("steps", self.steps, least=0)


@dataclass(frozen=True, slots=True)
class Kernel:
    """Parameters of the kernel, on standardised accuracies.

    Attributes:
        levels: `float64[levels]`, weight of each level's squared distance.
        size: variance of what the number of blocks explains.
        amplitude: variance of what the graphs explain.
        noise: variance of an accuracy beyond both.
    """

    levels: Floats
    size: float
    amplitude: float
    noise: float

    @staticmethod
    def of_logs(logs: Floats) -> Kernel:
        """The kernel of logarithms in the order of the attributes, `float64[levels + 3]`."""
        *levels, size, amplitude, noise = np.exp(logs).tolist()
        return Kernel(np.array(levels), size, amplitude, noise)

    @staticmethod
    def start(levels: int) -> Floats:
        """Logarithms to begin with: deeper levels count less, a tenth or so of the variance is noise."""
        return np.array([*(-1.0 - 0.5 * level for level in range(levels)), -1.0, 0.0, -2.0])


@dataclass(frozen=True, slots=True)
class Graphs:
    """Cells as normalised label counts, so that the product of two rows is their likeness.

    Attributes:
        levels: a sparse `[n, labels]` for each level, rows of length 1.
        sizes: `float64[n]`, blocks.
    """

    levels: tuple[Matrix, ...]
    sizes: Floats


def make_gp(space: CellSpace, settings: GaussianSettings) -> FeaturePredictor:
    """Makes a Gaussian process with the graph kernel."""

    def describe(space: CellSpace, cells: Rows) -> Labels:
        return np.moveaxis(label_graphs(space, cells, settings.levels), 0, 1)

    def regress(labels: Labels, accuracies: Floats, seed: int) -> Guess:
        del seed
        return fit_process(labels, accuracies, settings.steps)

    return FeaturePredictor(space, describe, regress, rows=ASKED_ROWS)


def fit_process(labels: Labels, accuracies: Floats, steps: int) -> Guess:
    """Fits kernel and process.

    Args:
        labels: `uint64[n, levels, nodes]`.
        accuracies: `float64[n]`.
        steps: of the search for the kernel's parameters.

    Returns:
        What predicts labels of other cells: mean, and as std that of the noise-free accuracy.
    """
    vocabularies = [np.setdiff1d(labels[:, level], [ABSENT]) for level in range(labels.shape[1])]
    fitted = count_labels(labels, vocabularies)
    centre, spread = accuracies.mean(), max(float(accuracies.std()), SMALLEST_SPREAD)
    target = (accuracies - centre) / spread
    kernel = choose_kernel(fitted, target, steps)
    covary = make_covariance(kernel, fitted)
    covariance = covary(fitted)
    covariance[np.diag_indices_from(covariance)] += kernel.noise + JITTER
    factor, _ = cho_factor(covariance, lower=True)
    weights = cho_solve((factor, True), target)
    # single precision is enough for a deviation, and twice as fast where nearly all the time goes
    whiten = solve_triangular(factor, np.eye(len(target)), lower=True).T.astype(np.float32)

    def guess(asked: Labels) -> Prediction:
        between = covary(count_labels(asked, vocabularies))
        explained = between.astype(np.float32) @ whiten
        variance = kernel.amplitude + kernel.size - np.einsum("ij,ij->i", explained, explained)
        std = spread * np.sqrt(np.maximum(variance, 0.0)).astype(np.float64)
        return Prediction(mean=centre + spread * (between @ weights), std=std)

    return guess


def count_labels(labels: Labels, vocabularies: list[Labels]) -> Graphs:
    """Counts each graph's labels, over the root of its pairs of equal ones.

    Args:
        labels: `uint64[n, levels, nodes]`.
        vocabularies: a level's ascending labels; others are counted in the norm alone.
    """
    norms = 1.0 / np.sqrt(np.maximum(count_same(labels), 1))
    levels = []
    for level, known in enumerate(vocabularies):
        mine = labels[:, level]
        place = np.minimum(np.searchsorted(known, mine), len(known) - 1)
        found = known[place] == mine
        starts = np.concatenate([[0], np.cumsum(found.sum(axis=1))])
        values = np.broadcast_to(norms[:, level, None], mine.shape)[found]
        shape = (len(mine), len(known))
        levels.append(sparse.csr_array((values, place[found].astype(np.int32), starts), shape=shape))
    return Graphs(tuple(levels), (labels[:, 0] != ABSENT).sum(axis=1) / NODES_PER_BLOCK)


def _compare_levels(one: Graphs, other: Graphs) -> list[Floats]:
    """Compares graphs level by level: half a squared distance, `float64[n, m]` each."""
    products = (left @ right.T for left, right in zip(one.levels, other.levels, strict=True))
    return [1.0 - product.toarray() for product in products]


def _compare_sizes(one: Graphs, other: Graphs) -> Floats:
    sizes, place = np.unique(one.sizes, return_inverse=True)
    return np.asarray(np.exp(-0.5 * ((sizes[:, None] - other.sizes) / SIZE_LENGTH) ** 2)[place], np.float64)


def make_covariance(kernel: Kernel, fitted: Graphs) -> Callable[[Graphs], Floats]:
    """Makes what gives the covariances of any n graphs with the m fitted, `float64[n, m]`."""
    roots = np.sqrt(kernel.levels).tolist()
    # dense and row by row: sparse times dense is ten times as fast as sparse times sparse
    right = np.ascontiguousarray(_join_levels(fitted, roots).T.toarray())
    total = kernel.levels.sum()

    def covary(graphs: Graphs) -> Floats:
        alike: Floats = _join_levels(graphs, roots) @ right
        alike -= total
        np.exp(alike, out=alike)
        return kernel.amplitude * alike + kernel.size * _compare_sizes(graphs, fitted)

    return covary


def _join_levels(graphs: Graphs, roots: list[float]) -> Matrix:
    """Puts levels side by side, each times the root of its weight."""
    return sparse.hstack([root * level for root, level in zip(roots, graphs.levels, strict=True)], "csr")


def choose_kernel(fitted: Graphs, target: Floats, steps: int) -> Kernel:
    """Chooses the kernel of the highest marginal likelihood, with a faint prior about where it starts.

    Args:
        fitted: the cells.
        target: `float64[n]`, their standardised accuracies.
        steps: of L-BFGS, at most.
    """
    start = Kernel.start(len(fitted.levels))
    if steps == 0:
        return Kernel.of_logs(start)
    loss = _marginal_loss(_compare_levels(fitted, fitted), _compare_sizes(fitted, fitted), target, start)
    bounds = [LOG_BOUNDS] * len(start)
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": steps, "maxfun": 2 * steps},
    )
    return Kernel.of_logs(found.x)


def _marginal_loss(
    distances: list[Floats], sizes: Floats, target: Floats, start: Floats
) -> Callable[[Floats], tuple[float, Floats]]:
    """Makes the negative log marginal likelihood and its gradient, functions of the log parameters."""
    identity = np.eye(len(target))

    def loss(logs: Floats) -> tuple[float, Floats]:
        kernel = Kernel.of_logs(logs)
        graphs = kernel.amplitude * np.exp(-sum(w * d for w, d in zip(kernel.levels, distances, strict=True)))
        covariance = graphs + kernel.size * sizes + (kernel.noise + JITTER) * identity
        try:
            factor = cho_factor(covariance, lower=True, check_finite=False)
        except LinAlgError:  # not positive: as far from likely as can be told to the search
            return 1e10, np.zeros_like(logs)
        weights = cho_solve(factor, target, check_finite=False)
        pull = cho_solve(factor, identity, check_finite=False) - np.outer(weights, weights)
        pulled = pull * graphs
        slopes = [-w * np.vdot(pulled, d) for w, d in zip(kernel.levels, distances, strict=True)]
        slopes += [kernel.size * np.vdot(pull, sizes), pulled.sum(), kernel.noise * np.trace(pull)]
        value = 0.5 * target @ weights + np.log(np.diag(factor[0])).sum()
        away = logs - start
        return value + 0.5 * PRIOR_WEIGHT * away @ away, 0.5 * np.array(slopes) + PRIOR_WEIGHT * away

    return loss
