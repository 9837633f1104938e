"""The report of a verification: predicted against trained accuracy, and how far the table can be believed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pnas_sim.report.comparison_table import format_points
from pnas_sim.report.pages.charts import Axis, draw_dots
from pnas_sim.report.pages.parts import Chart, Charts, Facts, Folded, Listing, Part, Report, Section, Table
from pnas_sim.report.pages.scales import span
from pnas_sim.report.text import UNKNOWN, format_accuracy, format_correlation, format_count

KINDS = {
    "predicted": "predicted by the model alone",
    "expected": "expected in the world, free of seed noise",
    "observed": "observed by the search, with seed noise",
}
BELIEF = {"yes": "order and size", "order only": "the order only", "no": "no"}


def report_verification(folder: str, result: Mapping[str, Any]) -> Report:
    """Everything about a verification.

    Args:
        folder: as it was named.
        result: its object.
    """
    verdict = str(result["verdict"])
    return Report(
        kind="verification",
        title=f"Verification on {result['table']}",
        folder=folder,
        summary=f"{verdict[:1].upper()}{verdict[1:]}.",
        notes=list(result["notes"]),
        sections=[
            Section(title="Predicted against trained", parts=[_draw_kinds(result), *_tabulate_kinds(result)]),
            Section(title="Regret", parts=[_tabulate_regret(result)]),
            Section(title="Cells", parts=[_tabulate_cells(result)]),
            Section(title="What was trained, and how", parts=list(_show_settings(result))),
        ],
    )


def _draw_kinds(result: Mapping[str, Any]) -> Charts:
    charts = []
    for kind, words in KINDS.items():
        known = [(one[kind], one["trained"]) for one in result["cells"]]
        dots = [(100 * a, 100 * b) for a, b in known if a is not None and b is not None]
        if dots:
            x = Axis(label=f"{kind} accuracy, %", scale=span([dot[0] for dot in dots]))
            y = Axis(label="trained accuracy, %", scale=span([dot[1] for dot in dots]))
            title = f"{words[:1].upper()}{words[1:]}"
            charts.append(Chart(title=title, drawing=draw_dots(title, dots, x, y)))
    return Charts(
        charts=charts,
        caption="Each cell against its trained accuracy, a mean over seeds; dashed: both are equal.",
    )


def _tabulate_kinds(result: Mapping[str, Any]) -> Iterator[Table]:
    for kind, words in KINDS.items():
        rows = [
            (
                part,
                format_count(found["cells"]),
                _format_rank(found["kendall_tau"]),
                _format_rank(found["spearman"]),
                UNKNOWN if found["bias"] is None else format_points(found["bias"]),
                UNKNOWN if found["rmse"] is None else f"{100 * found['rmse']:.2f}",
            )
            for part, found in result["agreement"][kind].items()
            if found is not None
        ]
        if rows:
            heads = ("cells", "number", "Kendall tau", "Spearman", "bias, points", "root mean square, points")
            caption = f"Accuracies {words}, against trained. Bias: less what was trained."
            yield Table(caption=caption, heads=heads, rows=rows)


def _format_rank(figure: Mapping[str, Any] | None) -> str:
    """A correlation with its interval."""
    if figure is None:
        return UNKNOWN
    head = format_correlation(figure["value"])
    if figure["low"] is None or figure["high"] is None:
        return head
    return f"{head} ({format_correlation(figure['low'])} to {format_correlation(figure['high'])})"


def _tabulate_regret(result: Mapping[str, Any]) -> Table:
    return Table(
        caption="Points that each winner trained to below the best of all that was trained, chosen by other "
        "seeds than it is measured by.",
        heads=("search", "regret, points", "winner"),
        rows=[
            (
                group,
                UNKNOWN if figure is None else format_points(figure),
                result["winners"].get(group, UNKNOWN),
            )
            for group, figure in result["regret"].items()
        ],
        words_last=True,
    )


def _tabulate_cells(result: Mapping[str, Any]) -> Table:
    heads = ("group", "rank", "blocks", *KINDS, "trained", "of each seed", "trained before", "cell")
    return Table(
        caption="Every cell: a search's top cells, and a spread of what all visited.",
        heads=heads,
        rows=[
            (
                one["group"],
                str(one["rank"]),
                str(one["blocks"]),
                *(format_accuracy(one[kind]) for kind in KINDS),
                format_accuracy(one["trained"]),
                " ".join(format_accuracy(value) for value in one["by_seed"]),
                "yes" if one["trained_before"] else "no",
                one["cell"],
            )
            for one in result["cells"]
        ],
        words_last=True,
    )


def _show_settings(result: Mapping[str, Any]) -> Iterator[Part]:
    deviation = result["seed_deviation"]
    yield Facts(
        rows=[
            ("believed", BELIEF.get(result["believed"], str(result["believed"]))),
            ("folders", ", ".join(map(str, result["folders"]))),
            ("table", str(result["table"])),
            ("table's checksum", str(result["table_checksum"])),
            ("surrogate", str(result["surrogate"])),
            ("recipe", "the table's own" if result["same_recipe"] else "another than the table's"),
            ("epochs", str(result["epochs"])),
            ("seeds", ", ".join(map(str, result["seeds"]))),
            ("deviation of a seed, points", UNKNOWN if deviation is None else f"{100 * deviation:.2f}"),
            ("untrained before", "all" if result["all_untrained_before"] else "not all"),
            ("left out as trained before", format_count(result["left_out_as_trained"])),
            ("intervals", f"{100 * result['confidence']:g}%, {format_count(result['resamples'])} resamples"),
        ]
    )
    text = json.dumps(result["recipe"], indent=1, ensure_ascii=False)
    yield Folded(title="Recipe", parts=[Listing(caption="What was trained by", text=text)])
