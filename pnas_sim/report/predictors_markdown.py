"""A predictor study as Markdown, and the tables and figures that its page and the terminal share with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pnas_sim.report.comparison_markdown import make_table
from pnas_sim.space import name_size
from pnas_sim.study.predictors_output import is_unknown
from pnas_sim.study.predictors_paper import FITTED, NEXT, UNSEEN
from pnas_sim.study.predictors_rows import ALL_SIZES, FIGURES, NOISY

SEARCH_NOTE = (
    "b: blocks. rho: Spearman of predictions on the beam chosen. recall: how much of the pool's best (as "
    "many cells as the beam has) is in the beam. free: by noise-free truth. chance: recall of a random beam. "
    "In a surrogate's world a cell's own effect is drawn and cannot be learnt: even who knew the model would "
    "find few of the pool's best (bench/effects.py measures how few)."
)
CIRCULAR_MARK = "*"
PLACES: Mapping[str, str] = {
    NEXT: "on cells one block larger",
    UNSEEN: "on other cells of the same size",
    FITTED: "on the cells fitted",
}
SOURCES: Mapping[str, str] = {
    "trained": "really trained cells",
    "surrogate": "cells answered by the surrogate",
}


def format_markdown(result: Mapping[str, Any]) -> str:
    """The study as Markdown: for each source and K, a table a set of cells, beside the paper's."""
    parts = [
        _introduce(result),
        *_list_tables(result),
        *_list_ceilings(result),
        *_list_searches(result),
        _list_predictors(result),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _introduce(result: Mapping[str, Any]) -> str:
    table = result["table"]
    lost = sum(result["left_out"].values())
    return (
        f"# How well predictors rank cells\n\nTable {table['name']}, checksum {table['checksum'][:12]}; "
        f"{result['trials']} trials, seed {result['seed']}. Each trial fits a fresh predictor on K random "
        "cells of one size (Algorithm 2 of the paper). In brackets: 95% intervals, bootstrap over cells and "
        f"trials ({result['resamples']} resamples), paired where predictors are compared. Figures of a size "
        "pool its trials, as the paper's do; the mean over sizes is of correlations within trials."
        + (f" Left out: {lost} cells, all of whose trainings failed." if lost else "")
    )


def _list_tables(result: Mapping[str, Any]) -> Iterator[str]:
    for (source, fitted), rows in group_rows(result["rows"]).items():
        label = "" if source == "trained" else " A second result: the surrogate is no training."
        same = f" {told}" if (told := tell_same(rows)) else ""
        yield (f"## Fitted on {fitted} {SOURCES[source]}\n\n{result['trials']} trials.{label}{same}")
        for place, words in PLACES.items():
            mine = [row for row in rows if row["place"] == place and row["truth"] == NOISY]
            if mine:
                yield f"### Spearman {words}\n\n" + _join_table(*tabulate_ranks(mine))
        yield "### All figures on cells one block larger\n\n" + _join_table(*tabulate_figures(rows))


def name_fit(rows: Sequence[Mapping[str, Any]]) -> str:
    """What predictors were fitted on: `50 to 136 really trained cells (256 asked for)`.

    Args:
        rows: of one source and K.
    """
    source, asked = rows[0]["source"], rows[0]["fitted"]
    counts = [row.get("fitted_cells", asked) for row in rows if row["blocks"] != ALL_SIZES] or [asked]
    least, most = min(counts), max(counts)
    listed = f"{least}" if least == most else f"{least} to {most}"
    return f"{listed} {SOURCES.get(source, source)}{'' if least == asked else f' ({asked} asked for)'}"


def tell_same(rows: Sequence[Mapping[str, Any]]) -> str:
    """Says at which sizes all trials are fitted on the same cells, so that no interval holds their choice."""
    same = {
        row["blocks"]: row["fitted_cells"]
        for row in rows
        if row.get("fitted_sets") == 1 and row["trials"] > 1 and row["fitted_cells"] > 1
    }
    listed = ", ".join(f"{count:,} of {name_size(size)}" for size, count in sorted(same.items()))
    if not listed:
        return ""
    return (
        f"A size that has no more cells is fitted on whole, by every trial: {listed}. There intervals are "
        "of the cells asked about and of the fits' own randomness, not of which cells were fitted: they are "
        "too narrow, and what fewer cells give, fitted on different ones, stands beside them."
    )


def group_rows(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], list[Mapping[str, Any]]]:
    """Rows by source and K, in their order."""
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["source"], row["fitted"]), []).append(row)
    return groups


def tabulate_ranks(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Heads and lines: for each predictor the pooled Spearman of every size, the paper's, the trials' mean.

    The last is no mean of the columns beside it: those pool the trials, as the paper does.

    Args:
        rows: of one source, K, set of cells and truth.
    """
    sizes = sorted({row["blocks"] for row in rows} - {ALL_SIZES})
    step = 1 if rows[0]["place"] == NEXT else 0
    heads = ["predictor"]
    for size in sizes:
        cells = next(row["cells"] for row in rows if row["blocks"] == size)
        heads += [f"{name_size(size + step)} (n = {cells:,})", "paper"]
    heads += ["mean over sizes, of trials", "less the first's"]
    lines = []
    for name in dict.fromkeys(row["predictor"] for row in rows):
        mine = {row["blocks"]: row for row in rows if row["predictor"] == name}
        line = [mark_name(next(iter(mine.values())))]
        for size in sizes:
            row = mine.get(size, {})
            line += [format_figure(row, "spearman_pooled"), format_number(row.get("paper"))]
        overall = mine.get(ALL_SIZES, {})
        lines.append([*line, format_figure(overall, "spearman"), format_figure(overall, "difference")])
    return _drop_empty(heads, lines)


def tabulate_figures(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Heads and lines: every figure on the next size, for each predictor, size and truth."""
    words = [
        "Spearman, pooled",
        "Spearman, of trials",
        "Kendall tau",
        "precision at top 5%",
        "less the first's",
    ]
    heads = ["predictor", "fitted", "asked", "truth", *words, "CPU s of a fit"]
    lines = []
    for row in rows:
        if row["place"] == NEXT and row["blocks"] != ALL_SIZES:
            sizes = [f"{row['fitted_cells']} of {row['blocks']}", f"{row['cells']:,} of {row['blocks'] + 1}"]
            figures = [format_figure(row, name) for name in FIGURES]
            lines.append([mark_name(row), *sizes, row["truth"], *figures, f"{row['seconds']:.2g}"])
    return heads, lines


def _drop_empty(heads: list[str], lines: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Without columns that say nothing of any predictor."""
    kept = [place for place in range(len(heads)) if any(line[place] != "-" for line in lines)]
    return [heads[place] for place in kept], [[line[place] for place in kept] for line in lines]


def mark_name(row: Mapping[str, Any]) -> str:
    """A predictor's name, marked if it shares the surrogate's family, whatever answers in this table."""
    marked = row.get("shares_surrogate_family", row["circular"])
    return f"{row['predictor']}{CIRCULAR_MARK if marked else ''}"


def format_figure(row: Mapping[str, Any], name: str) -> str:
    """`.53 [.48, .58]`, or without an interval, or `-`."""
    value = format_number(row.get(name))
    low, high = format_number(row.get(f"{name}_low")), format_number(row.get(f"{name}_high"))
    return value if "-" in (value, low, high) else f"{value} [{low}, {high}]"


def format_number(value: float | None) -> str:
    """Two decimals without a leading zero, or `-`."""
    if is_unknown(value) or value is None:
        return "-"
    text = f"{value:.2f}".replace("-0.00", "0.00")
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def _list_ceilings(result: Mapping[str, Any]) -> Iterator[str]:
    if result["ceilings"]:
        yield (
            "## Noise ceilings\n\nDeviations of seeds and of cells, and figures of one who knew the "
            "noise-free truth, on noisy truth. For trained cells simulated from repeated trainings.\n\n"
            + _join_table(*tabulate_ceilings(result["ceilings"]))
        )


def tabulate_ceilings(ceilings: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Heads and lines of the noise ceilings."""
    heads = ["source", "blocks", "cells", "of seeds", "of cells", "Spearman", "Kendall", "precision"]
    lines = []
    for row in ceilings:
        deviations = ["-" if is_unknown(row[name]) else f"{row[name]:.4f}" for name in ("noise", "deviation")]
        if row.get("noise_of_all_sizes"):  # studies of earlier versions do not say
            deviations[0] += ", of all sizes"
        figures = [format_number(row[name]) for name in ("spearman", "kendall_tau", "top5_precision")]
        lines.append([row["source"], str(row["blocks"]), f"{row['cells']:,}", *deviations, *figures])
    return heads, lines


def _list_searches(result: Mapping[str, Any]) -> Iterator[str]:
    if result["searches"]:
        yield f"## Inside searches\n\n{SEARCH_NOTE}\n\n" + _join_table(*tabulate_searches(result["searches"]))


def tabulate_searches(searches: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Heads and lines: for each predictor and level, means over the seeds."""
    heads = ["predictor", "b", "seeds", "pool", "beam", "rho", "free", "recall", "free", "chance"]
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in searches:
        groups.setdefault((mark_name(row), row["blocks"]), []).append(row)
    lines = []
    for (name, blocks), rows in groups.items():
        counts = [f"{_mean(rows, 'pool'):,.0f}", f"{_mean(rows, 'beam'):,.0f}"]
        ranks = ("rank_correlation", "rank_correlation_noise_free", "recall", "recall_noise_free")
        figures = [format_number(_mean(rows, what)) for what in ranks]
        by_chance = f"{_mean(rows, 'by_chance'):.3f}"
        lines.append([name, str(blocks), str(len(rows)), *counts, *figures, by_chance])
    return heads, lines


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    known = [float(row[name]) for row in rows if not is_unknown(row[name])]
    return sum(known) / len(known) if known else math.nan


def _list_predictors(result: Mapping[str, Any]) -> str:
    heads = ["predictor", "model family", "what it is"]
    lines = [
        [
            f"{one['name']}{CIRCULAR_MARK if one['shares_surrogate_family'] else ''}",
            one["family"],
            one["description"],
        ]
        for one in result["predictors"]
    ]
    marked = any(one["shares_surrogate_family"] for one in result["predictors"])
    note = (
        f"\n\n{CIRCULAR_MARK} shares the surrogate's family: where the surrogate answers, its figures are "
        "circular."
        if marked
        else ""
    )
    return "## Predictors\n\n" + _join_table(heads, lines) + note


def _join_table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(make_table(heads, lines))
