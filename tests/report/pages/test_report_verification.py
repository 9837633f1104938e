from __future__ import annotations

from typing import Any

from pnas_sim.report.pages.page import render_page
from pnas_sim.report.pages.parts import Charts, Facts, Report, Table
from pnas_sim.report.pages.verification import report_verification

HOSTILE = "<script>&\"'"


def list_tables(report: Report) -> list[Table]:
    return [part for section in report.sections for part in section.parts if isinstance(part, Table)]


def test_what_was_predicted_stands_against_what_was_trained(make_verification: Any) -> None:
    result = make_verification(HOSTILE)
    report = report_verification("here", result)
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
    texts = [cell["cell"] for cell in result["cells"]]
    assert [row[1:] for row in regret.rows] == [("+50.00 (+10.00 to +90.00)", texts[0]), ("-", "-")]
    assert [row[-1] for row in cells.rows] == texts
    assert cells.rows[1][6:9] == ("68.00%", "68.00% -", "no")


def test_what_is_unknown_is_said(make_verification: Any) -> None:
    result = make_verification(seed_deviation=None, same_recipe=False, believed="odd")
    report = report_verification("here", result)
    (facts,) = [part for part in report.sections[-1].parts if isinstance(part, Facts)]
    told = dict(facts.rows)
    assert (told["deviation of a seed, points"], told["believed"]) == ("-", "odd")
    assert told["recipe"] == "another than the table's"


def test_names_are_escaped(make_verification: Any) -> None:
    page = render_page([report_verification("here", make_verification(HOSTILE))])
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 5
