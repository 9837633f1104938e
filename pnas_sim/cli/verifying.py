"""Carries a verification out: everything is read, chosen and checked first, then trained and compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.cli.folder import RESULT, demand_parent, find_kind, make_folder, write_whole
from pnas_sim.cli.output import strict
from pnas_sim.cli.verify_sources import Source, read_source
from pnas_sim.errors import RunError, SettingError, TableError
from pnas_sim.evaluate import Evaluator
from pnas_sim.study.verification import Choice, Trained, choose_cells, describe_verification
from pnas_tables.build import build_table, list_missing
from pnas_tables.catalogue import data_folder
from pnas_tables.format import read_table
from pnas_tables.images import compare_images
from pnas_tables.index import RowIndex
from pnas_tables.journal import TableHead, assemble_table
from pnas_tables.locking import update_table
from pnas_tables.merge import merge_tables
from pnas_tables.plans import Jobs
from pnas_tables.provenance import describe_machine
from pnas_tables.record import Table, checksum, json_text
from pnas_tables.surrogate import Surrogate

if TYPE_CHECKING:
    from pnas_backends.training.recipe import Recipe
    from pnas_tables.build import BuildProgress

TRAINED, PICTURE = "trained.h5", "predicted-trained"
OF_DATA = (  # settings that are not taken over to another data set
    *("dataset", "image_size", "channels", "classes", "train_images", "valid_images"),
    *("early_valid_images", "test_images", "crop", "flip"),
)

Floats = NDArray[np.float64]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySettings:
    """What is asked for.

    Attributes:
        top: best cells of each search.
        spread: other cells.
        seeds: trainings of each.
        again: cells that were trained before may be chosen, too.
        searches: labels in comparisons, commas between; None: chosen.
        confidence: of intervals.
        resamples: of the bootstrap.
        out: the folder.
        append: a table that what was trained is added to; None: none.
        device: to train on.
        workers: processes.
        data: folder of the data set.
        time_limit: seconds a child may take, else it has failed; None: any.
        recipe: changes of the table's recipe, by name.
    """

    top: int
    spread: int
    seeds: int
    again: bool
    searches: str | None
    confidence: float
    resamples: int
    out: Path
    append: Path | None
    device: str
    workers: int
    data: Path | None
    time_limit: float | None
    recipe: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Training:
    """How cells are trained.

    Attributes:
        head: of a table of such trainings.
        evaluator: that trains.
    """

    head: TableHead
    evaluator: Evaluator


def verify(
    folders: Sequence[Path],
    settings: VerifySettings,
    progress: Callable[[BuildProgress], None] | None = None,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Verifies, or goes on with it; writes the folder's files and returns the result object.

    Raises:
        RequestError: something cannot be had, or the images are not the table's; nothing was trained.
        WorkError: the disk is full.
    """
    _demand_range(settings)
    _demand_free(settings.out)
    source = read_source(folders, settings.searches)
    choice = _choose(source, settings)
    training = open_training(source.table, settings)
    with closing(training.evaluator):
        earlier = _check_append(settings, training.head)
        _compare_images(source.table, earlier or [], settings, training, say)
        rows = source.table.space.parse_many([one.visit.cell for one in choice.chosen])
        predicted = _predict(source, choice, rows)
        say(f"{len(rows)} cells, {settings.seeds} trainings of each")
        trained = _train(rows, settings, training, progress)
    result = _describe(source, choice, settings, training.head, predicted, _arrange(trained, rows, settings))
    write_files(result, settings.out, say)  # first: no trouble with the table may cost the verdict
    if earlier is not None and settings.append is not None:
        joined = _append(settings.append, trained, earlier[0].name)
        say(f"{settings.append}: {len(joined)} cells, {len(joined.seeds)} runs; fit its surrogates anew")
    return result


def _demand_range(settings: VerifySettings) -> None:
    for name, most in (("seeds", 1000), ("resamples", 100_000), ("workers", 1024)):
        if not 1 <= getattr(settings, name) <= most:
            raise SettingError(f"{name} is {getattr(settings, name)}; it must be from 1 to {most}")
    if not 0 < settings.confidence < 1:
        raise SettingError(f"confidence is {settings.confidence:g}; it must be above 0 and below 1")


def _demand_free(out: Path) -> None:
    """Checks that no other work's result is written over.

    Raises:
        RunError: the folder holds something else.
    """
    if find_kind(out) not in (None, "verification"):
        raise RunError(f"{out} holds something else than a verification; give another --out")


def _choose(source: Source, settings: VerifySettings) -> Choice:
    known = set(source.table.space.format_many(source.table.cells))
    return choose_cells(source.visits, source.groups, settings.top, settings.spread, known, settings.again)


def open_training(table: Table, settings: VerifySettings) -> Training:
    """The trainer of the table's recipe, changed as asked.

    Raises:
        TableError: the table was not trained by this project.
        RequestError: a setting, the device or the data cannot be had.
    """
    from pnas_tables.trainer import make_trainer, trained_head

    recipe, data = _choose_recipe(table, settings)
    evaluator = make_trainer(
        recipe, table.space, data, settings.workers, settings.device, settings.time_limit
    )
    own = recipe.model_dump(mode="json")
    name = table.name if json_text(own) == json_text(table.recipe) else "verification"
    return Training(trained_head(name, recipe, table.space, table.licence), evaluator)


def _choose_recipe(table: Table, settings: VerifySettings) -> tuple[Recipe, Path | None]:
    """The recipe, and where its data lies."""
    from pnas_backends.training.backend import choose_recipe
    from pnas_backends.training.data import place_dataset
    from pnas_tables.trainer import stored_recipe

    recipe, changes, data = stored_recipe(table), dict(settings.recipe), settings.data
    dataset = str(changes.pop("dataset", recipe.dataset))
    if dataset == recipe.dataset:
        return recipe.change(**changes), data
    dataset, data = place_dataset(dataset, data)
    kept = {name: value for name, value in recipe.model_dump().items() if name not in OF_DATA}
    return choose_recipe(dataset, data, {**kept, **changes})[0], data


def _check_append(settings: VerifySettings, head: TableHead) -> list[Table] | None:
    """The table that is added to, once it is known that it can be.

    Raises:
        TableError: it is the installation's, or of another recipe or space.
        RunError: its folder is not there.
    """
    path = settings.append
    if path is None:
        return None
    whole = path.resolve()
    if whole.is_relative_to(data_folder().resolve()) or "site-packages" in whole.parts:
        raise TableError(f"{path} is part of the installation; give --append another place")
    demand_parent(path, "--append")
    empty = assemble_table(head, [], [])
    earlier = [read_table(path)] if path.exists() else [replace(empty, name=head.name)]
    merge_tables([replace(one, surrogates={}) for one in (*earlier, empty)], head.name)
    return earlier


def _compare_images(
    table: Table, earlier: Sequence[Table], settings: VerifySettings, training: Training, say: Say
) -> None:
    """Holds the images against those of whatever is compared with them, or added to.

    Args:
        table: that was searched; of another data set it may have others.
        earlier: the table that is added to, if any.
        settings: of the verification, whose folder may hold trainings.
        training: on the images.
        say: told in a line if none of the tables names its images.

    Raises:
        TableError: one of them was trained on others.
    """
    same = table.recipe.get("dataset") == training.head.recipe.get("dataset")
    path = settings.out / TRAINED
    begun = [read_table(path)] if path.exists() else []
    compare_images([*([table] if same else []), *earlier, *begun], training.evaluator.spec.checksum, say)


def _append(path: Path, trained: Table, name: str) -> Table:
    """Adds to what the table holds now: trainings take hours, and others may have added to it, too."""

    def add(now: Table | None) -> Table:
        return merge_tables([trained] if now is None else [now, trained], name)

    return update_table(path, add)


def _predict(source: Source, choice: Choice, rows: NDArray[np.uint8]) -> Floats:
    """What the surrogate says of each cell, in the world it was found in, without the cell's drawn effect."""
    worlds = np.array([one.visit.world for one in choice.chosen])
    predicted = np.full(len(rows), np.nan)
    for world in np.unique(worlds).tolist():
        surrogate = Surrogate.from_table(source.table, source.surrogate, world)
        predicted[worlds == world] = surrogate.predict_mean(rows[worlds == world])
    return predicted


def _train(
    rows: NDArray[np.uint8],
    settings: VerifySettings,
    training: Training,
    progress: Callable[[BuildProgress], None] | None,
) -> Table:
    """Trains what the folder's table does not hold yet."""
    path = settings.out / TRAINED
    jobs = Jobs.cross(rows, settings.seeds, "verify")
    if path.exists() and not len(list_missing(jobs, earlier := read_table(path))):
        empty = assemble_table(training.head, [], [])
        return merge_tables([earlier, empty], training.head.name)  # refuses another recipe
    make_folder(path.parent)
    return build_table(
        jobs,
        training.head,
        path,
        training.evaluator,
        provenance=describe_machine("pnas-sim verify"),
        progress=progress,
    )


def _arrange(trained: Table, rows: NDArray[np.uint8], settings: VerifySettings) -> Floats:
    """Validation accuracy of each cell with each seed, `float64[n, seeds]`, NaN where it failed."""
    by_seed = np.full((len(trained), settings.seeds), np.nan)
    asked = trained.seeds < settings.seeds
    by_seed[trained.run_cells[asked], trained.seeds[asked]] = trained.valid_accuracy[asked]
    return np.asarray(by_seed[RowIndex(trained.cells).find(rows)])


def _describe(
    source: Source,
    choice: Choice,
    settings: VerifySettings,
    head: TableHead,
    predicted: Floats,
    by_seed: Floats,
) -> dict[str, Any]:
    trained = Trained(
        choice,
        predicted,
        by_seed,
        range(settings.seeds),
        json_text(head.recipe) == json_text(source.table.recipe),
        settings.confidence,
        settings.resamples,
    )
    about = {
        "folders": [str(folder) for folder in source.folders],
        "table": source.table.name,
        "table_checksum": checksum(source.table),
        "surrogate": source.surrogate,
        "out": str(settings.out),
        "recipe": dict(head.recipe),
        "epochs": head.epochs[-1],
    }
    value: dict[str, Any] = strict(describe_verification(trained, about))
    return value


def write_files(result: Mapping[str, Any], folder: Path, say: Say) -> None:
    """Writes the scatter plot, where matplotlib is installed, and the result, last.

    Raises:
        WorkError: the disk is full.
    """
    from pnas_sim.report.verification_plot import draw_scatter, render

    try:
        figure = draw_scatter(result)
    except SettingError as error:
        say(f"warning: {error}")
    else:
        for form in ("png", "svg"):
            write_whole(folder / f"{PICTURE}.{form}", render(figure, form), then="give the command again")
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(folder / RESULT, text, then="give the command again")


def list_lines(result: Mapping[str, Any]) -> list[str]:
    """A verification for a person."""
    lines = [f"{result['believed']}: {result['verdict']}"]
    for part, found in result["agreement"]["predicted"].items():
        if found is not None:
            tau, rho, bias = (_write(found[name]) for name in ("kendall_tau", "spearman", "bias"))
            lines.append(
                f"  {part}: {found['cells']} cells, Kendall tau {tau}, Spearman {rho}, "
                f"predicted minus trained {bias}"
            )
    lines += [f"  regret of {group}'s winner: {_write(found)}" for group, found in result["regret"].items()]
    lines += [f"note: {note}" for note in result["notes"]]
    return [*lines, f"files: {result['out']}"]


def _write(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "-"
    ends = "" if figure["low"] is None else f" [{figure['low']:.3f}, {figure['high']:.3f}]"
    return f"{figure['value']:.3f}{ends}"
