from __future__ import annotations

from typing import Any

from pnas_sim.report.pages.page import render_page
from pnas_sim.report.pages.parts import Charts, Facts, Report, Table
from pnas_sim.report.pages.verification import report_verification
from pnas_sim.space import CellSpace

HOSTILE = "<script>&\"'"
SPACE = CellSpace(max_blocks=1)
TEXTS = SPACE.format_many(SPACE.initial()[:6])
ESTIMATE = {"value": 0.5, "low": 0.1, "high": 0.9}


def make_cell(place: int, trained: float | None) -> dict[str, Any]:
    return {
        "cell": TEXTS[place],
        "group": HOSTILE if place < 3 else "spread",
        "rank": place % 3 + 1,
        "blocks": 1,
        "world": 0,
        "run": "w0-s0",
        "trained_before": place == 5,
        "observed": 0.71 - 0.01 * place,
        "expected": None,
        "predicted": 0.70 - 0.01 * place,
        "trained": trained,
        "deviation": 0.001,
        "by_seed": [trained, None],
    }


def make_result(**changed: Any) -> dict[str, Any]:
    """As `pnas_sim.study.verification` describes it: six cells, one of which failed."""
    known = {"cells": 6, "kendall_tau": ESTIMATE, "spearman": ESTIMATE, "bias": ESTIMATE, "rmse": 0.02}
    few = {"cells": 3, "kendall_tau": None, "spearman": None, "bias": ESTIMATE | {"low": None}, "rmse": 0.01}
    parts = {"all": known, "top": few, "spread": few, HOSTILE: few, "empty": None}
    return {
        "kind": "verification",
        "schema": 1,
        "folders": [HOSTILE],
        "table": HOSTILE,
        "table_checksum": "abc",
        "surrogate": "gp",
        "out": "here",
        "recipe": {"epochs": 1},
        "same_recipe": True,
        "epochs": 1.0,
        "seeds": [0, 1],
        "confidence": 0.95,
        "resamples": 50,
        "all_untrained_before": False,
        "left_out_as_trained": 2,
        "cells": [make_cell(place, 0.69 - 0.01 * place if place else None) for place in range(6)],
        "agreement": {"predicted": parts, "expected": {"all": None}, "observed": parts},
        "regret": {HOSTILE: ESTIMATE, "other": None},
        "winners": {HOSTILE: TEXTS[0]},
        "seed_deviation": 0.005,
        "verdict": "the surrogate orders cells as training does",
        "believed": "order only",
        "notes": [HOSTILE],
        **changed,
    }


def list_tables(report: Report) -> list[Table]:
    return [part for section in report.sections for part in section.parts if isinstance(part, Table)]


def test_what_was_predicted_stands_against_what_was_trained() -> None:
    report = report_verification("here", make_result())
    assert report.summary == "The surrogate orders cells as training does."
    charts = report.sections[0].parts[0]
    assert isinstance(charts, Charts)
    assert [chart.title.split()[0] for chart in charts.charts] == ["Predicted", "Observed"]
    assert [chart.drawing.count("h0") for chart in charts.charts] == [5, 5]
    predicted, observed, regret, cells = list_tables(report)
    assert predicted.rows[0] == (
        "all",
        "6",
        "0.50 (0.10 to 0.90)",
        "0.50 (0.10 to 0.90)",
        "+50.00 (+10.00 to +90.00)",
        "2.00",
    )
    assert predicted.rows[1] == ("top", "3", "-", "-", "+50.00", "1.00")
    assert [row[0] for row in observed.rows] == ["all", "top", "spread", HOSTILE]
    assert [row[1:] for row in regret.rows] == [("+50.00 (+10.00 to +90.00)", TEXTS[0]), ("-", "-")]
    assert [row[-1] for row in cells.rows] == TEXTS
    assert cells.rows[1][6:9] == ("68.00%", "68.00% -", "no")


def test_what_is_unknown_is_said() -> None:
    report = report_verification("here", make_result(seed_deviation=None, same_recipe=False, believed="odd"))
    (facts,) = [part for part in report.sections[-1].parts if isinstance(part, Facts)]
    told = dict(facts.rows)
    assert (told["deviation of a seed, points"], told["believed"]) == ("-", "odd")
    assert told["recipe"] == "another than the table's"


def test_names_are_escaped() -> None:
    page = render_page([report_verification("here", make_result())])
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 5
