from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest
import torch

from pnas_backends.training import train
from pnas_backends.training.costs import cell_costs
from pnas_backends.training.data import Images, load_images
from pnas_backends.training.network import build_network
from pnas_backends.training.recipe import CIFAR10_16PX, PAPER, Recipe
from pnas_backends.training.train import (
    LOSS_CHECK,
    TimeLimitError,
    chance_limit,
    checkpoint_steps,
    make_optimiser,
    make_streams,
    measure_accuracy,
    schedule_rate,
    train_child,
)
from pnas_sim.evaluate import Evaluation, Source, Status
from pnas_sim.space import Cell, CellSpace

CELL = "id(-2)+sep3(-1)"


@pytest.fixture(scope="module")
def row(space: CellSpace) -> np.ndarray:
    return space.parse(CELL)


@pytest.fixture(scope="module")
def child(row: np.ndarray, recipe: Recipe, images: Images) -> Evaluation:
    return train_child(row, recipe, images, seed=1)


def facts(evaluation: Evaluation) -> Evaluation:
    """All but the time it took."""
    return replace(evaluation, seconds=0.0)


def test_a_child_learns(child: Evaluation, recipe: Recipe, row: np.ndarray, space: CellSpace) -> None:
    assert (child.cell, child.status, child.source, child.seed) == (CELL, Status.OK, Source.TRAINED, 1)
    assert child.valid_accuracy > 0.7
    assert child.test_accuracy > 0.7
    assert (child.epochs, child.examples) == (2.0, 600.0)
    assert [at for at, _ in child.curve] == [0.5, 1.0, 1.5, 2.0]
    assert child.curve[-1][1] == child.valid_accuracy
    assert child.seconds > 0
    parameters, multiply_adds = cell_costs(row[None], space, recipe.shape)
    assert (child.parameters, child.multiply_adds) == (parameters[0], multiply_adds[0])
    assert child.error == ""


def test_same_seed_same_child(child: Evaluation, row: np.ndarray, recipe: Recipe, images: Images) -> None:
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert facts(train_child(row, recipe, images, seed=1)) == facts(child)


@pytest.mark.parametrize("written", ["sep3(-1)+id(-2)", Cell.parse("sep3(-1)+id(-2)", CellSpace()), CELL])
def test_however_a_cell_is_written_its_canonical_form_is_trained(
    written: str | Cell, child: Evaluation, recipe: Recipe, images: Images
) -> None:
    assert facts(train_child(written, recipe, images, seed=1)) == facts(child)


def test_other_seed_other_child(child: Evaluation, row: np.ndarray, recipe: Recipe, images: Images) -> None:
    assert train_child(row, recipe, images, seed=2).curve != child.curve


def test_same_child_in_another_process(child: Evaluation, recipe: Recipe, npz_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from pnas_backends.training.data import load_images\n"
        "from pnas_backends.training.recipe import Recipe\n"
        "from pnas_backends.training.train import train_child\n"
        "from pnas_sim.space import CellSpace\n"
        "recipe = Recipe.model_validate_json(sys.argv[1])\n"
        "images = load_images(recipe, Path(sys.argv[2]))\n"
        "space = CellSpace(max_blocks=7)\n"
        f"child = train_child(space.parse('{CELL}'), recipe, images, 1, 'cpu', space)\n"
        "print(repr((child.valid_accuracy, child.test_accuracy, child.curve)))"
    )
    command = [sys.executable, "-c", code, recipe.model_dump_json(), str(npz_path)]
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    assert output.strip() == repr((child.valid_accuracy, child.test_accuracy, child.curve))


def test_test_images_change_nothing_but_test_accuracy(
    child: Evaluation, row: np.ndarray, recipe: Recipe, images: Images
) -> None:
    wrong = replace(images, test_labels=(images.test_labels + 1) % 4)
    other = train_child(row, recipe, wrong, seed=1)
    assert other.test_accuracy < child.test_accuracy
    assert facts(replace(other, test_accuracy=0)) == facts(replace(child, test_accuracy=0))


def test_validation_images_are_not_trained_on(
    child: Evaluation, row: np.ndarray, recipe: Recipe, images: Images
) -> None:
    changed = replace(images, valid=images.train[:100], valid_labels=images.train_labels[:100])
    other = train_child(row, recipe, changed, seed=1)
    assert other.valid_accuracy != child.valid_accuracy
    assert other.test_accuracy == child.test_accuracy


def test_without_test_images_test_accuracy_is_unknown(
    row: np.ndarray, recipe: Recipe, npz_path: Path
) -> None:
    short = recipe.change(test_images=0, epochs=0.5)
    assert isnan(train_child(row, short, load_images(short, npz_path), seed=1).test_accuracy)


def test_loss_that_is_not_finite_is_divergence(row: np.ndarray, recipe: Recipe, images: Images) -> None:
    broken = recipe.change(learning_rate=1e30, clip_norm=None)
    child = train_child(row, broken, images, seed=1)
    assert (child.status, child.error) == (Status.DIVERGED, "loss is not finite")
    assert child.valid_accuracy == child.test_accuracy == recipe.chance
    assert [at for at, _ in child.curve] == [0.5, 1.0, 1.5, 2.0]
    assert child.curve[-1][1] == recipe.chance


def test_a_loss_that_is_not_finite_ends_the_training_soon(
    row: np.ndarray, recipe: Recipe, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []

    def take(network: object, optimiser: object, recipe: Recipe, step: int, *batch: object) -> torch.Tensor:
        steps.append(step)
        return torch.tensor(1.0 if step < 3 else float("nan"))

    monkeypatch.setattr(train, "_take_step", take)
    child = train_child(row, recipe.change(checkpoints=()), images, 1)
    assert child.error == "loss is not finite"
    assert recipe.steps == 20 and steps == list(range(LOSS_CHECK + 1))


def test_chance_accuracy_is_divergence(row: np.ndarray, recipe: Recipe, images: Images) -> None:
    unlearned = recipe.change(learning_rate=1e-12)
    child = train_child(row, unlearned, images, seed=1)
    assert (child.status, child.error) == (Status.DIVERGED, "accuracy at chance")
    assert child.valid_accuracy == child.test_accuracy == 0.25
    assert 0.25 < chance_limit(recipe) < 0.35


def test_time_limit(row: np.ndarray, recipe: Recipe, images: Images) -> None:
    with pytest.raises(TimeLimitError, match="time limit of 1e-09 s reached at step 1 of 20"):
        train_child(row, recipe, images, seed=1, time_limit=1e-9)


def test_threads_are_put_back(row: np.ndarray, recipe: Recipe, images: Images) -> None:
    before = torch.get_num_threads()
    with pytest.raises(TimeLimitError):
        train_child(row, recipe.change(threads=before + 1), images, seed=1, time_limit=1e-9)
    assert torch.get_num_threads() == before


def test_learning_rate_rises_then_falls_to_zero() -> None:
    rates = [schedule_rate(CIFAR10_16PX, step) for step in range(CIFAR10_16PX.steps)]
    assert rates[0] == pytest.approx(0.1 / 30)
    assert rates[29] == rates[30] == pytest.approx(0.1)
    assert rates[115] == pytest.approx(0.05)
    assert rates[:30] == sorted(rates[:30])
    assert rates[30:] == sorted(rates[30:], reverse=True)
    assert 0 < rates[-1] < 1e-4
    assert schedule_rate(PAPER, 0) == 0.01


def test_checkpoints_end_with_the_end() -> None:
    assert checkpoint_steps(CIFAR10_16PX) == {50: 0.25, 100: 0.5, 150: 0.75, 200: 1.0}
    assert checkpoint_steps(PAPER.change(train_images=32, epochs=1)) == {1: 1.0}


@pytest.mark.parametrize(("early", "asked"), [(50, [50, 50, 200]), (None, [200, 200, 200])])
def test_checkpoints_measure_the_first_images_and_the_end_all_of_them(
    row: np.ndarray,
    recipe: Recipe,
    images: Images,
    monkeypatch: pytest.MonkeyPatch,
    early: int | None,
    asked: list[int],
) -> None:
    measured: list[torch.Tensor] = []

    def measure(network: object, images: Images, pixels: torch.Tensor, labels: torch.Tensor) -> float:
        assert len(pixels) == len(labels)
        measured.append(pixels)
        return 0.9

    monkeypatch.setattr(train, "measure_accuracy", measure)
    change = {"epochs": 0.4, "checkpoints": (0.25, 0.5), "test_images": 0, "early_valid_images": early}
    train_child(row, recipe.change(**change), images, 1)
    assert [len(pixels) for pixels in measured] == asked
    assert all(torch.equal(pixels, images.valid[: len(pixels)]) for pixels in measured)


def test_only_matrices_decay() -> None:
    network = build_network(CELL, shape=CIFAR10_16PX.shape)
    decayed, others = make_optimiser(network, CIFAR10_16PX).param_groups
    assert decayed["weight_decay"] == 5e-4
    assert others["weight_decay"] == 0
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in others["params"]} == {1}
    count = len(decayed["params"]) + len(others["params"])
    assert count == len(list(network.parameters()))
    assert decayed["nesterov"]


def test_streams_belong_to_seed_and_cell() -> None:
    def draws(seed: int, text: str) -> tuple[float, ...]:
        weights, order, augmentation = make_streams(seed, text)
        return float(torch.rand(1, generator=weights)), order.random(), augmentation.random()

    assert draws(0, CELL) == draws(0, CELL)
    other_seed, other_cell = draws(1, CELL), draws(0, "id(-2)+id(-2)")
    assert not set(draws(0, CELL)) & {*other_seed, *other_cell}


def test_measuring_leaves_the_network_as_it_was(recipe: Recipe, images: Images) -> None:
    network = build_network(CELL, shape=recipe.shape)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    accuracy = measure_accuracy(network, images, images.valid, images.valid_labels)
    assert 0 <= accuracy <= 1
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
