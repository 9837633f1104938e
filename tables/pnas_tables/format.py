"""The table file: HDF5 as FORMAT.md describes it, read whole or not at all, written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import PnasError, TableError, WorkError
from pnas_sim.files import replace_file
from pnas_sim.space import CellSpace
from pnas_tables.datasets import Datasets, check
from pnas_tables.record import ARRAY_TYPES, StoredSurrogate, Table, checksum, json_text
from pnas_tables.rules import validate_table

__all__ = ["SCHEMA", "StoredSurrogate", "Table", "read_table", "write_table"]

FORMAT = "pnas-table"
SCHEMA = 2
READABLE = (1, 2)  # schema 1 had another form of surrogates, and is the same without them
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
USER_BLOCK = 512  # bytes before HDF5's own; HDF5 leaves them to the application
MARK = b"pnas-table sha256 "
_NO_MEMORY = "there is too little memory to read it; free some, and give the command again"

_CELL_ARRAYS: dict[str, type[np.generic]] = {
    "tokens": np.uint8,
    "parameters": np.int64,
    "multiply_adds": np.int64,
}
_RUN_ARRAYS: dict[str, type[np.generic]] = {
    "cell": np.int64,
    "seed": np.int64,
    "status": np.uint8,
    "valid_accuracy": np.float64,
    "test_accuracy": np.float64,
    "seconds": np.float64,
    "curve": np.float64,
}
# whichever of these h5py's layers, the UTF-8 or the JSON reader hit first, in bytes that are all there, it
# means damage
_DAMAGE = (
    OSError,
    LookupError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
)

# --------------------------------------------------------------------------------------------------- reading


def read_table(path: str | os.PathLike[str], space: CellSpace | None = None) -> Table:
    """Reads a whole table and checks all of it, checksum included.

    Args:
        path: of the file.
        space: if given, the table must be of this space: the same operations in any order (they are
            mapped by name) and no more blocks than it holds.

    Raises:
        TableError: one line that names the file and what is wrong with it, or why the system does not give it
            out. Nothing is returned in part.
    """
    path = Path(path)
    content = _read_bytes(path)
    try:
        _check_bytes(content)
        with h5py.File(io.BytesIO(content), "r") as file:
            table, stated = _read_contents(Datasets(file, len(content)))
        validate_table(table)
        check(checksum(table) == stated, "its contents do not match its checksum; it was edited or damaged")
        return table if space is None else map_table(table, space)
    except PnasError as error:
        raise TableError(f"table {path}: {error}") from None
    except MemoryError:
        raise TableError(f"table {path}: {_NO_MEMORY}") from None
    except _DAMAGE:
        raise TableError(f"table {path}: it is not an HDF5 file, or a damaged one; get it again") from None


def _read_bytes(path: Path) -> bytes:
    """The whole file; what the system has against it is no damage, and is told in the system's words."""
    try:
        check(path.is_file(), f"table {path}: there is no such file")
        return path.read_bytes()
    except MemoryError:
        raise TableError(f"table {path}: {_NO_MEMORY}") from None
    except OSError as error:
        raise TableError(f"table {path}: it cannot be read: {error.strerror or error}") from None


def _check_bytes(content: bytes) -> None:
    """Finds damage before HDF5 meets it: its library can crash on a file whose inner pointers are wrong."""
    if content.startswith(HDF5_SIGNATURE):
        return  # another writer's file, without the block that ours begin with
    mark, _, rest = content[:USER_BLOCK].partition(b"\n")
    check(content[USER_BLOCK:].startswith(HDF5_SIGNATURE) and mark.startswith(MARK), "it is not an HDF5 file")
    sound = mark == _mark(content[USER_BLOCK:]) and not any(rest)
    check(sound, "its bytes do not match their checksum; the file was damaged or edited: get it again")


def _mark(body: bytes) -> bytes:
    return MARK + hashlib.sha256(body).hexdigest().encode()


def map_table(table: Table, space: CellSpace) -> Table:
    """The table in the tokens of another order of the same operations, and of no fewer blocks.

    Raises:
        TableError: the spaces differ in their operations, or the table's cells are larger.
    """
    if table.space == space:
        return table
    if set(table.space.operations) != set(space.operations):
        has, wants = ", ".join(table.space.operations), ", ".join(space.operations)
        raise TableError(f"it is of another space: its operations are {has}; asked for are {wants}")
    check(
        table.space.max_blocks <= space.max_blocks,
        f"its space has cells of {table.space.max_blocks} blocks, more than the {space.max_blocks} asked for",
    )
    cells = space.parse_many(table.space.format_many(table.cells))
    return replace(table, space=space, cells=space.canonical(cells), closed=False, surrogates={})


def _read_contents(file: Datasets) -> tuple[Table, str]:
    """The table as the file has it and the checksum it states; rules beyond types are not yet checked."""
    check(file.attribute("format", str) == FORMAT, "it is an HDF5 file but not a table of pnas-sim")
    schema = file.attribute("schema", int)
    check(
        schema in READABLE, f"its schema is {schema}, this version reads {' and '.join(map(str, READABLE))}"
    )
    old = schema == 1 and file.has("surrogates")
    check(
        not old, "its surrogates are of schema 1, which is read without them only; make it of its parts again"
    )
    operations = tuple(file.strings("operations"))
    cells = _columns(file, "cells", _CELL_ARRAYS)
    runs = _columns(file, "runs", _RUN_ARRAYS)
    table = Table(
        name=file.attribute("name", str),
        space=_space(operations, file.attribute("max_blocks", int)),
        recipe=file.json("recipe", dict),
        provenance=tuple(file.json("provenance", list)),
        licence=file.attribute("licence", str),
        closed=file.attribute("closed", bool),
        train_images=file.attribute("train_images", int),
        chance=file.attribute("chance", float),
        epochs=file.array("epochs", np.float64),
        cells=cells["tokens"],
        parameters=cells["parameters"],
        multiply_adds=cells["multiply_adds"],
        origins=tuple(file.strings("cells/origin")),
        run_cells=runs["cell"],
        seeds=runs["seed"],
        status=runs["status"],
        valid_accuracy=runs["valid_accuracy"],
        test_accuracy=runs["test_accuracy"],
        seconds=runs["seconds"],
        curves=runs["curve"],
        errors=tuple(file.strings("runs/error")),
        surrogates=_surrogates(file),
    )
    return table, file.attribute("checksum", str)


def _columns(file: Datasets, group: str, types: Mapping[str, type[np.generic]]) -> dict[str, NDArray[Any]]:
    dimensions = {name: 2 if name in ("tokens", "curve") else 1 for name in types}
    return {name: file.array(f"{group}/{name}", types[name], dimensions[name]) for name in types}


def _space(operations: tuple[str, ...], max_blocks: int) -> CellSpace:
    try:
        return CellSpace(operations=operations, max_blocks=max_blocks)
    except PnasError as error:
        raise TableError(f"its space is not one that this version knows: {error}") from None


def _surrogates(file: Datasets) -> Mapping[str, StoredSurrogate]:
    if not file.has("surrogates"):
        return {}
    stored = {}
    for name in file.members("surrogates"):
        parts = [part for part in file.members(f"surrogates/{name}") if part != "metadata"]
        arrays = {part: file.free_array(f"surrogates/{name}/{part}", ARRAY_TYPES) for part in parts}
        stored[name] = StoredSurrogate(file.json(f"surrogates/{name}/metadata", dict), arrays)
    return stored


# --------------------------------------------------------------------------------------------------- writing


def write_table(path: str | os.PathLike[str], table: Table) -> None:
    """Writes a table so that `path` is at every moment the old file or the whole new one; a link is replaced.

    Raises:
        TableError: the table breaks a rule of the format.
        WorkError: the folder cannot be written, or the disk is full.
    """
    path = Path(path)
    try:
        validate_table(table)
    except TableError as error:
        raise TableError(f"table {path}: not written: {error}") from None
    # built in memory first: a disk that fills up then meets one plain write instead of HDF5's open file
    image = io.BytesIO()
    with h5py.File(image, "w", userblock_size=USER_BLOCK) as file:
        _write_contents(file, table)
    body = image.getvalue()[USER_BLOCK:]
    write_file(path, (_mark(body) + b"\n").ljust(USER_BLOCK, b"\0") + body)


def write_file(path: Path, content: bytes) -> None:
    """Replaces a file in one step: new file, flushed to the disk, renamed, folder flushed.

    Raises:
        WorkError: the folder cannot be written, or the disk is full.
    """
    try:
        replace_file(path, content)
    except OSError as error:
        reason = error.strerror or error
        raise WorkError(f"{path} cannot be written: {reason}; what was there is unchanged") from None


def _write_contents(file: h5py.File, table: Table) -> None:
    texts = {"format": FORMAT, "name": table.name, "licence": table.licence, "checksum": checksum(table)}
    for name, text in texts.items():
        body = text.encode("utf-8")
        file.attrs[name] = np.array(body, _text_type(len(body)))
    file.attrs["schema"] = np.int64(SCHEMA)
    file.attrs["closed"] = np.bool_(table.closed)
    file.attrs["train_images"] = np.int64(table.train_images)
    file.attrs["chance"] = np.float64(table.chance)
    file.attrs["max_blocks"] = np.int64(table.space.max_blocks)
    _write_strings(file, "operations", table.space.operations)
    _write_json(file, "recipe", table.recipe)
    _write_json(file, "provenance", list(table.provenance))
    _write_array(file, "epochs", table.epochs)
    columns: tuple[NDArray[Any], ...] = (table.cells, table.parameters, table.multiply_adds)
    for name, values in zip(_CELL_ARRAYS, columns, strict=True):
        _write_array(file, f"cells/{name}", values)
    _write_strings(file, "cells/origin", table.origins)
    runs: tuple[NDArray[Any], ...] = (
        table.run_cells,
        table.seeds,
        table.status,
        table.valid_accuracy,
        table.test_accuracy,
        table.seconds,
        table.curves,
    )
    for name, values in zip(_RUN_ARRAYS, runs, strict=True):
        _write_array(file, f"runs/{name}", values)
    _write_strings(file, "runs/error", table.errors)
    _write_surrogates(file, table.surrogates)


def _write_surrogates(file: h5py.File, surrogates: Mapping[str, StoredSurrogate]) -> None:
    """Writes each distinct array once: a mean of two surrogates has mostly their arrays again."""
    written: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    for name, stored in sorted(surrogates.items()):
        _write_json(file, f"surrogates/{name}/metadata", stored.metadata)
        for part, values in sorted(stored.arrays.items()):
            place = f"surrogates/{name}/{part}"
            first = written.setdefault((values.dtype.str, values.shape, values.tobytes()), place)
            if first == place:
                _write_array(file, place, values)
            else:
                file[place] = file[first]  # a hard link: one more name of the same dataset


def _write_array(file: h5py.File, name: str, values: NDArray[Any]) -> None:
    # small arrays are cheaper plain; a filter needs chunks, and a chunk more room than it saves
    packed = {"compression": "gzip", "shuffle": values.itemsize > 1} if values.nbytes > 4096 else {}
    file.create_dataset(name, data=values, **packed)


def _write_strings(file: h5py.File, name: str, texts: tuple[str, ...]) -> None:
    encoded = [text.encode("utf-8") for text in texts]
    longest = max((len(text) for text in encoded), default=0)
    values = np.array(encoded, _text_type(longest))
    packed = {"compression": "gzip"} if values.nbytes > 4096 else {}
    file.create_dataset(name, data=values, **packed)


def _write_json(file: h5py.File, name: str, value: Any) -> None:
    body = json_text(value).encode("utf-8")
    file.create_dataset(name, data=np.array(body, _text_type(len(body))))


def _text_type(length: int) -> np.dtype[Any]:
    """Strings of fixed length: those of variable length lie in HDF5's heaps, where damage is a crash."""
    dtype: np.dtype[Any] = h5py.string_dtype("utf-8", max(length, 1))
    return dtype
