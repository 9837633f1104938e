"""Pictures of a comparison as PNG and SVG, drawn from its result object; matplotlib is imported late."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pnas_sim.errors import SettingError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {
    "models": "models evaluated",
    "proposals": "cells proposed",
    "seconds": "hours of children (simulated)",
}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito
STYLES = ("-", "--", "-.", ":")
FORMATS = ("png", "svg")
COUNTED, SPEED_UP = "curves-paper-counting", "speed-up"
WIDTH, HEIGHT = 4.2, 3.1  # inches of one panel
CROWD, CLEAR, FAINT = 6, 0.15, 0.06  # more searches than this have bands that are hardly there


def draw_comparison(result: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    """Every picture with its name.

    Args:
        result: the object of a comparison.

    Raises:
        SettingError: matplotlib is not installed.
    """
    for kind in result["kinds"]:
        yield f"curves-{kind}", draw_curves(result, "symmetrical", kind)
    yield COUNTED, draw_curves(result, "paper", result["kinds"][-1])
    yield SPEED_UP, draw_speed_ups(result, result["kinds"][-1])


def list_pictures(result: Mapping[str, Any]) -> list[str]:
    """Names of the files that `render_pictures` makes, without matplotlib."""
    names = [*(f"curves-{kind}" for kind in result["kinds"]), COUNTED, SPEED_UP]
    return [f"{name}.{form}" for name in names for form in FORMATS]


def render_pictures(result: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Every picture in both formats: name and content of its file.

    Raises:
        SettingError: matplotlib is not installed.
    """
    for name, figure in draw_comparison(result):
        for form in FORMATS:
            yield f"{name}.{form}", render(figure, form)


def render(figure: Figure, form: str) -> bytes:
    """A figure as a file's bytes: the same for the same figure, whenever it is drawn."""
    from matplotlib import rc_context

    stream = BytesIO()
    metadata = {"Date": None} if form == "svg" else {}
    with rc_context({"svg.hashsalt": "pnas-sim", "svg.fonttype": "none"}):
        figure.savefig(stream, format=form, metadata=metadata, dpi=120)
    return stream.getvalue()


def make_figure(width: float, height: float) -> Figure:
    """An empty figure; of inches.

    Raises:
        SettingError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SettingError(
            f"pictures need matplotlib ({error}); install pnas-sim[plot], or do without them"
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def draw_curves(result: Mapping[str, Any], counting: str, kind: str) -> Figure:
    """Means over the top M against models, proposals and simulated cost: a row each, a column for each M."""
    tops = result["tops"]
    figure = make_figure(WIDTH * len(tops), HEIGHT * len(AXES) + 0.5)
    panels = figure.subplots(len(AXES), len(tops), squeeze=False)
    for row, axis in enumerate(AXES):
        for column, top in enumerate(tops):
            panel = panels[row, column]
            _draw_panel(panel, result["searches"], (axis, top, counting, kind))
            panel.set_xlabel(AXES[axis])
            if row == 0:
                panel.set_title("best cell" if top == 1 else f"mean of the top {top}")
            if column == 0:
                panel.set_ylabel(f"{kind} validation accuracy, %")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5))
    return figure


def _draw_panel(panel: Axes, searches: Sequence[Mapping[str, Any]], view: tuple[str, int, str, str]) -> None:
    names = ("axis", "top", "counting", "kind")
    floor = [
        _draw_line(panel, number, search["label"], line, FAINT if len(searches) > CROWD else CLEAR)
        for number, search in enumerate(searches)
        for line in search["curves"]
        if tuple(line[name] for name in names) == view and line["at"]
    ]
    if floor:  # the first few models are far below the rest and would flatten it
        low, (_, high) = min(floor), panel.get_ylim()
        panel.set_ylim(low - 0.05 * (high - low), high)
    _scale_by_logarithm(panel)
    panel.grid(alpha=0.25)


def _scale_by_logarithm(panel: Axes) -> None:
    """A logarithmic axis with plain numbers; over less than two decades at 1, 2 and 5."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    if panel.dataLim.x1 <= 0:
        return  # seconds of a table that says none
    panel.set_xscale("log")
    low, high = panel.get_xlim()
    subs = (1.0, 2.0, 5.0) if high < 100 * low else (1.0,)
    panel.xaxis.set_major_locator(LogLocator(subs=subs))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())


def _draw_line(panel: Axes, number: int, label: str, line: Mapping[str, Any], alpha: float) -> float:
    """Draws a search's curve; returns its floor."""
    scale = 1 / 3600 if line["axis"] == "seconds" else 1
    at = [value * scale for value in line["at"]]
    mean: list[float] = [100 * value for value in line["mean"]]
    colour = COLOURS[number % len(COLOURS)]
    style = STYLES[number // len(COLOURS) % len(STYLES)]
    panel.plot(at, mean, style, color=colour, label=_write_label(label), linewidth=1.4)
    if line["low"] and line["low"][0] is not None:
        low, high = ([100 * value for value in line[end]] for end in ("low", "high"))
        panel.fill_between(at, low, high, color=colour, alpha=alpha, linewidth=0)
    return find_floor(at, mean)


def find_floor(at: Sequence[float], values: Sequence[float]) -> float:
    """A curve's lowest height over the last nine tenths of its way: noise-free curves may fall again.

    Args:
        at: places, ascending; at least one.
        values: heights there; NaN where they are not known.

    Returns:
        The height; NaN where none is known.
    """
    late = [value for place, value in zip(at, values, strict=True) if place >= at[-1] / 10]
    return min((value for value in late if not math.isnan(value)), default=math.nan)


def _write_label(label: str) -> str:
    """As it is written: matplotlib reads dollars as mathematics, and hides what begins with "_"."""
    return f" {label}".replace("$", r"\$")


def draw_speed_ups(result: Mapping[str, Any], kind: str) -> Figure:
    """Speed-ups in models with intervals, by the paper's counting: a panel an M, a row a pair."""
    rows = [row for row in result["efficiency"] if row["counting"] == "paper" and row["kind"] == kind]
    pairs = list(dict.fromkeys((row["reference"], row["search"]) for row in rows))
    tops = result["tops"]
    figure = make_figure(0.7 * WIDTH * (len(tops) + 1), 1.2 + 0.2 * len(pairs))
    panels = figure.subplots(1, len(tops), sharey=True, squeeze=False)[0]
    for panel, top in zip(panels, tops, strict=True):
        for row in rows:
            if row["top"] == top:
                _draw_speed_up(panel, pairs.index((row["reference"], row["search"])), row["speed_up_models"])
        panel.set_title("best cell" if top == 1 else f"mean of the top {top}")
        panel.axvline(1, color="grey", linewidth=0.8)
        panel.set_xlabel("speed-up in models")
        _scale_by_logarithm(panel)
        panel.grid(alpha=0.25)
    panels[0].set_yticks(
        range(len(pairs)), [_write_label(" against ".join(pair)) for pair in pairs], fontsize=8
    )
    panels[0].set_ylim(len(pairs) - 0.5, -0.5)
    figure.suptitle(f"{kind} accuracy; an arrow: not reached, or no upper bound", fontsize=9)
    return figure


def _draw_speed_up(panel: Axes, place: int, figure: Mapping[str, Any]) -> None:
    value = figure["bound"] if figure["value"] is None else figure["value"]
    low = value if figure["low"] is None else figure["low"]
    high = figure["bound"] if figure["high"] is None else figure["high"]
    panel.plot([low, max(high, low)], [place, place], color=COLOURS[0], linewidth=1.5)
    panel.plot([value], [place], ">" if figure["value"] is None else "o", color=COLOURS[0], markersize=5)
    unbounded = figure["high"] is None and figure["reached"] is not None
    if unbounded and figure["value"] is not None:
        panel.plot([figure["bound"]], [place], ">", color=COLOURS[0], markersize=5)
