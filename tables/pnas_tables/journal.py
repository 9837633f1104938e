"""The journal of a build: every finished child, on disk before the next one is looked at.

SQLite in WAL mode, one commit a child. A kill at any moment loses the children in flight and nothing else.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from pnas_sim.errors import TableError, WorkError
from pnas_sim.evaluate import Evaluation, Status
from pnas_sim.space import CellSpace
from pnas_tables.record import Table, arrange_table, json_text

SCHEMA = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS head (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS provenance (entry TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS children (
    cell TEXT NOT NULL, seed INTEGER NOT NULL, origin TEXT NOT NULL, status INTEGER NOT NULL,
    valid_accuracy REAL, test_accuracy REAL, seconds REAL, parameters INTEGER NOT NULL,
    multiply_adds INTEGER NOT NULL, curve TEXT NOT NULL, error TEXT NOT NULL, PRIMARY KEY (cell, seed));
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableHead:
    """All of a table but its cells and runs; fields as in `Table`."""

    name: str
    space: CellSpace
    recipe: Mapping[str, Any]
    licence: str
    train_images: int
    chance: float
    epochs: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """The head as JSON values."""
        return {
            "name": self.name,
            "operations": list(self.space.operations),
            "max_blocks": self.space.max_blocks,
            "recipe": self.recipe,
            "licence": self.licence,
            "train_images": self.train_images,
            "chance": self.chance,
            "epochs": list(self.epochs),
        }


class Journal:
    """The finished children of one build; open in one process at a time."""

    def __init__(self, path: Path, head: TableHead, provenance: Mapping[str, Any]) -> None:
        """Opens the journal, or begins it.

        Raises:
            TableError: it belongs to another build (space, recipe, name), is open elsewhere, or is damaged.
            WorkError: it cannot be written.
        """
        self.path = path
        self.head = head
        try:
            with ExitStack() as opened:  # what is not opened whole is closed, and no longer locked
                database = sqlite3.connect(path, timeout=1, isolation_level=None)
                self._database = opened.enter_context(closing(database))
                self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = FULL")
                self._begin(provenance)
                if not path.exists():  # a build that has ended removed it before this one had the lock
                    raise TableError(f"journal {path} was finished by another build meanwhile; start again")
                opened.pop_all()
        except sqlite3.Error as error:
            raise _explain(error, path) from None

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def _begin(self, provenance: Mapping[str, Any]) -> None:
        self._database.execute("BEGIN EXCLUSIVE")
        for statement in filter(str.strip, _TABLES.split(";")):
            self._database.execute(statement)
        wanted = {"schema": SCHEMA, **self.head.as_json()}
        stored = dict(self._database.execute("SELECT key, value FROM head").fetchall())
        for key, value in wanted.items():
            text = json_text(value)
            if stored.get(key, text) != text:
                self._database.execute("ROLLBACK")
                raise TableError(
                    f"journal {self.path} is of a build with another {key}; finish that, or remove the file"
                )
            self._database.execute("INSERT OR REPLACE INTO head VALUES (?, ?)", (key, text))
        self._database.execute("INSERT OR IGNORE INTO provenance VALUES (?)", (json_text(provenance),))
        self._database.execute("COMMIT")

    def add(self, evaluation: Evaluation, origin: str) -> None:
        """Keeps one finished child; on return it is on the disk.

        Raises:
            WorkError: the disk is full, or the folder is gone.
        """
        values = (
            evaluation.cell,
            evaluation.seed,
            origin,
            int(evaluation.status),
            _number(evaluation.valid_accuracy),
            _number(evaluation.test_accuracy),
            _number(evaluation.seconds),
            evaluation.parameters,
            evaluation.multiply_adds,
            json.dumps([[epochs, _number(accuracy)] for epochs, accuracy in evaluation.curve]),
            " ".join(evaluation.error.split()),
        )
        try:
            self._database.execute(f"INSERT OR REPLACE INTO children VALUES ({', '.join('?' * 11)})", values)
        except sqlite3.Error as error:
            raise _explain(error, self.path) from None

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM children").fetchone()[0])

    def read(self) -> Table:
        """The children so far, as a table."""
        try:
            children = self._database.execute("SELECT * FROM children ORDER BY cell, seed").fetchall()
            entries = self._database.execute("SELECT entry FROM provenance ORDER BY entry").fetchall()
        except sqlite3.Error as error:
            raise _explain(error, self.path) from None
        return assemble_table(self.head, [json.loads(entry) for (entry,) in entries], children)

    def remove(self) -> None:
        """Deletes the journal and closes it, once its children stand in a table file.

        In this order, so that nobody has the lock of a file that is about to go.
        """
        self.path.unlink(missing_ok=True)
        self._database.close()
        self.path.with_name(f"{self.path.name}-wal").unlink(missing_ok=True)


def _explain(error: sqlite3.Error, path: Path) -> TableError | WorkError:
    if "locked" in str(error):
        return TableError(f"journal {path} is in use by another build; let that one finish, or stop it")
    if isinstance(error, sqlite3.OperationalError):
        return WorkError(f"journal {path} cannot be written: {error}; make room, then start the build again")
    return TableError(f"journal {path} is damaged: {error}; remove it to go on without its children")


def _number(value: float) -> float | None:
    return None if isnan(value) else float(value)


def _accuracy(value: float | None) -> float:
    return nan if value is None else value


def assemble_table(
    head: TableHead, provenance: Sequence[Mapping[str, Any]], children: Iterable[tuple[Any, ...]]
) -> Table:
    """A table of children, given as rows of the journal."""
    children = sorted(children)
    texts = sorted({child[0] for child in children})
    place = {text: number for number, text in enumerate(texts)}
    last = {child[0]: child for child in children}
    status = np.array([child[3] for child in children], np.uint8)
    valid = np.array([_accuracy(child[4]) for child in children], np.float64)
    # a child that came to not-a-number answers as a guess does
    valid = np.where((status == Status.DIVERGED) & np.isnan(valid), head.chance, valid)
    valid = np.where(status == Status.FAILED, nan, valid)
    return arrange_table(
        Table(
            name=head.name,
            space=head.space,
            recipe=head.recipe,
            provenance=tuple(provenance),
            licence=head.licence,
            closed=False,
            train_images=head.train_images,
            chance=head.chance,
            epochs=np.array(head.epochs, np.float64),
            cells=head.space.parse_many(texts) if texts else head.space.initial()[:0],
            parameters=np.array([last[text][7] for text in texts], np.int64),
            multiply_adds=np.array([last[text][8] for text in texts], np.int64),
            origins=tuple(last[text][2] for text in texts),
            run_cells=np.array([place[child[0]] for child in children], np.int64),
            seeds=np.array([child[1] for child in children], np.int64),
            status=status,
            valid_accuracy=valid,
            test_accuracy=np.array([_accuracy(child[5]) for child in children], np.float64),
            seconds=np.array([_accuracy(child[6]) for child in children], np.float64),
            curves=_curves(head.epochs, [json.loads(child[9]) for child in children]),
            errors=tuple(child[10] for child in children),
        )
    )


def _curves(epochs: Sequence[float], curves: Sequence[list[list[float | None]]]) -> np.ndarray[Any, Any]:
    """`float64[m, c]`: each child's accuracy at each checkpoint, NaN where it has none."""
    values = np.full((len(curves), len(epochs)), nan)
    for run, curve in enumerate(curves):
        known = {round(float(at or 0), 9): accuracy for at, accuracy in curve}
        values[run] = [_accuracy(known.get(round(at, 9))) for at in epochs]
    return values
