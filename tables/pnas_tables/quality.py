"""How good predictions of accuracy are, beside the best that seed noise allows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.space.arrays import Floats

FEWEST = 8  # cells below which no figure is given
FEWEST_AT_TOP = 40  # cells below which nothing is said of the top twentieth
DRAWS = 50
MEASURES = (
    "kendall_tau",
    "kendall_tau_top_half",
    "kendall_tau_top_tenth",
    "precision_at_5",
    "spearman",
    "r2",
)


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
        JSON values: `overall`, and `by_blocks` with block counts as keys; figures as `measure_figures`.
    """
    by_blocks = {
        str(size): measure_figures(predicted[blocks == size], measured[blocks == size], noise[blocks == size])
        for size in sorted(set(blocks.tolist()))
    }
    return {"overall": measure_figures(predicted, measured, noise), "by_blocks": by_blocks}


def measure_figures(predicted: Floats, measured: Floats, noise: Floats) -> dict[str, Any]:
    """Agreement of predictions with measured means, as JSON values.

    Returns:
        `cells`; `kendall_tau`, also within the top half and the top tenth of the measured cells;
        `precision_at_5`, the share of the top 5% predicted that are in the top 5% measured; `spearman`, `r2`,
        `rmse`; and a `ceiling_...` of each but the last: what an oracle that knows each cell's true mean
        would reach against means as noisy as these. None where there are too few cells.
    """
    if len(measured) < FEWEST or np.ptp(measured) == 0:
        empty = dict.fromkeys((*MEASURES, "rmse", *(f"ceiling_{name}" for name in MEASURES)))
        return {"cells": len(measured), **empty}
    return {
        "cells": len(measured),
        **_agree(predicted, measured),
        "rmse": float(np.sqrt(np.mean((predicted - measured) ** 2))),
        **{f"ceiling_{name}": value for name, value in _find_ceiling(measured, noise).items()},
    }


def _agree(predicted: Floats, measured: Floats) -> dict[str, float | None]:
    order = np.argsort(-measured, kind="stable")
    half, tenth = order[: (len(order) + 1) // 2], order[: -(-len(order) // 10)]
    spread = np.sum((measured - measured.mean()) ** 2)
    return {
        "kendall_tau": correlate(predicted, measured),
        "kendall_tau_top_half": correlate(predicted[half], measured[half]),
        "kendall_tau_top_tenth": correlate(predicted[tenth], measured[tenth]),
        "precision_at_5": _share_top(predicted, measured),
        "spearman": correlate(predicted, measured, ranks=True),
        "r2": float(1 - np.sum((predicted - measured) ** 2) / spread),
    }


def correlate(predicted: Floats, measured: Floats, ranks: bool = False) -> float | None:
    """Kendall's tau, or Spearman's rho; None of few cells, or where all are alike."""
    from scipy.stats import kendalltau, rankdata

    if len(measured) < FEWEST or np.ptp(predicted) == 0 or np.ptp(measured) == 0:
        return None
    if ranks:
        return float(np.corrcoef(rankdata(predicted), rankdata(measured))[0, 1])
    return float(kendalltau(predicted, measured).statistic)


def _share_top(predicted: Floats, measured: Floats) -> float | None:
    """Share of the best twentieth by prediction that is in the best twentieth by measurement."""
    if len(measured) < FEWEST_AT_TOP:
        return None
    count = -(-len(measured) // 20)
    best = [set(np.argsort(-values, kind="stable")[:count].tolist()) for values in (predicted, measured)]
    return len(best[0] & best[1]) / count


def _find_ceiling(measured: Floats, noise: Floats) -> dict[str, float | None]:
    """What an oracle would reach.

    The truth is taken as the measured means, drawn together until their variance is what noise leaves over.
    """
    left = max(0.0, 1 - float(np.mean(noise**2)) / float(np.var(measured)))
    truth = measured.mean() + np.sqrt(left) * (measured - measured.mean())
    rng = np.random.default_rng(0)
    draws = [_agree(truth, truth + noise * rng.standard_normal(len(truth))) for _ in range(DRAWS)]
    found: dict[str, float | None] = {}
    for name in MEASURES:
        values = [draw[name] for draw in draws]
        known = [value for value in values if value is not None]
        found[name] = float(np.mean(known)) if len(known) == len(values) else None
    return found
