"""Attributes and datasets of a stranger's HDF5 file, taken only after kind, place and size were checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5s
from numpy.typing import NDArray

from pnas_sim.errors import TableError

LARGEST_TABLE = 1 << 30  # bytes in memory; millions of cells. More is damage, or an attack on memory
TIGHTEST_PACKED = 1100  # bytes of values that one byte of gzip can stand for, and a little
TEXT_SIZE = 64  # bytes that a short text takes beside its letters
TEXT_AT_ONCE = 1 << 26  # bytes; what texts of variable length that are read together may take

_T = TypeVar("_T")


def check(fulfilled: object, complaint: str) -> None:
    """Raises the complaint as a `TableError` unless it is fulfilled."""
    if not fulfilled:
        raise TableError(complaint)


class Datasets:
    """What is in an open file, as far as memory for it goes: a small file can claim to hold any amount.

    Args:
        file: open for reading.
        size: of the file in bytes.
    """

    def __init__(self, file: h5py.File, size: int) -> None:
        self._file = file
        self._size = size
        self._left = LARGEST_TABLE
        self._seen: dict[int, NDArray[Any]] = {}  # by address: an array of several names is read once

    def attribute(self, name: str, kind: Callable[[Any], _T]) -> _T:
        """The file attribute `name`, which must be of exactly this kind."""
        check(name in self._file.attrs, f"the attribute {name!r} is missing")
        value = self._file.attrs[name]
        if isinstance(value, bytes | np.bytes_):  # how h5py gives strings of fixed length
            value = value.decode("utf-8")
        kinds = {int: np.integer, float: np.floating, bool: np.bool_, str: str}
        check(isinstance(value, kinds[kind]), f"the attribute {name!r} is not of type {kind.__name__}")  # type: ignore
        return kind(value)

    def has(self, name: str) -> bool:
        """Whether the file has a member of this name, be it what it may."""
        return self._file.get(name, getlink=True) is not None

    def members(self, name: str) -> list[str]:
        """Names of the members of a group."""
        place = self._find(name)
        check(isinstance(place, h5g.GroupID), f"{name!r} is not a group")
        return [member.decode("utf-8") for member in place]

    def array(self, name: str, dtype: type[np.generic], dimensions: int = 1) -> NDArray[Any]:
        """A dataset of this type, in either byte order, and of so many dimensions."""
        dataset = _demand_dataset(self._find(name), name)
        # the kind and size must be right, the byte order may be the writer's
        check(dataset.dtype.newbyteorder("=") == np.dtype(dtype), f"{name!r} has type {dataset.dtype}")
        _demand_dimensions(dataset, name, dimensions)
        return self._read(dataset, name, dtype)

    def free_array(self, name: str, types: tuple[str, ...]) -> NDArray[Any]:
        """A dataset of any shape, of one of these types; under several names it is one array."""
        member = self._find(name)
        place = h5o.get_info(member).addr
        if place not in self._seen:
            dataset = _demand_dataset(member, name)
            dtype = dataset.dtype.newbyteorder("<")
            check(dtype.str in types, f"{name!r} has type {dataset.dtype}")
            self._seen[place] = self._read(dataset, name, dtype)
        return self._seen[place]

    def strings(self, name: str) -> list[str]:
        """A dataset of one dimension, as text."""
        dataset = self._find_text(name, 1)
        reader = h5py.Dataset(dataset).asstr("utf-8", "strict")
        if h5py.check_string_dtype(dataset.dtype).length is not None:
            return [str(text) for text in reader[...]]
        # any number of places may hold one long text, so only few are read before they are counted
        step = max(1, TEXT_AT_ONCE // self._size)
        texts: list[str] = []
        for start in range(0, dataset.shape[0], step):
            some = [str(text) for text in reader[start : start + step]]
            self._take(sum(map(len, some)), name)
            texts += some
        return texts

    def json(self, name: str, kind: type[_T]) -> _T:
        """A scalar dataset of JSON text, as a `dict` or a `list`."""
        text = h5py.Dataset(self._find_text(name, 0)).asstr("utf-8", "strict")[()]
        value = json.loads(str(text))
        check(isinstance(value, kind), f"{name!r} is not a JSON {'object' if kind is dict else 'array'}")
        found: _T = value
        return found

    def _find(self, name: str) -> Any:
        """The low-level handle of `name`, by links inside this file only.

        A surrogate has a hundred arrays, and h5py's own objects cost more than what they read.
        """
        place = h5g.open(self._file.id, b"/")
        for step in name.encode("utf-8").split(b"/"):
            links = place.links
            check(links.exists(step), f"the dataset {name!r} is missing")
            hard = links.get_info(step).type == h5l.TYPE_HARD
            check(hard, f"{name!r} is a link to somewhere else")
            place = h5o.open(place, step)
        return place

    def _find_text(self, name: str, dimensions: int) -> h5d.DatasetID:
        """The handle of a dataset of text with so many dimensions, its memory counted."""
        dataset = _demand_dataset(self._find(name), name)
        is_text = h5py.check_string_dtype(dataset.dtype) is not None
        check(is_text, f"{name!r} has type {dataset.dtype}, not text")
        _demand_dimensions(dataset, name, dimensions)
        self._claim(dataset, name)
        self._take(dataset.get_space().get_simple_extent_npoints() * TEXT_SIZE, name)
        return dataset

    def _read(self, dataset: h5d.DatasetID, name: str, dtype: Any) -> NDArray[Any]:
        """All of a dataset, in this type's byte order."""
        self._claim(dataset, name)
        values = np.empty(dataset.shape, dataset.dtype)
        if values.size:
            dataset.read(h5s.ALL, h5s.ALL, values)
        return np.asarray(values, dtype, order="C")

    def _claim(self, dataset: h5d.DatasetID, name: str) -> None:
        """Counts what a dataset takes, or one of its chunks, and demands that so much can be in the file."""
        kept = dataset.get_create_plist()
        parts = kept.get_chunk() if kept.get_layout() == h5d.CHUNKED else ()
        points = dataset.get_space().get_simple_extent_npoints()
        most = max(points, int(np.prod(parts, dtype=np.float64)) if parts else 0) * dataset.dtype.itemsize
        # values that were never written take no place in the file, whatever their number
        there = points == 0 or most <= TIGHTEST_PACKED * dataset.get_storage_size()
        check(there, f"{name!r} claims to hold more than is there")
        self._take(most, name)

    def _take(self, size: int, name: str) -> None:
        self._left -= size
        check(self._left >= 0, f"{name!r} claims to hold too much; a table has {LARGEST_TABLE} bytes at most")


def _demand_dataset(member: Any, name: str) -> h5d.DatasetID:
    """The dataset `name` itself, if its values lie in this file."""
    check(isinstance(member, h5d.DatasetID), f"{name!r} is not a dataset")
    kept = member.get_create_plist()
    elsewhere = kept.get_external_count() > 0 or kept.get_layout() == h5d.VIRTUAL
    check(not elsewhere, f"{name!r} keeps its values in another file")
    check(member.get_space().get_simple_extent_type() != h5s.NULL, f"{name!r} is empty")
    return member


def _demand_dimensions(dataset: h5d.DatasetID, name: str, wanted: int) -> None:
    there = len(dataset.shape)
    check(there == wanted, f"{name!r} has {there} dimensions instead of {wanted}")
