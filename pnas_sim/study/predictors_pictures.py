"""Scatter pictures of a predictor study, as the paper's figure 3: predicted against true accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pnas_sim.errors import WorkError
from pnas_sim.files import make_plain
from pnas_sim.study.predictors import Picture, Study
from pnas_sim.study.predictors_scores import score_spearman

PANEL = 2.8  # inches
MOST_DOTS = 2_000  # of a panel; more are thinned evenly
FEW_DOTS = 300  # are drawn larger


def draw_pictures(study: Study, folder: Path) -> list[Path]:
    """Draws a picture for each source, K and predictor: a panel for each size, the first trial's dots.

    Args:
        study: with pictures.
        folder: where they go.

    Returns:
        The files written.

    Raises:
        WorkError: matplotlib is not installed, or a file cannot be written.
    """
    paths = []
    for (source, fitted, predictor), panels in study.pictures.items():
        path = folder / f"scatter-{source}-{fitted}-{make_plain(predictor)}.png"
        _draw(path, f"{predictor}, fitted on {fitted} {source} cells", panels)
        paths.append(path)
    return paths


def _draw(path: Path, title: str, panels: Sequence[Picture]) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise WorkError("pictures need matplotlib; install pnas-sim[plot], or give --no-pictures") from None
    figure = Figure(figsize=(PANEL * len(panels), PANEL + 0.4), layout="constrained")
    figure.suptitle(title, fontsize=9)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, panel in zip(axes, panels, strict=True):
        shown = np.unique(np.linspace(0, len(panel.truth) - 1, MOST_DOTS).round().astype(int))
        dot = 5 if len(shown) <= FEW_DOTS else 2
        axis.plot(panel.truth[shown], panel.predicted[shown], ".", markersize=dot, alpha=0.4)
        rank = score_spearman(panel.predicted, panel.truth).value
        axis.set_title(f"{panel.blocks} to {panel.blocks + 1} blocks: {rank:.3f}", fontsize=8)
        axis.set_xlabel("true (noisy)", fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0].set_ylabel("predicted", fontsize=8)
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise WorkError(f"{path}: {error.strerror}; mend it and give the same command again") from None
