from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, linregress, spearmanr

from pnas_sim.errors import RunError, SettingError, TableError
from pnas_sim.space import CellSpace
from pnas_tables.figures import mean_by_cell
from pnas_tables.plans import draw_cells, list_jobs, sample_plan
from pnas_tables.proxy import (
    Effect,
    Interval,
    Pairs,
    correlate_pairs,
    correlate_ranks,
    draw_places,
    find_ceiling,
    find_interval,
    find_slopes,
    measure_effects,
    measure_parts,
)
from pnas_tables.proxy_cells import Choice, ChosenCell, choose_cells, find_stream_seed
from pnas_tables.proxy_file import add_slopes, as_json, count_operations, read_proxy, summarise
from pnas_tables.record import Table, checksum
from pnas_tables.testing import NOISE, build_made_up_table

OPERATIONS = ("one", "two")


def make_pairs(count: int = 24, flip: bool = False, noise: float = 0.0) -> Pairs:
    """Operation 0 helps under the table's recipe; under the changed one it harms where `flip` is true."""
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 5, (count, 2))
    worth = counts / 64  # without rounding, so that equal values stay equal
    table = 0.5 + worth[:, 0] + 2 * worth[:, 1] + noise * rng.standard_normal(count)
    changed = 0.625 + (-1 if flip else 1) * worth[:, 0] + 2 * worth[:, 1]
    changed += noise * rng.standard_normal(count)
    return Pairs(table, changed, np.full(count, 0.01), counts, np.arange(count) % 2 == 1)


# ------------------------------------------------------------------------------------------------ statistics

VALUES = st.lists(st.integers(0, 6), min_size=6, max_size=12)


@settings(deadline=None, max_examples=60)
@given(one=VALUES, seed=st.integers(0, 1000))
def test_correlations_are_those_of_scipy_row_by_row(one: list[int], seed: int) -> None:
    first = np.array([one, one], np.float64)
    other = np.random.default_rng(seed).integers(0, 5, first.shape).astype(np.float64)
    for ours, theirs in ((correlate_ranks, spearmanr), (correlate_pairs, kendalltau)):
        found = ours(first, other)
        for row, value in enumerate(found):
            if np.ptp(first[row]) == 0 or np.ptp(other[row]) == 0:
                assert np.isnan(value)
            else:
                assert value == pytest.approx(theirs(first[row], other[row]).statistic)


def test_slopes_are_least_squares() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 4, (3, 20)).astype(np.float64)
    values = rng.random((3, 20))
    expected = [linregress(*pair).slope for pair in zip(counts, values, strict=True)]
    np.testing.assert_allclose(find_slopes(counts, values), expected)
    assert np.isnan(find_slopes(np.ones((1, 5)), values[:1, :5]))


def test_draws_keep_the_number_of_either_kind() -> None:
    top = np.arange(10) < 3
    places = draw_places(top)
    assert places.shape == (2000, 10)
    assert (top[places].sum(axis=1) == 3).all()
    np.testing.assert_array_equal(places, draw_places(top))
    assert draw_places(top[:0]).shape == (2000, 0)


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 6, 40).astype(np.float64)
    places = draw_places(np.zeros(40, np.bool_))
    covered = 0
    for _ in range(100):
        found = find_interval(find_slopes, counts, 0.3 * counts + rng.standard_normal(40), places)
        assert found is not None
        covered += found.low <= 0.3 <= found.high
    assert 86 <= covered <= 100


def test_little_gives_no_figure() -> None:
    few = np.arange(5.0)
    assert find_interval(correlate_ranks, few, few, draw_places(np.zeros(5, np.bool_))) is None
    same, rising = np.ones(8), np.arange(8.0)
    assert find_interval(correlate_ranks, same, rising, draw_places(np.zeros(8, np.bool_))) is None
    with pytest.raises(ValueError, match="is none"):
        Interval(0.0, 1.0, -1.0)


def test_the_ceiling_falls_with_noise() -> None:
    values = np.linspace(0.4, 0.5, 24)
    found = [find_ceiling(correlate_ranks, values, np.full(24, noise)) for noise in (0.0, 0.01, 0.02)]
    assert found[0] == pytest.approx(1.0)
    assert found[0] is not None and found[1] is not None and found[2] is not None
    assert found[0] > found[1] > found[2] > 0
    assert find_ceiling(correlate_ranks, values, np.full(24, np.nan)) is None
    assert find_ceiling(correlate_ranks, values, np.full(24, 10.0)) == 0.0  # nothing but noise


# --------------------------------------------------------------------------------------------------- figures


def test_equal_orders_agree_everywhere() -> None:
    parts = {part.name: part for part in measure_parts(make_pairs())}
    assert {name: part.cells for name, part in parts.items()} == {
        "all": 24,
        "upper half": parts["upper half"].cells,
        "uniform": 12,
        "top": 12,
    }
    assert parts["upper half"].cells >= 12
    for part in parts.values():
        assert part.spearman is not None and part.kendall is not None
        assert part.spearman.value == pytest.approx(1.0) and part.kendall.value == pytest.approx(1.0)
        assert part.changed_mean == pytest.approx((part.table_mean or 0) + 0.125)
        assert part.ceiling_spearman is not None and 0 < part.ceiling_spearman < 1


def test_the_upper_half_is_by_the_changed_training() -> None:
    pairs = make_pairs()
    half = pairs.changed >= np.median(pairs.changed)
    inverted = replace(pairs, table=np.where(half, 1 - pairs.changed, 0.1 * pairs.changed))
    part = measure_parts(inverted)[1]
    assert part.cells == half.sum() and part.spearman is not None
    assert part.spearman.value == pytest.approx(-1.0)


def test_a_sign_that_differs_is_named_and_judged() -> None:
    same = measure_effects(make_pairs(), OPERATIONS)
    assert not any(effect.signs_differ or effect.beyond_chance for effect in same)
    one, two = measure_effects(make_pairs(60, flip=True, noise=0.003), OPERATIONS)
    assert one.operation == "one" and one.signs_differ and one.beyond_chance
    assert one.table is not None and one.table.low > 0
    assert one.changed is not None and one.changed.high < 0
    assert one.difference is not None
    assert one.difference.value == pytest.approx(one.changed.value - one.table.value)
    assert not two.signs_differ
    unsure = Effect("one", Interval(0.1, -1, 1), Interval(-0.1, -1, 1), Interval(-0.2, -1, 1))
    assert unsure.signs_differ and not unsure.beyond_chance
    sure_but_same = replace(unsure, changed=Interval(0.3, 0, 1), difference=Interval(0.2, 0.1, 1))
    assert not sure_but_same.signs_differ and not sure_but_same.beyond_chance
    unknown = replace(unsure, table=None)
    assert not unknown.signs_differ and not unknown.beyond_chance


def test_a_difference_of_slopes_is_no_crossing() -> None:
    """One slope that may be 0 tells that the effect is another one, not that its sign is."""
    told = Effect("one", Interval(0.2, 0.1, 0.3), Interval(-0.1, -0.3, 0.1), Interval(-0.3, -0.5, -0.1))
    assert told.differs and told.signs_differ and not told.beyond_chance
    crossed = replace(told, changed=Interval(-0.1, -0.3, -0.05))
    assert crossed.differs and crossed.beyond_chance


def test_a_sign_is_held_against_the_slope_of_the_whole_table() -> None:
    chosen = Effect("one", Interval(0.2, 0.1, 0.3), Interval(-0.1, -0.3, -0.05), Interval(-0.3, -0.5, -0.1))
    assert chosen.signs_differ and chosen.beyond_chance
    same = replace(chosen, everywhere=Interval(-0.02, -0.03, -0.01))
    assert not same.signs_differ and not same.beyond_chance and same.differs
    unsure = replace(chosen, everywhere=Interval(0.02, -0.03, 0.07))
    assert unsure.signs_differ and not unsure.beyond_chance
    told = replace(chosen, everywhere=Interval(0.02, 0.01, 0.03))
    assert told.signs_differ and told.beyond_chance


def test_no_cells_give_no_figures() -> None:
    nothing = make_pairs().take(np.zeros(24, np.bool_))
    assert all(part.cells == 0 and part.spearman is None for part in measure_parts(nothing))
    assert all(effect.table is None for effect in measure_effects(nothing, OPERATIONS))


# ---------------------------------------------------------------------------------------------------- choice


@pytest.fixture(scope="module")
def uniform_table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """80 uniform cells of two blocks, each with two seeds."""
    space = CellSpace(max_blocks=2)
    path = tmp_path_factory.mktemp("proxy") / "made-up.h5"
    plan = sample_plan("cifar10-16px", 80, (2,), seeds=2, seed=20261124, space=space)
    return build_made_up_table(list_jobs(plan, space), space, path, "cifar10-16px")


@pytest.fixture(scope="module")
def choice(uniform_table: Table) -> Choice:
    return choose_cells(uniform_table, 6, 0.2)


def test_cells_are_the_first_of_the_stream_and_of_the_best(choice: Choice, uniform_table: Table) -> None:
    space = uniform_table.space
    uniform, top = ([cell for cell in choice.cells if cell.kind == kind] for kind in ("uniform", "top"))
    first = draw_cells(space, 2, 6, 20261124)
    assert [cell.cell for cell in uniform] == space.format_many(first)
    assert len(top) == 6 and len({cell.cell for cell in choice.cells}) == 12
    assert [cell.kind for cell in choice.cells] == ["uniform", "top"] * 6
    by_seed = uniform_table.valid_accuracy[uniform_table.seeds == 0]
    assert all(cell.accuracies[0] >= np.sort(by_seed)[-16] for cell in top)
    assert all(set(cell.accuracies) == {0, 1} for cell in choice.cells)
    assert all(cell.deviation == pytest.approx(NOISE, rel=0.5) for cell in choice.cells)
    assert choice.pool == 80 and choice.checksum == checksum(uniform_table) and choice.blocks == 2


def test_a_choice_survives_its_file(choice: Choice) -> None:
    assert Choice.from_json(json.loads(json.dumps(choice.as_json(), allow_nan=False))) == choice


def test_the_value_of_a_top_cell_leaves_out_the_seed_it_was_chosen_by() -> None:
    top = ChosenCell("x", "top", {0: 0.5, 1: 0.4, 2: 0.44}, 0.01)
    assert top.value() == (pytest.approx(0.42), 2, True)
    alone = replace(top, accuracies={0: 0.5})
    assert alone.value() == (0.5, 1, False)
    assert alone.value({1: 0.4}) == (0.4, 1, True)
    uniform = replace(top, kind="uniform")
    assert uniform.value() == (pytest.approx(0.4466667), 3, True)


def test_too_few_cells_are_one_clear_line(uniform_table: Table, table: Table) -> None:
    with pytest.raises(SettingError, match=r"best 0\.1 of them are 8"):
        choose_cells(uniform_table, 12)
    with pytest.raises(SettingError, match="has 80 of the first uniform cells"):
        choose_cells(uniform_table, 81)
    for each, share in ((0, 0.1), (3, 0.0), (3, 1.5)):
        with pytest.raises(SettingError, match="at least 1"):
            choose_cells(uniform_table, each, share)
    with pytest.raises(TableError, match="not built by a plan"):
        choose_cells(table, 3)
    planned = replace(table, provenance=({"plan": {"seed": 3}},))
    assert find_stream_seed(planned) == 3
    assert len(choose_cells(planned, 3, 0.5).cells) == 6


# -------------------------------------------------------------------------------------------------- the file


def make_lines(
    choice: Choice, factor: str = "cells-2", count: int = 12, seed: int = 0
) -> list[dict[str, Any]]:
    """Trainings that rank as the table does."""
    return [
        {
            "factor": factor,
            "settings": {"cells_per_stage": 2},
            "cell": cell.cell,
            "seed": seed,
            "status": "ok",
            "valid_accuracy": cell.value()[0] / 2,
            "seconds": 3.0,
        }
        for cell in choice.cells[:count]
    ]


def test_lines_become_figures(choice: Choice) -> None:
    check = summarise(choice, ("cells-2", "pixels-32"), make_lines(choice))
    done, missing = check.factors
    assert done.trained == 12 and done.seconds == 3.0 and done.settings == {"cells_per_stage": 2}
    assert done.parts[0].spearman is not None and done.parts[0].spearman.value == pytest.approx(1.0)
    assert done.parts[0].ceiling_spearman is not None
    assert missing.trained == 0 and missing.seconds is None and missing.parts[0].spearman is None
    assert check.cells == 12 and check.top == 6 and check.unfair == 0
    assert summarise(choice, ("cells-2",), make_lines(choice, count=7)).factors[0].trained == 7


def test_trainings_by_another_seed_make_values_fair(choice: Choice) -> None:
    cells = tuple(replace(cell, accuracies={0: cell.accuracies[0]}) for cell in choice.cells)
    once = replace(choice, cells=cells)
    assert summarise(once, ("cells-2",), make_lines(once)).unfair == 6
    again = make_lines(once, "again", seed=1)[:6]
    check = summarise(once, ("cells-2",), [*make_lines(once), *again])
    assert check.unfair == 3
    assert check.factors[0].trained == 12
    diverged = [{**line, "status": "diverged"} for line in again]
    assert summarise(once, ("cells-2",), [*make_lines(once), *diverged]).unfair == 6


def test_a_cell_that_diverges_by_two_seeds_counts_once(choice: Choice) -> None:
    first, second = make_lines(choice, count=5), make_lines(choice, count=5, seed=1)
    for line in (first[0], second[0], second[3]):
        line["status"] = "diverged"
    assert summarise(choice, ("cells-2",), [*first, *second]).factors[0].diverged == 2


def test_operations_are_counted(choice: Choice) -> None:
    space = CellSpace(max_blocks=2)
    counts = count_operations(space, ["sep3(-1)+sep3(-2)", "id(-1)+max3(-1) | sep3(-1)+id(1)"])
    names = dict(zip(space.operations, counts.T.tolist(), strict=True))
    assert names["sep3"] == [2, 1] and names["id"] == [0, 2] and names["max3"] == [0, 1]
    assert (counts.sum(axis=1) == [2, 4]).all()
    assert count_operations(space, []).shape == (0, 8)


def test_a_check_survives_its_file(choice: Choice, uniform_table: Table, tmp_path: Path) -> None:
    check = summarise(choice, ("cells-2", "pixels-32"), make_lines(choice))
    path = tmp_path / "proxy.json"
    path.write_text(json.dumps(as_json(check), allow_nan=False))
    assert read_proxy(path, uniform_table) == add_slopes(check, uniform_table)
    effects = as_json(check)["factors"][0]["effects"]
    assert all(row["signs_differ"] is row["beyond_chance"] is False for row in effects)


def test_slopes_are_of_all_cells_drawn_at_random(choice: Choice, uniform_table: Table) -> None:
    """Not of those chosen for being best, nor of sealed, visited or smaller ones."""
    check = summarise(choice, ("cells-2",), make_lines(choice))
    assert check.random_cells == 0 and check.factors[0].effects[0].everywhere is None
    found = add_slopes(check, uniform_table)
    assert found.random_cells == len(uniform_table) == 80
    counts = count_operations(uniform_table.space, uniform_table.space.format_many(uniform_table.cells))
    means = mean_by_cell(uniform_table, uniform_table.valid_accuracy)
    for effect, column in zip(found.factors[0].effects, counts.T, strict=True):
        assert effect.everywhere is not None and effect.table is not None
        assert effect.everywhere.value == pytest.approx(linregress(column, means).slope)
        assert effect.everywhere.low < effect.everywhere.value < effect.everywhere.high
        assert effect.everywhere.value != pytest.approx(effect.table.value)
    origins = ("raw", "search", "sealed+uniform", "imported", *uniform_table.origins[4:])
    assert add_slopes(found, replace(uniform_table, origins=origins)).random_cells == 77
    assert add_slopes(replace(check, blocks=1), uniform_table).random_cells == 0


Edit = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda value: value.clear(), "kind: Field required"),
        (lambda value: value.update(kind="audit"), "kind: "),
        (lambda value: value.update(schema=2), "schema: "),
        (lambda value: value.pop("factors"), "factors: Field required"),
        (lambda value: value.update(cells="many"), "cells: "),
        (lambda value: value.update(unfair=-1), "unfair: "),
        (lambda value: value["factors"][0]["parts"][0]["spearman"].update(low=3), "factors.0.parts.0"),
        (lambda value: value["factors"][0]["parts"][0]["spearman"].update(value=float("nan")), "spearman"),
        (lambda value: value["factors"][0]["effects"][0].update(operation="sep9"), "operation 'sep9'"),
        (lambda value: value.update(table="other"), "a check of table other"),
        (lambda value: value["recipe"].update(epochs=7.0), "another recipe: epochs is 7.0"),
    ],
)
def test_a_wrong_file_is_one_clear_line(
    choice: Choice, uniform_table: Table, tmp_path: Path, edit: Edit, complaint: str
) -> None:
    value = as_json(summarise(choice, ("cells-2",), make_lines(choice)))
    edit(value)
    path = tmp_path / "proxy.json"
    path.write_text(json.dumps(value))
    with pytest.raises(RunError) as caught:
        read_proxy(path, uniform_table)
    assert complaint in str(caught.value) and "proxy.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, "\xff"])
def test_what_is_no_object_is_refused(uniform_table: Table, tmp_path: Path, text: str) -> None:
    path = tmp_path / "proxy.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"proxy\.json"):
        read_proxy(path, uniform_table)
    with pytest.raises(RunError, match="cannot be read"):
        read_proxy(tmp_path / "absent.json", uniform_table)
