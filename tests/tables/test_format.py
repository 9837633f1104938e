from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.errors import TableError, WorkError
from pnas_sim.space import CellSpace
from pnas_tables.format import read_table, write_table
from pnas_tables.record import StoredSurrogate, Table, arrange_table, checksum, data_checksum


def assert_equal_tables(one: Table, other: Table) -> None:
    for field in fields(Table):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype, field.name
            np.testing.assert_array_equal(left, right, err_msg=field.name)
        else:
            assert left == right, field.name


def with_surrogate(table: Table, name: str = "some") -> Table:
    metadata = {"fitted_on": data_checksum(table), "kind": "text", "tau": 0.5}
    arrays = {
        "text": np.frombuffer("tree\nend of trees ä\n".encode() * 300, np.uint8),
        "leaves": np.array([[[0.5, np.nan], [-1.0, 2.0]]]),
        "places": np.arange(5),
        "labels": np.array([2**63 + 1], np.uint64),
    }
    return replace(table, surrogates={name: StoredSurrogate(metadata, arrays)})


def test_reads_what_was_written(table: Table, tmp_path: Path) -> None:
    original = with_surrogate(
        replace(table, licence="CC-BY 4.0, é", errors=("", "lost: größer", *table.errors[2:]))
    )
    path = tmp_path / "copy.h5"
    write_table(path, original)
    assert_equal_tables(read_table(path), original)
    assert [file.name for file in tmp_path.iterdir()] == ["copy.h5"]


def test_unknown_values_survive(table: Table, tmp_path: Path) -> None:
    holes = replace(
        table,
        test_accuracy=np.full_like(table.test_accuracy, np.nan),
        seconds=np.full_like(table.seconds, np.nan),
        parameters=np.full_like(table.parameters, -1),
        curves=np.full_like(table.curves, np.nan),
    )
    write_table(tmp_path / "holes.h5", holes)
    assert_equal_tables(read_table(tmp_path / "holes.h5"), holes)


def test_empty_table_is_a_table(table: Table, tmp_path: Path) -> None:
    from pnas_tables.journal import assemble_table
    from pnas_tables.testing import made_up_head

    write_table(tmp_path / "empty.h5", assemble_table(made_up_head(table.space), (), ()))
    assert len(read_table(tmp_path / "empty.h5")) == 0


def test_checksum_is_of_contents_and_not_of_bytes(table: Table, table_path: Path, tmp_path: Path) -> None:
    """Another writer's compression, string type and byte order leave it as it is."""
    path = tmp_path / "other.h5"
    with h5py.File(table_path, "r") as source, h5py.File(path, "w") as target:
        target.attrs.update(source.attrs)

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                return
            if h5py.check_string_dtype(item.dtype):
                values = item.asstr()[()]
                target.create_dataset(name, data=values, dtype=h5py.string_dtype())
            else:
                target.create_dataset(name, data=item[()].astype(item.dtype.newbyteorder(">")))

        source.visititems(copy)
    assert path.read_bytes() != table_path.read_bytes()
    assert_equal_tables(read_table(path), table)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"licence": "other"},
        {"chance": 0.2},
        {"recipe": {"epochs": 2}},
        {"train_images": 5},
        {"provenance": ()},
    ],
)
def test_every_part_of_the_head_counts(table: Table, change: dict[str, Any]) -> None:
    assert checksum(replace(table, **change)) != checksum(table)


@pytest.mark.parametrize(
    "name", [field.name for field in fields(Table) if field.name not in ("name", "space", "recipe", "closed")]
)
def test_every_array_counts(table: Table, name: str) -> None:
    value = getattr(table, name)
    if isinstance(value, np.ndarray):
        changed = value.copy()
        changed.flat[-1] += 1
        assert checksum(replace(table, **{name: changed})) != checksum(table)


def test_every_array_of_a_surrogate_counts(table: Table) -> None:
    fitted = with_surrogate(table)
    stored = fitted.surrogates["some"]
    sums = {checksum(fitted)}
    for name, values in stored.arrays.items():
        changed = values.copy()
        changed.flat[0] += 1
        other = StoredSurrogate(stored.metadata, {**stored.arrays, name: changed})
        assert other != stored
        sums.add(checksum(replace(fitted, surrogates={"some": other})))
    assert len(sums) == 1 + len(stored.arrays)


def test_a_file_of_the_first_schema_without_surrogates_is_read(
    table: Table, table_path: Path, tmp_path: Path
) -> None:
    path = damaged(table_path, tmp_path, lambda file: file.attrs.__setitem__("schema", np.int64(1)))
    assert_equal_tables(read_table(path), table)


@pytest.mark.parametrize(
    ("name", "values"), [("Leaves", np.zeros(2)), ("metadata", np.zeros(2)), ("x", np.zeros(2, np.int32))]
)
def test_a_surrogates_arrays_have_plain_names_and_types(
    name: str, values: np.ndarray, table: Table, tmp_path: Path
) -> None:
    stored = StoredSurrogate({"fitted_on": data_checksum(table)}, {name: values})
    with pytest.raises(TableError, match=f"not written: surrogate 's': array '{name}' has "):
        write_table(tmp_path / "x.h5", replace(table, surrogates={"s": stored}))


def test_surrogate_counts_for_the_whole_but_not_for_the_data(table: Table) -> None:
    fitted = with_surrogate(table)
    assert checksum(fitted) != checksum(table)
    assert data_checksum(fitted) == data_checksum(table)


# ---------------------------------------------------------------------------------------------------- damage


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
    "no tokens": (drop("cells/tokens"), "'cells/tokens' is missing"),
    "no runs": (drop("runs"), "'runs/cell' is missing"),
    "no curves": (drop("runs/curve"), "'runs/curve' is missing"),
    "wide tokens": (put("cells/tokens", np.zeros((60, 12), np.int32)), "'cells/tokens' has type int32"),
    "flat tokens": (put("cells/tokens", np.zeros(60, np.uint8)), "'cells/tokens' has 1 dimensions"),
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


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named_in_one_line(name: str, table_path: Path, tmp_path: Path) -> None:
    change, complaint = DAMAGES[name]
    path = damaged(table_path, tmp_path, change)
    with pytest.raises(TableError) as caught:
        read_table(path)
    message = str(caught.value)
    assert complaint in message and str(path) in message and "\n" not in message


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="there is no such file"):
        read_table(tmp_path / "none.h5")
    with pytest.raises(TableError, match="there is no such file"):
        read_table(tmp_path)


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


# ---------------------------------------------------------------------------------------------- other spaces


def test_operations_are_mapped_by_name(table: Table, table_path: Path, space: CellSpace) -> None:
    other = CellSpace(operations=tuple(reversed(space.operations)), max_blocks=5)
    mapped = read_table(table_path, other)
    assert mapped.cells.shape == (60, 20)
    np.testing.assert_array_equal(other.canonical(mapped.cells), mapped.cells)
    back = space.canonical(space.parse_many(other.format_many(mapped.cells)))
    np.testing.assert_array_equal(back, table.cells)


def test_other_operations_are_refused(table_path: Path) -> None:
    with pytest.raises(TableError, match="another space: its operations are sep3, "):
        read_table(table_path, CellSpace(operations=("sep3", "id"), max_blocks=3))
    with pytest.raises(TableError, match="cells of 3 blocks, more than the 2 asked for"):
        read_table(table_path, CellSpace(max_blocks=2))


# --------------------------------------------------------------------------------------------------- writing


def test_a_table_that_breaks_a_rule_is_not_written(table: Table, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="not written: runs/valid_accuracy"):
        write_table(tmp_path / "x.h5", replace(table, valid_accuracy=table.valid_accuracy + 1))
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.h5"
    write_table(path, table)
    before = path.read_bytes()

    def no_room(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(WorkError, match="No space left on device; what was there is unchanged"):
        write_table(path, replace(table, name="other"))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["x.h5"]


def test_unwritable_folder_is_work_that_failed(table: Table, tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="cannot be written"):
        write_table(tmp_path / "missing" / "x.h5", table)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_order_is_put_right_whatever_it_was(seed: int, table: Table) -> None:
    rng = np.random.default_rng(seed)
    cells, runs = rng.permutation(len(table)), rng.permutation(len(table.run_cells))
    place = np.argsort(cells)
    shuffled = replace(
        table,
        cells=table.cells[cells],
        parameters=table.parameters[cells],
        multiply_adds=table.multiply_adds[cells],
        origins=tuple(table.origins[i] for i in cells),
        run_cells=place[table.run_cells][runs],
        **{
            name: getattr(table, name)[runs]
            for name in ("seeds", "status", "valid_accuracy", "test_accuracy", "seconds", "curves")
        },
        errors=tuple(table.errors[i] for i in runs),
    )
    assert_equal_tables(arrange_table(shuffled), table)
