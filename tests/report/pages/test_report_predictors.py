from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from pnas_sim.report.pages.parts import Charts, Folded, Listing, Photographs, Report, Table, Words
from pnas_sim.report.pages.predictors import PNG, report_predictors


def list_parts(report: Report, kind: type) -> list[Any]:
    return [part for section in report.sections for part in section.parts if isinstance(part, kind)]


def test_a_study_is_told_for_each_source_with_the_papers_figures(make_study: Any, tmp_path: Path) -> None:
    report = report_predictors(tmp_path, make_study())
    assert [section.title for section in report.sections] == [
        "Fitted on 20 really trained cells",
        "Fitted on 20 cells answered by the surrogate",
        "Noise ceilings",
        "Inside searches",
        "How to repeat it",
    ]
    charts = report.sections[0].parts[0]
    assert isinstance(charts, Charts)
    assert [chart.title for chart in charts.charts] == ["From 1 block to 2", "From 2 blocks to 3"]
    assert charts.charts[0].drawing.count('class="mark"') == 1
    assert charts.charts[0].drawing.count("<circle") == 2
    tables = list_parts(report, Table)
    assert "paper" in tables[0].heads
    assert [row[0] for row in tables[0].rows] == ["mlp", "gbt*"]


def test_the_best_and_the_circular_are_told(make_study: Any, tmp_path: Path) -> None:
    report = report_predictors(tmp_path, make_study())
    assert "gbt* has the highest mean Spearman correlation: 0.50" in report.summary
    assert any("circular" in note for note in report.notes)
    result = make_study()
    result["rows"] = [row for row in result["rows"] if row["blocks"]]
    assert report_predictors(tmp_path, result).summary == "1 predictor, 2 trials of each fit."


def test_fewer_cells_than_were_asked_for_are_told(make_study: Any, tmp_path: Path) -> None:
    study = make_study()
    for row in study["rows"]:
        row["fitted"] = 1_000_000
        if row["source"] == "trained" and row["blocks"]:
            row |= {"fitted_cells": 50 * row["blocks"], "fitted_sets": 1}
    report = report_predictors(tmp_path, study)
    told = "50 to 100 really trained cells (1000000 asked for)"
    assert report.sections[0].title == f"Fitted on {told}"
    assert told in report.summary
    words = next(part.text for part in report.sections[0].parts if isinstance(part, Words))
    assert "fitted on whole, by every trial: 50 of 1 block, 100 of 2 blocks" in words
    assert not any(
        isinstance(part, Words) for part in report_predictors(tmp_path, make_study()).sections[0].parts
    )


def test_scatter_pictures_are_put_inside_and_other_files_are_not(make_study: Any, tmp_path: Path) -> None:
    (tmp_path / "scatter-trained-20-mlp.png").write_bytes(PNG + b"data")
    (tmp_path / "scatter-trained-20-fake.png").write_bytes(b"<script>")
    (tmp_path / "scatter-surrogate-30-mlp.png").write_bytes(PNG)
    report = report_predictors(tmp_path, make_study())
    folded = [part for part in list_parts(report, Folded) if part.title == "Scatter plots"]
    assert len(folded) == 1
    (photographs,) = folded[0].parts
    assert isinstance(photographs, Photographs)
    (picture,) = photographs.pictures
    assert picture.data == "data:image/png;base64,iVBORw0KGgpkYXRh"
    assert picture.title.startswith("mlp, fitted on 20 really trained cells")


def test_the_command_names_what_was_studied(make_study: Any, tmp_path: Path) -> None:
    (listing,) = list_parts(report_predictors(tmp_path, make_study("odd name")), Listing)
    assert listing.text.startswith("pnas-sim predictors --predictors 'odd name' --trials 2 --search-seeds 0")
    assert listing.text.endswith("--table 'odd name'")


def test_names_of_options_are_quoted_as_values_are(make_study: Any, tmp_path: Path) -> None:
    study = {**make_study("odd"), "command_options": {"trials 1; touch mine #": "2"}}
    (listing,) = list_parts(report_predictors(tmp_path, study), Listing)
    assert shlex.split(listing.text)[2:4] == ["--trials 1; touch mine #", "2"]
