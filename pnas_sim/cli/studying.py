"""Carries a predictor study out: everything asked for is checked before anything is fitted or written."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnas_sim.cli.execute import count_cores, list_versions, make_absolute
from pnas_sim.cli.folder import (
    claim_folder,
    demand_parent,
    find_kind,
    hold_folder,
    make_folder,
    write_pictures,
    write_whole,
)
from pnas_sim.cli.lists import read_members, read_numbers, split_list
from pnas_sim.cli.options import InterruptionError
from pnas_sim.cli.output import say, strict, write_json, write_text
from pnas_sim.errors import RunError, SettingError
from pnas_sim.evaluate import BackendRequest, Evaluator
from pnas_sim.predict import PredictorInfo, describe_predictor, list_predictors, make_predictor
from pnas_sim.registry import make_backend
from pnas_sim.space import CellSpace
from pnas_sim.study.predictors import Study, StudySettings, run_study
from pnas_sim.study.predictors_output import describe_study, format_csv
from pnas_sim.study.predictors_pools import (
    SURROGATE,
    TRAINED,
    Pools,
    TrainedCells,
    pool_answers,
    pool_trained,
)
from pnas_sim.study.predictors_search import SearchJob

if TYPE_CHECKING:
    from pnas_tables.record import Table

SOURCES = (TRAINED, SURROGATE)
MOST_CELLS = 10_000_000
COSTED = ("log-parameters", "multiply-adds")  # predictors that a table's recipe can tell of which network
PARTS, RESULT, CSV, MARKDOWN = "parts", "result.json", "predictors.csv", "predictors.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRequest:
    """What the command line asks for, checked.

    Attributes:
        settings: of the study.
        infos: of the predictors.
        table: with trained cells.
        sources: of the truth.
        backend_options: of backend table.
        blocks: of the largest cells.
        cells: R.
        epochs: of the surrogate's answers; None: the table's.
        search_seeds: of the searches looked into.
        beam: K of those.
    """

    settings: StudySettings
    infos: tuple[PredictorInfo, ...]
    table: Table
    sources: tuple[str, ...]
    backend_options: Mapping[str, Any]
    blocks: int
    cells: int
    epochs: float | None
    search_seeds: tuple[int, ...]
    beam: int


def read_request(given: Mapping[str, Any], backend_options: Mapping[str, Any]) -> StudyRequest:
    """Reads and checks the command line.

    Args:
        given: by the name of their option.
        backend_options: of backend table, those given.

    Raises:
        RequestError: something that was asked for is unknown, out of range or cannot be had.
    """
    from pnas_tables.catalogue import DEFAULT_TABLE, find_table
    from pnas_tables.format import read_table

    options = make_absolute(backend_options)
    table = read_table(find_table(str(options.get("table", DEFAULT_TABLE))))
    blocks = _choose_blocks(given["blocks"], table)
    sources = _choose_sources(given["sources"], table)
    space = CellSpace(operations=table.space.operations, max_blocks=blocks)
    names = _list_fit(space) if given["predictors"] is None else split_list(given["predictors"])
    settings = _make_settings(given, names, table)
    for name in names:
        make_predictor(name, space, **settings.options.get(name, {}))
    for name, least in (("beam", 1), ("cells", 2)):
        if not least <= given[name] <= MOST_CELLS:
            raise SettingError(f"{name} is {given[name]}; it must be from {least} to {MOST_CELLS}")
    searched = SURROGATE in sources
    return StudyRequest(
        settings=settings,
        infos=tuple(describe_predictor(name) for name in names),
        table=table,
        sources=sources,
        backend_options=options,
        blocks=blocks,
        cells=given["cells"],
        epochs=given["epochs"],
        search_seeds=_read_seeds(given["search_seeds"]) if searched else (),
        beam=given["beam"],
    )


def _make_settings(given: Mapping[str, Any], names: list[str], table: Table) -> StudySettings:
    return StudySettings(
        predictors=tuple(names),
        options={name: _tell_network(table) for name in names if name in COSTED},
        fitted={
            TRAINED: _distinct(read_numbers("fitted", given["fitted"])),
            SURROGATE: _distinct(read_numbers("surrogate-fitted", given["surrogate_fitted"])),
        },
        trials=given["trials"],
        resamples=given["resamples"],
        seed=given["seed"],
        workers=count_cores() if given["workers"] is None else given["workers"],
    )


def _list_fit(space: CellSpace) -> list[str]:
    """Every predictor that has a name and can serve a space; says of the others why not."""
    names = []
    for info in list_predictors():
        try:
            make_predictor(info.name, space)
            names.append(info.name)
        except SettingError as error:
            say(f"predictor {info.name} is left out: {error}")
    return names


def _choose_blocks(blocks: int | None, table: Table) -> int:
    largest = table.space.max_blocks
    if blocks is None:
        return largest
    if not 2 <= blocks <= largest:
        raise SettingError(f"blocks is {blocks}; with table {table.name} it must be from 2 to {largest}")
    return blocks


def _choose_sources(text: str | None, table: Table) -> tuple[str, ...]:
    if text is None:
        if not table.surrogates:
            say(f"table {table.name} has no surrogate: only its trained cells are studied")
            return (TRAINED,)
        return SOURCES
    sources = tuple(dict.fromkeys(split_list(text)))
    unknown = [name for name in sources if name not in SOURCES]
    if unknown or not sources:
        wrong = repr(unknown[0]) if unknown else "empty"
        raise SettingError(f"sources is {wrong}; give one or both of {', '.join(SOURCES)}")
    return sources


def _read_seeds(text: str) -> tuple[int, ...]:
    seeds = read_members("search-seeds", text, least=0)
    if min(seeds, default=0) < 0:
        raise SettingError(f"search-seeds has {min(seeds)}; seeds are numbers of at least 0")
    return _distinct(seeds)


def _distinct(numbers: list[int]) -> tuple[int, ...]:
    """Numbers in their order, one named twice once."""
    return tuple(dict.fromkeys(numbers))


def _tell_network(table: Table) -> dict[str, Any]:
    """F and N of a table's recipe, for predictors that count costs."""
    return {
        name: table.recipe[name]
        for name in ("filters", "cells_per_stage")
        if isinstance(table.recipe.get(name), int)
    }


def carry_out(
    request: StudyRequest, out: Path | None, markdown: Path | None, pictures: bool, quiet: bool
) -> dict[str, Any]:
    """Studies, writes what came out, and returns the `--json` object.

    Raises:
        InterruptionError: the user stopped it.
        WorkError: a predictor failed, or the disk is full.
    """
    from pnas_sim.report.progress import open_job_progress

    folder = out
    if out is not None:
        _demand_folder(out)
    if markdown is not None:
        demand_parent(markdown, "--markdown")
    try:
        pools, searches, kind = _prepare(request)
        folder = out or claim_folder("predictors", datetime.now())
        make_folder(folder / PARTS, folder)
        with hold_folder(folder):
            with open_job_progress(sys.stderr, quiet) as show:
                study = run_study(pools, searches, request.settings, folder / PARTS, show)
            about = _tell_of(request, pools, kind, folder)
            told = describe_study(study, request.settings, request.infos, about, kind)
            result: dict[str, Any] = strict(told)
            _write(result, study, folder, markdown, pictures)
    except KeyboardInterrupt:
        remedy = f"; give the same command with --out {folder} to go on" if folder else ""
        raise InterruptionError(f"interrupted{remedy}") from None
    return result


def _demand_folder(folder: Path) -> None:
    """Checks that a study may begin or go on here."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is not a folder; give another --out")
    kind = find_kind(folder)
    if kind not in (None, "predictors", "unknown"):
        raise RunError(f"{folder} holds the result of another command ({kind}); give another --out")


def _prepare(request: StudyRequest) -> tuple[list[Pools], list[SearchJob], str]:
    """Makes the pools of each source and lists the searches; the kind of the surrogate, if one answers."""
    pools: list[Pools] = []
    searches: list[SearchJob] = []
    kind = ""
    if TRAINED in request.sources:
        pools.append(_cut(pool_trained(read_trained(request.table)), request.blocks))
    if SURROGATE in request.sources:
        asked = BackendRequest(blocks=request.blocks, options=request.backend_options)
        with closing(make_backend("table", asked)) as evaluator:
            epochs = evaluator.spec.epochs if request.epochs is None else request.epochs
            seed = request.settings.seed
            pools.append(pool_answers(evaluator, request.cells, epochs, seed, request.blocks))
            searches = list(_list_searches(request, evaluator, epochs))
            kind = str(evaluator.spec.settings.get("surrogate_kind", ""))
    return pools, searches, kind


def read_trained(table: Table) -> TrainedCells:
    """The trained cells of a table."""
    from pnas_tables.record import data_checksum

    return TrainedCells(
        space=table.space,
        cells=table.cells,
        origins=table.origins,
        run_cells=table.run_cells,
        seeds=table.seeds,
        status=table.status,
        valid_accuracy=table.valid_accuracy,
        chance=table.chance,
        data=data_checksum(table),
    )


def _cut(pools: Pools, blocks: int) -> Pools:
    kept = {size: pool for size, pool in pools.by_blocks.items() if size <= blocks}
    return Pools(pools.source, pools.space, kept, pools.data, pools.left_out)


def _list_searches(request: StudyRequest, evaluator: Evaluator, epochs: float) -> Iterator[SearchJob]:
    for name in request.settings.predictors:
        for seed in request.search_seeds:
            yield SearchJob(
                predictor=name,
                options=request.settings.options.get(name, {}),
                backend="table",
                backend_options=request.backend_options,
                blocks=request.blocks,
                beam=request.beam,
                seed=seed,
                epochs=epochs,
                data=evaluator.spec.checksum,
            )


def _tell_of(request: StudyRequest, pools: list[Pools], kind: str, folder: Path) -> dict[str, Any]:
    """What the result says of table and command."""
    from pnas_tables.record import checksum

    return {
        "table": {"name": request.table.name, "checksum": checksum(request.table)},
        "space": {"operations": list(request.table.space.operations), "max_blocks": request.blocks},
        "backend_options": dict(request.backend_options),
        "command_options": _list_options(request),
        "surrogate_kind": kind or None,
        "cells_by_source": {
            one.source: {size: len(pool) for size, pool in one.by_blocks.items()} for one in pools
        },
        "left_out": {one.source: one.left_out for one in pools},
        "versions": list_versions(),
        "out": str(folder),
    }


def _list_options(request: StudyRequest) -> dict[str, str]:
    """What repeats the study, but for the table's: options of the command by their long names."""
    settings, seeds = request.settings, request.search_seeds
    listed = ",".join(map(str, seeds if len(seeds) > 1 else seeds * 2))  # one alone would be a number of them
    values = {
        "predictors": ",".join(settings.predictors),
        "sources": ",".join(request.sources),
        "blocks": request.blocks,
        "trials": settings.trials,
        "fitted": ",".join(map(str, settings.fitted[TRAINED])),
        "seed": settings.seed,
        "surrogate-fitted": ",".join(map(str, settings.fitted[SURROGATE])),
        "cells": request.cells,
        "epochs": request.epochs,
        "search-seeds": len(seeds) if seeds == tuple(range(len(seeds))) else listed,
        "beam": request.beam,
        "resamples": settings.resamples,
    }
    return {name: str(value) for name, value in values.items() if value is not None}


def _write(
    result: Mapping[str, Any], study: Study, folder: Path, markdown: Path | None, pictures: bool
) -> None:
    """Writes all files, the result last."""
    from pnas_sim.report.predictors_markdown import format_markdown

    text = format_markdown(result)
    then = "give the same command again"
    write_whole(folder / MARKDOWN, text, then=then)
    if markdown is not None:
        write_whole(markdown, text, "--markdown", then)
    write_whole(folder / CSV, format_csv(result), then=then)
    if pictures:
        from pnas_sim.report.predictors_pictures import render_scatters

        write_pictures(folder, render_scatters(study), then)
    content = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(folder / RESULT, content, then=then)


def show(result: Mapping[str, Any], as_json: bool) -> None:
    """Writes a study's result to standard output, as JSON or for a person."""
    if as_json:
        write_json(result)
        return
    from pnas_sim.report.predictor_study import print_study

    print_study(result)
    write_text(f"written: {result['out']}")
