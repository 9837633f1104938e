"""The `gpu` backend: trains every child it is asked for.

Importing this module imports no torch: only `create` and the workers do.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pnas_backends.training.costs import cell_costs
from pnas_backends.training.messages import Failure, Outcome, Task, WorkerSetup
from pnas_backends.training.operations import describe_operation
from pnas_backends.training.recipe import DIGITS, RECIPES, Recipe
from pnas_backends.training.workers import WorkerPool
from pnas_sim.errors import BackendError, DataError, SettingError
from pnas_sim.evaluate import BackendRequest, Evaluation, EvaluatorSpec, Status, check_request
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows

MOST_WORKERS = 1024
DEVICE = re.compile(r"cpu|mps|cuda(:(0|[1-9][0-9]{0,3}))?")
MANY = 20  # children that failed, and no other was trained: too many for chance
OWN_OPTIONS = ("device", "dataset", "data", "workers", "time_limit")
RECIPE_OPTIONS = tuple(name for name in Recipe.model_fields if name not in ("dataset", "channels", "classes"))


class TrainingBackend:
    """An `Evaluator` that trains children in worker processes.

    Args:
        recipe: how a child is trained; the epochs of a call take the place of the recipe's.
        space: of the cells.
        data: folder or file of the images; None where the data set needs none.
        devices: worker i trains on device i modulo their number.
        workers: processes; by default one a device.
        time_limit: wall seconds a child may take; None: any.
        checksum: of the data set, for the spec.

    Raises:
        SettingError: no devices or unknown ones, workers below 1 or above 1024, or a time limit that is not
            positive.
        CellError: the space has an operation that cannot be trained.
    """

    def __init__(
        self,
        recipe: Recipe,
        space: CellSpace,
        *,
        data: Path | None = None,
        devices: Sequence[str] = ("cpu",),
        workers: int | None = None,
        time_limit: float | None = None,
        checksum: str = "",
    ) -> None:
        devices = tuple(map(name_device, devices))
        count = _check_limits(devices, workers, time_limit)
        for name in space.operations:
            describe_operation(name, 4, 4, 1)
        self._recipe = recipe
        self._space = space
        places = [devices[i % len(devices)] for i in range(count)]
        crowds = Counter(places)
        self._pool = WorkerPool(
            [WorkerSetup(space, data, device, time_limit, shares=crowds[device] > 1) for device in places]
        )
        self._failed, self._trained = 0, False
        own = {"device": ",".join(devices), "workers": count, "time_limit": time_limit}
        own |= _describe_cuda(devices)
        self._spec = EvaluatorSpec(
            name="gpu",
            space=space,
            epochs=recipe.epochs,
            deterministic=all(device == "cpu" for device in devices),
            train_images=recipe.train_images,
            chance=recipe.chance,
            checksum=checksum,
            settings={**own, "data": str(data) if data else None, "recipe": recipe.model_dump(mode="json")},
        )

    @property
    def spec(self) -> EvaluatorSpec:
        """What this backend declares about itself."""
        return self._spec

    @property
    def recipe(self) -> Recipe:
        """How children are trained, but for the epochs of a call."""
        return self._recipe

    def process_ids(self) -> list[int]:
        """Of the worker processes that live, for diagnosis."""
        return self._pool.process_ids()

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """Trains the networks of `cells` (`uint8[n, width]`, canonical); yields each as soon as it is done.

        A child that runs out of time, raises, or is killed or runs out of memory twice is answered with
        `Status.FAILED` and the reason, unless its device fails the cheapest child, too: then it is trained on
        another one, and without any it is not answered. Giving up the iteration kills the children in flight.

        Raises:
            CellError: rows of another width than the space's, or cells outside it.
            SettingError: epochs are not a positive number, or a seed below 0.
            DataError: the images are not there, or not what they should be.
            WorkError: no worker can start any more, or every child fails.
        """
        check_request(self._spec, cells, epochs, seed)
        recipe = self._recipe.change(epochs=epochs)
        tasks = [Task(place, row, recipe, seed) for place, row in enumerate(cells)]
        for place, outcome in self._pool.run(tasks):
            self._note(outcome)
            if isinstance(outcome, Failure):
                yield self._describe_failure(tasks[place], outcome)
            else:
                yield outcome

    def close(self) -> None:
        """Ends the worker processes."""
        self._pool.close()

    def _note(self, outcome: Outcome) -> None:
        """Says so once where all children fail though the devices are sound: too large, or too slow."""
        if not isinstance(outcome, Failure):
            self._trained = True
            return
        self._failed += 1
        if self._failed == MANY and not self._trained:
            warnings.warn(
                f"each of the first {MANY} children failed, this one so: {outcome.reason}; unless that is to "
                "be expected, stop, and begin again with other settings",
                RuntimeWarning,
                stacklevel=3,
            )

    def _describe_failure(self, task: Task, failure: Failure) -> Evaluation:
        recipe = task.recipe
        parameters, multiply_adds = cell_costs(task.row[None], self._space, recipe.shape)
        return Evaluation(
            cell=self._space.format(task.row),
            status=Status.FAILED,
            epochs=recipe.epochs,
            examples=recipe.epochs * recipe.train_images,
            seconds=failure.seconds,
            parameters=int(parameters[0]),
            multiply_adds=int(multiply_adds[0]),
            seed=task.seed,
            error=failure.reason,
        )


def _describe_cuda(devices: Sequence[str]) -> dict[str, Any]:
    """What decides a GPU's roundings beside the recipe, for the record; no context is made for it."""
    if not any(device.startswith("cuda") for device in devices):
        return {}
    import torch

    return {"cuda": torch.version.cuda, "tf32_convolutions": torch.backends.cudnn.allow_tf32}


def _check_limits(devices: Sequence[str], workers: Any, time_limit: Any) -> int:
    """The number of workers."""
    if not devices:
        raise SettingError("no device to train on; name at least one, --device cpu for instance")
    count = len(devices) if workers is None else workers
    if not isinstance(count, int) or not 1 <= count <= MOST_WORKERS:
        raise SettingError(f"workers is {count!r}; it must be a whole number from 1 to {MOST_WORKERS}")
    if time_limit is not None and not (isinstance(time_limit, int | float) and time_limit > 0):
        raise SettingError(f"time_limit is {time_limit!r}; it must be a number above 0, in seconds")
    return count


def create(request: BackendRequest) -> TrainingBackend:
    """Makes the backend from a user's options; checks device and data before anything is trained.

    Its options are `device` (cuda, cuda:0,cuda:1, cpu, mps), `dataset`, `data`, `workers`, `time_limit`, and
    every field of `Recipe` that the data set does not decide.

    Raises:
        SettingError: an option is unknown or out of range.
        BackendError: the device is not there.
        DataError: the images are missing or not what they should be.
    """
    from pnas_backends.training.data import place_dataset  # late, as wherever this module reads images

    options = dict(request.options)
    unknown = sorted(set(options) - {*OWN_OPTIONS, *RECIPE_OPTIONS})
    if unknown:
        known = ", ".join((*OWN_OPTIONS, *RECIPE_OPTIONS))
        raise SettingError(f"the gpu backend has no option {', '.join(unknown)}; it has {known}")
    devices = find_devices(str(options.get("device") or "cuda"))
    data = Path(options["data"]) if options.get("data") else None
    workers, time_limit = options.get("workers"), options.get("time_limit")
    _check_limits(devices, workers, time_limit)
    settings = {name: options[name] for name in RECIPE_OPTIONS if options.get(name) is not None}
    dataset, data = place_dataset(str(options.get("dataset") or DIGITS.dataset), data)
    recipe, checksum = choose_recipe(dataset, data, settings)
    return TrainingBackend(
        recipe,
        CellSpace(max_blocks=request.blocks),
        data=data,
        devices=devices,
        workers=workers,
        time_limit=time_limit,
        checksum=checksum,
    )


def choose_recipe(dataset: str, data: Path | None, settings: Mapping[str, Any]) -> tuple[Recipe, str]:
    """The default recipe of a data set with some settings changed, and the checksum of its images.

    The recipe is checked against the images there are. An `.npz` file decides image size, channels, classes
    and numbers of images itself: a tenth of the training split, at most 5,000, is held out. It is not flipped
    unless asked for.

    Raises:
        SettingError: a setting is out of range.
        DataError: the images are missing or not what they should be.
    """
    from pnas_backends.training.data import check_source, read_source

    if dataset not in RECIPES and not dataset.endswith(".npz"):
        raise DataError(
            f"unknown data set {dataset!r}; known: {', '.join(RECIPES)}, or a file ending in .npz"
        )
    source = read_source(dataset, data)
    if dataset in RECIPES:
        recipe = RECIPES[dataset].change(**settings)
    else:
        count = len(source.train_images)
        held_out = min(5_000, max(1, count // 10))
        own = {
            "dataset": dataset,
            "image_size": min(source.train_images.shape[1:3]),
            "channels": source.train_images.shape[3],
            "classes": max(2, int(source.train_labels.max(initial=0)) + 1),
            "train_images": max(1, count - int(settings.get("valid_images", held_out))),
            "valid_images": held_out,
            "test_images": len(source.test_images),
            "crop": "pad",
            "flip": False,
        }
        recipe = DIGITS.change(**{**own, **settings})
    check_source(recipe, source)
    return recipe, source.checksum()


def find_devices(text: str) -> tuple[str, ...]:
    """Devices from a comma-separated list, all of them there.

    Raises:
        SettingError: one is no device this backend knows.
        BackendError: one is not on this machine.
    """
    import torch

    asked = [name.strip() for name in text.split(",")]
    devices = tuple(map(name_device, asked))
    for name, device in zip(asked, devices, strict=True):
        kind, _, number = device.partition(":")
        if kind == "cuda" and not torch.cuda.is_available():
            raise BackendError(f"device {name} is not there: torch finds no CUDA; train with --device cpu")
        if kind == "cuda" and int(number) >= torch.cuda.device_count():
            raise BackendError(
                f"device {name} is not there: there are {torch.cuda.device_count()}; name a lower one"
            )
        if kind == "mps" and not torch.backends.mps.is_available():
            raise BackendError("device mps is not there: torch finds no Apple GPU; train with --device cpu")
    return devices


def name_device(text: str) -> str:
    """One name for each device, as `cuda` is `cuda:0`.

    Raises:
        SettingError: it is no device this backend knows.
    """
    if DEVICE.fullmatch(text) is None:
        raise SettingError(f"unknown device {text[:60]!r}; known: cuda, cuda:0,cuda:1, cpu, mps")
    return "cuda:0" if text == "cuda" else text
