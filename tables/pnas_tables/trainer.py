"""What joins tables and the training backend: heads of trained tables, and trainers of a table's recipe."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from pnas_sim.errors import SettingError, TableError
from pnas_sim.evaluate import Evaluator
from pnas_sim.space import CellSpace
from pnas_tables.build import BuildProgress, build_table
from pnas_tables.catalogue import shipped_tables
from pnas_tables.journal import TableHead
from pnas_tables.parts import build_plan
from pnas_tables.plans import Plan, find_plan, list_jobs
from pnas_tables.provenance import describe_machine
from pnas_tables.record import Table

if TYPE_CHECKING:
    from pnas_backends.training.recipe import Recipe

LICENCE = "MIT"


def trained_head(name: str, recipe: Recipe, space: CellSpace, licence: str = LICENCE) -> TableHead:
    """The head of a table whose cells are trained by a recipe."""
    return TableHead(
        name=name,
        space=space,
        recipe=recipe.model_dump(mode="json"),
        licence=licence,
        train_images=recipe.train_images,
        chance=recipe.chance,
        epochs=tuple(recipe.epochs * share for share in (*recipe.checkpoints, 1.0)),
    )


def find_recipe(plan: str) -> Recipe:
    """The recipe of a plan that ships.

    Raises:
        SettingError: there is none of this name.
    """
    from pnas_backends.training.recipe import CIFAR10_16PX

    recipes = {"cifar10-16px": CIFAR10_16PX}
    if plan not in recipes:
        raise SettingError(f"plan {plan!r} has no recipe; known are: {', '.join(recipes)}")
    return recipes[plan]


def stored_recipe(table: Table) -> Recipe:
    """The recipe a table was trained by.

    Raises:
        TableError: it was not trained by the training backend.
    """
    from pnas_backends.training.recipe import make_recipe

    try:
        return make_recipe(table.recipe)
    except SettingError:
        raise TableError(
            f"table {table.name} was not trained by this project; it cannot be trained again"
        ) from None


def make_trainer(recipe: Recipe, space: CellSpace, data: Path | None, workers: int, device: str) -> Evaluator:
    """The training backend for this recipe.

    Args:
        recipe: how children are trained.
        space: of their cells.
        data: folder of the data set; None for those that need none.
        workers: processes.
        device: to train on, or several with commas between.

    Raises:
        SettingError: a setting out of its range.
        BackendError: the device is not there.
        DataError: the images are missing or not what the recipe says.
    """
    from pnas_backends.training.backend import TrainingBackend, find_devices
    from pnas_backends.training.data import check_source, read_source

    check_source(recipe, read_source(recipe.dataset, data))
    return TrainingBackend(recipe, space, data=data, devices=find_devices(device), workers=workers)


def make_retrainer(data: Path | None, workers: int = 1, device: str = "cpu") -> Callable[[Table], Evaluator]:
    """For `pnas_tables.check.retrain`: makes trainers of tables' recipes.

    Args:
        data: folder of the data set; None for those that need none.
        workers: processes.
        device: to train on; the same as the table's for identical accuracies.
    """

    def make(table: Table) -> Evaluator:
        return make_trainer(stored_recipe(table), table.space, data, workers, device)

    return make


def train_plan(
    name: str,
    data: Path | None,
    parts: Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    hours: float | None = None,
    children: int | None = None,
    progress: Callable[[BuildProgress], None] | None = None,
) -> Path:
    """Goes on with the shipped plan of this name, trained by its recipe; see `build_plan`.

    Args:
        name: of the plan.
        data: folder of its data set.
        parts: folder of its parts.
        workers: processes.
        device: to train on.
        hours: as for `build_table`.
        children: as for `build_table`.
        progress: as for `build_table`.
    """
    plan, recipe, space = find_plan(name), find_recipe(name), CellSpace()
    command = f"pnas-sim table build --plan {name} --device {device} --workers {workers}"
    with closing(make_trainer(recipe, space, data, workers, device)) as trainer:
        return build_plan(
            plan,
            trained_head(name, recipe, space),
            parts,
            trainer,
            shipped=shipped_tables().get(name),
            provenance=describe_machine(command),
            hours=hours,
            children=children,
            progress=progress,
        )


def train_sample(
    plan: Plan,
    recipe: Recipe,
    space: CellSpace,
    data: Path | None,
    out: Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    hours: float | None = None,
    children: int | None = None,
    progress: Callable[[BuildProgress], None] | None = None,
) -> Table:
    """Trains a plan of a user's own, of `sample_plan` say, into a table at `out`; see `build_table`.

    Args:
        plan: what to train.
        recipe: how.
        space: of the cells.
        data: folder of the data set; None for those that need none.
        out: the table file.
        workers: processes.
        device: to train on.
        hours: as for `build_table`.
        children: as for `build_table`.
        progress: as for `build_table`.
    """
    provenance = describe_machine(f"pnas-sim table build --device {device}", plan=plan.as_json())
    with closing(make_trainer(recipe, space, data, workers, device)) as trainer:
        return build_table(
            list_jobs(plan, space),
            trained_head(plan.name, recipe, space),
            out,
            trainer,
            provenance=provenance,
            hours=hours,
            children=children,
            progress=progress,
        )
