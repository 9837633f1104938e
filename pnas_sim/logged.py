"""What a run's log holds: its tables in SQLite, their rows as what they mean, and all of it read at once."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pnas_sim.databases import demand_known
from pnas_sim.errors import RunError
from pnas_sim.evaluate import Evaluation, Source, Status
from pnas_sim.files import RUN_LOG
from pnas_sim.frames import make_frame
from pnas_sim.ledger import FRAME
from pnas_sim.search.base import Proposals

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
_NUMBERS = ("valid_accuracy", "expected_valid_accuracy", "test_accuracy", "epochs", "examples", "seconds")
_INTEGERS = ("parameters", "multiply_adds", "seed")
COLUMNS = (
    *("cell", "asked_epochs", "status", "source"),
    *(*_NUMBERS, *_INTEGERS),
    *("extrapolated", "curve", "error"),
)
CREATE = f"""
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batches (
    number INTEGER PRIMARY KEY, cells BLOB NOT NULL, width INTEGER NOT NULL, epochs REAL,
    predicted BLOB, candidates INTEGER NOT NULL, unique_candidates INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS proposals (
    batch INTEGER NOT NULL, place INTEGER NOT NULL, cell TEXT NOT NULL, PRIMARY KEY (batch, place)
);
CREATE TABLE IF NOT EXISTS evaluations (
    cell TEXT NOT NULL, asked_epochs REAL NOT NULL, status INTEGER NOT NULL, source TEXT NOT NULL,
    {", ".join(f"{name} REAL" for name in _NUMBERS)}, {", ".join(f"{name} INTEGER" for name in _INTEGERS)},
    extrapolated INTEGER NOT NULL, curve TEXT NOT NULL, error TEXT NOT NULL,
    PRIMARY KEY (cell, asked_epochs)
);
"""


@dataclass(frozen=True, slots=True)
class LoggedBatch:
    """A batch as the log keeps it.

    Attributes:
        proposals: as the strategy wrote them.
        cells: canonical texts, in the same order.
    """

    proposals: Proposals
    cells: list[str]


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """Everything that a log holds.

    Attributes:
        batches: in order.
        evaluations: by canonical text and epochs asked for, in the order of arrival.
    """

    batches: list[LoggedBatch]
    evaluations: dict[tuple[str, float], Evaluation]

    def to_frame(self) -> pd.DataFrame:
        """One row a model that was answered, in order of proposal; columns as of `Models.to_frame`.

        Accuracies are as the evaluator gave them, also of children that diverged.

        Raises:
            SettingError: pandas is not installed.
        """
        rows = list(self._list_models())
        answers = [answer for answer, _, _ in rows]
        columns: dict[str, Any] = {
            "cell": [answer.cell for answer in answers],
            "blocks": [answer.cell.count("|") + 1 for answer in answers],
            "batch": [batch for _, batch, _ in rows],
            "predicted": [predicted for _, _, predicted in rows],
            **{name: [getattr(answer, name) for answer in answers] for name in (*FRAME, "error")},
        }
        columns["status"] = [answer.status.name.lower() for answer in answers]
        columns["source"] = [str(answer.source) for answer in answers]
        return make_frame(columns)

    def _list_models(self) -> Iterator[tuple[Evaluation, int, float]]:
        """Each answer, with the number of the first batch that has it and what was predicted there."""
        asked = dict(reversed(list(self.evaluations)))  # epochs, the first of several
        free = [batch.cells for batch in self.batches if batch.proposals.epochs is None]
        own = next((asked[cell] for cells in free for cell in cells if cell in asked), math.nan)
        left = dict(self.evaluations)
        for number, batch in enumerate(self.batches):
            predicted = batch.proposals.predicted
            guesses = repeat(math.nan) if predicted is None else predicted.tolist()
            for cell, guess in zip(batch.cells, guesses, strict=False):
                if (answer := left.pop((cell, batch.proposals.epochs or own), None)) is not None:
                    yield answer, number, guess


def read_log(path: str | Path) -> LoggedRun:
    """Reads a run's log without writing to it, also while another process goes on with the run.

    Args:
        path: of the SQLite file, or of a run's folder.

    Raises:
        RunError: the file is missing, damaged, or no run log of this schema.
    """
    path = find_file(path)
    if not path.is_file():
        raise RunError(f"{path} is not there; name the folder of a run that has its log")
    # a log that nobody has open is one whole file, which may also lie where nothing can be written; one with
    # a rollback journal does not tell whether somebody has
    writing = path.with_name(f"{path.name}-wal").exists() or _rolls_back(path)
    address = f"{path.absolute().as_uri()}?{'mode=ro' if writing else 'immutable=1'}"
    try:
        with readable(path), closing(sqlite3.connect(address, uri=True, isolation_level=None)) as database:
            database.execute("BEGIN")  # all of it as it was at one moment
            demand_known(database, CREATE)
            schema = dict(database.execute("SELECT key, value FROM meta").fetchall()).get("schema")
            run = _read_all(database) if schema == str(SCHEMA) else None
    except sqlite3.Error as error:
        raise RunError(f"{path} cannot be read: {error}; bring a whole copy of it") from error
    if run is None:
        raise RunError(f"{path}: its schema is {schema}, this version reads {SCHEMA}; start a new run")
    return run


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Tells of values that this program never wrote."""
    try:
        yield
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}; bring a whole copy of it") from error


def find_file(path: str | Path) -> Path:
    """The log's file: the path itself, or what a run's folder holds."""
    path = Path(path)
    return path / RUN_LOG if path.is_dir() else path


def _rolls_back(path: Path) -> bool:
    """Whether a database has a rollback journal, as its header says, and no write-ahead log."""
    with path.open("rb") as file:
        return file.read(20)[19:] == b"\x01"


def _read_all(database: sqlite3.Connection) -> LoggedRun:
    texts: dict[int, list[str]] = {}
    for number, cell in database.execute("SELECT batch, cell FROM proposals ORDER BY batch, place"):
        texts.setdefault(number, []).append(cell)
    rows = database.execute("SELECT * FROM batches ORDER BY number").fetchall()
    batches = [LoggedBatch(as_proposals(row), texts.get(row[0], [])) for row in rows]
    return LoggedRun(batches, read_evaluations(database))


def read_evaluations(database: sqlite3.Connection) -> dict[tuple[str, float], Evaluation]:
    """Every answer by canonical text and epochs asked for, in the order of arrival."""
    rows = database.execute(f"SELECT {', '.join(COLUMNS)} FROM evaluations ORDER BY rowid").fetchall()
    found = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    return {(row["cell"], row["asked_epochs"]): _as_evaluation(row) for row in found}


def as_values(evaluation: Evaluation, asked_epochs: float) -> tuple[Any, ...]:
    """An answer as a row of `evaluations`."""
    numbers = [_or_none(getattr(evaluation, name)) for name in _NUMBERS]
    curve = json.dumps([[float(at), _or_none(value)] for at, value in evaluation.curve])
    head = (evaluation.cell, asked_epochs, int(evaluation.status), str(evaluation.source))
    integers = [int(getattr(evaluation, name)) for name in _INTEGERS]  # SQLite keeps NumPy's own as bytes
    return (*head, *numbers, *integers, int(evaluation.extrapolated), curve, str(evaluation.error))


def _as_evaluation(row: dict[str, Any]) -> Evaluation:
    fields: dict[str, Any] = {name: math.nan if row[name] is None else row[name] for name in _NUMBERS}
    fields |= {name: row[name] for name in _INTEGERS}
    return Evaluation(
        cell=row["cell"],
        status=Status(row["status"]),
        source=Source(row["source"]),
        curve=tuple((at, math.nan if value is None else value) for at, value in json.loads(row["curve"])),
        extrapolated=bool(row["extrapolated"]),
        error=row["error"],
        **fields,
    )


def as_proposals(row: tuple[Any, ...]) -> Proposals:
    """A row of `batches` as it was proposed."""
    _, cells, width, epochs, predicted, candidates, unique = row
    return Proposals(
        cells=np.frombuffer(cells, np.uint8).reshape(-1, width).copy(),
        epochs=epochs,
        predicted=None if predicted is None else np.frombuffer(predicted, "<f8").copy(),
        candidates=candidates,
        unique=unique,
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
