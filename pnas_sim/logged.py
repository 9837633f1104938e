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

from pnas_sim.answers import ARRAYS
from pnas_sim.databases import demand_known
from pnas_sim.errors import PnasError, RunError
from pnas_sim.evaluate import Answers, Evaluation, Source, Status
from pnas_sim.files import RUN_LOG, follow_link
from pnas_sim.frames import make_frame
from pnas_sim.ledger import FRAME
from pnas_sim.seam_checks import check_answers
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
_KINDS: dict[str, tuple[type, ...]] = {  # of what SQLite gives back; any column of its may hold anything
    **dict.fromkeys(("cell", "source", "curve", "error"), (str,)),
    **dict.fromkeys(("status", *_INTEGERS, "extrapolated"), (int,)),
    **dict.fromkeys(_NUMBERS, (float, type(None))),
    "asked_epochs": (float,),
}
_WORDS = {str: "text", int: "whole number", float: "number"}
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
    path = follow_link(find_file(path))  # beside which others write
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
        raise RunError(f"{path} cannot be read: {_explain(error)}") from error
    if run is None:
        raise RunError(f"{path}: its schema is {schema}, this version reads {SCHEMA}; start a new run")
    return run


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Tells of values that this program never wrote."""
    try:
        yield
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        # what the parts of a run are told to do about it helps nobody with a log
        what = str(error).partition(";")[0] if isinstance(error, PnasError) else error
        raise RunError(f"{path} cannot be read: {what}; bring a whole copy of it") from error


def _explain(error: sqlite3.Error) -> str:
    """Why a log cannot be read, and what to do."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY_ROLLBACK:
        return "a commit was broken off in it; go on with its run, then read it"  # which mends it
    return f"{error}; bring a whole copy of it"


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
        texts.setdefault(number, []).append(_demand_kind("cell", cell, str))
    batches = read_batches(database)
    if {number: len(batch) for number, batch in enumerate(batches)} != {
        number: len(cells) for number, cells in texts.items()
    }:
        raise ValueError("its proposals are not those of its batches")
    return LoggedRun(
        [LoggedBatch(batch, texts[number]) for number, batch in enumerate(batches)],
        read_evaluations(database),
    )


def read_batches(database: sqlite3.Connection) -> list[Proposals]:
    """Every batch proposed, in order; inside `readable`."""
    rows = database.execute("SELECT * FROM batches ORDER BY number").fetchall()
    if [row[0] for row in rows] != list(range(len(rows))):
        raise ValueError("its batches are not numbered from 0 on, one by one")
    return [as_proposals(row) for row in rows]


def read_evaluations(database: sqlite3.Connection) -> dict[tuple[str, float], Evaluation]:
    """Every answer by canonical text and epochs asked for, in the order of arrival; inside `readable`.

    They are checked as an evaluator's are, but column by column: a long log is read in a second or two.
    """
    rows = database.execute(f"SELECT {', '.join(COLUMNS)} FROM evaluations ORDER BY rowid").fetchall()
    if not rows:
        return {}
    columns = dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    _demand_answers(columns)
    status = {int(one): one for one in Status}
    source = {name: Source(name) for name in set(columns["source"])}
    columns["status"] = [status[value] for value in columns["status"]]
    columns["source"] = [source[name] for name in columns["source"]]
    columns["extrapolated"] = [bool(value) for value in columns["extrapolated"]]
    columns["curve"] = [() if text == "[]" else _read_curve(text) for text in columns["curve"]]
    asked = columns.pop("asked_epochs")
    answers = (
        Evaluation(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)
    )
    return dict(zip(zip(columns["cell"], asked, strict=True), answers, strict=True))


def _demand_answers(columns: dict[str, list[Any]]) -> None:
    """Checks columns of `evaluations` as `check_answers` does; what is unknown is NaN in them from then on.

    Raises:
        ValueError: a value is of another type, or out of its range.
    """
    for name, kinds in _KINDS.items():
        if not set(map(type, columns[name])) <= set(kinds):
            strange = next(value for value in columns[name] if type(value) not in kinds)
            _demand_kind(name, strange, *kinds)
    for name in _NUMBERS:
        columns[name] = [math.nan if value is None else value for value in columns[name]]
    if not all(0 < at < math.inf for at in columns["asked_epochs"]):
        raise ValueError("the epochs of an answer are no positive number")
    arrays: dict[str, Any] = {name: np.array(columns[name]) for name in ARRAYS}
    arrays["extrapolated"] = arrays["extrapolated"] != 0
    answers = Answers(source=Source.PREDICTED, epochs=math.nan, seed=0, **arrays)
    check_answers("of the run", answers, len(columns["cell"]))


def _demand_kind(name: str, value: Any, *kinds: type) -> Any:
    """The value of a column, if it is of one of these types, as which SQLite keeps what was written."""
    if type(value) not in kinds:
        raise ValueError(f"{name} is {value!r:.40}, no {_WORDS[kinds[0]]}")
    return value


def _read_curve(text: str) -> tuple[tuple[float, float], ...]:
    return tuple((float(at), math.nan if value is None else float(value)) for at, value in json.loads(text))


def as_values(evaluation: Evaluation, asked_epochs: float) -> tuple[Any, ...]:
    """An answer as a row of `evaluations`."""
    numbers = [_or_none(getattr(evaluation, name)) for name in _NUMBERS]
    curve = json.dumps([[float(at), _or_none(value)] for at, value in evaluation.curve])
    head = (evaluation.cell, asked_epochs, int(evaluation.status), str(evaluation.source))
    integers = [int(getattr(evaluation, name)) for name in _INTEGERS]  # SQLite keeps NumPy's own as bytes
    return (*head, *numbers, *integers, int(evaluation.extrapolated), curve, str(evaluation.error))


def as_proposals(row: tuple[Any, ...]) -> Proposals:
    """A row of `batches` as it was proposed; inside `readable`."""
    number, cells, width, epochs, predicted, candidates, unique = row
    rows = np.frombuffer(cells, np.uint8).reshape(-1, _demand_kind("width", width, int)).copy()
    guesses = None if predicted is None else np.frombuffer(predicted, "<f8").copy()
    if not len(rows) or (guesses is not None and len(guesses) != len(rows)):
        told = "no" if guesses is None else str(len(guesses))
        raise ValueError(f"batch {number} has {len(rows)} cells and {told} predictions")
    return Proposals(
        cells=rows,
        epochs=_demand_kind("epochs", epochs, float, type(None)),
        predicted=guesses,
        candidates=_demand_kind("candidates", candidates, int),
        unique=_demand_kind("unique_candidates", unique, int),
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
