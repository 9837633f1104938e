"""The second family of surrogates: a Gaussian process on a structural kernel.

The kernel is a sum of three: a squared exponential and a linear one on counts and path statistics of the cell
(`pnas_tables.features`, without the sparse pairs), and the normalised Weisfeiler-Lehman subtree kernel
(`pnas_tables.subtrees`). Their weights, the length scale and the noise maximise the marginal likelihood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Integers, Rows
from pnas_tables.features import feature_names
from pnas_tables.sample import Sample
from pnas_tables.subtrees import NOTHING, count_labels, label_halves, sum_weights
from pnas_tables.threads import one_thread

# logs of: weight of the squared exponential, its length, weights of the linear and the subtree kernel, noise
START = np.array([0.0, 1.0, -2.0, -2.0, -1.5])
PRIOR_PRECISION = 0.4  # keeps them near the start where the data say nothing
ROWS_AT_ONCE = 2048
# A cell's answer must not depend, to the last bit, on its company. A matrix product rounds otherwise at its
# edges, where it has rows or columns left over: both numbers are multiples of what BLAS kernels take at once.
PRODUCT_ROWS, PRODUCT_COLUMNS = 48, 64


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """How the Gaussian process is fitted.

    Attributes:
        tuning_cells: at most so many, drawn at random, find the weights of the kernel.
        steps: of the optimiser that finds them, at most.
    """

    tuning_cells: int = 300
    steps: int = 20


@dataclass(frozen=True, slots=True)
class _Kernels:
    """The parts of the kernel between some cells and others, `float64[m, n]` each."""

    distances: Floats  # squared, over the number of descriptors
    products: Floats  # over the number of descriptors
    subtrees: Floats

    def mix(self, logs: Floats) -> Floats:
        amplitude, length, linear, subtree = np.exp(logs[:4])
        curved = amplitude * np.exp(-0.5 * self.distances / length**2)
        return np.asarray(curved + linear * self.products + subtree * self.subtrees, np.float64)

    def take(self, places: Integers) -> _Kernels:
        square = np.ix_(places, places)
        return _Kernels(self.distances[square], self.products[square], self.subtrees[square])


def fit_process(
    sample: Sample, targets: Floats, draws: Integers, settings: ProcessSettings, seed: int
) -> list[dict[str, NDArray[Any]]]:
    """The arrays of each world; arguments as `pnas_tables.forest.fit_forests`.

    The kernel's weights are found once; each world solves for its own cells, a cell that it holds twice with
    half the noise.
    """
    import scipy.linalg  # noqa: F401  (brings its own BLAS, which is then held to one thread, too)

    with one_thread(fresh=True):
        return _fit_worlds(sample, targets, draws, settings, seed)


def _fit_worlds(
    sample: Sample, targets: Floats, draws: Integers, settings: ProcessSettings, seed: int
) -> list[dict[str, NDArray[Any]]]:
    columns = _choose_columns(sample)
    support = sample.features[:, columns]
    center, spread = support.mean(axis=0), support.std(axis=0)
    labels = label_halves(sample.space, sample.cells)
    vocabulary = np.unique(labels[labels != NOTHING])
    described = _describe(support, center, spread)
    counts = count_labels(labels, vocabulary)
    kernels = _Kernels(_square_distances(described), described @ described.T, counts @ counts.T)
    logs = _find_weights(kernels, targets, sample.weights, settings, seed)
    shared = {"columns": columns, "support": support, "center": center, "spread": spread, "logs": logs}
    shared["vocabulary"] = vocabulary
    whole = kernels.mix(logs)
    worlds = []
    for world, drawn in enumerate(draws):
        dual, mean = _solve(whole, targets, sample.weights * drawn, float(np.exp(logs[4])))
        arrays = {
            "dual": np.exp(logs[0]) * dual,
            "linear": np.append(np.exp(logs[2]) * (described.T @ dual), mean),
            "subtree": np.exp(logs[3]) * (counts.T @ dual),
        }
        worlds.append({f"world-{world}-{name}": values for name, values in arrays.items()})
    worlds[0].update({f"shared-{name}": values for name, values in shared.items()})
    return worlds


def _choose_columns(sample: Sample) -> Integers:
    """Descriptors: counts by input, path statistics and costs that vary; not depths, pairs and chains."""
    names = feature_names(sample.space.operations)
    kinds = len(sample.space.operations)
    places = [*range(4 * kinds), *range(names.index("blocks"), sample.features.shape[1])]
    return np.array([place for place in places if np.ptp(sample.features[:, place]) > 0], np.int64)


def _describe(descriptors: Floats, center: Floats, spread: Floats) -> Floats:
    """Standardised, and scaled so that a squared distance is a mean over descriptors.

    Always in C order: the order in which NumPy sums a row follows its layout.
    """
    return np.asarray((descriptors - center) / (spread * np.sqrt(len(center))), np.float64, order="C")


def _square_distances(described: Floats) -> Floats:
    squares = (described**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * described @ described.T
    return np.asarray(np.maximum(distances, 0), np.float64)


def _find_weights(
    kernels: _Kernels, targets: Floats, weights: Floats, settings: ProcessSettings, seed: int
) -> Floats:
    """Logs of the kernel's weights and of the noise that make these scores most likely."""
    from scipy.linalg import cho_factor, cho_solve
    from scipy.optimize import minimize

    rng = np.random.default_rng(np.random.SeedSequence([seed, 5]))
    count = min(len(targets), settings.tuning_cells)
    chosen = np.sort(rng.choice(len(targets), count, replace=False))
    part, values, weights = kernels.take(chosen), targets[chosen] - targets[chosen].mean(), weights[chosen]

    def loss(logs: Floats) -> float:
        noisy = part.mix(logs) + np.diag(np.exp(logs[4]) / weights + 1e-6)
        factor = cho_factor(noisy, lower=True, check_finite=False)
        fit = 0.5 * values @ cho_solve(factor, values, check_finite=False)
        prior = 0.5 * PRIOR_PRECISION * ((logs - START) ** 2).sum()
        return float(fit + np.log(np.diag(factor[0])).sum() + prior)

    bounds = [(middle - 5, middle + 5) for middle in START]
    found = minimize(loss, START, method="L-BFGS-B", bounds=bounds, options={"maxiter": settings.steps})
    return np.asarray(found.x, np.float64)


def _solve(kernel: Floats, targets: Floats, weights: Floats, noise: float) -> tuple[Floats, float]:
    """Dual weights `float64[n]` (0 for cells of weight 0) and the mean they are around."""
    held = np.flatnonzero(weights > 0)
    mean = float(np.average(targets[held], weights=weights[held]))
    noisy = kernel[np.ix_(held, held)] + np.diag(noise / weights[held] + 1e-6)
    dual = np.zeros(len(targets))
    dual[held] = np.linalg.solve(noisy, targets[held] - mean)
    return dual, mean


class ProcessModel:
    """One world's Gaussian process, ready to answer with its mean."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], world: int, space: CellSpace, width: int) -> None:
        """Reads the arrays of the world.

        Args:
            arrays: as `fit_process` made them.
            world: which.
            space: of the cells.
            width: number of features of a cell.
        """
        self.width = width
        self._space = space
        self._columns, self._vocabulary = arrays["shared-columns"], arrays["shared-vocabulary"]
        self._center, self._spread = arrays["shared-center"], arrays["shared-spread"]
        self._length = float(np.exp(arrays["shared-logs"][1]))
        support = _describe(arrays["shared-support"], self._center, self._spread) / self._length
        # x and u are longer by two: one product is -(x - u)^2 / 2, and no other array of its size is made
        full = -(-len(support) // PRODUCT_COLUMNS) * PRODUCT_COLUMNS
        self._support = np.zeros((support.shape[1] + 2, full))
        self._support[:-2, : len(support)] = support.T
        self._support[-2] = 1
        self._support[-1, : len(support)] = -0.5 * (support**2).sum(axis=1)
        own = {name: arrays[f"world-{world}-{name}"] for name in ("dual", "linear", "subtree")}
        self._dual = np.zeros(full)
        self._dual[: len(support)] = own["dual"]
        self._linear, self._subtree = own["linear"][:-1], own["subtree"]
        self._mean = float(own["linear"][-1])

    def predict(self, cells: Rows, features: Floats) -> Floats:
        """Mean score, `float64[n]`, of cells `uint8[n, width]` with features `float64[n, f]`."""
        with one_thread():
            return self._predict(cells, features)

    def _predict(self, cells: Rows, features: Floats) -> Floats:
        scores = np.empty(len(cells))
        for start in range(0, len(cells), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            described = _describe(features[part][:, self._columns], self._center, self._spread)
            labels = label_halves(self._space, cells[part])
            scores[part] = (
                self._mean
                + self._predict_curved(described)
                + (described * self._linear).sum(axis=1)
                + sum_weights(labels, self._vocabulary, self._subtree)
            )
        return scores

    def _predict_curved(self, described: Floats) -> Floats:
        curved = np.empty(-(-len(described) // PRODUCT_ROWS) * PRODUCT_ROWS)
        wide = np.zeros((len(curved), len(self._support)))
        near = wide[: len(described), :-2]
        np.divide(described, self._length, out=near)
        wide[: len(described), -2] = -0.5 * (near**2).sum(axis=1)
        wide[:, -1] = 1
        for start in range(0, len(wide), PRODUCT_ROWS):
            part = slice(start, start + PRODUCT_ROWS)
            exponents = wide[part] @ self._support
            curved[part] = np.exp(exponents, out=exponents) @ self._dual
        return curved[: len(described)]
