from __future__ import annotations

import io

import pytest
from rich.box import SIMPLE_HEAD
from rich.table import Table as Grid

from pnas_sim.report.console import open_console
from pnas_sim.report.grids import print_grid

FIGURES = ("301,056", "281,539", "51.13%", "0.04")


def print_narrow(width: int, no_wrap: bool) -> list[str]:
    """The lines of a table of four figures."""
    grid = Grid(title="what was found", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("scored", "unique", "best", "rank corr."):
        grid.add_column(heading, justify="right", no_wrap=no_wrap)
    grid.add_row(*FIGURES)
    stream = io.StringIO()
    print_grid(open_console(stream, width), grid)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("no_wrap", [False, True])
@pytest.mark.parametrize("width", [1, 20, 60, 200])
def test_figures_are_never_cut(width: int, no_wrap: bool) -> None:
    lines = print_narrow(width, no_wrap)
    assert lines == print_narrow(80, no_wrap)
    assert [line.split() for line in lines if "301,056" in line] == [list(FIGURES)]
    assert "…" not in "".join(lines)
