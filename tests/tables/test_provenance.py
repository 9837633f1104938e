from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pnas_backends.training
from pnas_tables.format import read_table, write_table
from pnas_tables.merge import merge_tables
from pnas_tables.provenance import describe_machine, hash_sources
from pnas_tables.record import Table, checksum


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sources and something else."""
    for name, text in {"a.py": "x = 1\n", "b.py": "y = 2\n", "notes.txt": "z"}.items():
        (tmp_path / name).write_bytes(text.encode())
    return tmp_path


def test_provenance_names_versions_and_no_host() -> None:
    entry = describe_machine("pnas-sim table build", plan="x")
    assert entry["versions"]["numpy"] == np.__version__ and entry["plan"] == "x"
    assert os.uname().nodename not in entry["machine"] or len(os.uname().nodename) < 4


def test_provenance_tells_the_training_code() -> None:
    code = describe_machine("pnas-sim table build")["training_code"]
    assert code == hash_sources(Path(pnas_backends.training.__file__).parent)
    assert len(code) == 16 and set(code) <= set("0123456789abcdef")


def test_the_hash_is_of_names_and_texts_however_lines_end(folder: Path) -> None:
    assert hash_sources(folder) == "b73bd2aceaeebea2"
    (folder / "notes.txt").write_text("other")
    (folder / "a.py").write_bytes(b"x = 1\r\n")
    assert hash_sources(folder) == "b73bd2aceaeebea2"


@pytest.mark.parametrize("change", ["text", "name", "more", "moved"])
def test_another_source_is_another_hash(change: str, folder: Path) -> None:
    before = hash_sources(folder)
    match change:
        case "text":
            (folder / "b.py").write_text("y = 2.0\n")
        case "name":
            (folder / "b.py").rename(folder / "c.py")
        case "more":
            (folder / "c.py").write_text("")
        case "moved":  # the same text all in all
            (folder / "a.py").write_text("")
            (folder / "b.py").write_text("x = 1\ny = 2\n")
    assert hash_sources(folder) != before


def test_sittings_with_and_without_the_hash_merge_in_any_order(table: Table, tmp_path: Path) -> None:
    """Older parts have none; sittings of the same code are one entry."""
    new = describe_machine("pnas-sim table build")
    old = {key: value for key, value in new.items() if key != "training_code"}
    other = {**new, "training_code": "0" * 16}
    parts = [replace(table, provenance=(entry,)) for entry in (new, old, other, new)]
    merged = merge_tables(parts, "m")
    assert checksum(merged) == checksum(merge_tables(parts[::-1], "m"))
    assert len(merged.provenance) == 3 and all(entry in merged.provenance for entry in (new, old, other))
    write_table(tmp_path / "m.h5", merged)
    assert read_table(tmp_path / "m.h5").provenance == merged.provenance
