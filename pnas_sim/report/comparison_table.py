"""A finished comparison as a person reads it on a terminal; everything comes from its result object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from pnas_sim.report.text import UNKNOWN, format_accuracy, format_count


def print_comparison(result: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints the paper's table on noise-free values, what each search reached, and where the rest is.

    Args:
        result: the object of a comparison.
        console: where to; by default standard output.
    """
    console = console or Console()
    kind = result["kinds"][-1]
    for reference in result["references"]:
        _print_efficiency(console, result, reference, kind)
    _print_searches(console, result, kind)
    for note in result["notes"]:
        console.print(f"note        {note}", markup=False, highlight=False, soft_wrap=True)
    if result["out"]:
        console.print(f"folder      {result['out']}", markup=False, highlight=False, soft_wrap=True)


def _print_efficiency(console: Console, result: Mapping[str, Any], reference: str, kind: str) -> None:
    """One row a search and top M, by the paper's counting."""
    title = f"{reference} against others, {kind} accuracies, counted as the paper counts"
    grid = Grid(title=title, title_justify="left", box=SIMPLE_HEAD)
    for heading in ("against", "top", reference, "models", "needed", "speed-up", "in examples", "better by"):
        grid.add_column(heading, justify="left" if heading == "against" else "right")
    for row in choose_duels(result, reference, "paper", kind):
        grid.add_row(
            row["search"],
            str(row["top"]),
            format_accuracy(row["accuracy"]["value"]),
            format_count(row["reference_models"]),
            format_needed(row["models_needed"]),
            format_factor(row["speed_up_models"]),
            format_factor(row["speed_up_examples"]["paper"]),
            format_points(row["difference_at_reference_models"]),
        )
    console.print(grid)


def _print_searches(console: Console, result: Mapping[str, Any], kind: str) -> None:
    title = f"each search at its end, {kind} accuracy of the best cells of all visited"
    grid = Grid(title=title, title_justify="left", box=SIMPLE_HEAD)
    tops = result["tops"]
    for heading in ("search", "runs", "models", *(f"top {top}" for top in tops), "regret"):
        grid.add_column(heading, justify="left" if heading == "search" else "right")
    for search in result["searches"]:
        ends = {
            final["top"]: final["end"]["value"]
            for final in search["final"]
            if final["counting"] == "symmetrical" and final["kind"] == kind
        }
        models = sum(run["models_evaluated"] for run in search["runs"]) / len(search["runs"])
        grid.add_row(
            search["label"],
            str(len(search["runs"])),
            format_count(models),
            *(format_accuracy(ends[top]) for top in tops),
            _format_regret(result, search["label"], kind),
        )
    console.print(grid)


def _format_regret(result: Mapping[str, Any], label: str, kind: str) -> str:
    for row in result["regret"]:
        if (row["search"], row["kind"], row["at"]) == (label, kind, "end"):
            return format_points(row["regret"])
    return UNKNOWN


def choose_duels(
    result: Mapping[str, Any], reference: str, counting: str, kind: str
) -> Iterator[Mapping[str, Any]]:
    """Rows of the paper's table: of one reference, counting and kind; one search after the other."""
    order = [search["label"] for search in result["searches"]]
    found = [
        row
        for row in result["efficiency"]
        if (row["reference"], row["counting"], row["kind"]) == (reference, counting, kind)
    ]
    yield from sorted(found, key=lambda row: (order.index(row["search"]), row["top"]))


def format_needed(figure: Mapping[str, Any]) -> str:
    """Models needed with their interval: `5,808 (3,900 to > 6,000)`; `> 6,000` where not reached."""
    return _format_censored(figure, lambda value: f"{value:,.0f}")


def format_factor(figure: Mapping[str, Any]) -> str:
    """A speed-up with its interval: `5.0 (3.4 to > 5.2)`; `> 5.2` where not reached."""
    return _format_censored(figure, lambda value: f"{value:.1f}")


def _format_censored(figure: Mapping[str, Any], write: Any) -> str:
    value, low, high, bound = (figure[name] for name in ("value", "low", "high", "bound"))
    head = f"> {write(bound)}" if value is None else write(value)
    if figure["reached"] is None:  # one run: there is no interval
        return head
    if low is not None and value is None and low >= bound:
        return head
    top = f"> {write(bound)}" if high is None else write(high)
    return f"{head} ({write(low)} to {top})"


def format_points(estimate: Mapping[str, Any]) -> str:
    """A difference of accuracies in points of per cent: `+0.33 (+0.10 to +0.52)`."""
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    if value is None:
        return UNKNOWN
    head = f"{100 * value:+.2f}"
    return head if low is None or high is None else f"{head} ({100 * low:+.2f} to {100 * high:+.2f})"
