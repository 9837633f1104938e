from __future__ import annotations

import math
import re
from typing import Any

import pytest

from pnas_sim.report.comparison_plots import draw_comparison, find_floor
from pnas_sim.report.comparison_sheets import list_topics
from pnas_sim.report.pages.comparison import report_comparison
from pnas_sim.report.pages.parts import Charts, Facts, Folded, Listing, Report, Table


def list_parts(report: Report, kind: type) -> list[Any]:
    return [part for section in report.sections for part in section.parts if isinstance(part, kind)]


def test_every_table_of_the_document_is_on_the_page(make_comparison: Any) -> None:
    result = make_comparison()
    report = report_comparison("here", result)
    tables = list_parts(report, Table)
    sheets = [topic.sheet for topic in list_topics(result)]
    assert [(table.heads, table.rows) for table in tables] == [(one.heads, one.rows) for one in sheets]
    assert all(len(row) == len(table.heads) for table in tables for row in table.rows)
    labels = {search["label"] for search in result["searches"]}
    assert {row[0] for row in tables[0].rows} == labels - {"pnas"}
    captions = " ".join(table.caption for table in tables)
    for words in ("observed, paper counting", "expected, symmetrical counting"):
        assert words in captions


def test_sections_are_one_for_each_reference_and_one_for_each_other_table(make_comparison: Any) -> None:
    titles = [section.title for section in report_comparison("here", make_comparison()).sections]
    assert titles[:3] == ["Curves", "Speed-ups", "Against pnas"]
    assert titles[-2:] == ["What was run", "How to repeat it"]
    assert len(titles) == len(set(titles))


def test_a_table_is_put_where_it_belongs_whatever_searches_are_called(make_comparison: Any) -> None:
    result = make_comparison()
    plain = [section.title for section in report_comparison("here", result).sections]
    for row in (*result["efficiency"], *result["log_efficiency"]):
        row["reference"] = "best"  # as in the heading "The best known of each world"
    result["references"] = ["best"]
    result["searches"][0]["label"] = "best"
    sections = report_comparison("here", result).sections
    assert [section.title for section in sections] == [title.replace("pnas", "best") for title in plain]


def test_curves_are_shown_for_every_axis_and_top_and_folded_for_other_views(make_comparison: Any) -> None:
    result = make_comparison()
    curves = report_comparison("here", result).sections[0].parts
    assert isinstance(curves[0], Charts)
    assert [chart.title for chart in curves[0].charts][:3] == [
        "Best cell, by models",
        "Mean of the top 15, by models",
        "Best cell, by proposals",
    ]
    assert len(curves[0].charts) == 6
    assert [entry.label for entry in curves[0].legend] == [one["label"] for one in result["searches"]]
    assert [type(part) for part in curves[1:]] == [Folded, Folded]
    assert all(chart.drawing.count('class="line') == 3 for chart in curves[0].charts)
    assert all(chart.drawing.count('class="band') == 3 for chart in curves[0].charts)


def test_a_curve_that_falls_at_its_end_stays_within_the_frame(
    make_comparison: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = make_comparison()
    for curve in result["searches"][0]["curves"]:
        curve["mean"][-1] = 0.3  # below its height at a tenth of its way
    lows: list[float] = []

    def keep(title: str, lines: Any, x: Any, y: Any) -> str:
        lows.append(y.scale.low)
        return ""

    monkeypatch.setattr("pnas_sim.report.pages.comparison.draw_lines", keep)
    report_comparison("here", result)
    assert len(lows) == 18 and max(lows) < 30
    for name, figure in draw_comparison(result):
        if name.startswith("curves"):
            assert max(panel.get_ylim()[0] for panel in figure.axes) < 30


def test_the_floor_of_a_curve_is_the_lowest_after_its_first_tenth() -> None:
    assert find_floor([1, 5, 10, 50, 100], [10, 20, 60, 70, 50]) == 50
    assert find_floor([1, 5, 10, 50, 100], [10, 20, 30, 70, math.nan]) == 30
    assert math.isnan(find_floor([1], [math.nan]))


def test_what_was_not_reached_is_an_arrow_and_never_a_dot(make_comparison: Any) -> None:
    result = make_comparison()
    (charts,) = report_comparison("here", result).sections[1].parts
    assert isinstance(charts, Charts)
    rows = [row for row in result["efficiency"] if (row["counting"], row["kind"]) == ("paper", "expected")]
    for chart, top in zip(charts.charts, result["tops"], strict=True):
        mine = [row["speed_up_models"] for row in rows if row["top"] == top]
        missed = [figure for figure in mine if figure["value"] is None]
        dots = len(re.findall("<circle", chart.drawing))
        assert dots <= len(mine) - len(missed)
        assert len(re.findall(r"<path class=.dot", chart.drawing)) >= len(missed)


def test_the_summary_says_who_gets_as_high(make_comparison: Any) -> None:
    result = make_comparison()
    text = report_comparison("here", result).summary
    assert "18 runs of up to 6,000 models each: 3 seeds in 2 worlds." in text
    assert "no other search gets as high" in text
    for row in result["efficiency"]:
        if row["search"] == "random":
            row["models_needed"] = {"value": 50.0, "low": None, "high": None, "reached": None, "bound": 60.0}
    assert (
        "models to get as high, as the paper counts: random 50; 1 other never within the budget"
        in report_comparison("", result).summary
    )


def test_one_run_has_no_bands_and_says_so(make_comparison: Any) -> None:
    report = report_comparison("here", make_comparison((0,), (0,)))
    (curves,) = [part for part in report.sections[0].parts if isinstance(part, Charts)]
    assert "one run each, so no bands" in curves.caption
    assert all('class="band' not in chart.drawing for chart in curves.charts)
    assert any("no intervals" in note for note in report.notes)


def test_manifest_and_command_repeat_it(make_comparison: Any) -> None:
    report = report_comparison("my runs/one", make_comparison())
    (command,) = list_parts(report, Listing)
    assert command.text == "pnas-sim compare --config 'my runs/one/compare.toml' --out NEW_FOLDER"
    assert command.caption == "The same comparison again, in a new folder:"
    settings = {"searches": {"pnas": {"search": "mine:search"}}}
    (trusted,) = list_parts(report_comparison("one", make_comparison(), settings), Listing)
    assert trusted.text == "pnas-sim compare --trust --config one/compare.toml --out NEW_FOLDER"
    assert trusted.caption == "The same comparison again, in a new folder (it imports mine:search):"
    (facts,) = list_parts(report, Facts)
    assert dict(facts.rows)["data checksum"] == "abc"
    folded = list_parts(report, Folded)[-1]
    assert '"fingerprints"' in folded.parts[0].text


def test_a_damaged_result_is_not_taken_for_a_whole_one(make_comparison: Any) -> None:
    result = make_comparison()
    del result["efficiency"][0]["models_needed"]
    with pytest.raises(KeyError):
        report_comparison("here", result)
