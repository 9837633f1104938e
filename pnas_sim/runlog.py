"""The run store: every batch proposed and every answer, in SQLite, committed as it arrives.

It is the only state of a run: a run is resumed by replaying it.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from pnas_sim.answers import ARRAYS, list_errors, list_seeds
from pnas_sim.databases import demand_known
from pnas_sim.errors import RunError, WorkError
from pnas_sim.evaluate import Answers, Evaluation, Source, Status
from pnas_sim.files import RUN_LOG, lies_on_network
from pnas_sim.frames import make_frame
from pnas_sim.ledger import FRAME
from pnas_sim.search.base import Proposals

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
_NUMBERS = ("valid_accuracy", "expected_valid_accuracy", "test_accuracy", "epochs", "examples", "seconds")
_INTEGERS = ("parameters", "multiply_adds", "seed")
_COLUMNS = (
    *("cell", "asked_epochs", "status", "source"),
    *(*_NUMBERS, *_INTEGERS),
    *("extrapolated", "curve", "error"),
)
_CREATE = f"""
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
    path = _find_file(path)
    if not path.is_file():
        raise RunError(f"{path} is not there; name the folder of a run that has its log")
    # a log that nobody has open is one whole file, which may also lie where nothing can be written; one with
    # a rollback journal does not tell whether somebody has
    writing = path.with_name(f"{path.name}-wal").exists() or _rolls_back(path)
    address = f"{path.absolute().as_uri()}?{'mode=ro' if writing else 'immutable=1'}"
    try:
        with _readable(path), closing(sqlite3.connect(address, uri=True, isolation_level=None)) as database:
            database.execute("BEGIN")  # all of it as it was at one moment
            demand_known(database, _CREATE)
            schema = dict(database.execute("SELECT key, value FROM meta").fetchall()).get("schema")
            run = _read_all(database) if schema == str(SCHEMA) else None
    except sqlite3.Error as error:
        raise RunError(f"{path} cannot be read: {error}; bring a whole copy of it") from error
    if run is None:
        raise RunError(f"{path}: its schema is {schema}, this version reads {SCHEMA}; start a new run")
    return run


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Tells of values that this program never wrote."""
    try:
        yield
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}; bring a whole copy of it") from error


def _find_file(path: str | Path) -> Path:
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
    batches = [LoggedBatch(_as_proposals(row), texts.get(row[0], [])) for row in rows]
    return LoggedRun(batches, _read_evaluations(database))


def _read_evaluations(database: sqlite3.Connection) -> dict[tuple[str, float], Evaluation]:
    rows = database.execute(f"SELECT {', '.join(_COLUMNS)} FROM evaluations ORDER BY rowid").fetchall()
    found = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
    return {(row["cell"], row["asked_epochs"]): _as_evaluation(row) for row in found}


class RunLog:
    """One run's batches and answers.

    Args:
        path: of the SQLite file, made if it is not there; or of a run's folder.

    Raises:
        RunError: the file is no run log of this schema, damaged, or in use by another process.
        WorkError: the disk is full.
    """

    def __init__(self, path: str | Path) -> None:
        path = _find_file(path)
        self._path, self._trained = path, False
        with self._explained(), ExitStack() as opened:  # what is not opened whole is closed
            # held while the log is open, so that one process at a time goes on with a run and others may read
            lock = sqlite3.connect(path.with_name(f"{path.name}.lock"), timeout=1, isolation_level=None)
            self._lock = opened.enter_context(closing(lock))
            self._lock.execute("BEGIN EXCLUSIVE")
            # where a rollback journal is used, a commit waits for those who read
            database = sqlite3.connect(path, timeout=30, isolation_level=None)
            self._database = opened.enter_context(closing(database))
            demand_known(self._database, _CREATE)
            self._choose_journal()
            self._database.executescript(_CREATE)
            self._database.execute("INSERT OR IGNORE INTO meta VALUES ('schema', ?)", (str(SCHEMA),))
            (schema,) = self._database.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
            if schema != str(SCHEMA):
                raise RunError(
                    f"{path}: its schema is {schema}, this version reads {SCHEMA}; start a new run"
                )
            opened.pop_all()

    def _choose_journal(self) -> None:
        """Sets how commits reach the disk.

        A write-ahead log is fastest and lets others read meanwhile, but needs memory that all of them share:
        on a network file system, where they may be on other machines, it is the rollback journal.
        """
        shared = lies_on_network(self._path)
        wanted = "DELETE" if shared else "WAL"
        (mode,) = self._database.execute(f"PRAGMA journal_mode={wanted}").fetchone()
        safe = "NORMAL" if str(mode).lower() == "wal" else "FULL"
        self._database.execute(f"PRAGMA synchronous={safe}")

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._database.close()
        self._lock.close()

    def begin(self, course: Mapping[str, Any], batch: int) -> bool:
        """Keeps what decides a run's course, or checks that a run that was begun is gone on with.

        A log from before this was kept is taken as it is.

        Args:
            course: by what it is; JSON values.
            batch: cells asked for at a time, which may be another from now on.

        Returns:
            Whether the batches that are kept were asked for so many at a time, as far as is known.

        Raises:
            RunError: the log is of another run.
        """
        now = {name: json.dumps(value, default=_as_plain, sort_keys=True) for name, value in course.items()}
        with self._explained(), self._transaction():
            kept = dict(self._database.execute("SELECT key, value FROM meta").fetchall())
            (batches,) = self._database.execute("SELECT COUNT(*) FROM batches").fetchone()
            if not batches:
                values = [("course", json.dumps(now)), ("batch", str(batch))]
                self._database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values)
        if batches and "course" in kept:
            with _readable(self._path):
                then = dict(json.loads(kept["course"]))
            self._demand_same(then, now)
        return bool(batches) and kept.get("batch") == str(batch)

    def _demand_same(self, then: Mapping[str, str], now: Mapping[str, str]) -> None:
        differing = [name for name in {**then, **now} if then.get(name) != now.get(name)]
        if differing:
            told = "; ".join(
                f"{name} was {then.get(name, 'unset')}, is {now.get(name, 'unset')}" for name in differing
            )
            raise RunError(f"{self._path} holds another run: {told}; name another file, or go on as it began")

    def demand_first(self, asked: Proposals) -> None:
        """Checks that the first batch of the log is what a fresh search asks for.

        Raises:
            RunError: it is not.
        """
        with self._explained(), _readable(self._path):
            row = self._database.execute("SELECT * FROM batches ORDER BY number LIMIT 1").fetchone()
            first = _as_proposals(row)
        if not (np.array_equal(first.cells, asked.cells) and first.epochs == asked.epochs):
            raise RunError(
                f"{self._path} holds another run: this search begins with other cells; make it anew with the "
                "seed and settings that began the run, or name another file"
            )

    def add_batch(self, number: int, proposals: Proposals, cells: list[str]) -> None:
        """Keeps a batch as proposed and as canonical texts, in one commit."""
        rows = np.ascontiguousarray(proposals.cells, np.uint8)
        predicted = None if proposals.predicted is None else proposals.predicted.astype("<f8").tobytes()
        values = (number, rows.tobytes(), rows.shape[1], proposals.epochs, predicted)
        with self._explained(), self._transaction():
            self._database.execute(
                "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*values, proposals.candidates, proposals.unique),
            )
            self._database.executemany(
                "INSERT INTO proposals VALUES (?, ?, ?)", [(number, i, cell) for i, cell in enumerate(cells)]
            )

    def add(self, evaluations: list[Evaluation], asked_epochs: float) -> None:
        """Keeps answers, in one commit; a power cut does not take one that was trained."""
        if not self._trained and any(one.source == Source.TRAINED for one in evaluations):
            self._trained = True
            with self._explained():
                self._database.execute("PRAGMA synchronous=FULL")
        self._write(_as_values(evaluation, asked_epochs) for evaluation in evaluations)

    def add_bulk(self, cells: list[str], answers: Answers, asked_epochs: float) -> None:
        """Keeps the answers to these cells, in one commit; arrays of answers hold no curves.

        Args:
            cells: canonical texts.
            answers: one for each, in their order.
            asked_epochs: at which they were asked for.
        """
        columns: dict[str, Iterable[Any]] = {
            "cell": cells,
            "asked_epochs": repeat(asked_epochs),
            "source": repeat(str(answers.source)),
            "epochs": repeat(answers.epochs),
            "seed": list_seeds(answers).tolist(),
            "curve": repeat("[]"),
            "error": list_errors(answers).tolist(),
            **{name: getattr(answers, name).tolist() for name in ARRAYS},  # SQLite keeps a NaN as NULL
        }
        self._write(zip(*(columns[name] for name in _COLUMNS), strict=False))

    def _write(self, values: Iterable[tuple[Any, ...]]) -> None:
        """Keeps rows of `evaluations`, in one commit."""
        marks = ", ".join("?" * len(_COLUMNS))
        with self._explained(), self._transaction():
            self._database.executemany(
                f"INSERT OR REPLACE INTO evaluations ({', '.join(_COLUMNS)}) VALUES ({marks})", values
            )

    def read_batches(self) -> list[Proposals]:
        """Every batch proposed, in order."""
        with self._explained(), _readable(self._path):
            rows = self._database.execute("SELECT * FROM batches ORDER BY number").fetchall()
            return [_as_proposals(row) for row in rows]

    def read_evaluations(self) -> dict[tuple[str, float], Evaluation]:
        """Every answer by canonical text and epochs asked for."""
        with self._explained(), _readable(self._path):
            return _read_evaluations(self._database)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # a full disk ends some transactions by itself
                self._database.execute("ROLLBACK")
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Tells SQLite's errors as the project's."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise RunError(f"{self._path} is in use; let the other process end first") from error
            raise WorkError(f"{self._path}: {error}; make room or free the file, then resume") from error
        except sqlite3.DatabaseError as error:
            raise RunError(f"{self._path} is damaged: {error}; start a new run") from error


def _as_plain(value: object) -> Any:
    """What JSON does not know: NumPy's numbers as Python's, of other things their kind alone."""
    return value.item() if isinstance(value, np.generic) else type(value).__name__


def _as_values(evaluation: Evaluation, asked_epochs: float) -> tuple[Any, ...]:
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


def _as_proposals(row: tuple[Any, ...]) -> Proposals:
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
