from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from pnas_backends.training import npz
from pnas_backends.training.data import (
    choose_images,
    find_npz,
    load_images,
    measure_channels,
    place_dataset,
    read_source,
    resize,
)
from pnas_backends.training.recipe import DIGITS, PAPER, Recipe
from pnas_sim.errors import DataError

RNG = np.random.default_rng(0)


def write_cifar10(folder: Path, records: int = 20) -> np.ndarray:
    """A folder in CIFAR-10's binary layout; returns its training records."""
    folder.mkdir()
    batches = [RNG.integers(0, 256, (records, 3073), dtype=np.uint8) for _ in range(6)]
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    for batch, name in zip(batches, names, strict=True):
        batch[:, 0] %= 10
        (folder / name).write_bytes(batch.tobytes())
    return np.concatenate(batches[:5])


def write_idx(path: Path, array: np.ndarray) -> None:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(head + array.tobytes()))


def write_fashion_mnist(folder: Path) -> None:
    for name, count in (("train", 30), ("t10k", 10)):
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", RNG.integers(0, 256, (count, 28, 28), np.uint8))
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", RNG.integers(0, 10, count, np.uint8))


def small(dataset: str, **settings: object) -> Recipe:
    numbers = {"train_images": 10, "valid_images": 8, "test_images": 6, "crop": "none"}
    return PAPER.change(dataset=dataset, **{**numbers, **settings})


def test_digits_need_no_folder() -> None:
    images = load_images(DIGITS)
    assert images.train.shape == (1297, 8, 8, 1)
    assert images.valid.shape == (200, 8, 8, 1)
    assert images.test.shape == (300, 8, 8, 1)
    assert int(images.train.max()) == 255
    assert sorted(set(images.train_labels.tolist())) == list(range(10))


@pytest.mark.parametrize("inside", [True, False])
def test_cifar10_folder_or_its_parent(tmp_path: Path, inside: bool) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    records = write_cifar10(folder)
    recipe = small("cifar10")
    images = load_images(recipe, folder if inside else tmp_path)
    valid, train, _ = choose_images(recipe, 100, 20)
    planes = records[train, 1:].reshape(-1, 3, 32, 32)
    assert np.array_equal(images.train.permute(0, 3, 1, 2).numpy(), planes)
    assert images.train_labels.tolist() == records[train, 0].tolist()
    assert images.valid_labels.tolist() == records[valid, 0].tolist()
    assert images.mean.numpy() == pytest.approx(planes.mean((0, 2, 3)), rel=1e-5)
    assert images.deviation.numpy() == pytest.approx(planes.std((0, 2, 3)), rel=1e-5)


def test_fashion_mnist(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path)
    images = load_images(small("fashion-mnist", channels=1, image_size=14), tmp_path)
    assert images.train.shape == (10, 14, 14, 1)
    assert images.test.shape == (6, 14, 14, 1)


def test_grey_npz_without_a_channel_axis(tmp_path: Path) -> None:
    path = tmp_path / "grey.npz"
    images, labels = RNG.integers(0, 256, (30, 6, 6), np.uint8), RNG.integers(0, 3, 30)
    np.savez(path, train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    source = read_source("grey.npz", path)
    assert source.train_images.shape == (30, 6, 6, 1)
    assert source.train_labels.dtype == np.int64


def test_an_npz_is_found_in_its_folder_too(tmp_path: Path) -> None:
    pixels, labels = np.zeros((4, 8, 8), np.uint8), np.zeros(4, int)
    (tmp_path / "inner").mkdir()
    for name in ("x.npz", "inner/x.npz", "inner/y.npz"):
        np.savez(
            tmp_path / name, train_images=pixels, train_labels=labels, test_images=pixels, test_labels=labels
        )
    assert find_npz("x.npz", tmp_path) == find_npz("x.npz", tmp_path / "x.npz") == tmp_path / "x.npz"
    assert find_npz("inner/x.npz", tmp_path) == tmp_path / "inner" / "x.npz"
    assert find_npz("far/away/y.npz", tmp_path / "inner") == tmp_path / "inner" / "y.npz"
    assert find_npz("far/z.npz", None) == Path("far/z.npz")
    assert read_source("x.npz", tmp_path).train_images.shape == (4, 8, 8, 1)
    with pytest.raises(DataError, match=r"there is no file .*z\.npz; give its folder with --data"):
        read_source("z.npz", tmp_path)
    assert place_dataset("inner/x.npz", tmp_path) == ("x.npz", tmp_path / "inner" / "x.npz")
    assert place_dataset("digits", None) == ("digits", None)


def test_subset_is_the_recipes_and_its_parts_are_disjoint() -> None:
    recipe = small("cifar10")
    valid, train, test = choose_images(recipe, 100, 20)
    assert (len(valid), len(train), len(test)) == (8, 10, 6)
    assert not set(valid) & set(train)
    again = choose_images(recipe, 100, 20)
    assert all(np.array_equal(a, b) for a, b in zip((valid, train, test), again, strict=True))
    other = choose_images(recipe.change(subset_seed=1), 100, 20)
    assert not np.array_equal(valid, other[0])


def test_more_training_images_leave_validation_as_it_was() -> None:
    valid, train, _ = choose_images(small("cifar10"), 100, 20)
    same, more, _ = choose_images(small("cifar10", train_images=50), 100, 20)
    assert np.array_equal(valid, same)
    assert np.array_equal(train, more[:10])


def test_a_channel_that_never_changes_has_deviation_one() -> None:
    images = torch.from_numpy(RNG.integers(0, 256, (7, 5, 5, 2), np.uint8))
    images[..., 1] = 9
    mean, deviation = measure_channels(images)
    assert mean.tolist() == pytest.approx([images[..., 0].double().mean().item(), 9])
    assert deviation.tolist() == pytest.approx([images[..., 0].double().std(correction=0).item(), 1])


def test_halving_averages() -> None:
    images = RNG.integers(0, 256, (3, 8, 8, 2), np.uint8)
    mean = images.reshape(3, 4, 2, 4, 2, 2).mean((2, 4))
    assert np.abs(resize(images, 4).numpy() - mean).max() <= 0.5


@pytest.mark.parametrize("size", [5, 12, 40])
def test_other_sizes_keep_a_constant_image(size: int) -> None:
    images = np.full((2, 8, 8, 1), 77, np.uint8)
    assert torch.equal(resize(images, size), torch.full((2, size, size, 1), 77, dtype=torch.uint8))


def test_resizing_to_its_own_size_changes_nothing() -> None:
    images = RNG.integers(0, 256, (3, 8, 8, 2), np.uint8)
    assert np.array_equal(resize(images, 8).numpy(), images)


def test_upsampling_stores_five_quarters_and_measures_the_centre(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "cifar")
    images = load_images(small("cifar10", crop="upsample", image_size=16), tmp_path / "cifar")
    assert images.train.shape == (10, 20, 20, 3)
    assert images.valid.shape == (8, 16, 16, 3)


def test_what_is_wrong_with_the_files_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown data set 'mnist'; known: digits, cifar10, "):
        read_source("mnist", None)
    with pytest.raises(DataError, match="cifar10 needs its folder; give it with --data"):
        read_source("cifar10", None)
    with pytest.raises(DataError, match=r"holds no data_batch_1\.bin; --data takes"):
        read_source("cifar10", tmp_path)
    with pytest.raises(DataError, match=r"holds no train-images-idx3-ubyte\.gz; --data takes"):
        read_source("fashion-mnist", tmp_path)
    with pytest.raises(DataError, match="there is no file"):
        read_source("x.npz", tmp_path / "x.npz")


def test_damaged_cifar10_is_named(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "cifar")
    path = tmp_path / "cifar" / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"data_batch_3\.bin has 61459 bytes, no multiple of 3073"):
        read_source("cifar10", tmp_path / "cifar")


def test_of_an_idx_file_no_more_is_unpacked_than_its_head_says(tmp_path: Path) -> None:
    """A megabyte of gzip can hold a gigabyte of zeros."""
    write_fashion_mnist(tmp_path)
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x01" + bytes(50_000_000)))
    tracemalloc.start()
    with pytest.raises(DataError, match="no IDX file of bytes"):
        read_source("fashion-mnist", tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 25_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("damage", ["cut", "not gzip", "bad block", "half a head", "other type"])
def test_damaged_fashion_mnist_is_named(tmp_path: Path, damage: str) -> None:
    write_fashion_mnist(tmp_path)
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    content = gzip.decompress(path.read_bytes())
    damaged = {
        "cut": gzip.compress(content[:-1]),
        "not gzip": content,
        "bad block": path.read_bytes()[:10]
        + b"\x07"
        + path.read_bytes()[11:],  # of a type that deflate lacks
        "half a head": gzip.compress(content[:6]),
        "other type": gzip.compress(content[2:]),
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz .*get it again"):
        read_source("fashion-mnist", tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"train_images": np.zeros((4, 8, 8), float)},
            r"train_images is float64\[4, 8, 8\]; it must be uint8",
        ),
        ({"test_images": np.zeros((4, 8), np.uint8)}, r"test_images is uint8\[4, 8\]; it must be uint8"),
        ({"train_labels": np.zeros(3, int)}, r"train_labels is int64\[3\]; it must be 4 integers"),
        ({"test_labels": np.zeros(4)}, r"test_labels is float64\[4\]; it must be 4 integers"),
        ({"test_labels": np.full(4, -1)}, "test_labels has -1; labels count from 0"),
        ({"train_labels": np.array([1, 2, 3, 4])}, "lowest of train_labels is 1; labels count from 0, so"),
        (
            {"train_images": np.zeros((4, 3, 32, 32), np.uint8)},
            r"train_images is uint8\[4, 3, 32, 32\]; images are .* these look like channels first",
        ),
        ({"test_images": np.zeros((4, 1, 8, 9), np.uint8)}, r"test_images is .* channels first"),
        ({"test_labels": np.array([None] * 4)}, "cannot be read as .npz"),
        ({"test_labels": None}, "lacks test_labels; it must hold"),
    ],
)
def test_wrong_npz_is_named(tmp_path: Path, change: dict[str, np.ndarray | None], message: str) -> None:
    pixels, labels = np.zeros((4, 8, 8), np.uint8), np.zeros(4, int)
    arrays = {"train_images": pixels, "train_labels": labels, "test_images": pixels, "test_labels": labels}
    np.savez(tmp_path / "x.npz", **{k: v for k, v in {**arrays, **change}.items() if v is not None})
    with pytest.raises(DataError, match=message):
        read_source("x.npz", tmp_path / "x.npz")


def test_no_zip_at_all(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(DataError, match=r"cannot be read as \.npz"):
        read_source("x.npz", tmp_path / "x.npz")


def test_upsampled_images_are_measured_at_their_centre(tmp_path: Path) -> None:
    labels, pixels = np.arange(20) % 10, RNG.integers(0, 256, (20, 8, 8, 3), np.uint8)
    np.savez(
        tmp_path / "x.npz", train_labels=labels, test_labels=labels, train_images=pixels, test_images=pixels
    )
    recipe = small("x.npz", image_size=8, crop="upsample")
    images = load_images(recipe, tmp_path / "x.npz")
    valid, train, test = choose_images(recipe, 20, 20)
    assert torch.equal(images.train, resize(pixels[train], 10))
    assert torch.equal(images.valid, resize(pixels[valid], 10)[:, 1:9, 1:9])
    assert torch.equal(images.test, resize(pixels[test], 10)[:, 1:9, 1:9])


def test_one_array_is_no_npz(tmp_path: Path) -> None:
    with (tmp_path / "x.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match=r"cannot be read as \.npz"):
        read_source("x.npz", tmp_path / "x.npz")


def test_a_damaged_part_of_an_npz_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, **{name: np.zeros(9, np.uint8) for name in npz.ARRAYS})
    content = bytearray(path.read_bytes())
    content[30 + content[26] + content[28]] = 7  # the first block, of a type that deflate lacks
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read as \.npz .*block type"):
        read_source("x.npz", path)


def test_splits_of_different_channels_are_refused_unless_one_is_not_read(tmp_path: Path) -> None:
    labels = np.arange(20) % 10
    images = {
        "train_images": np.zeros((20, 8, 8, 3), np.uint8),
        "test_images": np.zeros((20, 8, 8), np.uint8),
    }
    np.savez(tmp_path / "x.npz", train_labels=labels, test_labels=labels, **images)
    recipe = small("x.npz", image_size=8)
    with pytest.raises(DataError, match="3 channels in its training split, 1 in the test split"):
        load_images(recipe, tmp_path / "x.npz")
    assert load_images(recipe.change(test_images=0), tmp_path / "x.npz").train.shape == (10, 8, 8, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train_images": 1_600}, "digits has 1497 training images, 1800 are asked for; lower train_images"),
        ({"test_images": 301}, "digits has 300 test images, 301 are asked for; lower test_images"),
        ({"channels": 3}, "digits has 1 channels, the recipe says 3"),
        ({"classes": 5}, "digits has label 9, the recipe says 5 classes"),
    ],
)
def test_recipes_that_do_not_fit_the_data(settings: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_images(DIGITS.change(**settings))
