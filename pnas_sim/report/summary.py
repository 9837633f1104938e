"""A finished run as a person reads it; everything in it comes from the run's result object."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from pnas_sim.report.console import open_console
from pnas_sim.report.drawing import choose_strokes, draw_cell
from pnas_sim.report.grids import print_grid
from pnas_sim.report.text import (
    format_accuracy,
    format_correlation,
    format_count,
    format_duration,
    format_large,
)
from pnas_sim.space import Cell, CellSpace

STOPS = {
    "finished": "the search was finished",
    "budget": "the budget was spent",
    "proposals": "too many proposals were repeats",
    "stalled": "no batch brought anything new any more",
}
CLOCKS = {"predicted": "simulated", "measured": "recorded"}  # by source; else real
ANSWERED = {"trained": "trained", "measured": "looked up", "predicted": "predicted"}


def print_run(result: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints a run's summary: levels, best cell, cost, and where everything is.

    Args:
        result: the `--json` object of `run`.
        console: where to; by default standard output, 80 columns wide where it is no terminal.
    """
    console = console or open_console()
    encoding = getattr(console.file, "encoding", None)
    _print_levels(console, result)
    if result["best"] is not None:
        _print_best(console, result, encoding)
    _print_cost(console, result)
    for note in result.get("notes", []):  # runs of earlier versions have none
        console.print(f"note        {note}", soft_wrap=True)
    console.print(f"run folder  {result['out']}", soft_wrap=True)
    again = shlex.join(["pnas-sim", "resume", result["out"]])
    console.print(f"look again  {again}", soft_wrap=True)


def _print_levels(console: Console, result: Mapping[str, Any]) -> None:
    title = f"{result['search']} on {result['backend']}, seed {result['seed']}"
    grid = Grid(title=title, title_justify="left", box=SIMPLE_HEAD)
    answered = ANSWERED.get(result["source"], "evaluated")
    headings = ("blocks", "scored", "unique", answered, "best", "top 5", "rank corr.")
    for heading in headings:
        grid.add_column(heading, justify="right")
    for level in result["levels"]:
        grid.add_row(
            str(level["blocks"]),
            format_count(level["candidates"]),
            format_count(level["unique"]),
            format_count(level["evaluated"]),
            format_accuracy(level["best_valid_accuracy"]),
            format_accuracy(level["top5_valid_accuracy"]),
            format_correlation(level["rank_correlation"]),
        )
    print_grid(console, grid)


def _print_best(console: Console, result: Mapping[str, Any], encoding: str | None) -> None:
    best, space = result["best"], result["space"]
    cell = Cell.parse(best["cell"], CellSpace(tuple(space["operations"]), space["max_blocks"]))
    console.print("best cell", style="bold")
    lines = [best["cell"], *draw_cell(cell, choose_strokes(encoding))]
    for line in lines:
        console.print(f"  {line}", soft_wrap=True)
    figures = [f"valid {format_accuracy(best['valid_accuracy'])}"]
    if best["expected_valid_accuracy"] is not None:
        figures.append(f"expected (free of seed noise) {format_accuracy(best['expected_valid_accuracy'])}")
    if best["test_accuracy"] is not None:
        figures.append(f"test {format_accuracy(best['test_accuracy'])}")
    console.print(f"  {', '.join(figures)}")


def _print_cost(console: Console, result: Mapping[str, Any]) -> None:
    kind = CLOCKS.get(result["source"], "real")
    failed = f" ({result['failed']} of them failed)" if result["failed"] else ""
    models = f"{format_count(result['models_evaluated'])} models{failed}"
    repeats = f"{format_count(result['repeats'])} repeats, which cost nothing"
    children, here = format_duration(result["child_seconds"]), format_duration(result["seconds"])
    stopped = STOPS.get(result["stopped"], result["stopped"])
    examples = f"{format_large(result['examples'])} examples" if result["examples"] else "examples unknown"
    console.print(f"cost        {models}, {examples}")
    spent = f"{children} of children ({kind})" if result["child_seconds"] else "that of children is unknown"
    console.print(f"time        {spent}, {here} here")
    console.print(f"ended       {stopped}; {repeats}")
    _print_policy(console, result.get("diagnostics", {}))


def _print_policy(console: Console, course: Mapping[str, Any]) -> None:
    """How a learnt policy's entropy went, and what share of its last batches it had proposed before."""
    entropy, repeats = course.get("policy_entropy"), course.get("repeat_rate")
    if entropy and repeats:
        went = f"entropy from {entropy[0]:.1f} to {entropy[-1]:.1f} nats a cell"
        console.print(f"policy      {went}; {repeats[-1]:.0%} repeats at the end")
