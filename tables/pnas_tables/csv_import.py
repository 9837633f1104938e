"""Makes a table of a CSV file: one line for each trained child."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

from pnas_sim.errors import CellError, TableError
from pnas_sim.evaluate import Status
from pnas_sim.space import CellSpace
from pnas_tables.figures import is_complete
from pnas_tables.journal import Child, TableHead, assemble_table
from pnas_tables.record import Table

REQUIRED = ("cell", "seed", "valid_accuracy")
OPTIONAL = ("test_accuracy", "seconds", "parameters", "multiply_adds", "status", "origin", "error")
IMPORTED = "imported"  # the trainer that an imported table names
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}


def import_csv(
    path: Path,
    name: str,
    space: CellSpace,
    *,
    epochs: float = 1.0,
    chance: float = 0.1,
    train_images: int = 0,
    licence: str = "unknown",
) -> Table:
    """Reads a whole CSV file, or nothing of it.

    The first line names the columns: `cell` (text, canonical or not), `seed` and `valid_accuracy`, and of
    `test_accuracy`, `seconds`, `parameters`, `multiply_adds`, `status` (ok, diverged, failed), `origin`,
    `error` those there are. Empty fields are unknown.

    Args:
        path: of the file, UTF-8.
        name: of the table.
        space: of its cells.
        epochs: the full training length of every child.
        chance: the accuracy of guessing.
        train_images: training images of one epoch; 0 if unknown: examples are then not counted.
        licence: of the contents.

    Raises:
        TableError: one line that names the file, the line and the column at fault.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    children = _read_children(path, text, space)
    head = TableHead(
        name=name,
        space=space,
        recipe={"trainer": IMPORTED, "epochs": epochs},
        licence=licence,
        train_images=train_images,
        chance=chance,
        epochs=(epochs,),
    )
    provenance = {"command": "pnas-sim table import", "file_sha256": hashlib.sha256(content).hexdigest()}
    table = assemble_table(head, (provenance,), children)
    # the one checkpoint is the whole training
    return replace(table, closed=is_complete(table), curves=table.valid_accuracy[:, None].copy())


def _read_children(path: Path, text: str, space: CellSpace) -> list[Child]:
    """One row of a journal for each line of the file."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    seen: dict[tuple[str, int], int] = {}
    costs: dict[str, tuple[int, int]] = {}
    children = []
    try:
        reader.fieldnames = [heading.strip() for heading in reader.fieldnames or ()]
        _check_columns(path, reader.fieldnames)
        for record in reader:
            child = _read_child(f"{path}, line {reader.line_num}", record, space)
            before = seen.setdefault((child.cell, child.seed), reader.line_num)
            if before != reader.line_num:
                run = f"{child.cell} with seed {child.seed}"
                raise TableError(f"{path}, line {reader.line_num}: {run} stands in line {before} too")
            own = (child.parameters, child.multiply_adds)
            if costs.setdefault(child.cell, own) != own:
                what = f"parameters or multiply_adds of {child.cell}"
                raise TableError(f"{path}, line {reader.line_num}: {what} differ from before")
            children.append(child)
    except csv.Error as error:
        raise TableError(f"{path}, line {reader.line_num}: not CSV: {error}") from None
    if not children:
        raise TableError(f"{path} has no line but the first; there is nothing to import")
    return children


def _check_columns(path: Path, names: Sequence[str]) -> None:
    missing = [name for name in REQUIRED if name not in names]
    unknown = [name for name in names if name not in REQUIRED + OPTIONAL]
    marks = [word for mark, word in OTHER_SEPARATORS.items() if any(mark in name for name in names)]
    if missing and marks:
        raise TableError(
            f"{path}, line 1: there are {marks[0]} between the fields; save it with commas between them, and "
            "points in decimals"
        )
    if missing:
        raise TableError(
            f"{path}, line 1: column {missing[0]!r} is missing; required are: {', '.join(REQUIRED)}"
        )
    if unknown:
        known = ", ".join(REQUIRED + OPTIONAL)
        raise TableError(f"{path}, line 1: column {unknown[0]!r} is unknown; known are: {known}")
    if len(set(names)) < len(names):
        raise TableError(f"{path}, line 1: a column is there twice")


def _read_child(where: str, record: Mapping[str | None, Any], space: CellSpace) -> Child:
    if None in record:
        raise TableError(f"{where}: it has more fields than the first line")
    if None in record.values():
        raise TableError(f"{where}: it has fewer fields than the first line")
    status = _status(where, record)
    valid = _number(where, record, "valid_accuracy", 0, 1)
    if (valid is None) != (status == Status.FAILED):
        wanted = "empty" if status == Status.FAILED else "a number"
        raise TableError(
            f"{where}, column valid_accuracy: it must be {wanted} where status is {status.name.lower()}"
        )
    test = _number(where, record, "test_accuracy", 0, 1)
    seconds = _number(where, record, "seconds", 0)
    return Child(
        cell=_cell(where, record, space),
        seed=_integer(where, record, "seed"),
        origin="".join((record.get("origin") or "").split()) or "imported",
        status=int(status),
        valid_accuracy=valid,
        test_accuracy=test,
        seconds=seconds,
        parameters=_cost(where, record, "parameters"),
        multiply_adds=_cost(where, record, "multiply_adds"),
        curve="[]",
        error=" ".join((record.get("error") or "").split()),
    )


def _cell(where: str, record: Mapping[str | None, Any], space: CellSpace) -> str:
    try:
        return str(space.canonical_text(record["cell"]))
    except CellError as error:
        raise TableError(f"{where}, column cell: {error}") from None


def _status(where: str, record: Mapping[str | None, Any]) -> Status:
    word = (record.get("status") or "").strip().lower() or "ok"
    known = {status.name.lower(): status for status in Status}
    if word not in known:
        raise TableError(f"{where}, column status: {word!r} is not one of {', '.join(known)}")
    return known[word]


def _number(
    where: str, record: Mapping[str | None, Any], column: str, least: float, most: float | None = None
) -> float | None:
    """A number, None where it is not known."""
    text = (record.get(column) or "").strip()
    if not text:
        return None
    limits = f"at least {least}" if most is None else f"in [{least}, {most}]"
    try:
        value = float(text)
    except ValueError:
        raise TableError(f"{where}, column {column}: {text!r} is not a number") from None
    if not isfinite(value):
        raise TableError(f"{where}, column {column}: {text!r} is not a finite number")
    if value < least or (most is not None and value > most):
        raise TableError(f"{where}, column {column}: {text} must be {limits}")
    return value


def _cost(where: str, record: Mapping[str | None, Any], column: str) -> int:
    """A count, -1 where it is not known."""
    return _integer(where, record, column) if (record.get(column) or "").strip() else -1


def _integer(where: str, record: Mapping[str | None, Any], column: str) -> int:
    text = (record.get(column) or "").strip()
    try:
        value = int(text)
    except ValueError:
        raise TableError(f"{where}, column {column}: {text!r} is not a whole number") from None
    if not 0 <= value < 2**63:
        raise TableError(f"{where}, column {column}: {text} must be at least 0 and below 2**63")
    return value
