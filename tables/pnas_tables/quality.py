"""How good predictions of accuracy are, beside the best that seed noise allows."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

FEWEST = 8  # cells below which no figure is given
DRAWS = 50


def measure_quality(
    predicted: Floats, measured: Floats, noise: Floats, blocks: NDArray[np.int64]
) -> dict[str, Any]:
    """Figures over all cells and by block count.

    Args:
        predicted: `float64[n]`, by a model that has not seen the cell.
        measured: `float64[n]`, means over seeds.
        noise: `float64[n]`, deviation of each of these means.
        blocks: `int64[n]`.

    Returns:
        JSON values: `overall`, and `by_blocks` with block counts as keys; each has `cells`, `kendall_tau`,
        `spearman`, `r2`, `rmse` and the `ceiling_...` of the first three; None where there are too few cells.
    """
    by_blocks = {
        str(size): _figures(predicted[blocks == size], measured[blocks == size], noise[blocks == size])
        for size in sorted(set(blocks.tolist()))
    }
    return {"overall": _figures(predicted, measured, noise), "by_blocks": by_blocks}


def _figures(predicted: Floats, measured: Floats, noise: Floats) -> dict[str, Any]:
    cells = {"cells": len(measured)}
    names = ("kendall_tau", "spearman", "r2")
    if len(measured) < FEWEST or np.ptp(measured) == 0:
        empty = dict.fromkeys((*names, "rmse", *(f"ceiling_{name}" for name in names)))
        return {**cells, **empty}
    rmse = float(np.sqrt(np.mean((predicted - measured) ** 2)))
    ceilings = {
        f"ceiling_{name}": value for name, value in zip(names, _ceiling(measured, noise), strict=True)
    }
    return {
        **cells,
        **dict(zip(names, _agreement(predicted, measured), strict=True)),
        "rmse": rmse,
        **ceilings,
    }


def _agreement(predicted: Floats, measured: Floats) -> tuple[float | None, float | None, float | None]:
    """Kendall's tau, Spearman's rho, R2."""
    from scipy.stats import kendalltau, rankdata

    r2 = float(1 - np.sum((predicted - measured) ** 2) / np.sum((measured - measured.mean()) ** 2))
    if np.ptp(predicted) == 0 or np.ptp(measured) == 0:
        return None, None, r2
    tau = float(kendalltau(predicted, measured).statistic)
    rho = float(np.corrcoef(rankdata(predicted), rankdata(measured))[0, 1])
    return tau, rho, r2


def _ceiling(measured: Floats, noise: Floats) -> tuple[float | None, ...]:
    """What an oracle that knows each cell's true mean would reach against means as noisy as these.

    The truth is taken as the measured means, drawn together until their variance is what noise leaves over.
    """
    total = float(np.var(measured))
    left = max(0.0, 1 - float(np.mean(noise**2)) / total)
    truth = measured.mean() + np.sqrt(left) * (measured - measured.mean())
    rng = np.random.default_rng(0)
    draws = [_agreement(truth, truth + noise * rng.standard_normal(len(truth))) for _ in range(DRAWS)]
    columns = zip(*draws, strict=True)
    return tuple(None if None in column else float(np.mean(column)) for column in columns)
