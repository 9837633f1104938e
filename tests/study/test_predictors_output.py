from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from pnas_sim.cli.output import strict
from pnas_sim.predict import describe_predictor
from pnas_sim.report.predictors_markdown import (
    format_figure,
    format_markdown,
    format_number,
    tabulate_searches,
)
from pnas_sim.report.predictors_pictures import render_scatters
from pnas_sim.space import CellSpace
from pnas_sim.study.predictors import Study, StudySettings, run_study
from pnas_sim.study.predictors_output import describe_study, format_csv
from pnas_sim.study.predictors_pools import SURROGATE, pool_answers
from pnas_sim.study.predictors_search import SearchRow

SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)
NAMES = ("ridge", "forest")


@pytest.fixture
def study(made_up_bulk, tmp_path: Path) -> tuple[Study, StudySettings]:
    pools = pool_answers(made_up_bulk(SPACE), 60, 1.0, seed=0, largest=3)
    settings = StudySettings(
        predictors=NAMES,
        options={"forest": {"trees": 3}},
        fitted={SURROGATE: (20,)},
        trials=2,
        resamples=20,
    )
    found = run_study([pools], [], settings, tmp_path / "parts", lambda *told: None)
    for seed in (0, 1):
        row = SearchRow(
            predictor="forest",
            seed=seed,
            blocks=2,
            pool=1_500,
            beam=10,
            rank_correlation=0.5 + 0.1 * seed,
            rank_correlation_noise_free=float("nan"),
            recall=0.2,
            recall_noise_free=0.4,
            by_chance=10 / 1_500,
        )
        found.searches.append(row)
    return found, settings


@pytest.fixture
def result(study) -> dict:
    infos = [describe_predictor(name) for name in NAMES]
    return strict(
        describe_study(
            *study,
            infos,
            {"table": {"name": "made-up", "checksum": "0123456789abcdef"}, "left_out": {"trained": 3}},
            "lightgbm-1",
        )
    )


def test_json_says_what_is_circular(result) -> None:
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["kind"], result["schema"]) == ("predictors", 1)
    assert {row["predictor"]: row["circular"] for row in result["rows"]} == {"ridge": False, "forest": True}
    shares = {one["name"]: one["shares_surrogate_family"] for one in result["predictors"]}
    assert shares == {"ridge": False, "forest": True}


def test_csv_holds_every_row(result) -> None:
    rows = list(csv.DictReader(io.StringIO(format_csv(result))))
    assert len(rows) == len(result["rows"])
    assert {"spearman", "spearman_low", "kendall_tau", "top5_precision", "difference", "paper"} <= set(
        rows[0]
    )
    for read, row in zip(rows, result["rows"], strict=True):
        assert read["predictor"] == row["predictor"]
        known = row["spearman_pooled"]
        assert read["spearman_pooled"] == ("" if known is None else str(known))
    assert format_csv({"rows": []}) == ""


def test_markdown_has_a_table_for_each_set(result) -> None:
    text = format_markdown(result)
    assert text.startswith("# How well predictors rank cells\n\nTable made-up, checksum 0123456789ab;")
    assert "Left out: 3 cells" in text
    for words in ("20 cells answered by the surrogate", "one block larger", "same size", "cells fitted"):
        assert words in text
    assert "| forest* |" in text and "| ridge |" in text
    assert "circular" in text and "nan" not in text.lower()
    assert "1 block (n = 20)" in text and "3 blocks (n = 60)" in text
    widths = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    blocks = [block for block in text.split("\n\n") if block.startswith("|")]
    assert all(len({line.count("|") for line in block.splitlines()}) == 1 for block in blocks) and widths


def test_tables_of_trained_cells_mark_what_shares_the_surrogates_family(result) -> None:
    trained = {**result, "rows": [{**row, "source": "trained", "circular": False} for row in result["rows"]]}
    text = format_markdown({**trained, "searches": []})
    assert "| forest* |" in text and "| ridge |" in text
    assert "* shares the surrogate's family: where the surrogate answers, its figures are circular." in text


def test_sizes_that_have_fewer_cells_than_were_to_be_fitted_are_named(result) -> None:
    rows = [{**row, "fitted_sets": row["trials"]} for row in result["rows"]]
    assert "no more" not in format_markdown({**result, "rows": rows})
    same = [{**row, "fitted_sets": 1 if row["blocks"] < 2 else row["fitted_sets"]} for row in rows]
    text = format_markdown({**result, "rows": same})
    assert "is fitted on whole, by every trial: 20 of 1 block. There intervals" in text


def test_searches_are_averaged_over_seeds(result) -> None:
    heads, lines = tabulate_searches(result["searches"])
    assert lines == [["forest*", "2", "2", "1,500", "10", ".55", "-", ".20", ".40", "0.007"]]
    assert len(heads) == len(lines[0])


def test_figures_as_people_read_them() -> None:
    assert [format_number(v) for v in (0.5, -0.25, 1.0, 0.0, -0.001, None, np.nan)] == [
        ".50",
        "-.25",
        "1.00",
        ".00",
        ".00",
        "-",
        "-",
    ]
    row = {"a": 0.5, "a_low": 0.41, "a_high": 0.6, "b": 0.5, "b_low": None, "b_high": None}
    assert (format_figure(row, "a"), format_figure(row, "b"), format_figure(row, "c")) == (
        ".50 [.41, .60]",
        ".50",
        "-",
    )


def test_negative_intervals_are_shown_whole() -> None:
    row = {"a": -0.5, "a_low": -0.61, "a_high": -0.4}
    assert format_figure(row, "a") == "-.50 [-.61, -.40]"


def test_pictures_are_drawn_for_each_predictor(study) -> None:
    pictures = dict(render_scatters(study[0]))
    assert list(pictures) == ["scatter-surrogate-20-ridge.png", "scatter-surrogate-20-forest.png"]
    assert all(content.startswith(b"\x89PNG") for content in pictures.values())
