"""Batches: their order, crops and flips, drawn for the whole training at once and applied on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pnas_backends.training.data import Images
from pnas_backends.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Batches:
    """Every step's batch, on one device.

    Attributes:
        order: `int64[steps, batch]`, places of images.
        offsets: `int64[steps, batch, 2]`, top and left corner of each crop.
        flips: `bool[steps, batch]`, mirrored left to right.
        padding: zeros around a whitened image before it is cropped.
        size: pixels of a crop.
    """

    order: Tensor
    offsets: Tensor
    flips: Tensor
    padding: int
    size: int


def draw_batches(
    recipe: Recipe, order: np.random.Generator, augmentation: np.random.Generator, device: torch.device
) -> Batches:
    """Draws a training's batches.

    Batches are cut from one fresh permutation of the images after another; a batch may lie across two, so all
    batches are full and every image is seen once an epoch.
    """
    steps, batch, count = recipe.steps, recipe.batch, recipe.train_images
    passes = -(-steps * batch // count)
    places = np.concatenate([order.permutation(count) for _ in range(passes)])[: steps * batch]
    padding = max(1, recipe.image_size // 8) if recipe.crop == "pad" else 0
    slack = {"upsample": recipe.image_size // 4, "pad": 2 * padding, "none": 0}[recipe.crop]
    offsets = augmentation.integers(0, slack + 1, (steps, batch, 2))
    flips = augmentation.random((steps, batch)) < (0.5 if recipe.flip else 0.0)
    return Batches(
        order=torch.from_numpy(places.reshape(steps, batch)).to(device),
        offsets=torch.from_numpy(offsets).to(device),
        flips=torch.from_numpy(flips).to(device),
        padding=padding,
        size=recipe.image_size,
    )


def make_batch(images: Images, batches: Batches, step: int) -> tuple[Tensor, Tensor]:
    """Whitened, cropped and flipped `float32[batch, c, size, size]` (channels-last) and labels of a step."""
    places = batches.order[step]
    pixels = whiten(images, images.train[places])
    if batches.padding:
        pixels = functional.pad(pixels, (0, 0, *[batches.padding] * 4))
    crops = crop_and_flip(pixels, batches.offsets[step], batches.flips[step], batches.size)
    return crops.permute(0, 3, 1, 2), images.train_labels[places]


def whiten(images: Images, pixels: Tensor) -> Tensor:
    """`uint8[n, h, w, c]` to `float32` of mean 0 and deviation 1 by the training images' statistics."""
    return (pixels.float() - images.mean) / images.deviation


def crop_and_flip(pixels: Tensor, offsets: Tensor, flips: Tensor, size: int) -> Tensor:
    """Cuts `[n, size, size, c]` out of `[n, h, w, c]` at `int64[n, 2]` and mirrors those of `bool[n]`."""
    steps = torch.arange(size, device=pixels.device)
    rows = offsets[:, :1] + steps
    columns = offsets[:, 1:] + torch.where(flips[:, None], size - 1 - steps, steps)
    image = torch.arange(len(pixels), device=pixels.device)
    return pixels[image[:, None, None], rows[:, :, None], columns[:, None, :]]
