"""What a table holds, for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from pnas_sim.report.console import open_console
from pnas_sim.report.grids import print_grid
from pnas_sim.report.text import format_correlation, format_count
from pnas_sim.space import name_size


def print_table_facts(facts: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints what `pnas_tables.check.describe_table` tells."""
    console = console or open_console()
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for key, value in _list_facts(facts):
        grid.add_row(key, value)
    console.print(grid)
    for name, quality in facts["quality"].items():
        if quality is not None:
            print_grid(console, _table_quality(name, quality))


def print_quality(name: str, quality: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints a surrogate's figures on cells held out."""
    print_grid(console or open_console(), _table_quality(name, quality))


def _list_facts(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    space, deviation = facts["space"], facts["seed_deviation"]
    yield "table", f"{facts['name']}{' (closed)' if facts['closed'] else ''}"
    yield "space", f"up to {space['max_blocks']} blocks of {', '.join(space['operations'])}"
    yield "recipe", ", ".join(f"{key} {value}" for key, value in facts["recipe"].items())
    sizes = ", ".join(f"{count} of {size}" for size, count in facts["cells_by_blocks"].items())
    yield "cells", f"{format_count(facts['cells'])}: {sizes} blocks"
    seeds = ", ".join(f"{count} cells with {runs}" for runs, count in facts["seeds_per_cell"].items())
    yield "runs", f"{format_count(facts['runs'])}: {seeds}"
    yield "diverged, failed", f"{facts['diverged']}, {facts['failed']}"
    yield "seed deviation", "-" if deviation is None else f"{deviation:.4f}"
    yield "checkpoints", f"{', '.join(f'{at:g}' for at in facts['checkpoints'])} epochs"
    yield "training time", f"{facts['core_hours']:.2f} core hours"
    yield "licence", facts["licence"]
    yield "checksum", facts["checksum"]
    worlds = facts["worlds"]
    listed = ", ".join(f"{name} ({worlds.get(name) or '?'} worlds)" for name in facts["surrogates"])
    yield "surrogates", listed or "none; fit one by pnas-sim table fit FILE"


HEADINGS = {
    "tau": "kendall_tau",
    "ceiling": "ceiling_kendall_tau",
    "top half": "kendall_tau_top_half",
    "top 10%": "kendall_tau_top_tenth",
    "P@5%": "precision_at_5",
    "rho": "spearman",
    "R2": "r2",
}


def _table_quality(name: str, quality: Mapping[str, Any]) -> Grid:
    """A surrogate's figures on cells held out.

    Of random ones (of all that are fitted, where these are few): all, by block count, by share of the cells
    fitted; and of those that were trained for another reason.
    """
    title = f"surrogate {name} on held-out cells (tau, and its ceiling by seed noise)"
    grid = Grid(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("", "cells", *HEADINGS, "RMSE"):
        grid.add_column(heading, justify="right")
    for label, row in _list_quality(quality):
        rmse = "-" if row["rmse"] is None else f"{row['rmse']:.4f}"
        figures = (format_correlation(row.get(key)) for key in HEADINGS.values())
        grid.add_row(label, format_count(row["cells"]), *figures, rmse)
    return grid


def _list_quality(quality: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    first = quality.get("group")
    yield first or "all", quality["overall"]
    for size, row in quality["by_blocks"].items():
        yield name_size(int(size)), row
    for group, row in quality.get("by_group", {}).items():
        if group != first:
            yield group, row
    for share, row in quality.get("by_training_share", {}).items():
        yield f"fit on {share}%", row
