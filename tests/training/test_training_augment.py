from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_backends.training.augment import Batches, crop_and_flip, draw_batches, make_batch, whiten
from pnas_backends.training.data import Images
from pnas_backends.training.recipe import DIGITS, Recipe

CPU = torch.device("cpu")


def draw(recipe: Recipe, seed: int = 0) -> Batches:
    return draw_batches(recipe, np.random.default_rng(seed), np.random.default_rng(seed + 1), CPU)


@settings(deadline=None, max_examples=40)
@given(images=st.integers(1, 60), batch=st.integers(1, 40), epochs=st.integers(1, 5))
def test_every_image_is_seen_as_often_as_any_other(images: int, batch: int, epochs: int) -> None:
    recipe = DIGITS.change(train_images=images, batch_size=batch, epochs=epochs)
    order = draw(recipe).order
    assert order.shape == (recipe.steps, min(images, batch))
    seen = np.bincount(order.flatten().numpy(), minlength=images)
    assert seen.max() - seen.min() <= 1
    assert abs(order.numel() - images * epochs) <= batch / 2 + 1


@settings(deadline=None, max_examples=40)
@given(
    size=st.integers(1, 6),
    slack=st.integers(0, 3),
    seed=st.integers(0, 1000),
)
def test_crops_are_slices_and_flips_mirror(size: int, slack: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = torch.from_numpy(rng.random((5, size + slack, size + slack, 2)))
    offsets = torch.from_numpy(rng.integers(0, slack + 1, (5, 2)))
    flips = torch.from_numpy(rng.random(5) < 0.5)
    crops = crop_and_flip(pixels, offsets, flips, size)
    for image, (top, left), flip, crop in zip(pixels, offsets.tolist(), flips, crops, strict=True):
        expected = image[top : top + size, left : left + size]
        assert torch.equal(crop, expected.flip(1) if flip else expected)


@pytest.mark.parametrize(("crop", "highest"), [("none", 0), ("pad", 2), ("upsample", 2)])
def test_offsets_cover_the_whole_slack(crop: str, highest: int) -> None:
    offsets = draw(DIGITS.change(crop=crop)).offsets
    assert sorted(set(offsets.flatten().tolist())) == list(range(highest + 1))


def test_flips_only_where_the_recipe_says_so() -> None:
    assert not draw(DIGITS).flips.any()
    assert 0.45 < draw(DIGITS.change(flip=True)).flips.float().mean() < 0.55


def test_a_batch_without_crops_is_the_whitened_images(images: Images, recipe: Recipe) -> None:
    batches = draw(recipe)
    inputs, labels = make_batch(images, batches, 3)
    places = batches.order[3]
    assert torch.equal(inputs.permute(0, 2, 3, 1), whiten(images, images.train[places]))
    assert torch.equal(labels, images.train_labels[places])
    assert inputs.is_contiguous(memory_format=torch.channels_last)


def test_padding_is_zero_after_whitening(images: Images, recipe: Recipe) -> None:
    batches = draw(recipe.change(crop="pad"))
    batches.offsets[0] = 0
    inputs, _ = make_batch(images, batches, 0)
    assert not inputs[:, :, 0].any()
    assert not inputs[:, :, :, 0].any()
    assert inputs[:, :, 1:, 1:].abs().min() > 0


def test_whitening_gives_mean_zero_and_deviation_one(images: Images) -> None:
    white = whiten(images, images.train)
    assert white.mean((0, 1, 2)).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert white.std((0, 1, 2)).tolist() == pytest.approx([1, 1, 1], abs=1e-3)
