from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pnas_sim.evaluate import Status
from pnas_tables.record import Table
from pnas_tables.sample import GROUPS, find_group, gather_sample


def end(table: Table, endings: dict[tuple[int, int], tuple[Status, float]]) -> Table:
    """The table with the runs of some (cell, seed) ended so, and their accuracies."""
    status, valid, curves = (a.copy() for a in (table.status, table.valid_accuracy, table.curves))
    for (cell, seed), (ending, accuracy) in endings.items():
        run = int(np.flatnonzero((table.run_cells == cell) & (table.seeds == seed))[0])
        status[run], valid[run], curves[run] = ending, accuracy, accuracy
    return replace(table, status=status, valid_accuracy=valid, curves=curves)


def test_means_are_of_the_runs_that_tell_a_cells_worth(table: Table) -> None:
    """Diverged runs count only where none ended well; failed ones never."""
    ok, diverged, failed = Status.OK, Status.DIVERGED, Status.FAILED
    spoilt = end(
        table,
        {
            (0, 0): (ok, 0.6),
            (0, 1): (ok, 0.4),
            (1, 0): (ok, 0.5),
            (1, 1): (diverged, 0.1),
            (2, 0): (diverged, 0.1),
            (2, 1): (diverged, 0.2),
            (3, 0): (failed, np.nan),
            (3, 1): (ok, 0.55),
            (4, 0): (failed, np.nan),
            (4, 1): (failed, np.nan),
        },
    )
    sample = gather_sample(spoilt)
    assert len(sample) == 59, "the cell whose runs all failed has no accuracy"
    np.testing.assert_array_equal(sample.cells[:4], table.cells[:4])
    np.testing.assert_array_equal(sample.cells[4:], table.cells[5:])
    assert sample.final[:4] == pytest.approx([0.5, 0.5, 0.15, 0.55])
    assert sample.runs[:5].tolist() == [2, 1, 2, 1, 2]


def test_the_last_accuracy_is_the_tables_and_earlier_ones_the_curves(table: Table) -> None:
    better = replace(table, valid_accuracy=np.clip(table.valid_accuracy + 0.01, 0, 1))
    sample, plain = gather_sample(better), gather_sample(table)
    np.testing.assert_allclose(sample.final, plain.final + 0.01)
    np.testing.assert_array_equal(sample.accuracies[:, :-1], plain.accuracies[:, :-1])


def test_a_cell_weighs_as_much_as_its_noise_leaves_over(table: Table) -> None:
    """Half of what is not explained is seed noise, which alone shrinks with the runs."""
    runs = np.array([1.0, 2.0, 4.0, 1e9])
    sample = replace(gather_sample(table).take(np.arange(4)), runs=runs)
    np.testing.assert_allclose(sample.weights, 1 / (0.5 + 0.5 / runs))


@pytest.mark.parametrize(
    ("origin", "group"),
    [
        ("uniform", "random"),
        ("raw", "raw"),
        ("raw+uniform", "random"),
        ("all-5+raw", "random"),
        ("raw+subspace", "raw"),
        ("raw+search", "search"),
        ("raw+sealed", "sealed"),
        ("all-1", "random"),
        ("all-12+best", "random"),
        ("search", "search"),
        ("uniform+verify", "search"),
        ("sealed", "sealed"),
        ("search+sealed", "sealed"),
        ("sealed+uniform", "sealed"),
        ("sealed-top", "sealed-top"),
        ("sealed-top+sealed-search", "sealed-top"),
        ("search+sealed-search", "sealed-search"),
        ("sealed+sealed-search", "sealed"),
        ("subspace", "subspace"),
        ("subspace+uniform", "random"),
        ("subspace+search", "search"),
        ("imported", "other"),
        ("", "other"),
    ],
)
def test_groups_of_origins(origin: str, group: str, table: Table) -> None:
    assert find_group(origin) == group
    sample = gather_sample(replace(table, origins=(origin, *table.origins[1:])))
    assert sample.of_group(group)[0] and GROUPS[sample.groups[0]] == group
