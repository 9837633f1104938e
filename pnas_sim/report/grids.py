"""Tables on a terminal, as wide as their figures are."""

from __future__ import annotations

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as Grid

WIDEST = 1000  # columns; no table of this project comes near


def print_grid(console: Console, grid: Grid) -> None:
    """Prints a table whole: where the console is narrower, the terminal wraps lines, and no figure is cut.

    Args:
        console: where to.
        grid: the table; without a width of its own it is given the one it needs, if there is less.
    """
    needed = Measurement.get(console, console.options.update(max_width=WIDEST), grid).maximum
    if grid.width is None and needed > console.width:
        grid.width = needed
    console.print(grid, crop=False)
