"""Trains one child and measures it.

Three random streams, all from a hash of the training seed and the cell's canonical text, so children of one
seed share no luck: initial weights (a torch generator on the CPU), order of images, crops and flips (NumPy
generators). On a CPU the same cell, recipe, seed and software give the same floats.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from math import cos, pi, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pnas_backends.training.augment import Batches, draw_batches, make_batch, whiten
from pnas_backends.training.costs import cell_costs
from pnas_backends.training.data import Images
from pnas_backends.training.network import Network, build_network, read_row
from pnas_backends.training.recipe import Recipe
from pnas_sim.evaluate import Evaluation, Source, Status
from pnas_sim.space import Cell, CellSpace

EVALUATION_BATCH = 500
LOSS_CHECK = 10  # steps between two looks at the loss; each waits for the device
CHANCE_MARGIN = 2.0  # standard errors above chance that an accuracy must exceed to count as learned


class TimeLimitError(TimeoutError):
    """A child took longer than it was given."""


def train_child(
    cell: NDArray[np.uint8] | str | Cell,
    recipe: Recipe,
    images: Images,
    seed: int,
    device: torch.device | str = "cpu",
    space: CellSpace | None = None,
    time_limit: float | None = None,
) -> Evaluation:
    """Trains the network of a cell by a recipe.

    A child whose loss is not finite, or whose final validation accuracy does not exceed chance by two
    standard errors of guessing, has diverged: its accuracies are chance.

    Args:
        cell: a token row `uint8[width]`, a `Cell`, or the cell's text. However it is written, its canonical
            form is trained.
        recipe: how.
        images: those of the recipe, on `device`.
        seed: of initial weights, order and augmentation.
        device: to train on.
        space: the cell's; by default the paper's.
        time_limit: wall seconds after which to give up.

    Raises:
        TimeLimitError: it took longer.
    """
    device, space = torch.device(device), space or CellSpace()
    row = space.canonical(read_row(cell, space)[None])[0]
    text = space.format(row)
    weights, order, augmentation = make_streams(seed, text)
    test_accuracy = recipe.chance
    with use_threads(recipe.threads), _Stopwatch(device) as watch:
        network = build_network(row, space=space, shape=recipe.shape, generator=weights, device=device)
        batches = draw_batches(recipe, order, augmentation, device)
        curve, finite = _fit(network, recipe, images, batches, time_limit)
        learned = finite and curve[-1][1] > chance_limit(recipe)
        if learned and recipe.test_images:
            test_accuracy = measure_accuracy(network, images, images.test, images.test_labels)
    parameters, multiply_adds = cell_costs(row[None], space, recipe.shape)
    return Evaluation(
        cell=text,
        status=Status.OK if learned else Status.DIVERGED,
        source=Source.TRAINED,
        valid_accuracy=curve[-1][1] if learned else recipe.chance,
        test_accuracy=test_accuracy if recipe.test_images else float("nan"),
        epochs=recipe.epochs,
        examples=recipe.epochs * recipe.train_images,
        seconds=watch.seconds,
        parameters=int(parameters[0]),
        multiply_adds=int(multiply_adds[0]),
        curve=tuple(curve) if learned else _complete_curve(recipe, curve),
        seed=seed,
        error="" if learned else ("accuracy at chance" if finite else "loss is not finite"),
    )


def _fit(
    network: Network, recipe: Recipe, images: Images, batches: Batches, time_limit: float | None
) -> tuple[list[tuple[float, float]], bool]:
    """Trains; the curve of epochs and validation accuracy, and whether the loss stayed finite."""
    give_up = time.monotonic() + (time_limit or float("inf"))
    stops = checkpoint_steps(recipe)
    curve: list[tuple[float, float]] = []
    optimiser = make_optimiser(network, recipe)
    for step in range(recipe.steps):
        loss = _take_step(network, optimiser, recipe, step, *make_batch(images, batches, step))
        if (step % LOSS_CHECK == 0 or step + 1 in stops) and not torch.isfinite(loss):
            return curve, False
        if time.monotonic() > give_up:
            raise TimeLimitError(
                f"time limit of {time_limit:g} s reached at step {step + 1} of {recipe.steps}"
            )
        if step + 1 in stops:
            few = len(images.valid) if step + 1 == recipe.steps else recipe.early_valid_images
            accuracy = measure_accuracy(network, images, images.valid[:few], images.valid_labels[:few])
            curve.append((recipe.epochs * stops[step + 1], accuracy))
    return curve, True


def _take_step(
    network: Network, optimiser: torch.optim.SGD, recipe: Recipe, step: int, inputs: Tensor, labels: Tensor
) -> Tensor:
    """One step of SGD; the loss before it."""
    for group in optimiser.param_groups:
        group["lr"] = schedule_rate(recipe, step)
    loss = functional.cross_entropy(network(inputs), labels)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if recipe.clip_norm is not None:
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
    optimiser.step()
    return loss


def make_streams(seed: int, text: str) -> tuple[torch.Generator, np.random.Generator, np.random.Generator]:
    """Random streams of a child: initial weights, order of images, augmentation."""
    digest = blake2b(f"{seed} {text}".encode(), digest_size=16).digest()
    words = np.frombuffer(digest, "<u4").tolist()
    weights, order, augmentation = np.random.SeedSequence(words).spawn(3)
    state = int(weights.generate_state(1, np.uint64)[0] >> np.uint64(1))
    generator = torch.Generator().manual_seed(state)
    return generator, np.random.default_rng(order), np.random.default_rng(augmentation)


def make_optimiser(network: Network, recipe: Recipe) -> torch.optim.SGD:
    """SGD with Nesterov momentum; weight decay on matrices and kernels only."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, recipe.learning_rate, recipe.momentum, nesterov=True, fused=True)


def schedule_rate(recipe: Recipe, step: int) -> float:
    """Learning rate of a step: linear rise over the warm-up, then half a cosine to zero."""
    rise = round(recipe.warmup * recipe.steps)
    if step < rise:
        return recipe.learning_rate * (step + 1) / rise
    return recipe.learning_rate * 0.5 * (1 + cos(pi * (step - rise) / (recipe.steps - rise)))


def checkpoint_steps(recipe: Recipe) -> dict[int, float]:
    """Steps after which validation is measured, with their share of the training; the end is the last.

    Where a training has so few steps that two checkpoints fall on one, the later one stands.
    """
    shares = (*recipe.checkpoints, 1.0)
    return {max(1, round(share * recipe.steps)): share for share in shares}


@torch.inference_mode()
def measure_accuracy(network: Network, images: Images, pixels: Tensor, labels: Tensor) -> float:
    """Share of `uint8[n, size, size, c]` that is told right; back in training mode after it."""
    network.eval()
    right = torch.zeros((), dtype=torch.int64, device=pixels.device)
    for some, truth in zip(
        torch.split(pixels, EVALUATION_BATCH), torch.split(labels, EVALUATION_BATCH), strict=True
    ):
        right += (network(whiten(images, some).permute(0, 3, 1, 2)).argmax(1) == truth).sum()
    network.train()
    return int(right) / len(labels)


def chance_limit(recipe: Recipe) -> float:
    """The validation accuracy that a child must exceed to count as having learned."""
    chance = recipe.chance
    return chance + CHANCE_MARGIN * sqrt(chance * (1 - chance) / recipe.valid_images)


def _complete_curve(recipe: Recipe, curve: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """The curve of a diverged child: what was measured, then chance; chance at the end."""
    known = dict(curve[: len(recipe.checkpoints)])
    epochs = [recipe.epochs * share for share in checkpoint_steps(recipe).values()]
    return tuple((at, known.get(at, recipe.chance) if at != epochs[-1] else recipe.chance) for at in epochs)


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Sets torch's threads, and puts them back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Stopwatch:
    """Seconds that a device works: CPU time of this process, or between two events of a CUDA stream.

    The latter hold what other processes on the GPU took meanwhile: count seconds with one worker a GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = 0.0

    def __enter__(self) -> _Stopwatch:
        self._begun = time.process_time()
        if self.device.type == "cuda":
            self._events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]  # type: ignore[no-untyped-call]
            self._events[0].record(torch.cuda.current_stream(self.device))
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.process_time() - self._begun
        if self.device.type == "cuda":
            self._events[1].record(torch.cuda.current_stream(self.device))
            self._events[1].synchronize()
            self.seconds = self._events[0].elapsed_time(self._events[1]) / 1000
