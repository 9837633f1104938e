from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.errors import WorkError
from pnas_tables.card_facts import count_among_best, find_seed_pairs, gather_facts
from pnas_tables.card_limits import list_limits
from pnas_tables.card_pictures import draw_pictures, predict_again
from pnas_tables.card_text import write_card
from pnas_tables.figures import mean_by_cell
from pnas_tables.markdown import grid
from pnas_tables.record import Table
from pnas_tables.sample import find_group, gather_sample
from pnas_tables.surrogate import FitSettings, fit_surrogate
from pnas_tables.testing import NOISE


@pytest.fixture(scope="module")
def fitted(table: Table) -> Table:
    return fit_surrogate(table, settings=FitSettings(worlds=2, shares=(0.5,)), family="gp")


@pytest.fixture(scope="module")
def facts(fitted: Table) -> dict[str, Any]:
    return gather_facts(fitted)


# ----------------------------------------------------------------------------------------------------- facts


def test_facts_are_json_and_count_every_cell(facts: dict[str, Any], table: Table) -> None:
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    rows = facts["cells"]["by_blocks"]
    assert sum(row["cells"] for row in rows.values()) == len(table)
    assert all(row["random"] == row["cells"] == row["several_seeds"] for row in rows.values())
    assert facts["seconds"]["median_by_blocks"] == {"1": 2.0, "2": 4.0, "3": 6.0}
    assert facts["seeds"]["deviation"] == pytest.approx(NOISE, rel=0.35)
    assert facts["seeds"]["freedom"] == facts["seeds"]["cells"] == 60
    assert facts["curves"][-1]["spearman"] == pytest.approx(1.0)


def test_a_world_is_compared_with_what_was_trained(facts: dict[str, Any], table: Table) -> None:
    found = facts["surrogates"]["gp"]["beside_trained"]
    assert found["blocks"] == 3 and found["trained"]["cells"] == 20 and found["world"]["cells"] == 2000
    for which in ("trained", "world"):
        assert found[which]["quantiles"] == sorted(found[which]["quantiles"])
    middle = (found["trained"]["quantiles"][1], found["world"]["quantiles"][1])
    assert abs(middle[0] - middle[1]) < 2 * found["trained"]["deviation"]


def test_groups_are_counted_apart(table: Table) -> None:
    origins = ["sealed+uniform", "search", "sealed+search", *table.origins[3:]]
    cells = gather_facts(replace(table, origins=tuple(origins)))["cells"]
    totals = {group: sum(row[group] for row in cells["by_blocks"].values()) for group in ("search", "sealed")}
    assert totals == {"search": 1, "sealed": 2}
    assert (find_group("subspace"), find_group("imported")) == ("subspace", "other")
    assert find_group("subspace+uniform") == find_group("all-1") == find_group("raw") == "random"
    assert find_group("search+uniform") == find_group("verify") == "search"
    assert find_group("sealed+search") == find_group("sealed+verify") == "sealed"
    assert cells["by_origin"]["search"] == cells["by_origin"]["sealed"] == 2


def test_pairs_are_of_the_first_two_seeds_that_ended_well(table: Table) -> None:
    pairs = find_seed_pairs(table)
    assert pairs.shape == (60, 2)
    np.testing.assert_array_equal(pairs.ravel(), table.valid_accuracy)
    status = table.status.copy()
    status[0] = 1
    np.testing.assert_array_equal(find_seed_pairs(replace(table, status=status)), pairs[1:])


def test_the_best_are_judged_beside_their_own_size(table: Table) -> None:
    """The made-up truth rises with the first operation and falls with the last."""
    found = count_among_best(gather_sample(table))
    assert found["cells"] == 40 and found["best"] == 10
    for kind in ("all", "best"):
        assert sum(row[kind] for row in found["shares"].values()) == pytest.approx(1.0)
    assert found["shares"]["sep3"]["best"] > found["shares"]["sep3"]["all"]
    assert found["shares"]["dil3"]["best"] < found["shares"]["dil3"]["all"]
    few = count_among_best(gather_sample(table).take(np.arange(30)))
    assert few["best"] == 0 and few["shares"] == {}


# ----------------------------------------------------------------------------------------------------- limits

FIGURES = {
    "cells": 500,
    "kendall_tau": 0.7,
    "ceiling_kendall_tau": 0.8,
    "kendall_tau_top_tenth": 0.4,
}


def judge(facts: dict[str, Any], **changes: Any) -> str:
    overall = {**FIGURES, **changes}
    return "\n".join(list_limits(facts, {"gp": {"overall": overall, "by_blocks": {"5": overall}}}))


def test_limits_follow_from_figures(facts: dict[str, Any]) -> None:
    assert "reaches the aim of 0.8" in judge(facts) and "weaker" not in judge(facts)
    weak = judge(facts, kendall_tau=0.5)
    assert "misses the aim of 0.8" in weak and "0.50 of 0.80 at 5 blocks (n = 500)" in weak
    assert "above its ceiling" not in weak
    assert "tau is above its ceiling, 0.85 of 0.80 at 5 blocks" in judge(facts, kendall_tau=0.85)
    assert "above 0 beyond chance (p < .05)" in judge(facts)
    assert "not above 0 beyond chance" in judge(facts, kendall_tau_top_tenth=0.1)
    assert "too few to judge" in judge(facts, kendall_tau_top_tenth=None)
    assert "too few cells to say" in judge(facts, kendall_tau=None)


def test_small_samples_are_named(facts: dict[str, Any]) -> None:
    text = judge(facts)
    assert "Few cells: 20 of 2, 20 of 3 blocks" in text
    assert "sealed test set has 0 random cells" in text
    assert "No cell that a search asked for" in text
    assert "has 0 cells of the top region" in text
    origin = {"sealed": 60, "sealed-top": 40, "search": 40}
    rich = {**facts, "cells": {"by_blocks": {"5": {"cells": 500}}, "by_origin": origin}}
    rich["seeds"] = {**facts["seeds"], "freedom": 8}
    text = judge(rich)
    assert "Few cells" not in text and "sealed test set" not in text and "No cell that" not in text
    assert "8 degrees of freedom: its deviation is known to about 25%" in text
    rich["seeds"] = {**facts["seeds"], "freedom": 0}
    assert "No cell has two seeds" in judge(rich)
    bare = "\n".join(list_limits(facts, {}))
    assert "No surrogate is fitted" in bare and "sealed" not in bare


@settings(deadline=None, max_examples=50)
@given(tau=st.floats(-1, 1), cells=st.integers(80, 5000))
def test_the_top_tenth_is_judged_by_its_own_number(tau: float, cells: int) -> None:
    """What is beyond chance for some cells is so for more of them."""
    facts = {
        "cells": {"by_blocks": {}, "by_origin": {}},
        "seeds": {"freedom": 100},
    }
    few, more = (judge(facts, cells=n, kendall_tau_top_tenth=tau) for n in (cells, 2 * cells))
    assert ("not above 0" in few) or ("not above 0" not in more)


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


def test_the_card_of_a_complete_table_names_its_best_cell(fitted: Table, facts: dict[str, Any]) -> None:
    assert "It is complete" not in write_card(fitted, facts, {}, [], "made-up")
    text = write_card(replace(fitted, closed=True), facts, {}, [], "made-up")
    totals = np.bincount(fitted.run_cells, fitted.valid_accuracy) / np.bincount(fitted.run_cells)
    best = fitted.space.format(fitted.cells[np.argmax(totals)])
    assert f"the best cell is known: `{best}`, {totals.max():.4f} as the mean of its trainings (2; " in text


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
