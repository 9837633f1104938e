"""The report of a predictor study: rank correlations with intervals beside the paper's, ceilings, scatter."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pnas_sim.report.pages.charts import Axis, Interval, draw_intervals
from pnas_sim.report.pages.parts import (
    Chart,
    Charts,
    Facts,
    Folded,
    Listing,
    Part,
    Photograph,
    Photographs,
    Report,
    Section,
    Table,
    Words,
)
from pnas_sim.report.pages.scales import Scale, span
from pnas_sim.report.predictors_markdown import (
    CIRCULAR_MARK,
    PLACES,
    SEARCH_NOTE,
    group_rows,
    mark_name,
    name_fit,
    tabulate_ceilings,
    tabulate_figures,
    tabulate_ranks,
    tabulate_searches,
    tell_same,
)
from pnas_sim.report.text import format_count
from pnas_sim.space import name_size
from pnas_sim.study.predictors_paper import NEXT
from pnas_sim.study.predictors_rows import ALL_SIZES, NOISY

Row = Mapping[str, Any]
PNG = b"\x89PNG\r\n\x1a\n"  # how every such file begins


def report_predictors(folder: Path, result: Mapping[str, Any]) -> Report:
    """Everything about a predictor study.

    Args:
        folder: of the study, for its scatter pictures.
        result: its object.
    """
    groups = group_rows(result["rows"])
    sections = [
        Section(
            title=f"Fitted on {name_fit(rows)}",
            parts=[*_show_group(rows), *_show_scatter(folder, rows)],
        )
        for rows in groups.values()
    ]
    sections += [*_show_ceilings(result), *_show_searches(result)]
    sections.append(Section(title="How to repeat it", parts=list(_show_settings(result))))
    return Report(
        kind="predictors",
        title=f"Predictor study on {result['table']['name']}",
        folder=str(folder),
        summary=_sum_up(result),
        notes=list(_list_notes(result)),
        sections=sections,
    )


def _sum_up(result: Mapping[str, Any]) -> str:
    """Which predictor ranks the next size best, where cells were really trained if they were."""
    means = [row for row in result["rows"] if (row["place"], row["truth"]) == (NEXT, NOISY)]
    means = [row for row in means if row["blocks"] == ALL_SIZES and row["spearman"] is not None]
    count = len(result["predictors"])
    head = f"{count} predictor{'' if count == 1 else 's'}, {result['trials']} trials of each fit."
    if not means:
        return head
    first = means[0]
    rivals = [row for row in means if (row["source"], row["fitted"]) == (first["source"], first["fitted"])]
    fitted = group_rows(result["rows"])[first["source"], first["fitted"]]
    best = max(rivals, key=lambda row: float(row["spearman"]))
    return (
        f"{head} Of predictors fitted on {name_fit(fitted)}, on cells one block larger "
        f"{mark_name(best)} has the highest mean Spearman correlation: {best['spearman']:.2f}."
    )


def _list_notes(result: Mapping[str, Any]) -> Iterator[str]:
    if any(row["circular"] for row in (*result["rows"], *result["searches"])):
        yield (
            f"{CIRCULAR_MARK} marks predictors of the surrogate's own model family: where the surrogate "
            "answers, their figures are circular."
        )
    if "surrogate" in {row["source"] for row in result["rows"]}:
        yield "Cells answered by the surrogate are a second result: a surrogate is no training."


def _show_group(rows: Sequence[Row]) -> Iterator[Part]:
    for place, words in PLACES.items():
        mine = [row for row in rows if row["place"] == place and row["truth"] == NOISY]
        if mine:
            if place == NEXT:
                yield _draw_ranks(mine)
            heads, lines = tabulate_ranks(mine)
            yield Table(caption=f"Spearman {words}, pooled over trials", heads=heads, rows=lines)
    if same := tell_same(rows):
        yield Words(text=same)
    heads, lines = tabulate_figures(rows)
    if lines:
        table = Table(caption="All figures on cells one block larger", heads=heads, rows=lines)
        yield Folded(title="All figures on cells one block larger", parts=[table])


def _draw_ranks(rows: Sequence[Row]) -> Charts:
    """Spearman with intervals on the next size, a chart for each size, a row for each predictor."""
    names = ("spearman_pooled", "spearman_pooled_low", "spearman_pooled_high", "paper")
    drawn = [row.get(name) for row in rows if row["blocks"] != ALL_SIZES for name in names]
    ends = [float(value) for value in drawn if value is not None]
    scale = span([0.0, *ends])
    charts = []
    for size in sorted({row["blocks"] for row in rows} - {ALL_SIZES}):
        mine = [row for row in rows if row["blocks"] == size]
        title = f"From {name_size(size)} to {size + 1}"
        charts.append(Chart(title=title, drawing=_draw_size(title, mine, scale)))
    return Charts(
        charts=charts,
        caption="Spearman's correlation of prediction and accuracy on cells one block larger, pooled over "
        "trials, with its interval. Upright strokes: the paper's, on its own cells and training. Dashed: no "
        "correlation.",
    )


def _draw_size(title: str, rows: Sequence[Row], scale: Scale) -> Any:
    intervals = [
        Interval(
            label=mark_name(row),
            value=row.get("spearman_pooled"),
            low=row.get("spearman_pooled_low"),
            high=row.get("spearman_pooled_high"),
            mark=row.get("paper"),
        )
        for row in rows
    ]
    return draw_intervals(title, intervals, Axis(label="Spearman, pooled", scale=scale), reference=0.0)


def _show_scatter(folder: Path, rows: Sequence[Row]) -> Iterator[Part]:
    """The study's scatter pictures of one source and K, in the page itself."""
    start = f"scatter-{rows[0]['source']}-{rows[0]['fitted']}-"
    pictures = []
    for path in sorted(folder.glob("scatter-*.png")):
        if path.name.startswith(start):
            data = path.read_bytes()
            if data.startswith(PNG):
                name = path.stem.removeprefix(start)
                title = f"{name}, fitted on {name_fit(rows)}: predicted against true accuracy, by size"
                uri = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
                pictures.append(Photograph(title=title, data=uri))
    if pictures:
        caption = "Predicted against true (noisy) accuracy in the first trial, as the paper's figure 3."
        yield Folded(title="Scatter plots", parts=[Photographs(pictures=pictures, caption=caption)])


def _show_ceilings(result: Mapping[str, Any]) -> Iterator[Section]:
    if result["ceilings"]:
        heads, lines = tabulate_ceilings(result["ceilings"])
        words = (
            "What one who knew the noise-free truth would reach on noisy truth; deviations of seeds and of "
            "cells. For trained cells simulated from repeated trainings."
        )
        yield Section(
            title="Noise ceilings",
            parts=[Words(text=words), Table(caption="Noise ceilings", heads=heads, rows=lines)],
        )


def _show_searches(result: Mapping[str, Any]) -> Iterator[Section]:
    if result["searches"]:
        heads, lines = tabulate_searches(result["searches"])
        table = Table(caption="Predictors inside searches, means over seeds", heads=heads, rows=lines)
        yield Section(title="Inside searches", parts=[Words(text=SEARCH_NOTE), table])


def _show_settings(result: Mapping[str, Any]) -> Iterator[Part]:
    yield Table(
        caption="Predictors",
        heads=("predictor", "model family", "what it is"),
        rows=[(one["name"], one["family"], one["description"]) for one in result["predictors"]],
        words_last=True,
    )
    table = result["table"]
    yield Facts(
        rows=[
            ("table", str(table["name"])),
            ("table's checksum", str(table["checksum"])),
            ("trials", format_count(result["trials"])),
            ("seed", str(result["seed"])),
            ("resamples", format_count(result["resamples"])),
            *((f"{name}'s version", str(value)) for name, value in result["versions"].items()),
        ]
    )
    table_options = {name.replace("_", "-"): value for name, value in result["backend_options"].items()}
    asked = result.get("command_options")  # studies of earlier versions do not say
    if asked is not None:
        options = {**asked, "out": "NEW_FOLDER", **table_options}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        yield Listing(caption="The study again:", text=shlex.join(["pnas-sim", "predictors", *words]))
