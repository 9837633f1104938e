from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pnas_sim.evaluate import Answers, Source, Status
from pnas_tables.figures import mean_by_cell
from pnas_tables.frames import frame_answers, frame_means, frame_runs, list_sealed
from pnas_tables.record import Table

ORIGINS = ("sealed", "uniform", "sealed-top+search", "search+sealed-search")


@pytest.fixture(scope="module")
def marked(table: Table) -> Table:
    """The first cells of four origins, and a run that diverged."""
    status = table.status.copy()
    status[1] = Status.DIVERGED
    return replace(table, origins=(*ORIGINS, *table.origins[len(ORIGINS) :]), status=status)


def make_answers(seed: int, seeds: np.ndarray | None = None) -> Answers:
    figures = {
        name: np.array([0.1, 0.2]) + seed
        for name in ("valid_accuracy", "expected_valid_accuracy", "test_accuracy", "seconds", "examples")
    }
    return Answers(
        source=Source.MEASURED,
        epochs=0.5,
        seed=seed,
        status=np.array([Status.OK, Status.FAILED], np.uint8),
        parameters=np.array([1, 2]),
        multiply_adds=np.array([3, 4]),
        extrapolated=np.array([False, True]),
        seeds=seeds,
        **figures,
    )


def test_answers_stand_one_seed_after_another() -> None:
    frame = frame_answers(["a", "b"], [make_answers(0), make_answers(1, np.array([7, 9]))])
    assert frame["cell"].tolist() == ["a", "b", "a", "b"] and frame["seed"].tolist() == [0, 0, 7, 9]
    assert frame["valid_accuracy"].tolist() == [0.1, 0.2, 1.1, 1.2]
    assert frame["status"].tolist() == ["ok", "failed"] * 2
    assert frame["extrapolated"].tolist() == [False, True] * 2
    assert set(frame["source"]) == {"measured"} and set(frame["epochs"]) == {0.5}
    assert frame.index.tolist() == [0, 1, 2, 3]


def test_sealed_cells_are_those_of_any_sealed_origin(marked: Table) -> None:
    assert list_sealed(marked)[: len(ORIGINS)].tolist() == [True, False, True, True]
    assert not list_sealed(marked)[len(ORIGINS) :].any()


def test_means_mark_what_is_sealed_and_what_was_never_trained(marked: Table) -> None:
    frame = frame_means(marked, ["a", "b", "c"], np.array([1, -1, 2]))
    assert frame["runs"].tolist() == [2, 0, 2] and frame["sealed"].tolist() == [False, False, True]
    for name in ("valid_accuracy", "test_accuracy", "seconds"):
        means = mean_by_cell(marked, getattr(marked, name))
        np.testing.assert_array_equal(frame[name], [means[1], np.nan, means[2]])
    assert len(frame_means(marked, [], np.zeros(0, np.int64))) == 0


def test_runs_say_of_which_cell_they_are(marked: Table) -> None:
    runs = np.array([0, 1, len(marked.seeds) - 1])
    frame = frame_runs(marked, runs)
    cells = marked.run_cells[runs]
    assert frame["cell"].tolist() == marked.space.format_many(marked.cells[cells])
    assert frame["blocks"].tolist() == [1, 1, 3] and frame["sealed"].tolist() == [True, True, False]
    assert frame["origin"].tolist() == [marked.origins[cell] for cell in cells]
    assert frame["status"].tolist() == ["ok", "diverged", "ok"]
    np.testing.assert_array_equal(frame["seed"], marked.seeds[runs])
    np.testing.assert_array_equal(frame["parameters"], marked.parameters[cells])
    np.testing.assert_array_equal(frame["valid_accuracy_at_0.25"], marked.curves[runs, 0])
    np.testing.assert_array_equal(frame["valid_accuracy"], marked.valid_accuracy[runs])
    assert len(frame_runs(marked, runs[:0])) == 0
