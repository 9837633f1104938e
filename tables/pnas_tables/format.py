"""The table file: HDF5 as FORMAT.md describes it, read whole or not at all, written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5s
from numpy.typing import NDArray

from pnas_sim.errors import PnasError, TableError, WorkError
from pnas_sim.files import replace_file
from pnas_sim.space import CellSpace
from pnas_tables.record import ARRAY_TYPES, StoredSurrogate, Table, checksum, json_text
from pnas_tables.rules import validate_table

__all__ = ["SCHEMA", "StoredSurrogate", "Table", "read_table", "write_table"]

FORMAT = "pnas-table"
SCHEMA = 2
READABLE = (1, 2)  # schema 1 had another form of surrogates, and is the same without them
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
USER_BLOCK = 512  # bytes before HDF5's own; HDF5 leaves them to the application
MARK = b"pnas-table sha256 "
LARGEST_DATASET = 1 << 30  # bytes; a few million cells. More is damage, or an attack on memory

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
# whichever of these h5py's layers, the UTF-8 or the JSON reader hit first, it means damage
_DAMAGE = (
    OSError,
    LookupError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)
_T = TypeVar("_T")

# --------------------------------------------------------------------------------------------------- reading


def read_table(path: str | os.PathLike[str], space: CellSpace | None = None) -> Table:
    """Reads a whole table and checks all of it, checksum included.

    Args:
        path: of the file.
        space: if given, the table must be of this space: the same operations in any order (they are
            mapped by name) and no more blocks than it holds.

    Raises:
        TableError: one line that names the file and what is wrong with it. Nothing is returned in part.
    """
    path = Path(path)
    if not path.is_file():
        raise TableError(f"table {path}: there is no such file")
    try:
        content = path.read_bytes()
        _check_bytes(content)
        with h5py.File(io.BytesIO(content), "r") as file:
            table, stated = _read_contents(file)
        validate_table(table)
        _check(checksum(table) == stated, "its contents do not match its checksum; it was edited or damaged")
        return table if space is None else map_table(table, space)
    except PnasError as error:
        raise TableError(f"table {path}: {error}") from None
    except _DAMAGE:
        raise TableError(f"table {path}: it is not an HDF5 file, or a damaged one; get it again") from None


def _check_bytes(content: bytes) -> None:
    """Finds damage before HDF5 meets it: its library can crash on a file whose inner pointers are wrong."""
    if content.startswith(HDF5_SIGNATURE):
        return  # another writer's file, without the block that ours begin with
    mark, _, rest = content[:USER_BLOCK].partition(b"\n")
    _check(
        content[USER_BLOCK:].startswith(HDF5_SIGNATURE) and mark.startswith(MARK), "it is not an HDF5 file"
    )
    sound = mark == _mark(content[USER_BLOCK:]) and not any(rest)
    _check(sound, "its bytes do not match their checksum; the file was damaged or edited: get it again")


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
    _check(
        table.space.max_blocks <= space.max_blocks,
        f"its space has cells of {table.space.max_blocks} blocks, more than the {space.max_blocks} asked for",
    )
    cells = space.parse_many(table.space.format_many(table.cells))
    return replace(table, space=space, cells=space.canonical(cells), closed=False, surrogates={})


def _check(fulfilled: object, complaint: str) -> None:
    if not fulfilled:
        raise TableError(complaint)


def _read_contents(file: h5py.File) -> tuple[Table, str]:
    """The table as the file has it and the checksum it states; rules beyond types are not yet checked."""
    _check(_attribute(file, "format", str) == FORMAT, "it is an HDF5 file but not a table of pnas-sim")
    schema = _attribute(file, "schema", int)
    _check(
        schema in READABLE, f"its schema is {schema}, this version reads {' and '.join(map(str, READABLE))}"
    )
    old = schema == 1 and file.get("surrogates", getlink=True) is not None
    _check(
        not old, "its surrogates are of schema 1, which is read without them only; make it of its parts again"
    )
    operations = tuple(_strings(file, "operations"))
    cells = {name: _array(file, f"cells/{name}", dtype) for name, dtype in _CELL_ARRAYS.items()}
    runs = {name: _array(file, f"runs/{name}", dtype) for name, dtype in _RUN_ARRAYS.items()}
    table = Table(
        name=_attribute(file, "name", str),
        space=_space(operations, _attribute(file, "max_blocks", int)),
        recipe=_json(file, "recipe", dict),
        provenance=tuple(_json(file, "provenance", list)),
        licence=_attribute(file, "licence", str),
        closed=_attribute(file, "closed", bool),
        train_images=_attribute(file, "train_images", int),
        chance=_attribute(file, "chance", float),
        epochs=_array(file, "epochs", np.float64),
        cells=cells["tokens"],
        parameters=cells["parameters"],
        multiply_adds=cells["multiply_adds"],
        origins=tuple(_strings(file, "cells/origin")),
        run_cells=runs["cell"],
        seeds=runs["seed"],
        status=runs["status"],
        valid_accuracy=runs["valid_accuracy"],
        test_accuracy=runs["test_accuracy"],
        seconds=runs["seconds"],
        curves=runs["curve"],
        errors=tuple(_strings(file, "runs/error")),
        surrogates=_surrogates(file),
    )
    return table, _attribute(file, "checksum", str)


def _space(operations: tuple[str, ...], max_blocks: int) -> CellSpace:
    try:
        return CellSpace(operations=operations, max_blocks=max_blocks)
    except PnasError as error:
        raise TableError(f"its space is not one that this version knows: {error}") from None


def _surrogates(file: h5py.File) -> Mapping[str, StoredSurrogate]:
    if file.get("surrogates", getlink=True) is None:
        return {}
    stored = {}
    for name in _group(file, "surrogates"):
        parts = [part for part in _group(file, f"surrogates/{name}") if part != "metadata"]
        arrays = {part: _free_array(file, f"surrogates/{name}/{part}") for part in parts}
        stored[name] = StoredSurrogate(_json(file, f"surrogates/{name}/metadata", dict), arrays)
    return stored


def _free_array(file: h5py.File, name: str) -> NDArray[Any]:
    """An array of a surrogate: of any shape, of one of the few types."""
    dataset = _dataset(file, name)
    dtype = dataset.dtype.newbyteorder("<")
    _check(dtype.str in ARRAY_TYPES, f"{name!r} has type {dataset.dtype}")
    return _values(dataset, dtype)


def _attribute(file: h5py.File, name: str, kind: Callable[[Any], _T]) -> _T:
    """The file attribute `name`, which must be of exactly this kind."""
    _check(name in file.attrs, f"the attribute {name!r} is missing")
    value = file.attrs[name]
    if isinstance(value, bytes | np.bytes_):  # how h5py gives strings of fixed length
        value = value.decode("utf-8")
    kinds = {int: np.integer, float: np.floating, bool: np.bool_, str: str}
    _check(isinstance(value, kinds[kind]), f"the attribute {name!r} is not of type {kind.__name__}")  # type: ignore
    return kind(value)


def _group(file: h5py.File, name: str) -> list[str]:
    """Names of the members of a group."""
    place = _member(file, name)
    _check(isinstance(place, h5g.GroupID), f"{name!r} is not a group")
    return [member.decode("utf-8") for member in place]


def _member(file: h5py.File, name: str) -> Any:
    """The low-level handle of `name`, by links inside this file only.

    A surrogate has a hundred arrays, and h5py's own objects cost more than what they read.
    """
    place = h5g.open(file.id, b"/")
    for step in name.encode("utf-8").split(b"/"):
        _check(place.links.exists(step), f"the dataset {name!r} is missing")
        hard = place.links.get_info(step).type == h5l.TYPE_HARD
        _check(hard, f"{name!r} is a link to somewhere else")
        place = h5o.open(place, step)
    return place


def _dataset(file: h5py.File, name: str) -> h5d.DatasetID:
    dataset = _member(file, name)
    _check(isinstance(dataset, h5d.DatasetID), f"{name!r} is not a dataset")
    kept = dataset.get_create_plist()
    elsewhere = kept.get_external_count() > 0 or kept.get_layout() == h5d.VIRTUAL
    _check(not elsewhere, f"{name!r} keeps its values in another file")
    extent = dataset.get_space()
    _check(extent.get_simple_extent_type() != h5s.NULL, f"{name!r} is empty")
    claimed = extent.get_simple_extent_npoints() * dataset.dtype.itemsize
    _check(claimed <= LARGEST_DATASET, f"{name!r} claims to hold too much")
    return dataset


def _values(dataset: h5d.DatasetID, dtype: Any) -> NDArray[Any]:
    """All of a dataset, in this type's byte order."""
    values = np.empty(dataset.shape, dataset.dtype)
    if values.size:
        dataset.read(h5s.ALL, h5s.ALL, values)
    return np.asarray(values, dtype, order="C")


def _array(file: h5py.File, name: str, dtype: type[np.generic]) -> NDArray[Any]:
    dataset = _dataset(file, name)
    dimensions = 2 if name in ("cells/tokens", "runs/curve") else 1
    # the kind and size must be right, the byte order may be the writer's
    _check(dataset.dtype.newbyteorder("=") == np.dtype(dtype), f"{name!r} has type {dataset.dtype}")
    _demand_dimensions(name, dataset, dimensions)
    return _values(dataset, dtype)


def _demand_dimensions(name: str, dataset: h5d.DatasetID, wanted: int) -> None:
    there = len(dataset.shape)
    _check(there == wanted, f"{name!r} has {there} dimensions instead of {wanted}")


def _text(file: h5py.File, name: str, dimensions: int) -> Any:
    """A dataset of so many dimensions as a string, or an array of strings."""
    dataset = _dataset(file, name)
    is_text = h5py.check_string_dtype(dataset.dtype) is not None
    _check(is_text, f"{name!r} has type {dataset.dtype}, not text")
    _demand_dimensions(name, dataset, dimensions)
    return h5py.Dataset(dataset).asstr("utf-8", "strict")[...]


def _strings(file: h5py.File, name: str) -> list[str]:
    return [str(text) for text in _text(file, name, 1)]


def _json(file: h5py.File, name: str, kind: type[_T]) -> _T:
    value = json.loads(str(_text(file, name, 0)))
    _check(isinstance(value, kind), f"{name!r} is not a JSON {'object' if kind is dict else 'array'}")
    found: _T = value
    return found


# --------------------------------------------------------------------------------------------------- writing


def write_table(path: str | os.PathLike[str], table: Table) -> None:
    """Writes a table so that `path` is at every moment the old file or the whole new one.

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
    for name, stored in sorted(table.surrogates.items()):
        _write_json(file, f"surrogates/{name}/metadata", stored.metadata)
        for part, values in sorted(stored.arrays.items()):
            _write_array(file, f"surrogates/{name}/{part}", values)


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
