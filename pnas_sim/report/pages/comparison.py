"""The report of a comparison: curves, speed-ups, tables of observed and noise-free figures, what was run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pnas_sim.own_parts import tell_imports, write_command
from pnas_sim.report.comparison_plots import AXES, find_floor
from pnas_sim.report.comparison_sheets import Topic, list_topics
from pnas_sim.report.comparison_table import choose_duels, format_needed
from pnas_sim.report.pages.charts import Axis, Interval, Line, draw_intervals, draw_lines
from pnas_sim.report.pages.parts import (
    Chart,
    Charts,
    Facts,
    Folded,
    Legend,
    Listing,
    Part,
    Report,
    Section,
    Table,
)
from pnas_sim.report.pages.scales import Scale, span, span_logarithm
from pnas_sim.report.text import format_accuracy, format_count

CROWD = 6  # more searches than this have bands that are hardly there
COUNTINGS = {"symmetrical": "all cells visited count", "paper": "as the paper counts"}
KINDS = {"expected": "free of seed noise", "observed": "as observed, which flatters"}


def report_comparison(folder: str, result: Mapping[str, Any], settings: Any = None) -> Report:
    """Everything about a comparison.

    Args:
        folder: as it was named.
        result: its object.
        settings: in its `compare.toml`; None: not known.
    """
    labels = [search["label"] for search in result["searches"]]
    others = f"{len(labels)} searches" if len(labels) > 1 else "one search"
    sections = [
        Section(title="Curves", parts=list(_draw_curves(result))),
        Section(title="Speed-ups", parts=list(_draw_speed_ups(result))),
        *_list_tables(result),
        Section(title="How to repeat it", parts=list(_show_manifest(folder, result, settings))),
    ]
    return Report(
        kind="comparison",
        title=f"Comparison of {others} on {result['table']['backend']}",
        folder=folder,
        summary=" ".join(_sum_up(result)),
        notes=list(result["notes"]),
        sections=[section for section in sections if section.parts],
    )


def _sum_up(result: Mapping[str, Any]) -> Iterator[str]:
    """What was compared, and the headline: of each reference, what the others need for its best cell."""
    manifest, kind = result["manifest"], result["kinds"][-1]
    seeds, worlds = len(manifest["seeds"]), len(manifest["worlds"])
    runs = f"{format_count(manifest['runs'])} runs of up to {_tell_budget(result)} each"
    yield f"{runs}: {_count(seeds, 'seed')} in {_count(worlds, 'world')}."
    top = result["tops"][0]
    for reference in result["references"]:
        rows = [row for row in choose_duels(result, reference, "paper", kind) if row["top"] == top]
        if rows:
            best = "The best cell" if top == 1 else f"The mean of the best {top} cells"
            reached = f"{best} of {reference} has {format_accuracy(rows[0]['accuracy']['value'])} ({kind})"
            after = f"after {format_count(rows[0]['reference_models'])} models"
            yield f"{reached} {after}; {_sum_up_rivals(rows)}."


def _sum_up_rivals(rows: Sequence[Mapping[str, Any]]) -> str:
    """Who gets as high within its budget, and by how many models."""
    near = [row for row in rows if row["models_needed"]["value"] is not None]
    told = [f"{row['search']} {format_needed(row['models_needed'])}" for row in near]
    missing = len(rows) - len(near)
    if not near:
        return "no other search gets as high" if missing > 1 else f"{rows[0]['search']} does not get as high"
    rest = f"; {_count(missing, 'other')} never within the budget" if missing else ""
    return f"models to get as high, as the paper counts: {', '.join(told)}{rest}"


def _tell_budget(result: Mapping[str, Any]) -> str:
    """A run's budget with its unit; a bare number is of models."""
    text = str(result["budget"])
    return f"{format_count(int(text))} models" if text.isdigit() else text


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _draw_curves(result: Mapping[str, Any]) -> Iterator[Part]:
    kinds = list(reversed(result["kinds"]))
    yield _draw_view(result, "symmetrical", kinds[0])
    for kind in kinds[1:]:
        title = f"The same curves {KINDS.get(kind, kind)}"
        yield Folded(title=title, parts=[_draw_view(result, "symmetrical", kind)])
    yield Folded(title="The same curves as the paper counts", parts=[_draw_view(result, "paper", kinds[0])])


def _draw_view(result: Mapping[str, Any], counting: str, kind: str) -> Charts:
    charts = [_draw_panel(result, axis, top, (counting, kind)) for axis in AXES for top in result["tops"]]
    manifest = result["manifest"]
    bands = f"bands: {100 * manifest['confidence']:g}% intervals of the mean"
    sure = bands if manifest["resamples"] else "one run each, so no bands"
    return Charts(
        charts=charts,
        caption=f"Means over runs, {KINDS.get(kind, kind)}; {COUNTINGS[counting]}; {sure}.",
        legend=[
            Legend(label=search["label"], style=number) for number, search in enumerate(result["searches"])
        ],
    )


def _draw_panel(result: Mapping[str, Any], axis: str, top: int, view: tuple[str, str]) -> Chart:
    lines = list(_list_lines(result, axis, top, view))
    title = f"{_name_top(top)}, {'by ' + axis if axis != 'seconds' else 'by cost'}"
    x = Axis(label=AXES[axis], scale=span_logarithm([at for line in lines for at in line.at]))
    edges = [value for line in lines for value in (*line.values, *line.high)]
    floors = [find_floor(line.at, line.values) for line in lines if line.at]
    # the first few models are far below the rest and would flatten it
    y = Axis(
        label="validation accuracy, %", scale=span([*floors, *(edge for edge in edges if edge > min(floors))])
    )
    return Chart(title=title, drawing=draw_lines(title, lines, x, y))


def _name_top(top: int) -> str:
    return "Best cell" if top == 1 else f"Mean of the top {top}"


def _list_lines(result: Mapping[str, Any], axis: str, top: int, view: tuple[str, str]) -> Iterator[Line]:
    scale = 1 / 3600 if axis == "seconds" else 1
    for number, search in enumerate(result["searches"]):
        for curve in search["curves"]:
            if (curve["axis"], curve["top"], curve["counting"], curve["kind"]) != (axis, top, *view):
                continue
            bands = bool(curve["low"]) and curve["low"][0] is not None
            yield Line(
                at=[scale * at for at in curve["at"]],
                values=_scale(curve["mean"]),
                style=number,
                low=_scale(curve["low"]) if bands else (),
                high=_scale(curve["high"]) if bands else (),
                faint=len(result["searches"]) > CROWD,
            )


def _scale(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else 100 * value for value in values]


def _draw_speed_ups(result: Mapping[str, Any]) -> Iterator[Part]:
    """A chart for each reference and top M, by the paper's counting."""
    kind = result["kinds"][-1]
    for reference in result["references"]:
        rows = list(choose_duels(result, reference, "paper", kind))
        charts = []
        for top in result["tops"]:
            intervals = [_make_interval(row) for row in rows if row["top"] == top]
            if intervals:
                title = f"{_name_top(top)} of {reference}"
                ends = [end for one in intervals for end in (one.value, one.low, one.high) if end is not None]
                x = Axis(label="speed-up in models", scale=_widen(span_logarithm([*ends, 1.0])))
                charts.append(Chart(title=title, drawing=draw_intervals(title, intervals, x, reference=1.0)))
        if charts:
            yield Charts(
                charts=charts,
                caption=f"Models that each search needs, over those of {reference}, {KINDS.get(kind, kind)}, "
                "as the paper counts. Dashed: as many. An arrow: not reached within the budget, or no upper "
                "bound.",
            )


def _widen(scale: Scale) -> Scale:
    """The same axis with room at both ends."""
    return Scale(scale.low / 1.15, scale.high * 1.15, True)


def _make_interval(row: Mapping[str, Any]) -> Interval:
    figure = row["speed_up_models"]
    value = figure["bound"] if figure["value"] is None else figure["value"]
    unbounded = figure["high"] is None and figure["reached"] is not None
    return Interval(
        label=row["search"],
        value=value,
        low=figure["low"],
        high=figure["bound"] if figure["high"] is None else figure["high"],
        open=figure["value"] is None or unbounded,
    )


def _list_tables(result: Mapping[str, Any]) -> Iterator[Section]:
    """Every table that a document would have: those about one reference together, the others one by one."""
    topics = list(list_topics(result))
    for reference in result["references"]:
        parts = [
            _make_table(topic, f"{topic.heading}. {topic.text}")
            for topic in topics
            if topic.reference == reference
        ]
        yield Section(title=f"Against {reference}", parts=parts)
    for topic in topics:
        if not topic.reference:
            yield Section(title=topic.heading, parts=[_make_table(topic, topic.text or topic.heading)])


def _make_table(topic: Topic, caption: str) -> Table:
    return Table(caption=caption, heads=topic.sheet.heads, rows=topic.sheet.rows)


def _show_manifest(folder: str, result: Mapping[str, Any], settings: Any) -> Iterator[Part]:
    manifest, table = result["manifest"], result["table"]
    reranking = manifest["reranking"]
    yield Facts(
        rows=[
            ("budget of each run", _tell_budget(result)),
            ("seeds", ", ".join(map(str, manifest["seeds"]))),
            ("worlds", ", ".join(map(str, manifest["worlds"]))),
            ("runs", format_count(manifest["runs"])),
            ("models", format_count(manifest["models_evaluated"])),
            ("failed", format_count(manifest["failed"])),
            (
                "intervals",
                f"{100 * manifest['confidence']:g}%, {format_count(manifest['resamples'])} resamples",
            ),
            ("reranking", f"{reranking['models']} models at {reranking['factor']:g} times the examples"),
            ("cells", f"up to {table['blocks']} blocks of {', '.join(table['operations'])}"),
            ("data checksum", str(manifest["data_checksum"]) or "none"),
        ]
    )
    config = f"{folder.rstrip('/')}/compare.toml"
    yield Listing(
        caption=f"The same comparison again, in a new folder{tell_imports(settings)}:",
        text=write_command(settings, "compare", "--config", config, "--out", "NEW_FOLDER"),
    )
    text = json.dumps({"table": table["settings"], **manifest}, indent=1, ensure_ascii=False)
    listing = Listing(caption="manifest.json, and what the table was asked with", text=text)
    yield Folded(title="Manifest", parts=[listing])
