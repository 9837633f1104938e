"""The run store: every batch proposed and every answer, in SQLite, committed as it arrives.

It is the only state of a run: a run is resumed by replaying it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from pnas_sim.answers import ARRAYS, list_errors, list_seeds
from pnas_sim.databases import demand_known
from pnas_sim.errors import RunError, WorkError
from pnas_sim.evaluate import Answers, Evaluation, Source, Status
from pnas_sim.files import follow_link, lies_on_network
from pnas_sim.logged import (
    COLUMNS,
    CREATE,
    SCHEMA,
    as_proposals,
    as_values,
    find_file,
    read_batches,
    read_evaluations,
    readable,
)
from pnas_sim.seam_checks import check_proposals
from pnas_sim.search.base import Proposals
from pnas_sim.space import CellSpace

KEPT_LATER = frozenset(("chance", "train_images"))  # of a course; older logs do not know them


class RunLog:
    """One run's batches and answers.

    Args:
        path: of the SQLite file, made if it is not there; or of a run's folder.

    Raises:
        RunError: the file is no run log of this schema, damaged, or in use by another process.
        WorkError: the disk is full.
    """

    def __init__(self, path: str | Path) -> None:
        path = follow_link(find_file(path))  # for its lock is known by its name
        self._path, self._trained = path, False
        with self._explained(), ExitStack() as opened:  # what is not opened whole is closed
            # held while the log is open, so that one process at a time goes on with a run and others may read
            lock = sqlite3.connect(path.with_name(f"{path.name}.lock"), timeout=1, isolation_level=None)
            self._lock = opened.enter_context(closing(lock))
            self._lock.execute("BEGIN EXCLUSIVE")
            # where a rollback journal is used, a commit waits for those who read
            database = sqlite3.connect(path, timeout=30, isolation_level=None)
            self._database = opened.enter_context(closing(database))
            demand_known(self._database, CREATE)
            self._choose_journal()
            self._database.executescript(CREATE)
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
        for what in ("fullfsync", "checkpoint_fullfsync"):  # of macOS: through the drive's own memory
            self._database.execute(f"PRAGMA {what}=ON")

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

        A log from before this was kept, or some of it, is taken as it is.

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
            with readable(self._path):
                then = dict(json.loads(kept["course"]))
            self._demand_same(then, now)
        return bool(batches) and kept.get("batch") == str(batch)

    def _demand_same(self, then: Mapping[str, str], now: Mapping[str, str]) -> None:
        unknown = KEPT_LATER - set(then)
        differing = [name for name in {**then, **now} if then.get(name) != now.get(name)]
        differing = [name for name in differing if name not in unknown]
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
        with self._explained(), readable(self._path):
            row = self._database.execute("SELECT * FROM batches ORDER BY number LIMIT 1").fetchone()
            first = as_proposals(row)
        if not (np.array_equal(first.cells, asked.cells) and first.epochs == asked.epochs):
            raise RunError(
                f"{self._path} holds another run: this search begins with other cells; make it anew with the "
                "seed and settings that began the run, or name another file"
            )

    def add_batch(self, number: int, proposals: Proposals, cells: list[str]) -> None:
        """Keeps a batch as proposed and as canonical texts, in one commit."""
        rows = np.ascontiguousarray(proposals.cells, np.uint8)
        predicted = None if proposals.predicted is None else proposals.predicted.astype("<f8").tobytes()
        epochs = None if proposals.epochs is None else float(proposals.epochs)
        values = (number, rows.tobytes(), rows.shape[1], epochs, predicted)
        with self._explained(), self._transaction():
            self._database.execute(
                "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*values, int(proposals.candidates), int(proposals.unique)),  # NumPy's are kept as bytes
            )
            self._database.executemany(
                "INSERT INTO proposals VALUES (?, ?, ?)", [(number, i, cell) for i, cell in enumerate(cells)]
            )

    def add(self, evaluations: list[Evaluation], asked_epochs: float) -> None:
        """Keeps answers, in one commit; a power cut does not take one that was trained."""
        self._flush_trained(one.source for one in evaluations)
        self._write(as_values(evaluation, asked_epochs) for evaluation in evaluations)

    def add_bulk(self, cells: list[str], answers: Answers, asked_epochs: float) -> None:
        """As `add`, of the answers to these cells; arrays of answers hold no curves.

        Args:
            cells: canonical texts.
            answers: one for each, in their order.
            asked_epochs: at which they were asked for.
        """
        self._flush_trained([answers.source])
        columns: dict[str, Iterable[Any]] = {
            "cell": cells,
            "asked_epochs": repeat(asked_epochs),
            "source": repeat(str(answers.source)),
            "epochs": repeat(float(answers.epochs)),
            "seed": list_seeds(answers).tolist(),
            "curve": repeat("[]"),
            "error": map(str, list_errors(answers).tolist()),
            **{name: getattr(answers, name).tolist() for name in ARRAYS},  # SQLite keeps a NaN as NULL
        }
        self._write(zip(*(columns[name] for name in COLUMNS), strict=False))

    def _flush_trained(self, sources: Iterable[str]) -> None:
        """From the first trained answer on, has every commit flushed to the disk itself."""
        if not self._trained and Source.TRAINED in sources:
            with self._explained():
                self._database.execute("PRAGMA synchronous=FULL")
            self._trained = True

    def _write(self, values: Iterable[tuple[Any, ...]]) -> None:
        """Keeps rows of `evaluations`, in one commit."""
        marks = ", ".join("?" * len(COLUMNS))
        with self._explained(), self._transaction():
            self._database.executemany(
                f"INSERT OR REPLACE INTO evaluations ({', '.join(COLUMNS)}) VALUES ({marks})", values
            )

    def reading(self) -> AbstractContextManager[None]:
        """While inside, what is wrong with values of this log is told as such, by `RunError`."""
        return readable(self._path)

    def read_batches(self, space: CellSpace | None = None) -> list[Proposals]:
        """Every batch proposed, in order.

        Args:
            space: of the run; if it is given, batches are checked as a search's are.

        Raises:
            RunError: one is none.
        """
        with self._explained(), readable(self._path):
            batches = read_batches(self._database)
            if space is not None:
                for batch in batches:
                    check_proposals(batch, space)
            return batches

    def read_evaluations(self) -> dict[tuple[str, float], Evaluation]:
        """Every answer by canonical text and epochs asked for.

        Raises:
            RunError: one is none.
        """
        with self._explained(), readable(self._path):
            return read_evaluations(self._database)

    def count_failed(self) -> int:
        """How many answers say that the child failed."""
        with self._explained():
            (count,) = self._database.execute(
                "SELECT COUNT(*) FROM evaluations WHERE status = ?", (int(Status.FAILED),)
            ).fetchone()
        return int(count)

    def forget_failed(self) -> None:
        """Takes out answers that say that the child failed: a run that goes on asks for these anew."""
        with self._explained(), self._transaction():
            self._database.execute("DELETE FROM evaluations WHERE status = ?", (int(Status.FAILED),))

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
