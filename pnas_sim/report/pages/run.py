"""The report of a run: what it found, level by level, what it cost, and how to repeat it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from pnas_sim.errors import RunError
from pnas_sim.evaluate import Evaluation, Status
from pnas_sim.own_parts import tell_imports, write_command
from pnas_sim.report.pages.charts import COLOURS, Axis, Line, draw_dots, draw_lines
from pnas_sim.report.pages.parts import (
    CellCard,
    Cells,
    Chart,
    Charts,
    Facts,
    Legend,
    Listing,
    Part,
    Report,
    Section,
    Table,
    Words,
)
from pnas_sim.report.pages.run_models import Replayed, count_operations, follow_best, rank_models
from pnas_sim.report.pages.scales import Scale, span
from pnas_sim.report.picture import picture_cell
from pnas_sim.report.summary import CLOCKS, STOPS
from pnas_sim.report.text import (
    UNKNOWN,
    format_accuracy,
    format_correlation,
    format_count,
    format_duration,
    format_large,
)
from pnas_sim.space import Cell, CellSpace, name_size

TOP = 25  # cells whose operations are shown beside all
SOURCES = {
    "trained": "trained here",
    "measured": "looked up among trained cells",
    "predicted": "a surrogate's guess",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """What a run's folder holds.

    Attributes:
        folder: as it was named.
        record: `run.toml`, read; empty if it is not there.
        settings_text: the same as it stands.
        result: `result.json`; None: the run has not finished.
        replayed: its log; None if that is not there.
    """

    folder: str
    record: Mapping[str, Any]
    settings_text: str
    result: Mapping[str, Any] | None
    replayed: Replayed | None


def report_run(files: RunFiles, drawn: int) -> Report:
    """Everything about a run.

    Args:
        files: of the run; a result or a log at least.
        drawn: cells to draw, the best ones.

    Raises:
        RunError: there is neither.
    """
    result = files.result
    if result is None:
        if files.replayed is None:
            raise RunError(f"{files.folder} holds neither a run's result nor its log; name another folder")
        result = _make_result(files.record["settings"], files.replayed)
    sections = [
        Section(title="What it found", parts=list(_show_best(files, result, drawn))),
        Section(title="Level by level", parts=list(_show_levels(files, result))),
        Section(title="What it cost", parts=list(_show_cost(files, result))),
        Section(title="How to repeat it", parts=list(_show_settings(files))),
    ]
    return Report(
        kind="run",
        title=f"{result['search']} on {result['backend']}, seed {result['seed']}",
        folder=files.folder,
        summary=_sum_up(result),
        notes=list(_list_notes(files, result)),
        sections=sections,
        finished=files.result is not None,
    )


def _make_result(settings: Mapping[str, Any], replayed: Replayed) -> dict[str, Any]:
    """What `result.json` would say of a run that has not ended, as far as settings and log tell."""
    found, places = replayed.sum_up(), rank_models(replayed.models)
    best = replayed.models[int(places[0])] if len(places) else None
    return {
        "search": settings["search"],
        "backend": settings["backend"],
        "seed": settings["seed"],
        "source": str(replayed.models[0].source) if len(replayed.models) else None,
        "models_evaluated": found.models_evaluated,
        "proposals": found.proposals,
        "repeats": found.repeats,
        "failed": found.failed,
        "examples": found.examples,
        "seconds": None,
        "child_seconds": found.child_seconds,
        "stopped": None,
        "levels": [asdict(level) for level in found.levels],
        "best": None if best is None else _describe(best),
    }


def _describe(model: Evaluation) -> dict[str, Any]:
    names = (
        "cell",
        "valid_accuracy",
        "expected_valid_accuracy",
        "test_accuracy",
        "parameters",
        "multiply_adds",
    )
    return {name: getattr(model, name) for name in names}


def _sum_up(result: Mapping[str, Any]) -> str:
    best = result["best"]
    models = f"{format_count(result['models_evaluated'])} models"
    if best is None:
        return f"No model of {models} has an accuracy yet."
    free = best["expected_valid_accuracy"]
    expected = "" if format_accuracy(free) == UNKNOWN else f", {format_accuracy(free)} free of seed noise"
    return (
        f"The best cell after {models} has a validation accuracy of {format_accuracy(best['valid_accuracy'])}"
        f"{expected}; accuracies are {SOURCES.get(result['source'], 'of an unknown source')}."
    )


def _list_notes(files: RunFiles, result: Mapping[str, Any]) -> Iterator[str]:
    if files.result is None:
        settings = files.record.get("settings")
        remedy = write_command(settings, "resume", files.folder)
        yield f"The run can be gone on with{tell_imports(settings)}: {remedy}"
    if files.replayed is None:
        yield "The run's log is not in the folder: predictions, operations and the course are left out."
    yield from result.get("notes", [])  # runs of earlier versions have none
    best = result["best"]
    if best is not None and format_accuracy(best["expected_valid_accuracy"]) == UNKNOWN:
        yield "The best of many noisy accuracies is biased upwards, and no noise-free value is known here."
    if best is not None and best.get("extrapolated"):
        yield "The best cell lies outside what the table's surrogate was fitted on."
    if result["failed"]:
        yield f"{format_count(result['failed'])} models failed and have no accuracy."
    diverged = _count_diverged(files)
    if diverged:
        yield f"{format_count(diverged)} models diverged: pictures leave them out, tables count chance."


def _count_diverged(files: RunFiles) -> int:
    if files.replayed is None:
        return 0
    return int((files.replayed.models.figures["status"] == Status.DIVERGED).sum())


def _show_best(files: RunFiles, result: Mapping[str, Any], drawn: int) -> Iterator[Part]:
    if files.replayed is None:
        if result["best"] is not None:
            operations = result["space"]["operations"]
            yield Cells(cards=[_make_card("Best cell", result["best"], operations)])
        return
    models = files.replayed.models
    places = rank_models(models)[:drawn]
    if len(places) == 0:
        yield Words(text="No cell has an accuracy yet.")
        return
    yield Words(text=_explain_cells(len(places)))
    operations = models.space.operations
    answers = [_describe(models[int(place)]) for place in places]
    yield Cells(cards=[_make_card(f"Rank {rank}", one, operations) for rank, one in enumerate(answers, 1)])
    yield _draw_course(files.replayed)


def _explain_cells(count: int) -> str:
    best = "The best cell" if count == 1 else f"The best {count} cells"
    return (
        f"{best} by validation accuracy: of the last level where the search grew cells level by level, else "
        "of all visited. Inputs are below, operations in boxes, sums in circles."
    )


def _make_card(title: str, known: Mapping[str, Any], operations: Sequence[str]) -> CellCard:
    space_cell = _parse(known["cell"], operations)
    return CellCard(
        title=title,
        text=known["cell"],
        drawing=Markup(picture_cell(space_cell)),
        facts=[(name, value) for name, value in _list_figures(known) if value != UNKNOWN],
    )


def _list_figures(known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "validation accuracy", format_accuracy(known["valid_accuracy"])
    yield "free of seed noise", format_accuracy(known["expected_valid_accuracy"])
    yield "test accuracy", format_accuracy(known["test_accuracy"])
    yield "parameters", format_large(known.get("parameters"))
    yield "multiply-adds", format_large(known.get("multiply_adds"))


def _parse(text: str, operations: Sequence[str]) -> Cell:
    return Cell.parse(text, CellSpace(tuple(operations), text.count("|") + 1))


def _draw_course(replayed: Replayed) -> Charts:
    figures = replayed.models.figures
    fields = [
        ("valid_accuracy", "as observed", 0),
        ("expected_valid_accuracy", "the same cell, free of seed noise", COLOURS + 1),  # dashed
    ]
    lines, legend = [], []
    for name, label, style in fields:
        at, values = follow_best(figures, name)
        if np.isfinite(values).any():
            lines.append(Line(at=at, values=[100 * value for value in values], style=style, steps=True))
            legend.append(Legend(label=label, style=style))
    heights = [value for line in lines for value in line.values]
    title = "Best cell so far"
    y = Axis(label="validation accuracy, %", scale=span(heights))
    drawing = draw_lines(title, lines, Axis(label="models evaluated", scale=Scale(0, len(figures))), y)
    return Charts(
        charts=[Chart(title=title, drawing=drawing)],
        caption="The best cell of any size by observed validation accuracy, as models were evaluated.",
        legend=legend,
        wide=True,
    )


def _show_levels(files: RunFiles, result: Mapping[str, Any]) -> Iterator[Part]:
    heads = ("blocks", "rows scored", "unique cells", "models", "best", "top 5", "top 25", "rank correlation")
    yield Table(
        caption="Each level: best accuracy, means of the best 5 and 25, Spearman of prediction and answer.",
        heads=heads,
        rows=[
            (
                str(level["blocks"]),
                *(format_count(level[name]) for name in ("candidates", "unique", "evaluated")),
                *(format_accuracy(level[f"{name}_valid_accuracy"]) for name in ("best", "top5", "top25")),
                format_correlation(level["rank_correlation"]),
            )
            for level in result["levels"]
        ],
    )
    if files.replayed is not None and len(files.replayed.models):
        if files.replayed.guesses:
            yield _draw_guesses(files.replayed)
        yield _tabulate_operations(files.replayed)


def _draw_guesses(replayed: Replayed) -> Charts:
    charts = []
    for level, guesses in replayed.guesses.items():
        dots = list(zip((100 * guesses.predicted).tolist(), (100 * guesses.answered).tolist(), strict=True))
        title = f"{name_size(level)}: {format_count(len(dots))} cells"
        x = Axis(label="predicted accuracy, %", scale=span([dot[0] for dot in dots]))
        y = Axis(label="answered accuracy, %", scale=span([dot[1] for dot in dots]))
        charts.append(Chart(title=title, drawing=draw_dots(title, dots, x, y)))
    return Charts(
        charts=charts,
        caption="Predicted before the answers were known, against answered; on the dashed line both are "
        "equal. Only the cells chosen are here: they are alike, so their rank correlation is lower than that "
        "of a random set.",
    )


def _tabulate_operations(replayed: Replayed) -> Table:
    models = replayed.models
    levels = np.unique(models.figures["blocks"]).tolist()
    columns, heads = [], ["operation"]
    for level in levels:
        places = np.flatnonzero(models.figures["blocks"] == level)
        values = models.figures["valid_accuracy"][places]
        best = places[np.argsort(-np.where(np.isfinite(values), values, -np.inf), kind="stable")][:TOP]
        columns += [count_operations(models, places), count_operations(models, best)]
        heads += [f"{name_size(level)}, all {len(places):,}", f"best {len(best)}"]
    shares = np.array(columns).T
    return Table(
        caption="Operations chosen: share among halves of blocks, of all cells evaluated and of the best.",
        heads=heads,
        rows=[
            (name, *(f"{share:.0%}" for share in row))
            for name, row in zip(models.space.operations, shares, strict=True)
        ],
        shares=[(None, *row.tolist()) for row in shares],
    )


def _show_cost(files: RunFiles, result: Mapping[str, Any]) -> Iterator[Part]:
    kind = CLOCKS.get(result["source"], "real")
    stopped = result["stopped"]
    rows = [
        ("models evaluated", format_count(result["models_evaluated"])),
        ("proposals", format_count(result["proposals"])),
        ("repeats, which cost nothing", format_count(result["repeats"])),
        ("failed", format_count(result["failed"])),
        ("training examples", format_large(result["examples"]) if result["examples"] else "unknown"),
        (
            f"time of children, {kind}",
            format_duration(result["child_seconds"]) if result["child_seconds"] else "unknown",
        ),
        ("time of the search itself", format_duration(result["seconds"])),
        ("ended because", "it has not ended" if stopped is None else STOPS.get(stopped, str(stopped))),
    ]
    yield Facts(rows=rows)
    if files.replayed is not None and len(files.replayed.models):
        yield _tabulate_costs(files.replayed)
    yield from _draw_diagnostics(result.get("diagnostics") or {})


def _tabulate_costs(replayed: Replayed) -> Table:
    figures = replayed.models.figures
    rows = []
    for level in np.unique(figures["blocks"]).tolist():
        mine = figures[figures["blocks"] == level]
        failed = int((mine["status"] == Status.FAILED).sum())
        amounts = [format_large(float(mine["examples"].sum())), format_duration(float(mine["seconds"].sum()))]
        each = format_duration(float(mine["seconds"].mean()))
        rows.append((str(level), format_count(len(mine)), format_count(failed), *amounts, each))
    heads = ("blocks", "models", "failed", "examples", "time of children", "time of each")
    return Table(caption="Cost by level.", heads=heads, rows=rows)


def _draw_diagnostics(course: Mapping[str, Any]) -> Iterator[Charts]:
    """What a search says of its own course, a chart for each figure."""
    every = course.get("every", 1)
    charts = []
    for name, values in course.items():
        if name != "every" and values:
            known = [float("nan") if value is None else float(value) for value in values]
            at = [every * (place + 1) for place in range(len(known))]
            title = name.replace("_", " ")
            x, y = Axis(label="batches", scale=Scale(0, at[-1])), Axis(label=title, scale=span(known))
            drawing = draw_lines(title, [Line(at=at, values=known, style=0)], x, y)
            charts.append(Chart(title=title, drawing=drawing))
    if charts:
        yield Charts(charts=charts, caption="What the search says of its own course.")


def _show_settings(files: RunFiles) -> Iterator[Part]:
    settings, config = files.record.get("settings"), f"{files.folder.rstrip('/')}/run.toml"
    yield Listing(
        caption=f"The same run again, in a new folder{tell_imports(settings)}:",
        text=write_command(settings, "run", "--config", config, "--out", "NEW_FOLDER"),
    )
    if files.settings_text:
        yield Listing(
            caption="run.toml: settings, data, versions and machine. The same end is promised for the same "
            "versions and number of threads.",
            text=files.settings_text.rstrip("\n"),
        )
    else:
        yield Words(text="The folder has no run.toml; its settings are not known.")
