"""A cell's own effect in a world: what the model cannot know of it, by size and by shape.

How large effects are is the held-out residual variance, for each block count, free of seed noise. How they
are spread is the distribution of those residuals themselves: on real cells it leans to one side and has not
the tails of a Gaussian, and a search over 300,000 candidates lives in the tail. No effect is larger than the
largest seen; so the best of a world is not better than anything that was ever observed beside its prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.space.arrays import Floats
from pnas_sim.space.rows import MOST_BLOCKS
from pnas_tables.sample import Sample
from pnas_tables.scale import Scale
from pnas_tables.seeds import Deviation

POOLED_CELLS = 20  # a size's residual variance counts against the pooled one as if that came of so many cells
MOST_NODES = 101
FEWEST_CELLS = 50  # fewer residuals say nothing of their shape: it is taken as Gaussian


@dataclass(frozen=True, slots=True)
class Effects:
    """How cells' effects are drawn.

    Attributes:
        deviations: in scores, by block count from 0 on; larger cells have the last one.
        normal: `float64[k]`, rising: standard normal deviates.
        drawn: `float64[k]`, not falling: what becomes of them, of mean 0 and deviation 1; straight lines
            between, and level beyond the ends. Both are empty where effects are Gaussian.
    """

    deviations: Floats
    normal: Floats
    drawn: Floats

    @classmethod
    def measure(cls, sample: Sample, held: Floats, scale: Scale, seeds: Deviation) -> Effects:
        """Measures them by residuals of cells held out.

        The error of sampling the validation images is common to all seeds of a cell, so it is in here and not
        in the seed noise. The shape is that of residuals with their seed noise in them, as a share of the
        root mean square of their block count.

        Args:
            sample: the n cells.
            held: `float64[n]`, each cell's accuracy by models that had not seen it.
            scale: of the scores.
            seeds: deviation of one training from a cell's mean.
        """
        residuals = scale.to_scores(sample.final) - scale.to_scores(held)
        sizes = np.arange(int(sample.blocks.max()) + 1)
        noise = find_score_noise(sample, scale, seeds)
        deviations = np.sqrt(np.maximum(0.0, _pool_by_size(residuals**2 - noise**2, sample, sizes)))
        spread = np.sqrt(_pool_by_size(residuals**2, sample, sizes))[sample.blocks]
        known = spread > 0
        return cls(deviations, *_find_shape(residuals[known] / spread[known]))

    @classmethod
    def from_json(cls, about: Mapping[str, Any], shape: Mapping[str, Any] | None) -> Effects:
        """Reads what `as_json` wrote; without a shape, as older files have none, effects are Gaussian."""
        sizes = sorted(int(size) for size in about)
        if not 0 <= sizes[0] <= sizes[-1] <= MOST_BLOCKS:
            raise ValueError("sizes of effects")
        deviations = np.full(sizes[-1] + 1, float(about[str(sizes[0])]))
        for size in sizes:
            deviations[size:] = float(about[str(size)])
        shape = shape or {"normal": [], "drawn": []}
        normal, drawn = (np.array(shape[name], np.float64) for name in ("normal", "drawn"))
        if len(normal) != len(drawn) or (np.diff(normal) <= 0).any() or (np.diff(drawn) < 0).any():
            raise ValueError("shape of effects")
        return cls(deviations, normal, drawn)

    def as_json(self) -> tuple[dict[str, float], dict[str, list[float]]]:
        """Deviations by block count, and the shape."""
        deviations = {str(size): float(value) for size, value in enumerate(self.deviations) if size}
        return deviations, {"normal": self.normal.tolist(), "drawn": self.drawn.tolist()}

    def draw(self, sizes: NDArray[np.int64], normal: Floats) -> Floats:
        """Effects in scores, `float64[n]`, of cells of so many blocks with these standard normal deviates."""
        if len(self.normal):
            normal = np.interp(normal, self.normal, self.drawn)
        return np.asarray(self.deviations[np.minimum(sizes, len(self.deviations) - 1)] * normal, np.float64)


def find_score_noise(sample: Sample, scale: Scale, seeds: Deviation) -> Floats:
    """Deviation in scores that seeds leave in each cell's mean, `float64[n]`, as the scale has it there."""
    found = sample.final
    noise = seeds.at(found)
    around = (scale.to_scores(found + noise) - scale.to_scores(found - noise)) / 2
    return np.asarray(around / np.sqrt(sample.runs), np.float64)


def _pool_by_size(squares: Floats, sample: Sample, sizes: NDArray[np.int64]) -> Floats:
    """Mean of squares by block count, drawn towards that of all; a size without cells has the one below."""
    pooled = float(squares.mean())
    means = np.full(len(sizes), pooled)
    for size in sizes:
        mine = squares[sample.blocks == size]
        if len(mine):
            means[size:] = (float(mine.sum()) + POOLED_CELLS * pooled) / (len(mine) + POOLED_CELLS)
    return means


def _find_shape(residuals: Floats) -> tuple[Floats, Floats]:
    """Nodes from normal deviates to effects of mean 0 and deviation 1 that are spread as residuals are."""
    from scipy.special import ndtri

    count = len(residuals)
    if count < FEWEST_CELLS:
        return np.zeros(0), np.zeros(0)
    ends = 0.5 / count
    places = np.linspace(0, 1, min(MOST_NODES, count))
    normal = ndtri(ends + places * (1 - 2 * ends))
    drawn = np.quantile(residuals, places)
    grid = np.interp(ndtri((np.arange(10_000) + 0.5) / 10_000), normal, drawn)
    return normal, (drawn - grid.mean()) / grid.std()
