from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, replace
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


def test_an_array_that_surrogates_share_lies_in_the_file_once(table: Table, tmp_path: Path) -> None:
    one, other = with_surrogate(table, "one"), with_surrogate(table, "other")
    stored = other.surrogates["other"]
    nearly = {**stored.arrays, "places": np.arange(5, dtype=np.uint64), "zero": -np.zeros(5)}
    zeros = StoredSurrogate(stored.metadata, {"zero": np.zeros(5)})
    surrogates = {**one.surrogates, "other": StoredSurrogate(stored.metadata, nearly), "zeros": zeros}
    write_table(tmp_path / "x.h5", replace(table, surrogates=surrogates))
    with h5py.File(tmp_path / "x.h5") as file:
        same = {
            name: file[f"surrogates/one/{name}"] == file[f"surrogates/other/{name}"] for name in stored.arrays
        }
        assert file["surrogates/other/zero"] != file["surrogates/zeros/zero"]
    assert same == {"text": True, "leaves": True, "places": False, "labels": True}
    again = read_table(tmp_path / "x.h5").surrogates
    assert again == surrogates
    assert again["one"].arrays["leaves"] is again["other"].arrays["leaves"]
    assert np.signbit(again["other"].arrays["zero"]).all()


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


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("valid_accuracy", lambda values: values + 1, "runs/valid_accuracy"),
        ("curves", lambda values: values[:, 1:], r"runs/curve: shape \(120, 2\) is not \(120, 3\)"),
        ("provenance", lambda entries: ({"b": 1}, *entries, {"a": 1}), "provenance: .* in sorted order"),
        ("provenance", lambda entries: entries * 2, "provenance: entries must be distinct"),
    ],
)
def test_a_table_that_breaks_a_rule_is_not_written(
    name: str, change: Callable[[Any], Any], complaint: str, table: Table, tmp_path: Path
) -> None:
    with pytest.raises(TableError, match=f"not written: {complaint}"):
        write_table(tmp_path / "x.h5", replace(table, **{name: change(getattr(table, name))}))
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
