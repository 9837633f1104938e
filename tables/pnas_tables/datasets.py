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

LARGEST_DATASET = 1 << 30  # bytes; a few million cells. More is damage, or an attack on memory

_T = TypeVar("_T")


def check(fulfilled: object, complaint: str) -> None:
    """Raises the complaint as a `TableError` unless it is fulfilled."""
    if not fulfilled:
        raise TableError(complaint)


def read_attribute(file: h5py.File, name: str, kind: Callable[[Any], _T]) -> _T:
    """The file attribute `name`, which must be of exactly this kind."""
    check(name in file.attrs, f"the attribute {name!r} is missing")
    value = file.attrs[name]
    if isinstance(value, bytes | np.bytes_):  # how h5py gives strings of fixed length
        value = value.decode("utf-8")
    kinds = {int: np.integer, float: np.floating, bool: np.bool_, str: str}
    check(isinstance(value, kinds[kind]), f"the attribute {name!r} is not of type {kind.__name__}")  # type: ignore
    return kind(value)


def list_group(file: h5py.File, name: str) -> list[str]:
    """Names of the members of a group."""
    place = find_member(file, name)
    check(isinstance(place, h5g.GroupID), f"{name!r} is not a group")
    return [member.decode("utf-8") for member in place]


def find_member(file: h5py.File, name: str) -> Any:
    """The low-level handle of `name`, by links inside this file only.

    A surrogate has a hundred arrays, and h5py's own objects cost more than what they read.
    """
    place = h5g.open(file.id, b"/")
    for step in name.encode("utf-8").split(b"/"):
        links = place.links
        check(links.exists(step), f"the dataset {name!r} is missing")
        hard = links.get_info(step).type == h5l.TYPE_HARD
        check(hard, f"{name!r} is a link to somewhere else")
        place = h5o.open(place, step)
    return place


def find_dataset(file: h5py.File, name: str) -> h5d.DatasetID:
    """The low-level handle of a dataset, checked; nothing of it is read yet."""
    return check_dataset(find_member(file, name), name)


def check_dataset(dataset: Any, name: str) -> h5d.DatasetID:
    """The dataset `name` itself, if it lies in this file and has a size that can be true."""
    check(isinstance(dataset, h5d.DatasetID), f"{name!r} is not a dataset")
    kept = dataset.get_create_plist()
    elsewhere = kept.get_external_count() > 0 or kept.get_layout() == h5d.VIRTUAL
    check(not elsewhere, f"{name!r} keeps its values in another file")
    extent = dataset.get_space()
    check(extent.get_simple_extent_type() != h5s.NULL, f"{name!r} is empty")
    claimed = extent.get_simple_extent_npoints() * dataset.dtype.itemsize
    check(claimed <= LARGEST_DATASET, f"{name!r} claims to hold too much")
    return dataset


def read_values(dataset: h5d.DatasetID, dtype: Any) -> NDArray[Any]:
    """All of a dataset, in this type's byte order."""
    values = np.empty(dataset.shape, dataset.dtype)
    if values.size:
        dataset.read(h5s.ALL, h5s.ALL, values)
    return np.asarray(values, dtype, order="C")


def read_array(file: h5py.File, name: str, dtype: type[np.generic], dimensions: int = 1) -> NDArray[Any]:
    """A dataset of this type, in either byte order, and of so many dimensions."""
    dataset = find_dataset(file, name)
    # the kind and size must be right, the byte order may be the writer's
    check(dataset.dtype.newbyteorder("=") == np.dtype(dtype), f"{name!r} has type {dataset.dtype}")
    _demand_dimensions(name, dataset, dimensions)
    return read_values(dataset, dtype)


def _demand_dimensions(name: str, dataset: h5d.DatasetID, wanted: int) -> None:
    there = len(dataset.shape)
    check(there == wanted, f"{name!r} has {there} dimensions instead of {wanted}")


def _text(file: h5py.File, name: str, dimensions: int) -> Any:
    """A dataset of so many dimensions as a string, or an array of strings."""
    dataset = find_dataset(file, name)
    is_text = h5py.check_string_dtype(dataset.dtype) is not None
    check(is_text, f"{name!r} has type {dataset.dtype}, not text")
    _demand_dimensions(name, dataset, dimensions)
    return h5py.Dataset(dataset).asstr("utf-8", "strict")[...]


def read_strings(file: h5py.File, name: str) -> list[str]:
    """A dataset of one dimension, as text."""
    return [str(text) for text in _text(file, name, 1)]


def read_json(file: h5py.File, name: str, kind: type[_T]) -> _T:
    """A scalar dataset of JSON text, as a `dict` or a `list`."""
    value = json.loads(str(_text(file, name, 0)))
    check(isinstance(value, kind), f"{name!r} is not a JSON {'object' if kind is dict else 'array'}")
    found: _T = value
    return found
