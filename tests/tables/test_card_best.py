from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pnas_sim.evaluate import Status
from pnas_sim.space import CellSpace
from pnas_tables.card_best import find_best
from pnas_tables.plans import list_jobs, sample_plan
from pnas_tables.record import Table
from pnas_tables.testing import build_made_up_table


@pytest.fixture(scope="module")
def thrice(space: CellSpace, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """20 cells, three seeds each, all by 0.5 from those of `give`."""
    jobs = list_jobs(sample_plan("thrice", 20, (2,), seeds=3, seed=3, space=space), space)
    return build_made_up_table(jobs, space, tmp_path_factory.mktemp("thrice") / "thrice.h5")


def give(table: Table, accuracies: dict[int, tuple[float, ...]], others: float = 0.3) -> Table:
    """The table with these accuracies of some cells, by seed; all other runs have another one."""
    values = np.full(len(table.seeds), others)
    for cell, runs in accuracies.items():
        values[table.run_cells == cell] = runs
    return replace(table, valid_accuracy=values)


def find(table: Table) -> dict[str, Any]:
    found = find_best(table)
    assert found is not None
    return found


def test_luck_in_the_training_that_chose_a_cell_makes_it_no_best_one(thrice: Table) -> None:
    lucky = give(thrice, {3: (0.9, 0.5, 0.52), 7: (0.6, 0.6, 0.62)})
    found = find(lucky)
    assert found["cell"] == thrice.space.format(thrice.cells[7])
    assert found["accuracy"] == pytest.approx(0.61) and (found["runs"], found["left_out"]) == (2, 1)
    searched = replace(lucky, origins=("search",) * 20)
    assert find(searched)["accuracy"] == pytest.approx(0.64), "their seeds were asked for at once"


def test_cells_that_seeds_cannot_tell_from_the_best_are_counted(thrice: Table) -> None:
    near = {5: (0.6, 0.6, 0.62), 6: (0.6, 0.58, 0.62), 7: (0.6, 0.4, 0.42)}
    found = find(give(thrice, near))
    assert found["as_good"] == 1
    assert found["deviation"] == pytest.approx(0.01, rel=0.5)


def test_a_cell_trained_once_may_be_the_best(table: Table) -> None:
    """Of two runs none was left out, and where there is one it is all that is known."""
    once = np.where((table.seeds == 1) & (table.run_cells == 4), Status.FAILED, table.status)
    found = find(give(replace(table, status=once.astype(np.uint8)), {4: (0.9, np.nan), 8: (0.5, 0.51)}))
    assert found["cell"] == table.space.format(table.cells[4])
    assert (found["accuracy"], found["runs"], found["left_out"]) == (0.9, 1, 1)


def test_without_second_seeds_nobody_knows_how_sure_it_is(table: Table) -> None:
    once = replace(table, status=np.where(table.seeds == 1, Status.FAILED, 0).astype(np.uint8))
    assert find(once)["deviation"] is None and find(once)["as_good"] is None
    none = replace(table, status=np.full(len(table.seeds), Status.FAILED, np.uint8))
    assert find_best(none) is None
