"""A predictor study, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid

from pnas_sim.report.console import open_console
from pnas_sim.report.grids import print_grid
from pnas_sim.report.predictors_markdown import (
    CIRCULAR_MARK,
    PLACES,
    SEARCH_NOTE,
    format_figure,
    format_number,
    group_rows,
    mark_name,
    name_fit,
    tabulate_ceilings,
    tabulate_searches,
    tell_same,
)
from pnas_sim.study.predictors_paper import NEXT
from pnas_sim.study.predictors_rows import ALL_SIZES, NOISY

PAPER = "  in the paper"


def print_study(result: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints the main tables of what `pnas_sim.study.predictors_output.describe_study` tells."""
    console = console or open_console()
    for rows in group_rows(result["rows"]).values():
        console.print(f"\nfitted on {name_fit(rows)}, {result['trials']} trials")
        for place, words in PLACES.items():
            mine = [row for row in rows if row["place"] == place and row["truth"] == NOISY]
            if mine:
                print_grid(console, _make_grid(f"Spearman {words}, by their blocks", *tabulate_briefly(mine)))
        if same := tell_same(rows):
            console.print(same)
    lost = sum(result["left_out"].values())
    if lost:
        console.print(f"left out: {lost} cells, all of whose trainings failed")
    if result["ceilings"]:
        title = "one who knew the noise-free truth would reach (deviations of seeds and of cells)"
        print_grid(console, _make_grid(title, *tabulate_ceilings(result["ceilings"])))
    if result["searches"]:
        print_grid(console, _make_grid("inside searches", *tabulate_searches(result["searches"])))
        console.print(SEARCH_NOTE)
    if any(row["circular"] for row in (*result["rows"], *result["searches"])):
        note = "shares the surrogate's model family: circular where the surrogate answers"
        console.print(f"{CIRCULAR_MARK} {note}")


def tabulate_briefly(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Heads and lines that fit a terminal: pooled figures, and means over sizes with their intervals.

    Args:
        rows: of one source, K, set of cells and truth.
    """
    sizes = sorted({row["blocks"] for row in rows} - {ALL_SIZES})
    step = 1 if rows[0]["place"] == NEXT else 0
    heads = ["predictor", *(str(size + step) for size in sizes)]
    means = any(row["blocks"] == ALL_SIZES for row in rows)
    lines = []
    for name in dict.fromkeys(row["predictor"] for row in rows):
        mine = {row["blocks"]: row for row in rows if row["predictor"] == name}
        own, papers = (
            [format_number(mine.get(size, {}).get(what)) for size in sizes]
            for what in ("spearman_pooled", "paper")
        )
        overall = mine.get(ALL_SIZES, {})
        last = [format_figure(overall, what) for what in ("spearman", "difference")] if means else []
        lines.append([mark_name(next(iter(mine.values()))), *own, *last])
        if set(papers) != {"-"}:
            lines.append([PAPER, *papers, *([""] * len(last))])
    return heads + (["mean", "less the first's"] if means else []), lines


def _make_grid(title: str, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Grid:
    grid = Grid(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for place, head in enumerate(heads):
        grid.add_column(head, justify="left" if place == 0 else "right", no_wrap=place == 0)
    for line in lines:
        grid.add_row(*line)
    return grid
