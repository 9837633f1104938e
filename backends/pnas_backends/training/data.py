"""Images to train on: which, from where, at which size.

A data set has a training and a test split. `load_images` takes from them what a recipe asks for, and nothing
else ever reads the test split. Grey images stay one channel.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pnas_backends.training.npz import read_npz
from pnas_backends.training.recipe import Recipe
from pnas_sim.errors import DataError

DIGITS_TEST_IMAGES = 300  # the last of the 1,797; scikit-learn has no split of its own
CIFAR10_FOLDER = "cifar-10-batches-bin"
CIFAR10_RECORD = 1 + 3 * 32 * 32
LARGEST_IDX = 1 << 30  # bytes; the largest of Fashion-MNIST has 47 million
FASHION_MNIST_FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


@dataclass(frozen=True, slots=True)
class Source:
    """A whole data set as it comes: `uint8[n, h, w, c]` images and `int64[n]` labels of two splits."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]

    def checksum(self) -> str:
        """Of all images and labels, in hexadecimal."""
        digest = blake2b(digest_size=16)
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Images:
    """What a recipe trains and measures on, on one device.

    Attributes:
        train: `uint8[n, s, s, c]`; s is the image size, or 5/4 of it for crops from upsampled images.
        train_labels: `int64[n]`.
        valid: `uint8[v, size, size, c]`.
        valid_labels: `int64[v]`.
        test: `uint8[t, size, size, c]`.
        test_labels: `int64[t]`.
        mean: `float32[c]`, of the training images.
        deviation: `float32[c]`, of the training images.
    """

    train: Tensor
    train_labels: Tensor
    valid: Tensor
    valid_labels: Tensor
    test: Tensor
    test_labels: Tensor
    mean: Tensor
    deviation: Tensor

    def to(self, device: torch.device | str) -> Images:
        """The same on a device."""
        return replace(self, **{name: getattr(self, name).to(device) for name in self.__slots__})


def load_images(recipe: Recipe, data: Path | None = None) -> Images:
    """Reads the images a recipe asks for.

    Args:
        recipe: names the data set, sizes and numbers, and the seed that chooses.
        data: folder or file that holds the data set; None where it needs none.

    Raises:
        DataError: files are missing or not what they should be, or there are fewer images than asked for.
    """
    source = read_source(recipe.dataset, data)
    check_source(recipe, source)
    valid, train, test = choose_images(recipe, len(source.train_images), len(source.test_images))
    large = recipe.image_size * 5 // 4 if recipe.crop == "upsample" else recipe.image_size
    train_images = resize(source.train_images[train], large)
    mean, deviation = measure_channels(train_images)

    def measured(images: NDArray[np.uint8]) -> Tensor:
        edge = (large - recipe.image_size) // 2
        return resize(images, large)[
            :, edge : edge + recipe.image_size, edge : edge + recipe.image_size
        ].clone()

    return Images(
        train=train_images,
        train_labels=torch.from_numpy(source.train_labels[train]),
        valid=measured(source.train_images[valid]),
        valid_labels=torch.from_numpy(source.train_labels[valid]),
        test=measured(source.test_images[test]),
        test_labels=torch.from_numpy(source.test_labels[test]),
        mean=mean,
        deviation=deviation,
    )


def measure_channels(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel of `uint8[n, h, w, c]`, `float32[c]`; a deviation is at least 1.

    From counts of each value, which are exact and need no copy of all images in floats.
    """
    values = np.arange(256)
    means, deviations = [], []
    for channel in images.unbind(3):
        counts = sum(
            np.bincount(chunk.numpy().ravel(), minlength=256) for chunk in torch.split(channel, 5_000)
        )
        means.append(np.average(values, weights=counts))
        deviations.append(np.average((values - means[-1]) ** 2, weights=counts) ** 0.5)
    mean, deviation = (torch.tensor(found, dtype=torch.float32) for found in (means, deviations))
    return mean, deviation.clamp_min(1.0)


def choose_images(
    recipe: Recipe, in_training: int, in_test: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Places of validation and training images in the training split, and of test images in the test split.

    Validation images come first in the permutation, so that they stay the same when more are trained on.
    """
    of_training, of_test = (
        np.random.default_rng([recipe.subset_seed, split]).permutation(count)
        for split, count in enumerate((in_training, in_test))
    )
    held_out = recipe.valid_images
    train = of_training[held_out : held_out + recipe.train_images]
    return of_training[:held_out], train, of_test[: recipe.test_images]


def check_source(recipe: Recipe, source: Source) -> None:
    """Checks that a data set has what a recipe asks for.

    Raises:
        DataError: it has not.
    """
    splits = (
        (
            "training",
            len(source.train_images),
            recipe.train_images + recipe.valid_images,
            "train_images or valid_images",
        ),
        ("test", len(source.test_images), recipe.test_images, "test_images"),
    )
    for split, there, asked, remedy in splits:
        if asked > there:
            raise DataError(
                f"{recipe.dataset} has {there} {split} images, {asked} are asked for; lower {remedy}"
            )
    channels = source.train_images.shape[3]
    if channels != recipe.channels:
        raise DataError(
            f"{recipe.dataset} has {channels} channels, the recipe says {recipe.channels}; correct it"
        )
    of_test = source.test_images.shape[3]
    if recipe.test_images and of_test != channels:  # whitening would spread one channel over several
        raise DataError(
            f"{recipe.dataset} has {channels} channels in its training split, {of_test} in the test split;"
            " correct it"
        )
    highest = max(int(source.train_labels.max()), int(source.test_labels.max(initial=0)))
    if highest >= recipe.classes:
        raise DataError(
            f"{recipe.dataset} has label {highest}, the recipe says {recipe.classes} classes; correct it"
        )


def resize(images: NDArray[np.uint8], size: int) -> Tensor:
    """Square images of another size, `uint8[n, h, w, c]` to `uint8[n, size, size, c]`.

    Averaged where the old size is a multiple of the new, else bilinear, with antialiasing when shrinking.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(images))
    height, width = images.shape[1:3]
    if height == width == size or not len(images):
        return pixels if len(images) else pixels.new_empty((0, size, size, images.shape[3]))
    return torch.cat([_resize_chunk(chunk, size) for chunk in torch.split(pixels, 5_000)])


def _resize_chunk(pixels: Tensor, size: int) -> Tensor:
    planes = pixels.permute(0, 3, 1, 2).float()
    height, width = planes.shape[2:]
    if height == width and height % size == 0:
        planes = functional.avg_pool2d(planes, height // size)
    else:
        planes = functional.interpolate(planes, (size, size), mode="bilinear", antialias=True)
    return planes.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


# --------------------------------------------------------------------------------------------------- formats


def read_source(dataset: str, data: Path | None) -> Source:
    """Reads a data set, named or an `.npz` file, from its folder or, of an `.npz`, from the file itself.

    Raises:
        DataError: the name is unknown, files are missing, or they are not what they should be.
    """
    if dataset.endswith(".npz"):
        return Source(*read_npz(find_npz(dataset, data)))
    if dataset == "digits":
        return _read_digits()
    readers = {"cifar10": _read_cifar10, "fashion-mnist": _read_fashion_mnist}
    if dataset not in readers:
        raise DataError(
            f"unknown data set {dataset!r}; known: digits, {', '.join(readers)}, or a file ending in .npz"
        )
    if data is None:
        raise DataError(f"data set {dataset} needs its folder; give it with --data")
    return readers[dataset](data)


def place_dataset(dataset: str, data: Path | None) -> tuple[str, Path | None]:
    """What a recipe calls a data set, and where it lies; the way to an `.npz` file is no part of a recipe."""
    if not dataset.endswith(".npz"):
        return dataset, data
    return Path(dataset).name, find_npz(dataset, data)


def find_npz(dataset: str, data: Path | None) -> Path:
    """The file of an `.npz` data set: in the folder `data`, `data` itself, or else where its name says."""
    if data is None:
        return Path(dataset)
    if not data.is_dir():
        return data
    whole = data / dataset
    return whole if whole.exists() else data / Path(dataset).name  # older recipes name the way to the file


def _read_digits() -> Source:
    from sklearn.datasets import load_digits  # late: a second of import that other data sets do not need

    images, labels = load_digits(return_X_y=True)
    pixels = np.rint(images * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    known = len(pixels) - DIGITS_TEST_IMAGES
    labels = labels.astype(np.int64)
    return Source(pixels[:known], labels[:known], pixels[known:], labels[known:])


def _read_cifar10(data: Path) -> Source:
    """The official binary layout: records of a label and 3 x 32 x 32 bytes, planes first."""
    folder = data / CIFAR10_FOLDER if (data / CIFAR10_FOLDER).is_dir() else data
    batches = [_read_cifar10_batch(folder / f"data_batch_{i}.bin") for i in range(1, 6)]
    test_images, test_labels = _read_cifar10_batch(folder / "test_batch.bin")
    train_images = np.concatenate([images for images, _ in batches])
    return Source(train_images, np.concatenate([labels for _, labels in batches]), test_images, test_labels)


def _read_cifar10_batch(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        content = path.read_bytes()
    except OSError:
        raise DataError(
            f"{path.parent} holds no {path.name}; --data takes the folder of CIFAR-10's binary version"
            f" ({CIFAR10_FOLDER})"
        ) from None
    if not content or len(content) % CIFAR10_RECORD:
        raise DataError(
            f"{path} has {len(content)} bytes, no multiple of {CIFAR10_RECORD}: it is damaged, get it again"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, CIFAR10_RECORD)
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0].astype(np.int64)


def _read_fashion_mnist(data: Path) -> Source:
    train_images, train_labels, test_images, test_labels = (
        _read_idx(data, name) for name in FASHION_MNIST_FILES
    )
    for images, labels in ((train_images, train_labels), (test_images, test_labels)):
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise DataError(
                f"{data}: images {images.shape} and labels {labels.shape} do not match; get them again"
            )
    return Source(
        train_images[..., None],
        train_labels.astype(np.int64),
        test_images[..., None],
        test_labels.astype(np.int64),
    )


def _read_idx(folder: Path, name: str) -> NDArray[np.uint8]:
    """A gzipped IDX file of bytes: 0, 0, 8, number of dimensions, big-endian 32-bit lengths, the bytes."""
    path = folder / f"{name}-ubyte.gz"
    try:
        with gzip.open(path) as file:
            lengths = _read_lengths(file)
            # no more than the head says: a small file can unpack to any size
            pixels = np.frombuffer(file.read(min(prod(lengths), LARGEST_IDX) + 1), np.uint8)
    except FileNotFoundError:
        raise DataError(
            f"{folder} holds no {path.name}; --data takes the folder of its four gzipped IDX files"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); get it again") from None
    if not lengths or pixels.size != prod(lengths):
        raise DataError(f"{path} is no IDX file of bytes, or it is cut off; get it again")
    return pixels.reshape(lengths)


def _read_lengths(file: gzip.GzipFile) -> list[int]:
    """The lengths in an IDX file's head; none where it is not of bytes."""
    head = file.read(4)
    dimensions = head[3] if len(head) == 4 and head[:3] == b"\0\0\x08" else 0
    lengths = file.read(4 * dimensions)
    return list(np.frombuffer(lengths, ">u4").tolist()) if len(lengths) == 4 * dimensions else []
