from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pnas_sim.errors import TableError
from pnas_sim.space import CellSpace
from pnas_tables.merge import merge_tables
from pnas_tables.plans import Plan, Step, list_jobs
from pnas_tables.record import Table
from pnas_tables.rules import validate_table
from pnas_tables.subspace import contains, find_widest, fit_space
from pnas_tables.testing import build_made_up_table

SMALL = CellSpace(operations=("id", "sep3"), max_blocks=2)  # not in the order of the paper's


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Every cell of the small space."""
    steps = (Step("all", 1, 0, 10), Step("uniform", 2, 0, 165))
    path = tmp_path_factory.mktemp("small") / "small.h5"
    return build_made_up_table(list_jobs(Plan("small", 0, steps, SMALL), SMALL), SMALL, path)


def runs(table: Table) -> dict[tuple[str, int], float]:
    texts = table.space.format_many(table.cells)
    pairs = zip(table.run_cells, table.seeds, table.valid_accuracy, strict=True)
    return {(texts[cell], int(seed)): float(accuracy) for cell, seed, accuracy in pairs}


def as_wide(texts: dict[tuple[str, int], float], space: CellSpace) -> dict[tuple[str, int], float]:
    return {(space.canonical_text(text), seed): value for (text, seed), value in texts.items()}


def test_spaces_contain_spaces_of_fewer_operations_and_blocks(space: CellSpace) -> None:
    assert contains(space, SMALL) and contains(space, space) and not contains(SMALL, space)
    assert not contains(space, CellSpace(max_blocks=4))
    assert not contains(space, CellSpace(operations=("sep3", "other"), max_blocks=1))
    assert find_widest([SMALL, space, CellSpace(max_blocks=1)]) == space
    assert find_widest([SMALL, CellSpace(operations=("sep5",), max_blocks=1)]) == SMALL


def test_cells_of_a_smaller_space_keep_their_runs(small: Table, space: CellSpace) -> None:
    wide = fit_space(small, space)
    validate_table(merge_tables([wide], "x"))
    assert small.closed and not wide.closed and set(wide.origins) == {"subspace"}
    assert runs(wide) == as_wide(runs(small), space)
    np.testing.assert_array_equal(space.canonical(wide.cells), wide.cells)


def test_a_larger_spaces_table_is_cut_down_to_what_lies_inside(table: Table) -> None:
    ops = ("sep3", "max3", "id")
    part = CellSpace(operations=ops, max_blocks=2)
    cut = merge_tables([fit_space(table, part)], "x")
    validate_table(cut)
    inside = {
        key: value
        for key, value in runs(table).items()
        if all(word.split("(")[0] in ops for half in key[0].split(" | ") for word in half.split("+"))
        and key[0].count("|") < 2
    }
    assert inside and runs(cut) == as_wide(inside, part)
    assert set(cut.origins) <= {"all-1", "uniform"}, "uniform in the whole is uniform in the part"


def test_there_and_back_is_the_same(small: Table, space: CellSpace) -> None:
    back = merge_tables([fit_space(fit_space(small, space), SMALL)], small.name)
    assert back.closed and runs(back) == runs(small)
    np.testing.assert_array_equal(back.cells, small.cells)


def test_other_origins_stay(small: Table, space: CellSpace) -> None:
    marked = replace(small, origins=("search+uniform", "sealed", *small.origins[2:]))
    assert fit_space(marked, space).origins[:2] == ("search+subspace", "sealed")


def test_merging_takes_smaller_spaces_into_the_largest(table: Table) -> None:
    part = fit_space(table, CellSpace(operations=("sep3", "max3", "id"), max_blocks=2))
    for order in ([part, table], [table, part]):
        merged = merge_tables(order, "both")
        validate_table(merged)
        assert merged.space == table.space and runs(merged) == runs(table)
        both = [origin for origin in merged.origins if "subspace" in origin]
        assert len(both) == len(part) > 0 and set(both) <= {"subspace+uniform", "all-1+subspace"}


def test_spaces_that_only_overlap_are_refused(small: Table) -> None:
    other = fit_space(small, CellSpace(operations=("id", "sep5"), max_blocks=2))
    assert len(other) == 3 + 15, "the cells that only need what both have"
    with pytest.raises(TableError, match="differ in operations"):
        merge_tables([small, other], "x")


def test_a_table_with_nothing_inside_is_empty(small: Table, tmp_path: Path) -> None:
    assert len(fit_space(small, CellSpace(operations=("max3",), max_blocks=2))) == 0
