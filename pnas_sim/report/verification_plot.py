"""Scatter plot of a verification: what was predicted of each cell against what it trained to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pnas_sim.report.comparison_plots import COLOURS, make_figure, render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_scatter", "render"]

MARKERS = ("o", "^", "D", "v", "P", "X")


def draw_scatter(result: Mapping[str, Any]) -> Figure:
    """A point for each cell, its mean over seeds with their deviation; the line is where both are equal.

    Args:
        result: the object of a verification.

    Raises:
        SettingError: matplotlib is not installed.
    """
    figure = make_figure(5.2, 4.8)
    panel = figure.subplots()
    cells = [one for one in result["cells"] if one["trained"] is not None]
    for place, group in enumerate(dict.fromkeys(one["group"] for one in cells)):
        own = [one for one in cells if one["group"] == group]
        label = "spread of what was visited" if group == "spread" else f"top of {group}"
        panel.errorbar(
            [100 * one["predicted"] for one in own],
            [100 * one["trained"] for one in own],
            yerr=[100 * (one["deviation"] or 0.0) for one in own],
            fmt=MARKERS[place % len(MARKERS)],
            color=COLOURS[place % len(COLOURS)],
            markersize=4,
            elinewidth=0.8,
            label=label,
        )
    if result["same_recipe"]:
        values = [100 * one[key] for one in cells for key in ("predicted", "trained")]
        panel.axline((min(values), min(values)), slope=1, color="0.6", linewidth=1, zorder=0)
    panel.set_xlabel("predicted validation accuracy, %")
    panel.set_ylabel(f"trained, mean of {len(result['seeds'])} seeds, %")
    panel.legend(fontsize="small")
    return figure
