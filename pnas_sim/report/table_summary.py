"""What a table holds, for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from pnas_sim.report.text import format_correlation, format_count


def print_table_facts(facts: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints what `pnas_tables.check.describe_table` tells."""
    console = console or Console()
    grid = Grid.grid(padding=(0, 2))
    for key, value in _list_facts(facts):
        grid.add_row(key, escape(value))
    console.print(grid)
    if facts["surrogate"] is not None:
        console.print(_table_quality(facts["surrogate"]))


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
    yield "surrogates", ", ".join(facts["surrogates"]) or "none; fit one by pnas-sim table fit FILE"


def _table_quality(quality: Mapping[str, Any]) -> Grid:
    """The surrogate's figures on cells held out, by block count."""
    grid = Grid(title="surrogate on held-out cells", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("blocks", "cells", "Spearman", "Kendall tau", "R2", "RMSE"):
        grid.add_column(heading, justify="right")
    for size, row in {**quality["by_blocks"], "all": quality["overall"]}.items():
        figures = (format_correlation(row[name]) for name in ("spearman", "kendall_tau", "r2"))
        rmse = "-" if row["rmse"] is None else f"{row['rmse']:.4f}"
        grid.add_row(size, format_count(row["cells"]), *figures, rmse)
    return grid
