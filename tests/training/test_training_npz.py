"""Files of images from elsewhere, some of them made to harm."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_backends.training import npz
from pnas_backends.training.data import read_source
from pnas_sim.errors import DataError

LABELS = np.arange(4)
ARRAYS = {
    "train_images": np.arange(256, dtype=np.uint8).reshape(4, 8, 8),
    "train_labels": LABELS,
    "test_images": np.zeros((4, 8, 8), np.uint8),
    "test_labels": LABELS,
}


def pack(path: Path, contents: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """An `.npz` of right arrays, but for some whose bytes are given."""
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, array in ARRAYS.items():
            stream = BytesIO()
            np.save(stream, array)
            packed.writestr(f"{name}.npy", contents.get(name, stream.getvalue()))
    return path


def head(text: str) -> bytes:
    """An array's head with any text, and no numbers after it."""
    filled = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(filled).to_bytes(2, "little") + filled.encode()


def claim(shape: str) -> bytes:
    return head(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}")


@pytest.mark.parametrize(
    "content",
    [
        claim("(1099511627776, 8, 8)"),  # 64 TiB
        claim("(1180591620717411303424, 8, 8)"),
        claim("(-1, 8, 8)"),
        claim("(True, 8, 8)"),
        claim("(4, 8"),
        head("{'descr': '|u1'}"),
        head("[[[" * 30),
        head("{'descr': 'O', 'fortran_order': False, 'shape': (4, 8, 8), }"),
        b"no array",
        b"",
    ],
)
@pytest.mark.parametrize("name", ["train_images", "test_labels"])
def test_a_damaged_array_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = pack(tmp_path / "x.npz", {name: content})
    with pytest.raises(
        DataError, match=r"x\.npz cannot be read as \.npz \(.*\); write it with numpy\.savez$"
    ):
        read_source("x.npz", path)


@pytest.mark.parametrize(
    ("offset", "value"), [(8, 1), (10, 99), (42, 255)], ids=["encrypted", "packed otherwise", "elsewhere"]
)
def test_an_archive_that_cannot_be_unpacked_is_named(tmp_path: Path, offset: int, value: int) -> None:
    path = pack(tmp_path / "x.npz", {})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + offset] = value  # of the first entry of the directory
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.npz cannot be read as \.npz"):
        read_source("x.npz", path)


def test_a_small_file_that_unpacks_to_much_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is as large as what it holds is read, whatever its size."""
    stored, packed = pack(tmp_path / "stored.npz", {}), tmp_path / "packed.npz"
    pack(packed, {"train_images": bytes(50_000)}, zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(npz, "LARGEST", 1_000)
    assert len(read_source("stored.npz", stored).train_images) == 4
    with pytest.raises(
        DataError, match=r"packed\.npz .*\(it says that it holds \d+ bytes, the limit is \d+\)"
    ):
        read_source("packed.npz", packed)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1, 2, 2**63 + 5], np.uint64), "has 9223372036854775813; the limit is 999999"),
        (np.array([0, 1, 2, 10**6]), "has 1000000; the limit is 999999"),
        (np.array([0, 1, 2, 3], "m8[s]"), r"is timedelta64\[s\]\[4\]; it must be 4 integers"),
        (np.array([0, 1, 1, 0], bool), r"is bool\[4\]; it must be 4 integers"),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_that_count_no_classes_are_named(
    tmp_path: Path, split: str, labels: np.ndarray, message: str
) -> None:
    arrays: dict[str, Any] = {**ARRAYS, f"{split}_labels": labels}
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match=f"{split}_labels {message}"):
        read_source("x.npz", tmp_path / "x.npz")


def test_labels_of_any_width_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **{**ARRAYS, "train_labels": LABELS.astype(np.uint64)})
    source = read_source("x.npz", tmp_path / "x.npz")
    assert source.train_labels.dtype == np.int64 and source.train_labels.tolist() == [0, 1, 2, 3]
    assert np.array_equal(source.train_images[..., 0], ARRAYS["train_images"])
