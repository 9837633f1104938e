"""Scatter pictures of a predictor study, as the paper's figure 3: predicted against true accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pnas_sim.files import make_plain
from pnas_sim.report.comparison_plots import make_figure, render
from pnas_sim.study.predictors import Picture, Study
from pnas_sim.study.predictors_scores import score_spearman

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANEL = 2.8  # inches
MOST_DOTS = 2_000  # of a panel; more are thinned evenly
FEW_DOTS = 300  # are drawn larger


def render_scatters(study: Study) -> Iterator[tuple[str, bytes]]:
    """A picture for each source, K and predictor: a panel for each size, the first trial's dots.

    Args:
        study: with pictures.

    Yields:
        Name and content of its file.

    Raises:
        SettingError: matplotlib is not installed.
    """
    for (source, fitted, predictor), panels in study.pictures.items():
        figure = _draw(f"{predictor}, fitted on {fitted} {source} cells", panels)
        yield f"scatter-{source}-{fitted}-{make_plain(predictor)}.png", render(figure, "png")


def _draw(title: str, panels: Sequence[Picture]) -> Figure:
    figure = make_figure(PANEL * len(panels), PANEL + 0.4)
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
    return figure
