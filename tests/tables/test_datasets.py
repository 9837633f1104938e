"""What may be wrong with a file, from its bytes to its values: each is one line, and never a crash."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.errors import TableError
from pnas_tables.format import read_table
from pnas_tables.record import Table, checksum


def damaged(source: Path, folder: Path, change: Callable[[h5py.File], None]) -> Path:
    """A copy of the file with one change made through HDF5, its user block renewed, its checksum not."""
    path = folder / "damaged.h5"
    shutil.copyfile(source, path)
    with h5py.File(path, "r+") as file:
        change(file)
    body = path.read_bytes()[512:]
    mark = b"pnas-table sha256 " + sha256(body).hexdigest().encode() + b"\n"
    path.write_bytes(mark.ljust(512, b"\0") + body)
    return path


def put(name: str, value: Any, **more: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, data=value, **more)

    return change


def edit(name: str, place: Any, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[name][place] = value

    return change


def attribute(name: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        if value is None:
            del file.attrs[name]
        else:
            file.attrs[name] = value

    return change


def drop(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]

    return change


def link_outside(file: h5py.File) -> None:
    del file["cells/tokens"]
    file["cells/tokens"] = h5py.ExternalLink("elsewhere.h5", "/cells/tokens")


def swap_halves(file: h5py.File) -> None:
    tokens = file["cells/tokens"]
    row = tokens[-1]
    unequal = next(b for b in range(0, 12, 4) if row[b] != row[b + 1] or row[b + 2] != row[b + 3])
    row[unequal : unequal + 4] = row[[unequal + 1, unequal, unequal + 3, unequal + 2]]
    tokens[-1] = row


def repeat_a_row(file: h5py.File) -> None:
    file["cells/tokens"][1] = file["cells/tokens"][0]


def make_virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=file["runs/seed"].shape, dtype="i8")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "seed", shape=file["runs/seed"].shape)
    del file["runs/seed"]
    file.create_virtual_dataset("runs/seed", layout)


def claim_much(file: h5py.File) -> None:
    del file["runs/error"]  # of which nothing is ever written
    file.create_dataset("runs/error", (10_000_000,), "S1", chunks=True)


DAMAGES = {
    "schema": (attribute("schema", np.int64(3)), "schema is 3"),
    "schema of another type": (attribute("schema", "1"), "attribute 'schema' is not of type int"),
    "other format": (attribute("format", "something"), "not a table of pnas-sim"),
    "no format": (attribute("format", None), "attribute 'format' is missing"),
    "no checksum": (attribute("checksum", None), "attribute 'checksum' is missing"),
    "other checksum": (attribute("checksum", "0" * 64), "do not match its checksum"),
    "name": (attribute("name", "made-down"), "do not match its checksum"),
    "bad name": (attribute("name", "../x"), "'../x' is not a plain"),
    "chance": (attribute("chance", 1.5), "chance 1.5"),
    "closed": (attribute("closed", np.bool_(True)), "closed: it has 20 of the 136 cells of 1 blocks"),
    "blocks": (attribute("max_blocks", np.int64(99)), "space"),
    "narrow space": (attribute("max_blocks", np.int64(2)), "cells"),
    "unknown type of operations": (put("operations", np.arange(8)), "'operations' has type int64"),
    "fewer operations": (put("operations", ["a", "b"], dtype=h5py.string_dtype()), "cells/tokens"),
    "recipe": (put("recipe", "{}", dtype=h5py.string_dtype()), "do not match its checksum"),
    "recipe not JSON": (put("recipe", "{", dtype=h5py.string_dtype()), "damaged"),
    "recipe not an object": (put("recipe", "[]", dtype=h5py.string_dtype()), "'recipe' is not a JSON object"),
    "recipe a number": (put("recipe", 5), "'recipe' has type int64"),
    "provenance out of order": (
        put("provenance", '[{"b":1},{"a":1}]', dtype=h5py.string_dtype()),
        "provenance: entries must be distinct and in sorted order",
    ),
    "a sitting twice": (
        put("provenance", '[{"a":1},{"a":1}]', dtype=h5py.string_dtype()),
        "provenance: entries must be distinct and in sorted order",
    ),
    "no tokens": (drop("cells/tokens"), "'cells/tokens' is missing"),
    "no runs": (drop("runs"), "'runs/cell' is missing"),
    "no curves": (drop("runs/curve"), "'runs/curve' is missing"),
    "wide tokens": (put("cells/tokens", np.zeros((60, 12), np.int32)), "'cells/tokens' has type int32"),
    "flat tokens": (put("cells/tokens", np.zeros(60, np.uint8)), "'cells/tokens' has 1 dimensions"),
    "short curves": (put("runs/curve", np.zeros((120, 2))), "runs/curve: shape (120, 2) is not (120, 3)"),
    "float seeds": (put("runs/seed", np.zeros(120)), "'runs/seed' has type float64"),
    "compound": (put("runs/seed", np.zeros(120, [("a", "i8")])), "'runs/seed' has type"),
    "short column": (put("runs/seconds", np.zeros(7)), "runs/seconds: shape (7,) is not (120,)"),
    "short origins": (put("cells/origin", ["a"], dtype=h5py.string_dtype()), "1 entries for 60 cells"),
    "token of no operation": (edit("cells/tokens", (0, 2), 9), "cells/tokens"),
    "token of no input": (edit("cells/tokens", (0, 0), 7), "cells/tokens"),
    "padding inside": (edit("cells/tokens", (0, 1), 255), "cells/tokens"),
    "not canonical": (swap_halves, "is not canonical"),
    "twice": (repeat_a_row, "is there twice"),
    "run of no cell": (edit("runs/cell", 3, 60), "run 3 points at cell 60 of 60"),
    "run before all cells": (edit("runs/cell", 3, -1), "run 3 points at cell -1 of 60"),
    "cell without run": (edit("runs/cell", slice(0, 2), 1), "row 0 has no run"),
    "seed twice": (edit("runs/seed", 1, 0), "same seed twice"),
    "seed below 0": (edit("runs/seed", 1, -5), "below 0"),
    "status": (edit("runs/status", 0, 3), "runs/status"),
    "accuracy above 1": (edit("runs/valid_accuracy", 0, 1.2), "outside [0, 1]"),
    "accuracy changed": (edit("runs/valid_accuracy", 0, 0.99), "do not match its checksum"),
    "accuracy gone": (edit("runs/valid_accuracy", 0, np.nan), "runs/valid_accuracy"),
    "accuracy of a failed run": (edit("runs/status", 0, 2), "it must be there where the run did not fail"),
    "parameters": (edit("cells/parameters", 0, -2), "cells/parameters: a value is below -1"),
    "train images": (attribute("train_images", np.int64(-1)), "train_images -1 is below 0"),
    "origin of two lines": (
        put("cells/origin", ["a\nb"] * 60, dtype=h5py.string_dtype()),
        "cells/origin: a text has a control character",
    ),
    "a licence that speaks to the terminal": (
        attribute("licence", "MIT\x1b]0;title\x1b\\"),
        r"licence: a text has a control character: 'MIT\x1b]0;title",
    ),
    "a recipe that is written from right to left": (
        put("recipe", '{"deep": ["\u202e"]}', dtype=h5py.string_dtype()),
        r"recipe: a text has a control character: '\u202e'",
    ),
    "more than is there": (claim_much, "'runs/error' claims to hold more than is there"),
    "a chunk of gigabytes": (
        put("epochs", np.arange(1.0, 5), maxshape=(None,), chunks=(200_000_000,), compression="gzip"),
        "'epochs' claims to hold",
    ),
    "infinite seconds": (edit("runs/seconds", 0, np.inf), "runs/seconds"),
    "checkpoints": (edit("epochs", 0, 2.0), "ascending"),
    "a checkpoint twice": (edit("epochs", 0, 0.5), "ascending"),
    "another file": (link_outside, "'cells/tokens' is a link to somewhere else"),
    "virtual": (make_virtual, "keeps its values in another file"),
    "surrogate of other data": (
        lambda file: (
            file.create_dataset("surrogates/s/leaves", data=np.zeros(3)),
            file.create_dataset("surrogates/s/metadata", data="{}", dtype=h5py.string_dtype()),
        ),
        "surrogate 's' was fitted on other data",
    ),
    "surrogate of another type": (
        lambda file: (
            file.create_dataset("surrogates/s/leaves", data=np.zeros(3, np.float32)),
            file.create_dataset("surrogates/s/metadata", data="{}", dtype=h5py.string_dtype()),
        ),
        "'surrogates/s/leaves' has type float32",
    ),
    "a surrogate that is no group": (
        lambda file: file.create_dataset("surrogates/s", data=1),
        "'surrogates/s' is not a group",
    ),
    "surrogate of the first schema": (
        lambda file: (file.attrs.__setitem__("schema", 1), file.create_group("surrogates/s")),
        "its surrogates are of schema 1",
    ),
    "surrogates not a group": (
        lambda file: file.create_dataset("surrogates", data=1),
        "'surrogates' is not a group",
    ),
}


def test_a_file_of_the_first_schema_without_surrogates_is_read(
    table: Table, table_path: Path, tmp_path: Path
) -> None:
    path = damaged(table_path, tmp_path, lambda file: file.attrs.__setitem__("schema", np.int64(1)))
    assert checksum(read_table(path)) == checksum(table)


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_in_one_line(name: str, table_path: Path, tmp_path: Path) -> None:
    change, complaint = DAMAGES[name]
    path = damaged(table_path, tmp_path, change)
    with pytest.raises(TableError) as caught:
        read_table(path)
    message = str(caught.value)
    assert complaint in message and str(path) in message and "\n" not in message


def test_one_long_text_in_many_places_is_counted_each_time(
    table_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts of variable length lie in a heap, where any number of places may point at the same one."""
    monkeypatch.setattr("pnas_tables.datasets.LARGEST_TABLE", 2_000_000)

    def point(file: h5py.File) -> None:
        put("cells/origin", ["x" * 50_000] * 60, dtype=h5py.string_dtype())(file)

    with pytest.raises(TableError, match="'cells/origin' claims to hold too much"):
        read_table(damaged(table_path, tmp_path, point))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="there is no such file"):
        read_table(tmp_path / "none.h5")
    with pytest.raises(TableError, match="there is no such file"):
        read_table(tmp_path)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize(
    "call", ["stat", "read_bytes"]
)  # `stat` is how a folder says that it may not be read
def test_what_the_system_does_not_give_out_is_not_called_damaged(
    call: str, number: int, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object, **more: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, call, refuse)
    with pytest.raises(TableError) as caught:
        read_table(table_path)
    monkeypatch.undo()
    assert str(caught.value) == f"table {table_path}: it cannot be read: {os.strerror(number)}"


@pytest.mark.parametrize("place", ["pathlib.Path.read_bytes", "pnas_tables.format.validate_table"])
def test_too_little_memory_is_not_called_damage(
    place: str, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object) -> None:
        raise MemoryError

    monkeypatch.setattr(place, refuse)
    with pytest.raises(TableError, match="too little memory to read it; free some"):
        read_table(table_path)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", b"\x89HDF\r\n\x1a\n" + b"\0" * 200])
def test_what_is_not_hdf5_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_bytes(content)
    with pytest.raises(TableError, match="not an HDF5 file"):
        read_table(path)


@settings(deadline=None, max_examples=60)
@given(share=st.floats(0, 0.999))
def test_truncation_is_found(
    share: float, table_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "truncated.h5"
    content = table_path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(TableError):
        read_table(path)


@settings(deadline=None, max_examples=150)
@given(place=st.floats(0, 0.999999), change=st.integers(1, 255))
def test_any_flipped_byte_is_found(
    place: float, change: int, table_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Not even in the file's slack, and before HDF5's library meets the damage, which can crash it."""
    path = tmp_path_factory.getbasetemp() / "flipped.h5"
    content = bytearray(table_path.read_bytes())
    content[int(place * len(content))] ^= change
    path.write_bytes(content)
    with pytest.raises(TableError, match=r"do not match their checksum|not an HDF5 file"):
        read_table(path)
