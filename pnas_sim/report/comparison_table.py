"""A finished comparison as a person reads it on a terminal; everything comes from its result object."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from pnas_sim.report.console import open_console
from pnas_sim.report.grids import print_grid
from pnas_sim.report.text import UNKNOWN, format_accuracy, format_count

Write: TypeAlias = Callable[[float], str]


def print_comparison(result: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints the paper's table, noise-free if that is known, what each search reached, and where the rest is.

    Args:
        result: the object of a comparison.
        console: where to; by default standard output.
    """
    console = console or open_console()
    kind = result["kinds"][-1]
    for reference in result["references"]:
        _print_efficiency(console, result, reference, kind)
    _print_searches(console, result, kind)
    console.print(_explain(result))
    for note in result["notes"]:
        console.print(f"note        {note}", soft_wrap=True)
    if result["out"]:
        console.print(f"folder      {result['out']}", soft_wrap=True)


def _explain(result: Mapping[str, Any]) -> str:
    manifest = result["manifest"]
    sure = f"{100 * manifest['confidence']:g}% intervals" if manifest["resamples"] else "no intervals"
    return (
        "needs: models until its mean curve is as high, counted as the paper counts; >: not reached. times: "
        "speed-up in models. examples: in examples, if reinforcement learning alone pays for reranking. "
        f"better, regret: points of per cent. {sure}; worlds: {len(manifest['worlds'])}, "
        f"seeds: {len(manifest['seeds'])}."
    )


def _print_efficiency(console: Console, result: Mapping[str, Any], reference: str, kind: str) -> None:
    """By the paper's counting: a table for each top M, a row for each other search."""
    rows = list(choose_duels(result, reference, "paper", kind))
    for top in result["tops"]:
        mine = [row for row in rows if row["top"] == top]
        if not mine:
            continue
        accuracy, models = mine[0]["accuracy"]["value"], mine[0]["reference_models"]
        best = "best cell" if top == 1 else f"mean of the top {top}"
        grid = _make_grid(
            f"{reference}: {best} {format_accuracy(accuracy)} ({kind})"
            + f" after {format_count(models)} models",
            ("against", "needs", "times", "", "examples", "better", ""),
        )
        for row in mine:
            grid.add_row(
                row["search"],
                format_bounded(row["models_needed"], write_models),
                format_bounded(row["speed_up_models"], write_factor),
                format_range(row["speed_up_models"]),
                format_bounded(row["speed_up_examples"]["paper"], write_factor),
                *_split_points(row["difference_at_reference_models"]),
            )
        print_grid(console, grid)


def _make_grid(title: str, headings: tuple[str, ...]) -> Grid:
    """A narrow table: the first column to the left, the others to the right."""
    grid = Grid(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for place, heading in enumerate(headings):
        grid.add_column(heading, justify="right" if place else "left", no_wrap=True, overflow="ellipsis")
    return grid


def _print_searches(console: Console, result: Mapping[str, Any], kind: str) -> None:
    tops = result["tops"]
    grid = _make_grid(
        f"each search at its end: {kind} accuracy of the best cells visited",
        ("search", "runs", "models", *(f"top {top}" for top in tops), "regret", ""),
    )
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
            *_find_regret(result, search["label"], kind),
        )
    print_grid(console, grid)


def _find_regret(result: Mapping[str, Any], label: str, kind: str) -> tuple[str, str]:
    for row in result["regret"]:
        if (row["search"], row["kind"], row["at"]) == (label, kind, "end"):
            return _split_points(row["regret"])
    return UNKNOWN, ""


def _split_points(estimate: Mapping[str, Any]) -> tuple[str, str]:
    """A difference in points of per cent, and its interval."""
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    if value is None:
        return UNKNOWN, ""
    span = "" if low is None or high is None else f"{100 * low:.2f}..{100 * high:.2f}"
    return f"{100 * value:+.2f}", span


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


def write_models(value: float) -> str:
    """A number of models: `5,808`."""
    return f"{value:,.0f}"


def write_factor(value: float) -> str:
    """A speed-up: `5.0`; below 1, where a tenth would say too little, `0.04`."""
    return f"{value:,.1f}" if value >= 0.995 else f"{value:.2f}"


def format_bounded(figure: Mapping[str, Any], write: Write) -> str:
    """A figure that may not have been reached, without its interval: `5.0`, or `> 5.2`; `-` if not known."""
    value, bound = figure["value"], figure["bound"]
    if value is None:
        return UNKNOWN if bound is None else f"> {write(bound)}"
    return write(value)


def format_range(figure: Mapping[str, Any]) -> str:
    """A speed-up's interval, where there is one that says more: `3.4..5.1`, `3.4..>5.2`."""
    low, high, bound = (figure[name] for name in ("low", "high", "bound"))
    if figure["reached"] in (None, 0) or low is None:
        return ""
    return f"{write_factor(low)}..{'>' + write_factor(bound) if high is None else write_factor(high)}"


def format_needed(figure: Mapping[str, Any]) -> str:
    """Models needed with their interval: `5,808 (3,900 to > 6,000)`; `> 6,000` where not reached."""
    return _format_censored(figure, write_models)


def format_factor(figure: Mapping[str, Any]) -> str:
    """A speed-up with its interval: `5.0 (3.4 to > 5.2)`; `> 5.2` where not reached."""
    return _format_censored(figure, write_factor)


def _format_censored(figure: Mapping[str, Any], write: Write) -> str:
    value, low, high, bound = (figure[name] for name in ("value", "low", "high", "bound"))
    head = format_bounded(figure, write)
    if figure["reached"] is None or (value is None and bound is None):  # no interval
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
