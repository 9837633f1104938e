"""What a table says as pandas frames. pandas is imported when a frame is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.answers import list_seeds
from pnas_sim.evaluate import Answers, Status
from pnas_sim.frames import make_frame
from pnas_tables.figures import mean_by_cell
from pnas_tables.record import Table
from pnas_tables.sample import is_sealed

if TYPE_CHECKING:
    import pandas as pd

Places: TypeAlias = NDArray[np.int64]

ANSWER_COLUMNS = (
    "valid_accuracy",
    "expected_valid_accuracy",
    "test_accuracy",
    "seconds",
    "examples",
    "parameters",
    "multiply_adds",
    "extrapolated",
)
RUN_COLUMNS = ("valid_accuracy", "test_accuracy", "seconds")
CELL_COLUMNS = ("parameters", "multiply_adds")


def frame_answers(texts: Sequence[str], answers: Sequence[Answers]) -> pd.DataFrame:
    """Answers for the same cells with one seed after another; columns as `Benchmark.query` says.

    Args:
        texts: n canonical texts.
        answers: s of them, at least one, for n cells each.
    """
    columns: dict[str, Any] = {"cell": [*texts] * len(answers)}
    for name in ANSWER_COLUMNS:
        columns[name] = np.concatenate([getattr(one, name) for one in answers])
    count = len(columns["cell"])
    columns["epochs"] = np.full(count, answers[0].epochs)
    columns["status"] = _name_status(np.concatenate([one.status for one in answers]))
    columns["source"] = np.full(count, answers[0].source.value, object)
    columns["seed"] = np.concatenate([list_seeds(one) for one in answers])
    return make_frame(columns)


def frame_means(table: Table, texts: Sequence[str], places: Places) -> pd.DataFrame:
    """What is known of n cells; columns as `Benchmark.measured` says.

    Args:
        table: the table.
        texts: n canonical texts.
        places: `int64[n]`, of each in the table; -1: it is not there.
    """
    # one more than there are cells: the place -1 is that of a cell never trained
    runs = np.bincount(table.run_cells, minlength=len(table) + 1)
    columns = {"cell": list(texts), "runs": runs[places]}
    columns["sealed"] = np.append(list_sealed(table), False)[places]
    for name in RUN_COLUMNS:
        columns[name] = np.append(mean_by_cell(table, getattr(table, name)), np.nan)[places]
    return make_frame(columns)


def frame_runs(table: Table, runs: Places) -> pd.DataFrame:
    """These runs (`int64[k]`) of a table; columns as `Benchmark.trainings` says."""
    cells = table.run_cells[runs]
    columns: dict[str, Any] = {
        "cell": np.array(table.space.format_many(table.cells), object)[cells],
        "blocks": table.space.block_counts(table.cells)[cells],
        "origin": np.array(table.origins, object)[cells],
        "sealed": list_sealed(table)[cells],
        "seed": table.seeds[runs],
        "status": _name_status(table.status[runs]),
    }
    columns |= {name: getattr(table, name)[runs] for name in RUN_COLUMNS}
    columns |= {name: getattr(table, name)[cells] for name in CELL_COLUMNS}
    for place, at in enumerate(table.epochs):
        columns[f"valid_accuracy_at_{at:g}"] = table.curves[runs, place]
    return make_frame(columns)


def list_sealed(table: Table) -> NDArray[np.bool_]:
    """Which cells of a table are of its test set, never fitted: `bool[n]`."""
    return np.array([is_sealed(origin) for origin in table.origins], np.bool_)


def _name_status(status: NDArray[np.uint8]) -> NDArray[Any]:
    """The names of `Status` in lower case, `object[n]` of str."""
    return np.array([one.name.lower() for one in Status], object)[status]
