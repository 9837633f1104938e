from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest
import torch

from pnas_backends.training import process
from pnas_backends.training.backend import TrainingBackend, choose_recipe, create, find_devices
from pnas_backends.training.costs import cell_costs
from pnas_backends.training.data import load_images
from pnas_backends.training.recipe import DIGITS, PAPER, Recipe
from pnas_backends.training.train import train_child
from pnas_sim.errors import BackendError, CellError, DataError, SettingError, WorkError
from pnas_sim.evaluate import BackendRequest, Status
from pnas_sim.space import CellSpace

PATIENCE = 120.0  # seconds after which a child that would never end does, and its test fails


def request(**options: object) -> BackendRequest:
    return BackendRequest(blocks=2, options={"device": "cpu", **options})


@pytest.fixture
def backend(recipe: Recipe, npz_path: Path) -> Iterator[TrainingBackend]:
    space = CellSpace(max_blocks=2)
    backend = TrainingBackend(recipe, space, data=npz_path, workers=2, time_limit=PATIENCE)
    yield backend
    backend.close()


def test_children_are_those_of_train_child(backend: TrainingBackend, recipe: Recipe, npz_path: Path) -> None:
    space = backend.spec.space
    rows = space.sample(4, np.random.default_rng(0), blocks=2)
    found = {child.cell: repr(replace(child, seconds=0.0)) for child in backend.evaluate(rows, 0.5, 3)}
    images = load_images(recipe, npz_path)
    for row in rows:
        expected = train_child(row, recipe.change(epochs=0.5), images, 3, "cpu", space)
        assert found[space.format(row)] == repr(replace(expected, seconds=0.0))
        assert expected.examples == 150


def test_search_goes_on_after_a_killed_child(backend: TrainingBackend) -> None:
    space = backend.spec.space
    endless = backend.evaluate(space.initial()[:1], 1e5, 0)

    def wait_until(said: Callable[[], bool]) -> None:
        give_up = time.monotonic() + PATIENCE
        while not said() and time.monotonic() < give_up:
            time.sleep(0.02)

    def is_training() -> bool:
        known = [place.worker for place in backend._pool._places if place.worker]
        return any(worker.ready and worker.task for worker in known)

    def kill() -> None:
        for _ in range(2):  # killed once a child is trained again
            wait_until(is_training)
            (process_id,) = backend.process_ids()
            os.kill(process_id, signal.SIGKILL)
            wait_until(lambda: process_id not in backend.process_ids())  # noqa: B023

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    (child,) = endless
    killer.join()
    assert (child.status, child.cell) == (Status.FAILED, space.format(space.initial()[0]))
    assert child.error == "the worker process was killed by SIGKILL; out of memory, perhaps"
    assert isnan(child.valid_accuracy)
    assert isnan(child.test_accuracy)
    assert (child.epochs, child.examples) == (1e5, 3e7)
    costs = [int(cost[0]) for cost in cell_costs(space.initial()[:1], space, backend.recipe.shape)]
    assert [child.parameters, child.multiply_adds] == costs
    (after,) = backend.evaluate(space.initial()[1:2], 0.5, 0)
    assert after.status is not Status.FAILED


FAILING = """
import sys
from multiprocessing.connection import Connection
from pnas_backends.training.messages import Failure
connection = Connection(int(sys.argv[1]))
connection.recv()
while connection.recv():
    connection.send(Failure("FAILURE"LATE))
"""  # a worker that fails every child


@pytest.mark.parametrize("workers", [1, 2])
def test_a_machine_that_fails_every_child_answers_for_none(
    workers: int, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search would keep the failures for good, and end as if it had found nothing."""
    monkeypatch.setattr(process, "START", FAILING.replace("FAILURE", "no kernel image").replace("LATE", ""))
    monkeypatch.setattr(warnings, "warn", lambda *_, **__: None)  # of the first of two places
    with closing(TrainingBackend(recipe, CellSpace(), workers=workers)) as backend:
        answers = backend.evaluate(backend.spec.space.initial()[:30], 1.0, 0)
        with pytest.raises(
            WorkError, match=r"worker \d of \d on cpu fails every child, .*: no kernel image;"
        ):
            next(answers)


def test_children_that_all_fail_by_themselves_are_told_of_once(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        process, "START", FAILING.replace("FAILURE", "too slow").replace("LATE", ", late=True")
    )
    with closing(TrainingBackend(recipe, CellSpace())) as backend:
        rows = backend.spec.space.initial()
        assert len(list(backend.evaluate(rows[:19], 1.0, 0))) == 19
        with pytest.warns(RuntimeWarning, match="each of the first 20 children failed, .*: too slow; unless"):
            assert len(list(backend.evaluate(rows[19:21], 1.0, 0))) == 2
        assert len(list(backend.evaluate(rows[:30], 1.0, 0))) == 30


def test_spec_says_what_was_asked_for() -> None:
    backend = create(request(epochs=3, filters=4, train_images=100, workers=2, time_limit=60))
    spec = backend.spec
    assert (spec.name, spec.epochs, spec.train_images, spec.chance) == ("gpu", 3.0, 100, 0.1)
    assert spec.space == CellSpace(max_blocks=2)
    assert spec.deterministic
    assert spec.settings["recipe"]["dataset"] == "digits"
    assert (spec.settings["workers"], spec.settings["time_limit"], spec.settings["device"]) == (2, 60, "cpu")
    assert Recipe.model_validate(spec.settings["recipe"]) == DIGITS.change(
        epochs=3, filters=4, train_images=100
    )
    backend.close()


def test_npz_files_decide_their_own_shape(npz_path: Path) -> None:
    recipe = create(request(dataset=str(npz_path))).recipe
    for data in (npz_path.parent, npz_path):  # the folder, as everywhere, or the file itself
        assert recipe == create(request(dataset=npz_path.name, data=data)).recipe
    assert recipe.dataset == npz_path.name
    assert (recipe.image_size, recipe.channels, recipe.classes) == (8, 3, 4)
    assert (recipe.train_images, recipe.valid_images, recipe.test_images) == (450, 50, 100)
    assert not recipe.flip
    changed = create(request(dataset=str(npz_path), valid_images=100, image_size=16)).recipe
    assert (changed.train_images, changed.valid_images, changed.image_size) == (400, 100, 16)


def test_other_images_have_another_checksum(npz_path: Path, tmp_path: Path) -> None:
    with np.load(npz_path) as file:
        arrays = dict(file)
    arrays["train_images"][7, 1, 2, 0] ^= 1
    np.savez(tmp_path / npz_path.name, **arrays)
    one, same, other = (
        create(request(dataset=str(path))).spec.checksum
        for path in (npz_path, npz_path, tmp_path / npz_path.name)
    )
    assert one == same != other


def test_digits_are_the_default() -> None:
    assert create(request()).recipe == DIGITS


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"gpus": 3}, SettingError, "the gpu backend has no option gpus; it has device, dataset, "),
        ({"workers": 0}, SettingError, "workers is 0; it must be a whole number from 1 to 1024"),
        ({"workers": 10**8}, SettingError, "workers is 100000000; it must be a whole number from 1 to 1024"),
        ({"workers": "two"}, SettingError, "workers is 'two'; it must be a whole number"),
        ({"time_limit": 0}, SettingError, "time_limit is 0; it must be a number above 0, in seconds"),
        ({"checkpoints": (0.5, 0.2)}, SettingError, r"the training recipe is wrong: .*must ascend$"),
        ({"filters": 0}, SettingError, "filters is 0; it must be at least 1"),
        ({"batch_size": "many"}, SettingError, "batch_size is 'many'; it must be a valid integer"),
        ({"device": "tpu"}, SettingError, "unknown device 'tpu'; known: cuda, "),
        ({"device": "cpu,"}, SettingError, "unknown device ''"),
        ({"device": "cuda:x"}, SettingError, "unknown device 'cuda:x'"),
        ({"device": "cuda:\u00b2"}, SettingError, "unknown device 'cuda:\u00b2'"),
        ({"device": "cuda:\u0661"}, SettingError, "unknown device 'cuda:\u0661'"),
        ({"device": "cuda:00"}, SettingError, "unknown device 'cuda:00'"),
        ({"device": "cuda:" + "9" * 5000}, SettingError, "unknown device 'cuda:999"),
        ({"device": "cuda:"}, SettingError, "unknown device 'cuda:'"),
        ({"device": "cpu:0"}, SettingError, "unknown device 'cpu:0'"),
        ({"dataset": "mnist"}, DataError, "unknown data set 'mnist'; known: digits, cifar10"),
        ({"dataset": "cifar10"}, DataError, "needs its folder; give it with --data"),
        ({"dataset": "nowhere.npz"}, DataError, r"there is no file nowhere\.npz"),
        ({"train_images": 10_000}, DataError, "10200 are asked for; lower train_images"),
    ],
)
def test_wrong_requests_are_refused_before_training(
    options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        create(request(**options))
    assert "\n" not in str(raised.value)


def test_without_cuda_the_message_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        BackendError, match="device cuda is not there: torch finds no CUDA; train with --device cpu"
    ):
        create(BackendRequest(blocks=2))


def test_devices_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert find_devices("cuda:0, cuda:1") == ("cuda:0", "cuda:1")
    assert find_devices("cuda,cuda:1,cpu") == ("cuda:0", "cuda:1", "cpu")
    with pytest.raises(BackendError, match="device cuda:2 is not there: there are 2"):
        find_devices("cuda:2")
    with pytest.raises(BackendError, match=r"mps is not there.*--device cpu"):
        find_devices("mps")


def test_on_a_gpu_answers_are_not_declared_deterministic(recipe: Recipe) -> None:
    backend = TrainingBackend(recipe, CellSpace(), devices=("cuda:0", "cuda:1"))
    assert not backend.spec.deterministic
    assert backend.spec.settings["workers"] == 2


@pytest.mark.parametrize(
    ("devices", "workers", "shares"),
    [
        (("cuda:0", "cuda:1"), None, [False, False]),
        (("cuda:0", "cuda:0"), None, [True, True]),
        (("cuda", "cuda:0"), 2, [True, True]),
        (("cuda:0", "cuda:1"), 3, [True, False, True]),
        (("cuda:0", "cuda:1"), 4, [True] * 4),
        (("cuda", "cuda:0"), 1, [False]),
    ],
)
def test_workers_know_who_else_is_on_their_device(
    devices: tuple[str, ...], workers: int | None, shares: list[bool], recipe: Recipe
) -> None:
    backend = TrainingBackend(recipe, CellSpace(), devices=devices, workers=workers)
    assert [place.setup.shares for place in backend._pool._places] == shares
    assert "cuda" not in backend.spec.settings["device"].split(",")


def test_operations_that_cannot_be_trained_are_refused(recipe: Recipe) -> None:
    with pytest.raises(CellError, match="operation 'swish' cannot be trained"):
        TrainingBackend(recipe, CellSpace(operations=("id", "swish")))
    with pytest.raises(SettingError, match="no device to train on"):
        TrainingBackend(recipe, CellSpace(), devices=())


@pytest.mark.parametrize("epochs", [0.0, -1.0, float("nan"), float("inf")])
def test_epochs_are_a_positive_number(backend: TrainingBackend, epochs: float) -> None:
    with pytest.raises(SettingError, match="epochs"):
        next(backend.evaluate(backend.spec.space.initial()[:1], epochs, 0))


def test_no_cells_no_answers(backend: TrainingBackend) -> None:
    assert list(backend.evaluate(backend.spec.space.initial()[:0], 1.0, 0)) == []
    assert backend.process_ids() == []


def test_settings_of_a_named_data_set_start_from_its_recipe(tmp_path: Path) -> None:
    assert choose_recipe("digits", None, {"epochs": 5.0})[0] == DIGITS.change(epochs=5)
    with pytest.raises(DataError, match=r"holds no data_batch_1\.bin"):
        choose_recipe(PAPER.dataset, tmp_path, {})
