from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pnas_sim.errors import RunError
from pnas_sim.report.pages.parts import Cells, Charts, Facts, Listing, Report, Table
from pnas_sim.report.pages.run import report_run


def list_parts(report: Report, kind: type) -> list[Any]:
    return [part for section in report.sections for part in section.parts if isinstance(part, kind)]


def test_a_finished_run_is_told_level_by_level(make_files: Any) -> None:
    report = report_run(make_files(), 4)
    assert report.finished
    assert report.title == "pnas on pnas, seed 3"
    assert report.notes == []
    assert report.summary.startswith("The best cell after 52 models has a validation accuracy of ")
    assert "a surrogate's guess" in report.summary
    levels, operations, costs = list_parts(report, Table)
    assert [row[0] for row in levels.rows] == ["1", "2", "3"]
    assert [row[3] for row in levels.rows] == ["36", "8", "8"]
    assert [row[0] for row in operations.rows] == ["sep3", "id", "max3", "conv1x7"]
    assert operations.heads[1:3] == ["1 block, all 36", "best 25"]
    assert [sum(row[place] for row in operations.shares) for place in (1, 2)] == pytest.approx([1, 1])
    assert [row[5] for row in costs.rows] == ["2.0 s"] * 3
    (cells,) = list_parts(report, Cells)
    assert [card.title for card in cells.cards] == [f"Rank {rank}" for rank in (1, 2, 3, 4)]
    assert all(card.text.count("|") == 2 for card in cells.cards)
    assert cells.cards[0].drawing.startswith("<svg")
    course, guesses, diagnostics = list_parts(report, Charts)
    assert [chart.title for chart in guesses.charts] == ["2 blocks: 8 cells", "3 blocks: 8 cells"]
    assert [chart.title for chart in diagnostics.charts] == ["policy entropy"]
    assert course.wide


def test_best_cells_come_in_the_order_of_their_accuracies(make_files: Any) -> None:
    (cells,) = list_parts(report_run(make_files(), 8), Cells)
    values = [float(dict(card.facts)["validation accuracy"].rstrip("%")) for card in cells.cards]
    assert values == sorted(values, reverse=True)
    assert len(values) == 8


def test_a_run_in_work_says_so_and_is_told_from_its_log(make_files: Any) -> None:
    finished, going = report_run(make_files(), 2), report_run(make_files(finished=False), 2)
    assert not going.finished
    assert "pnas-sim resume runs/pnas" in going.notes[0]
    assert list_parts(going, Table)[0].rows == list_parts(finished, Table)[0].rows
    assert ("ended because", "it has not ended") in list_parts(going, Facts)[0].rows
    assert going.summary == finished.summary


def test_a_run_that_has_answered_nothing_is_a_page_too(make_files: Any) -> None:
    files = make_files(finished=False)
    ledger = files.replayed.ledger
    none = replace(files.replayed, ledger=type(ledger)(files.replayed.models.space, 0.1, {}), guesses={})
    files = replace(files, replayed=replace(none, models=none.ledger.read_models()))
    report = report_run(files, 3)
    assert report.summary == "No model of 0 models has an accuracy yet."
    assert list_parts(report, Cells) == []


def test_without_its_log_the_result_alone_is_shown(make_files: Any) -> None:
    report = report_run(make_files(log=False), 3)
    assert "log is not in the folder" in report.notes[0]
    (cells,) = list_parts(report, Cells)
    assert [card.title for card in cells.cards] == ["Best cell"]
    assert len(list_parts(report, Table)) == 1
    with pytest.raises(RunError, match="neither"):
        report_run(make_files(log=False, finished=False), 3)


def test_what_makes_figures_doubtful_is_noted(make_files: Any) -> None:
    best = make_files().result["best"] | {"expected_valid_accuracy": None, "extrapolated": True}
    notes = " ".join(report_run(make_files(best=best, failed=2, notes=["it never learnt"]), 1).notes)
    assert "it never learnt" in notes
    assert "biased upwards" in notes
    assert "outside what the table's surrogate was fitted on" in notes
    assert "2 models failed" in notes


def test_no_best_cell_and_unknown_words_are_no_obstacle(make_files: Any) -> None:
    report = report_run(make_files(log=False, best=None, stopped="odd", source=None), 1)
    assert report.summary == "No model of 52 models has an accuracy yet."
    assert ("ended because", "odd") in list_parts(report, Facts)[0].rows


def test_the_command_repeats_the_run_whatever_its_folder_is_called(make_files: Any) -> None:
    files = replace(make_files(), folder="my runs/it's/")
    command, settings = list_parts(report_run(files, 1), Listing)
    assert command.text == """pnas-sim run --config 'my runs/it'"'"'s/run.toml' --out NEW_FOLDER"""
    assert settings.text == 'search = "pnas"'
    (only,) = list_parts(report_run(replace(files, settings_text=""), 1), Listing)
    assert only.text == command.text
