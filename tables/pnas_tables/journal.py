"""The journal of a build: every finished child, on disk before the next one is looked at.

SQLite in WAL mode, one commit a child. A kill at any moment loses the children in flight and nothing else.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import groupby
from math import isnan, nan
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from pnas_sim.databases import demand_known
from pnas_sim.errors import TableError, WorkError
from pnas_sim.evaluate import Evaluation, Status
from pnas_sim.space import CellSpace
from pnas_tables.images import list_images
from pnas_tables.record import Table, arrange_table, join_words, json_text

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


class Child(NamedTuple):
    """A finished child as a row of the journal; None is unknown.

    Attributes:
        cell: canonical text.
        seed: of its training.
        origin: why its cell was chosen, as in `Table`.
        status: value of `pnas_sim.evaluate.Status`.
        valid_accuracy: in [0, 1].
        test_accuracy: in [0, 1].
        seconds: CPU or device seconds.
        parameters: -1 if unknown.
        multiply_adds: -1 if unknown.
        curve: JSON list of pairs of epochs and accuracy.
        error: one line.
    """

    cell: str
    seed: int
    origin: str
    status: int
    valid_accuracy: float | None
    test_accuracy: float | None
    seconds: float | None
    parameters: int
    multiply_adds: int
    curve: str
    error: str


class Journal:
    """The finished children of one build; open in one process at a time."""

    def __init__(self, path: Path, head: TableHead, provenance: Mapping[str, Any]) -> None:
        """Opens the journal, or begins it.

        Raises:
            TableError: it belongs to another build (space, recipe, name, images), is open elsewhere, is
                damaged, or a link.
            WorkError: it cannot be written.
        """
        self.path = path
        self.head = head
        if path.is_symlink():  # to any file, in a folder that somebody else made
            raise TableError(f"journal {path} is a link; remove it, and give the same command again")
        try:
            with ExitStack() as opened:  # what is not opened whole is closed, and no longer locked
                database = sqlite3.connect(path, timeout=1, isolation_level=None)
                self._database = opened.enter_context(closing(database))
                self._database.execute(
                    "PRAGMA locking_mode = EXCLUSIVE"
                )  # first: else memory is shared by a file
                demand_known(self._database, _TABLES)
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = FULL")
                self._begin(provenance)
                _demand_there(path)
                opened.pop_all()
        except sqlite3.Error as error:
            _demand_there(path)  # of a file that is gone SQLite says no more than that the disk fails
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
        named = list_images([*self._read_provenance(), provenance])
        if len(named) > 1:
            self._database.execute("ROLLBACK")
            raise TableError(
                f"journal {self.path} is of a build on other images (checksums {' and '.join(named)}); "
                "finish that with its own, or remove the file"
            )
        self._database.execute("INSERT OR IGNORE INTO provenance VALUES (?)", (json_text(provenance),))
        self._database.execute("COMMIT")

    def _read_provenance(self) -> list[dict[str, Any]]:
        entries = self._database.execute("SELECT entry FROM provenance ORDER BY entry").fetchall()
        return [json.loads(entry) for (entry,) in entries]

    def add(self, evaluation: Evaluation, origin: str) -> None:
        """Keeps one finished child; on return it is on the disk.

        Raises:
            WorkError: the disk is full, or the folder is gone.
        """
        child = Child(
            cell=evaluation.cell,
            seed=evaluation.seed,
            origin=origin,
            status=int(evaluation.status),
            valid_accuracy=_number(evaluation.valid_accuracy),
            test_accuracy=_number(evaluation.test_accuracy),
            seconds=_number(evaluation.seconds),
            parameters=evaluation.parameters,
            multiply_adds=evaluation.multiply_adds,
            curve=json.dumps([[epochs, _number(accuracy)] for epochs, accuracy in evaluation.curve]),
            error=" ".join(evaluation.error.split()),
        )
        places = ", ".join("?" * len(child))
        try:
            self._database.execute(f"INSERT OR REPLACE INTO children VALUES ({places})", child)
        except sqlite3.Error as error:
            raise _explain(error, self.path) from None

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM children").fetchone()[0])

    def read(self) -> Table:
        """The children so far, as a table."""
        try:
            rows = self._database.execute("SELECT * FROM children").fetchall()
            provenance = self._read_provenance()
        except sqlite3.Error as error:
            raise _explain(error, self.path) from None
        return assemble_table(self.head, provenance, map(Child._make, rows))

    def remove(self) -> None:
        """Deletes the journal and closes it, once its children stand in a table file.

        In this order, so that nobody has the lock of a file that is about to go, and the next build, which
        can begin once the journal is gone, keeps its own.
        """
        self.path.with_name(f"{self.path.name}-wal").unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        self._database.close()


def _demand_there(path: Path) -> None:
    if not path.exists():  # a build that has ended removed it before this one had the lock
        raise TableError(f"journal {path} was finished by another build meanwhile; start again")


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
    head: TableHead, provenance: Sequence[Mapping[str, Any]], children: Iterable[Child]
) -> Table:
    """A table of children; a cell has every word that one of its children was chosen for."""
    children = sorted(children)
    by_cell = {text: list(group) for text, group in groupby(children, lambda child: child.cell)}
    place = {text: number for number, text in enumerate(by_cell)}
    last = [group[-1] for group in by_cell.values()]
    status = np.array([child.status for child in children], np.uint8)
    valid = np.array([_accuracy(child.valid_accuracy) for child in children], np.float64)
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
            cells=head.space.parse_many(list(by_cell)) if by_cell else head.space.initial()[:0],
            parameters=np.array([child.parameters for child in last], np.int64),
            multiply_adds=np.array([child.multiply_adds for child in last], np.int64),
            origins=tuple(join_words(child.origin for child in group) for group in by_cell.values()),
            run_cells=np.array([place[child.cell] for child in children], np.int64),
            seeds=np.array([child.seed for child in children], np.int64),
            status=status,
            valid_accuracy=valid,
            test_accuracy=np.array([_accuracy(child.test_accuracy) for child in children], np.float64),
            seconds=np.array([_accuracy(child.seconds) for child in children], np.float64),
            curves=_curves(head.epochs, [json.loads(child.curve) for child in children]),
            errors=tuple(child.error for child in children),
        )
    )


def _curves(epochs: Sequence[float], curves: Sequence[list[list[float | None]]]) -> np.ndarray[Any, Any]:
    """`float64[m, c]`: each child's accuracy at each checkpoint, NaN where it has none."""
    values = np.full((len(curves), len(epochs)), nan)
    for run, curve in enumerate(curves):
        known = {round(float(at or 0), 9): accuracy for at, accuracy in curve}
        values[run] = [_accuracy(known.get(round(at, 9))) for at in epochs]
    return values
