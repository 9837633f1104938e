from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pnas_sim.space import CellSpace
from pnas_tables.card_facts import count_among_best, find_population, find_seed_pairs, gather_facts
from pnas_tables.plans import list_jobs, sample_plan
from pnas_tables.record import Table
from pnas_tables.sample import find_group, gather_sample
from pnas_tables.testing import NOISE, build_made_up_table


@pytest.fixture(scope="module")
def facts(fitted: Table) -> dict[str, Any]:
    return gather_facts(fitted)


def rename(table: Table, origins: dict[int, str]) -> Table:
    """The table with other origins of some cells."""
    words = list(table.origins)
    for cell, origin in origins.items():
        words[cell] = origin
    return replace(table, origins=tuple(words))


def raise_cells(table: Table, cells: list[int], by: float) -> Table:
    """The table with all accuracies of some cells higher."""
    mine = np.isin(table.run_cells, cells)
    return replace(table, valid_accuracy=table.valid_accuracy + by * mine)


def test_facts_are_json_and_count_every_cell(facts: dict[str, Any], table: Table) -> None:
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    rows = facts["cells"]["by_blocks"]
    assert sum(row["cells"] for row in rows.values()) == len(table)
    assert all(row["random"] == row["cells"] == row["several_seeds"] for row in rows.values())
    assert facts["cells"]["several_by_origin"] == {"uniform": 60}
    assert facts["seconds"]["median_by_blocks"] == {"1": 2.0, "2": 4.0, "3": 6.0}
    assert facts["seeds"]["deviation"] == pytest.approx(NOISE, rel=0.35)
    assert facts["seeds"]["freedom"] == facts["seeds"]["cells"] == 60
    assert facts["curves"][-1]["spearman"] == pytest.approx(1.0)
    assert facts["closed"] is False and facts["best"] is None


def test_a_world_is_compared_with_what_was_trained(facts: dict[str, Any], table: Table) -> None:
    found = facts["surrogates"]["gp"]["beside_trained"]
    assert found["blocks"] == 3 and found["trained"]["cells"] == 20 and found["world"]["cells"] == 2000
    for which in ("trained", "world"):
        assert found[which]["quantiles"] == sorted(found[which]["quantiles"])
    middle = (found["trained"]["quantiles"][1], found["world"]["quantiles"][1])
    assert abs(middle[0] - middle[1]) < 2 * found["trained"]["deviation"]


def test_groups_are_counted_apart(table: Table) -> None:
    cells = gather_facts(rename(table, {0: "sealed+uniform", 1: "search", 2: "sealed+search"}))["cells"]
    totals = {group: sum(row[group] for row in cells["by_blocks"].values()) for group in ("search", "sealed")}
    assert totals == {"search": 1, "sealed": 2}
    assert (find_group("subspace"), find_group("imported")) == ("subspace", "other")
    assert find_group("subspace+uniform") == find_group("all-1") == "random"
    assert find_group("search+uniform") == find_group("verify") == "search"
    assert find_group("sealed+search") == find_group("sealed+verify") == "sealed"
    assert cells["by_origin"]["search"] == cells["by_origin"]["sealed"] == 2
    assert cells["several_by_origin"]["sealed+search"] == 1


# --------------------------------------------------------------------------------------- what stands for all


def test_the_space_is_told_by_uniform_cells_alone(table: Table) -> None:
    """Raw rows write some cells more often, and searches look for good ones."""
    mixed = rename(table, {0: "raw", 1: "search", 2: "raw+uniform", 3: "sealed", 4: "all-1", 5: "subspace"})
    kept = find_population(mixed, gather_sample(mixed))
    np.testing.assert_array_equal(kept.cells, table.cells[[2, 4, *range(6, 60)]])
    closed = replace(mixed, closed=True)
    assert len(find_population(closed, gather_sample(closed))) == 60, "a complete table is the space"


def test_finds_of_searches_are_seen_in_the_highest_accuracy_alone(table: Table) -> None:
    largest = np.flatnonzero(table.space.block_counts(table.cells) == 3).tolist()
    found = raise_cells(rename(table, dict.fromkeys(largest[:8], "search")), largest[:8], 0.3)
    accuracy = gather_facts(found)["accuracy"]
    row, means = accuracy["by_blocks"]["3"], gather_sample(found).final
    assert accuracy["group"] == "random" and row["cells"] == 12
    assert row["quantiles"][-1] == pytest.approx(means[largest[8:]].max())
    assert row["highest"] == pytest.approx(means[largest[:8]].max())
    assert row["highest"] > row["quantiles"][-1]


def test_a_size_without_random_cells_has_no_quantiles(table: Table) -> None:
    sizes = table.space.block_counts(table.cells)
    found = gather_facts(rename(table, dict.fromkeys(np.flatnonzero(sizes == 3).tolist(), "search")))
    row = found["accuracy"]["by_blocks"]["3"]
    assert row["cells"] == 0 and row["quantiles"] == [None] * 5 and row["highest"] > 0
    imported = gather_facts(replace(table, origins=("imported",) * 60))["accuracy"]
    assert imported["group"] is None and imported["by_blocks"]["3"]["cells"] == 20


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
    raw = rename(table, dict.fromkeys(range(40, 45), "raw"))
    assert gather_facts(raw)["operations"]["cells"] == 35


# ----------------------------------------------------------------------------------------------------- seeds


@pytest.fixture(scope="module")
def thrice(space: CellSpace, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """20 cells, three seeds each."""
    jobs = list_jobs(sample_plan("thrice", 20, (2,), seeds=3, seed=3, space=space), space)
    return build_made_up_table(jobs, space, tmp_path_factory.mktemp("thrice") / "thrice.h5")


def test_pairs_are_of_the_first_two_seeds_that_ended_well(table: Table) -> None:
    pairs = find_seed_pairs(table)
    assert pairs.shape == (60, 2)
    np.testing.assert_array_equal(pairs.ravel(), table.valid_accuracy)
    status = table.status.copy()
    status[0] = 1
    np.testing.assert_array_equal(find_seed_pairs(replace(table, status=status)), pairs[1:])


def test_pairs_are_without_the_seed_that_a_cell_was_chosen_by(thrice: Table) -> None:
    """That of the best cells was lucky, and would disagree with any other."""
    accuracies = thrice.valid_accuracy.reshape(20, 3)
    np.testing.assert_array_equal(find_seed_pairs(thrice), accuracies[:, 1:])
    searched = replace(thrice, origins=("search", *thrice.origins[1:]))
    np.testing.assert_array_equal(find_seed_pairs(searched)[0], accuracies[0, :2])


def test_the_cells_share_of_the_variance_is_of_random_ones_trained_once(table: Table) -> None:
    largest = np.flatnonzero(table.space.block_counts(table.cells) == 3).tolist()
    first = table.valid_accuracy[np.isin(table.run_cells, largest) & (table.seeds == 0)]
    found = gather_facts(table)["seeds"]
    assert found["reliability_cells"] == 20
    assert found["reliability"] == pytest.approx(1 - NOISE**2 / first.var(ddof=1), abs=0.02)
    for group in ("search", "sealed-top", "raw"):
        apart = raise_cells(rename(table, dict.fromkeys(largest[:5], group)), largest[:5], 0.3)
        again = gather_facts(apart)["seeds"]
        expected = 1 - NOISE**2 / first[5:].var(ddof=1)
        assert again["reliability_cells"] == 15
        assert again["reliability"] == pytest.approx(expected, abs=0.02)


def test_a_table_without_second_seeds_tells_nothing_of_them(table: Table) -> None:
    found = gather_facts(replace(table, status=np.where(table.seeds == 1, 2, table.status).astype(np.uint8)))
    assert found["seeds"]["reliability"] is None and found["seeds"]["freedom"] == 0
