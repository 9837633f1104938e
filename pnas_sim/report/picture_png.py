"""A cell's SVG drawing as PNG, so that both show the same; matplotlib is imported late."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from pnas_sim.errors import SettingError
from pnas_sim.report.picture import picture_cell
from pnas_sim.space import Cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path as Curve

SCALE = 2  # pixels of the PNG for each of the SVG
INCH = 100  # pixels of the SVG
POINT = 72 / INCH  # of a pixel
FONT_SIZE = 12.0  # DejaVu Sans, which comes with matplotlib, is wider than the SVG's fonts
_TOKEN = re.compile(r"[MCVQ]|-?[0-9.]+")
_POINTS = {"M": 1, "C": 3, "Q": 2}  # of a path's commands; V has one number


def render_png(cell: Cell) -> bytes:
    """The PNG file of a cell's drawing; the same for the same cell as written.

    Raises:
        SettingError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SettingError(
            f"a PNG needs matplotlib ({error}); install pnas-sim[plot], or write an SVG"
        ) from None
    root = ElementTree.fromstring(picture_cell(cell))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    figure = Figure(figsize=(width / INCH, height / INCH), facecolor="none")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(height, 0))
    for order, element in enumerate(root):
        _draw(axes, element, order, (width, height))
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=INCH * SCALE, metadata={"Software": None})
    return stream.getvalue()


def _draw(axes: Axes, element: ElementTree.Element, order: int, size: tuple[float, float]) -> None:
    """Draws one element over those before it; titles are not to be seen."""
    match element.tag.rpartition("}")[2]:
        case "rect":
            _draw_box(axes, element.attrib, order, size)
        case "circle":
            _draw_circle(axes, element.attrib, order)
        case "path":
            _draw_path(axes, element.attrib, order)
        case "text":
            _draw_text(axes, element, order)


def _draw_box(axes: Axes, given: Mapping[str, str], order: int, size: tuple[float, float]) -> None:
    from matplotlib.patches import FancyBboxPatch

    whole = given["width"].endswith("%")  # the paper behind everything
    width, height = size if whole else (float(given["width"]), float(given["height"]))
    corner = (float(given.get("x", 0)), float(given.get("y", 0)))
    axes.add_patch(
        FancyBboxPatch(
            corner,
            width,
            height,
            boxstyle=f"round,pad=0,rounding_size={given['rx']}",
            facecolor=given["fill"],
            edgecolor=given.get("stroke", "none"),
            linewidth=float(given.get("stroke-width", 0)) * POINT,
            zorder=order,
        )
    )


def _draw_circle(axes: Axes, given: Mapping[str, str], order: int) -> None:
    from matplotlib.patches import Circle

    centre, line = (float(given["cx"]), float(given["cy"])), float(given["stroke-width"]) * POINT
    colours = {"facecolor": given["fill"], "edgecolor": given["stroke"]}
    axes.add_patch(Circle(centre, float(given["r"]), linewidth=line, zorder=order, **colours))


def _draw_path(axes: Axes, given: Mapping[str, str], order: int) -> None:
    from matplotlib.patches import PathPatch

    line = float(given["stroke-width"]) * POINT
    gaps = [float(part) * POINT / line for part in given.get("stroke-dasharray", "").split()]
    axes.add_patch(
        PathPatch(
            read_path(given["d"]),
            facecolor="none",
            edgecolor=given["stroke"],
            linewidth=line,
            linestyle=(0, tuple(gaps)) if gaps else "solid",
            capstyle="butt",
            zorder=order,
        )
    )


def _draw_text(axes: Axes, element: ElementTree.Element, order: int) -> None:
    given = element.attrib
    axes.text(
        float(given["x"]),
        float(given["y"]),
        element.text or "",
        color=given["fill"],
        fontsize=min(float(given.get("font-size", FONT_SIZE)), FONT_SIZE) * POINT,
        family="DejaVu Sans",
        horizontalalignment="center" if given.get("text-anchor") == "middle" else "left",
        verticalalignment="baseline",
        parse_math=False,
        zorder=order,
    )


def read_path(text: str) -> Curve:
    """A path of absolute moves, curves and vertical lines, which are all that the drawing has."""
    from matplotlib.path import Path as Curve

    tokens = _TOKEN.findall(text)
    points: list[tuple[float, float]] = []
    codes: list[int] = []
    kinds = {"M": Curve.MOVETO, "C": Curve.CURVE4, "Q": Curve.CURVE3}
    while tokens:
        command = tokens.pop(0)
        if command == "V":
            points.append((points[-1][0], float(tokens.pop(0))))
            codes.append(int(Curve.LINETO))
            continue
        for _ in range(_POINTS[command]):
            points.append((float(tokens.pop(0)), float(tokens.pop(0))))
            codes.append(int(kinds[command]))
    return Curve(points, codes)
