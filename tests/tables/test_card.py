from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_backends.training.recipe import DIGITS
from pnas_sim.errors import WorkError
from pnas_tables.card_facts import gather_facts
from pnas_tables.card_pictures import draw_pictures, predict_again
from pnas_tables.card_text import write_card
from pnas_tables.figures import mean_by_cell
from pnas_tables.markdown import grid
from pnas_tables.record import Table


@pytest.fixture(scope="module")
def facts(fitted: Table) -> dict[str, Any]:
    return gather_facts(fitted)


# -------------------------------------------------------------------------------------------------- the page


def test_the_card_has_every_part_and_points_at_its_pictures(
    fitted: Table, facts: dict[str, Any], tmp_path: Path
) -> None:
    pictures = draw_pictures(fitted, facts, tmp_path, fitted.name)
    assert set(pictures) == {"accuracy", "seeds", "curves", "operations", "predicted-gp"}
    text = write_card(fitted, facts, pictures, ["Images: drawn by hand."], "made-up")
    linked = re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)
    assert sorted(linked) == sorted(pictures.values()) == sorted(path.name for path in tmp_path.iterdir())
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in linked)
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "Recipe" and headings[-1] == "Known limits" and "Surrogates" in headings
    assert "in world 0 with one seed's noise" in text
    assert "Images: drawn by hand." in text and "`pnas-sim table quality made-up --surrogate NAME`" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")


def test_only_a_table_that_was_trained_here_is_to_be_trained_again(
    fitted: Table, facts: dict[str, Any]
) -> None:
    asked = (
        "training some of it again `pnas-sim table check made-up --retrain 10 --data DIR`. The surrogates'"
    )
    assert "--retrain" not in write_card(fitted, facts, {}, [], "made-up")
    trained = replace(fitted, recipe=DIGITS.model_dump(mode="json"))
    assert asked in write_card(trained, facts, {}, [], "made-up")


def test_the_card_of_a_complete_table_names_its_best_cell(fitted: Table, facts: dict[str, Any]) -> None:
    assert "It is complete" not in write_card(fitted, facts, {}, [], "made-up")
    closed = replace(fitted, closed=True)
    text = write_card(closed, gather_facts(closed), {}, [], "made-up")
    totals = np.bincount(fitted.run_cells, fitted.valid_accuracy) / np.bincount(fitted.run_cells)
    best = fitted.space.format(fitted.cells[np.argmax(totals)])
    assert f"The best cell is `{best}` by the mean of 2 trainings, {totals.max():.4f}. Seeds leave" in text
    assert "other cells are not below it beyond chance" in text
    assert "Of all cells, for the table is complete" in text


def test_the_card_says_what_of_the_best_cell_does_not_count(fitted: Table, facts: dict[str, Any]) -> None:
    best = {"cell": "x", "accuracy": 0.5, "runs": 1, "left_out": 2, "deviation": None, "as_good": None}
    text = write_card(fitted, {**facts, "closed": True, "best": best}, {}, [], "made-up")
    assert (
        "`x` by its only training, 0.5000, without 2 that it was chosen by or that did not end well." in text
    )
    assert "How sure that is is not known" in text
    assert "The best cell" not in write_card(
        fitted, {**facts, "closed": True, "best": None}, {}, [], "made-up"
    )


# ------------------------------------------------------------------------------------------------ surrogates


def list_rows(text: str) -> list[str]:
    """The first fields of the tables' rows."""
    return [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")]


def test_each_row_is_of_cells_of_one_kind(fitted: Table, facts: dict[str, Any]) -> None:
    quality = fitted.surrogates["gp"].metadata["quality"]
    few = {**quality["by_blocks"]["3"], "rmse": None, "cells": 2}
    groups = {
        "random": quality["by_group"]["random"],
        "search": {**quality["overall"], "by_blocks": {**quality["by_blocks"], "3": few}},
        "sealed": {**quality["overall"], "by_blocks": {"3": quality["by_blocks"]["3"]}},
        "other": few,
    }
    metadata = {**fitted.surrogates["gp"].metadata, "quality": {**quality, "by_group": groups}}
    stored = {"gp": replace(fitted.surrogates["gp"], metadata=metadata)}
    rows = list_rows(write_card(replace(fitted, surrogates=stored), facts, {}, [], "made-up"))
    random, found = "drawn at random, or all of a size", "found by a search"
    expected = [random, *(f"{random}; {size}" for size in ("1 block", "2 blocks", "3 blocks"))]
    expected += [found, f"{found}; 1 block", f"{found}; 2 blocks", "sealed"]
    assert rows[-9:] == [*expected, f"{random}; fitted on 50% of the cells"]


def describe_tuned(fitted: Table, facts: dict[str, Any], logit: float, normal: float) -> str:
    """The card of a table whose surrogate was tuned: these taus, and the normal scale chosen."""
    tuning = {
        "candidates": [{"scale": "normal", "kendall_tau": normal}, {"scale": "logit", "kendall_tau": logit}],
        "chosen": {"scale": "normal"},
        "nested": {"kendall_tau": 0.6, "ceiling_kendall_tau": 0.8, "cells": 55},
    }
    surrogates = {"gp": {**facts["surrogates"]["gp"], "tuning": tuning}}
    return write_card(fitted, {**facts, "surrogates": surrogates}, {}, [], "made-up")


def test_settings_are_called_the_best_only_where_they_are(fitted: Table, facts: dict[str, Any]) -> None:
    text = describe_tuned(fitted, facts, logit=0.7, normal=0.71)
    assert "(scale normal) have the highest tau of 2 by cross-validation, 0.7100." in text
    assert "tau is 0.60 of 0.80, over all 55 cells that are fitted, of every kind and size" in text
    text = describe_tuned(fitted, facts, logit=0.7335, normal=0.7315)
    assert "(scale normal) have the highest tau on their scale, 0.7315, of 2 by cross-validation." in text
    assert "The highest of all has scale logit, 0.7335: too little ahead. Another scale" in text
    assert "by more than 0.005" in text


def test_cells_that_a_surrogate_cannot_tell_apart_are_told(fitted: Table, facts: dict[str, Any]) -> None:
    assert "share all their features" not in write_card(fitted, facts, {}, [], "made-up")
    shared = {"blocks": 3, "cells": 1000, "shared": 7}
    text = write_card(fitted, {**facts, "shared_features": shared}, {}, [], "made-up")
    assert "Of 1000 distinct random cells of 3 blocks, 7 share all their features with another one" in text


# ------------------------------------------------------------------------------------------------- its words


def test_texts_of_a_file_stand_on_its_card_as_they_are(fitted: Table) -> None:
    markup = "<img src=x> ![t](https://x/y.png)"
    entry = {"machine": f"{markup} | x"}
    odd = replace(fitted, licence=markup, recipe={**fitted.recipe, "*key*": "`"}, provenance=(entry,))
    odd = replace(odd, origins=("<b>", *fitted.origins[1:]))
    text = write_card(odd, gather_facts(odd), {}, [], "made-up")
    plain = "\\<img src=x\\> \\!\\[t\\](https://x/y.png)"
    assert f"Licence {plain}. Checksum" in text and f"Trained on: {plain} | x." in text
    assert ", \\*key\\* \\`" in text and "\\<b\\> 1" in text
    assert not re.search(r"(?<!\\)<", text)


def test_fields_keep_their_bars() -> None:
    assert list(grid(["a"], [["x | y"]])) == ["| a |", "|--|", "| x \\| y |"]


def test_pictures_are_the_same_whenever_drawn(fitted: Table, facts: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    files = draw_pictures(fitted, facts, tmp_path, "mine")
    draw_pictures(fitted, facts, tmp_path / "again", "mine")
    for name in files.values():
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    with pytest.raises(WorkError, match="cannot be written"):
        draw_pictures(fitted, facts, tmp_path / "missing", "mine")


def test_medians_in_the_picture_are_of_random_cells(table: Table, tmp_path: Path) -> None:
    """The dots are the same; what a search found moves no line."""
    pictures = []
    for origin in ("uniform", "search"):
        mixed = replace(table, origins=tuple([origin] * 55 + ["uniform"] * 5))
        draw_pictures(mixed, gather_facts(mixed), tmp_path, origin)
        pictures.append((tmp_path / f"{origin}-accuracy.png").read_bytes())
    assert pictures[0] != pictures[1]


def test_a_table_with_little_in_it_has_a_card_too(table: Table, tmp_path: Path) -> None:
    once = table.seeds == 0
    columns = ("run_cells", "seeds", "status", "valid_accuracy", "test_accuracy", "seconds", "curves")
    single = replace(
        table,
        errors=tuple(np.array(table.errors, object)[once]),
        **{name: getattr(table, name)[once] for name in columns},
    )
    facts = gather_facts(single)
    pictures = draw_pictures(single, facts, tmp_path, "single")
    assert set(pictures) == {"accuracy", "curves", "operations"}
    text = write_card(single, facts, pictures, [], "single.h5")
    assert "No cell has two seeds" in text and "None is fitted" in text


def test_the_predicted_picture_is_of_cells_held_out(fitted: Table) -> None:
    sample, predicted = predict_again(fitted, "gp")
    stored = fitted.surrogates["gp"].metadata["quality"]["overall"]["rmse"]
    means = mean_by_cell(fitted, fitted.valid_accuracy)
    np.testing.assert_array_equal(sample.final, means)
    assert np.sqrt(np.mean((predicted - means) ** 2)) == pytest.approx(stored)
