"""Reports as one HTML page that holds everything it shows and loads nothing."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from pnas_sim import __version__
from pnas_sim.report.pages.charts import COLOURS, DASHES
from pnas_sim.report.pages.parts import Report


def render_page(reports: Sequence[Report]) -> str:
    """The page's text: the same for the same reports.

    Args:
        reports: at least one; several stand under each other, with an index above them.
    """
    title = reports[0].title if len(reports) == 1 else f"{len(reports)} reports of pnas-sim"
    text = (
        _make_environment()
        .get_template("page.html")
        .render(reports=reports, title=title, version=__version__, colours=COLOURS, dashes=DASHES)
    )
    return text.encode("utf-8", "replace").decode("utf-8")  # JSON may hold halves of letters, UTF-8 may not


def _make_environment() -> Environment:
    """Templates that escape whatever they are given, and fail where something is missing."""
    return Environment(
        loader=PackageLoader("pnas_sim", "report/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
