"""Images and labels in an `.npz` file that anybody may have written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import DataError
from pnas_sim.packed import DAMAGED, read_arrays

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
LARGEST = 1 << 30  # bytes that a small file may unpack to
MOST_PACKED = 4  # times as large as itself may a larger one be; images of things pack to two thirds
MOST_CLASSES = 1_000_000

Split = tuple[NDArray[np.uint8], NDArray[np.int64]]


def read_npz(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]:
    """Images `uint8[n, h, w, c]` and labels `int64[n]` of the training split, then those of the test split.

    Raises:
        DataError: the file is missing, damaged or too large, or its arrays are not what they should be.
    """
    try:
        arrays = read_arrays(path, ARRAYS, max(LARGEST, MOST_PACKED * path.stat().st_size))
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; give its folder with --data, or its path") from None
    except KeyError as error:
        raise DataError(f"{path}: {error.args[0]}; it must hold {', '.join(ARRAYS)}") from None
    except DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read as .npz ({reason:.200}); write it with numpy.savez") from None
    train = _check_split(path, "train", arrays["train_images"], arrays["train_labels"])
    test = _check_split(path, "test", arrays["test_images"], arrays["test_labels"])
    return (*train, *test)


def _check_split(path: Path, split: str, images: NDArray[np.generic], labels: NDArray[np.generic]) -> Split:
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(
            f"{path}: {split}_images is {images.dtype}{list(images.shape)}; it must be uint8[n, h, w(, c)]"
        )
    if images.ndim == 4 and images.shape[1] in (1, 3) and min(images.shape[2:]) > 4:
        raise DataError(
            f"{path}: {split}_images is uint8{list(images.shape)}; images are uint8[n, h, w(, c)], these "
            "look like channels first; move them last"
        )
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise DataError(
            f"{path}: {split}_labels is {labels.dtype}{list(labels.shape)}; it must be {len(images)} integers"
        )
    if labels.size and int(labels.min()) < 0:
        raise DataError(f"{path}: {split}_labels has {int(labels.min())}; labels count from 0")
    if labels.size and int(labels.max()) >= MOST_CLASSES:
        raise DataError(f"{path}: {split}_labels has {int(labels.max())}; the limit is {MOST_CLASSES - 1}")
    if split == "train" and labels.size and int(labels.min()) > 0:  # a class that no image is of
        raise DataError(
            f"{path}: the lowest of train_labels is {int(labels.min())}; labels count from 0, so subtract it"
            " from those of both splits"
        )
    pixels: NDArray[np.uint8] = (
        images.astype(np.uint8) if images.ndim == 4 else images[..., None].astype(np.uint8)
    )
    return pixels, labels.astype(np.int64)
