"""Where an `.npz` file lies: `--data DIR` is its folder in every command, and no part of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_tables.format import read_table

TINY = (
    *("--cells", 2, "--blocks", "1", "--device", "cpu", "--epochs", "0.1", "--filters", "2"),
    *("--cells-per-stage", "1", "--batch-size", "20", "-q"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `own.npz`, elsewhere than the commands are given."""
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
    labels = np.arange(60) % 3
    arrays = {"train_images": images, "train_labels": labels, "test_images": images, "test_labels": labels}
    (tmp_path / "images").mkdir()
    np.savez(tmp_path / "images" / "own.npz", **arrays)
    return Path("images")


def test_a_table_is_begun_gone_on_with_and_checked_from_anywhere(
    pnas: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = ("table", "build", "--out", tmp_path / "own.h5", *TINY)
    first = pnas(*build, "--children", 1, "--dataset", folder / "own.npz")
    assert first.code == 0, first.err
    assert read_table(tmp_path / "own.h5").recipe["dataset"] == "own.npz"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for data in (Path("..") / folder, Path("..") / folder / "own.npz"):
        more = pnas(*build, "--dataset", "own.npz", "--data", data)
        assert more.code == 0, more.err
    assert len(read_table(tmp_path / "own.h5").seeds) == 2
    check = ("table", "check", tmp_path / "own.h5", "--retrain", 1)
    answer = pnas(*check, "--data", Path("..") / folder, "--json")
    assert answer.code == 0 and answer.json["verdict"] == "identical", answer.err
    assert "there is no file own.npz; give its folder with --data" in pnas(*check).complaint
