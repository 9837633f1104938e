"""What joins tables and the training backend: heads of trained tables, and trainers of a table's recipe."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnas_sim.errors import SettingError, TableError
from pnas_sim.evaluate import Evaluator
from pnas_sim.space import CellSpace
from pnas_sim.texts import CONTROL
from pnas_tables.asked import asked_file, read_asked, read_cells_file
from pnas_tables.build import BuildProgress, build_table
from pnas_tables.catalogue import shipped_tables
from pnas_tables.format import read_table
from pnas_tables.images import compare_images
from pnas_tables.journal import TableHead
from pnas_tables.parts import build_plan
from pnas_tables.plans import Jobs, Plan, join_jobs, list_jobs
from pnas_tables.provenance import describe_machine
from pnas_tables.record import Table
from pnas_tables.shipped_plans import PLANS, find_plan, find_recipe, find_relatives

if TYPE_CHECKING:
    from pnas_backends.training.recipe import Recipe

LICENCE = "MIT"  # of the tables that ship


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


def make_trainer(
    recipe: Recipe,
    space: CellSpace,
    data: Path | None,
    workers: int,
    device: str,
    time_limit: float | None = None,
) -> Evaluator:
    """The training backend for this recipe.

    Args:
        recipe: how children are trained.
        space: of their cells.
        data: folder of the data set, or an `.npz` file itself; None for those that need none.
        workers: processes.
        device: to train on, or several with commas between.
        time_limit: seconds a child may take, else it has failed; None: any.

    Raises:
        SettingError: a setting out of its range.
        BackendError: the device is not there.
        DataError: the images are missing or not what the recipe says.
    """
    from pnas_backends.training.backend import TrainingBackend, find_devices
    from pnas_backends.training.data import check_source, read_source

    source = read_source(recipe.dataset, data)
    check_source(recipe, source)
    return TrainingBackend(
        recipe,
        space,
        data=data,
        devices=find_devices(device),
        workers=workers,
        time_limit=time_limit,
        checksum=source.checksum(),
    )


def make_retrainer(
    data: Path | None,
    workers: int = 1,
    device: str = "cpu",
    warn: Callable[[str], None] | None = None,
) -> Callable[[Table], Evaluator]:
    """For `pnas_tables.check.retrain`: makes trainers of tables' recipes.

    They refuse (`TableError`) tables that were trained on other images.

    Args:
        data: folder of the data set; None for those that need none.
        workers: processes.
        device: to train on; the same as the table's for identical accuracies.
        warn: told in a line, once, if a table does not say which images it was trained on.
    """
    told: set[str] = set()

    def tell(line: str) -> None:
        if warn is not None and line not in told:
            told.add(line)
            warn(line)

    def make(table: Table) -> Evaluator:
        trainer = make_trainer(stored_recipe(table), table.space, data, workers, device)
        try:
            compare_images([table], trainer.spec.checksum, tell)
        except TableError:
            trainer.close()
            raise
        return trainer

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
    cells_file: Path | None = None,
    progress: Callable[[BuildProgress], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Path:
    """Goes on with the shipped plan of this name, trained by its recipe; see `build_plan`.

    Cells that are asked for (`asked`) come first: those of `cells_file`, then those of the plan's own file.

    Args:
        name: of the plan.
        data: folder of its data set.
        parts: folder of its parts.
        workers: processes.
        device: to train on.
        hours: as for `build_table`.
        children: as for `build_table`.
        cells_file: of cells asked for.
        progress: as for `build_table`.
        warn: as for `build_plan`.
    """
    plan, recipe = find_plan(name), find_recipe(name)
    space = plan.space
    lists = [] if cells_file is None else [read_cells_file(cells_file, space)]
    asked = join_jobs([*lists, read_asked(asked_file(name), space)], space)
    command = f"pnas-sim table build --plan {name} --device {device} --workers {workers}"
    with closing(make_trainer(recipe, space, data, workers, device)) as trainer:
        return build_plan(
            plan,
            trained_head(name, recipe, space),
            parts,
            trainer,
            shipped=shipped_tables().get(name),
            relatives=find_relatives(name),
            asked=asked,
            provenance=describe_machine(command),
            hours=hours,
            children=children,
            progress=progress,
            warn=warn,
        )


def train_sample(
    wanted: Plan | Jobs,
    recipe: Recipe,
    space: CellSpace,
    data: Path | None,
    out: Path,
    *,
    name: str | None = None,
    licence: str | None = None,
    workers: int = 1,
    device: str = "cpu",
    hours: float | None = None,
    children: int | None = None,
    progress: Callable[[BuildProgress], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Table:
    """Trains a user's own cells into a table at `out`; see `build_table`.

    Args:
        wanted: what to train: a plan, of `sample_plan` say, or jobs, of `asked.read_asked` say.
        recipe: how.
        space: of the cells.
        data: folder of the data set; None for those that need none.
        out: the table file.
        name: of the table; by default the plan's, or the file's.
        licence: of the table; by default that of what is at `out`, else as `choose_licence` says.
        workers: processes.
        device: to train on.
        hours: as for `build_table`.
        children: as for `build_table`.
        progress: as for `build_table`.
        warn: as for `build_table`.
    """
    chosen: dict[str, Any] = {}
    if isinstance(wanted, Plan):
        name, chosen = name or wanted.name, {"plan": wanted.as_json()}
    provenance = describe_machine(f"pnas-sim table build --device {device}", **chosen)
    head = trained_head(name or out.stem, recipe, space, choose_licence(licence, recipe, out))
    with closing(make_trainer(recipe, space, data, workers, device)) as trainer:
        return build_table(
            list_jobs(wanted, space) if isinstance(wanted, Plan) else wanted,
            head,
            out,
            trainer,
            provenance=provenance,
            hours=hours,
            children=children,
            progress=progress,
            warn=warn,
        )


def choose_licence(licence: str | None, recipe: Recipe, out: Path) -> str:
    """The licence of a user's own table: as asked for, else as before, else as that of its images is known.

    Of the data sets of plans that ship it is that of their tables, which a table of more cells can join.

    Raises:
        SettingError: the text cannot stand in a table.
        TableError: what is at `out` cannot be read.
    """
    if licence is not None and CONTROL.search(licence):
        raise SettingError(f"licence is {licence!r}; give --licence a text without control characters")
    if licence is None and out.exists():
        return read_table(out).licence
    known = {find_recipe(name).dataset for name in PLANS}
    return licence or (LICENCE if recipe.dataset in known else "unknown")
