from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from pnas_backends.training.data import Images, load_images
from pnas_backends.training.recipe import Recipe
from pnas_sim.space import CellSpace

REQUIRED = "PNAS_REQUIRE_CUDA"  # set to 1 where a missing GPU is a failure


@pytest.fixture
def gpu() -> None:
    """A CUDA device; where there is none, tests are skipped, or fail if the environment demands one."""
    if not torch.cuda.is_available():
        reason = "torch finds no CUDA device"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{reason}, and {REQUIRED} is 1")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def space() -> CellSpace:
    return CellSpace()


@pytest.fixture(scope="session")
def npz_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set that is learned in a few steps: three classes have a bright channel each, one has none."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 600)
    bright = np.eye(4, 3, dtype=np.int64)[labels]
    images = rng.integers(0, 150, (600, 8, 8, 3)) + 60 * bright[:, None, None]
    path = tmp_path_factory.mktemp("data") / "colours.npz"
    arrays = {"train_images": images[:500].astype(np.uint8), "train_labels": labels[:500]}
    np.savez(path, **arrays, test_images=images[500:].astype(np.uint8), test_labels=labels[500:])
    return path


@pytest.fixture(scope="session")
def recipe(npz_path: Path) -> Recipe:
    """A second or so of training."""
    return Recipe(
        dataset=npz_path.name,
        image_size=8,
        classes=4,
        train_images=300,
        valid_images=200,
        early_valid_images=50,
        test_images=100,
        filters=4,
        cells_per_stage=1,
        epochs=2,
        batch_size=30,
        learning_rate=0.1,
        warmup=0.1,
        crop="none",
        flip=False,
    )


@pytest.fixture(scope="session")
def images(recipe: Recipe, npz_path: Path) -> Images:
    return load_images(recipe, npz_path)
