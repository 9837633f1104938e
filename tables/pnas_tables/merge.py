"""Joins tables of one recipe and space; the order of the parts does not matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pnas_sim.errors import TableError
from pnas_sim.evaluate import Status
from pnas_sim.space.arrays import Integers
from pnas_tables.figures import is_complete
from pnas_tables.images import demand_same_images
from pnas_tables.record import RUN_ARRAYS, Table, arrange_table, join_words, json_text, take_runs
from pnas_tables.subspace import contains, find_widest, fit_space


def merge_tables(tables: Sequence[Table], name: str) -> Table:
    """All runs of all tables as one table, in the order of `arrange_table`.

    A run (cell and seed) that several tables hold must have the same accuracies in each; of its seconds the
    smallest stand. A failure says something about a machine, not about a cell: where another table has the
    same run without a failure, that one stands. Surrogates are left behind, as they were fitted on less.

    Where one table's space contains the others', their cells are taken into it (see `fit_space`).

    Raises:
        TableError: the tables differ in recipe, space, checkpoints, licence or, where they name them, images;
            or disagree about a run.
    """
    if not tables:
        raise TableError("there is no table to merge; name at least one")
    space = find_widest([table.space for table in tables])
    tables = [fit_space(table, space) if contains(space, table.space) else table for table in tables]
    for other in tables[1:]:
        _demand_same(tables[0], other)
    demand_same_images(tables)
    joined = _join_runs(_join_cells(tables, name))
    return replace(joined, closed=is_complete(joined))


def _demand_same(one: Table, other: Table) -> None:
    operations = (one.space.operations, other.space.operations)
    for what, (left, right) in {"operations": operations, **compare_heads(one, other)}.items():
        if left != right:
            raise TableError(f"tables {one.name} and {other.name} differ in {what}: {left} and {right}")
    differing = compare_recipes(one, other)
    if differing:
        settings = [f"{key} {left} and {right}" for key, (left, right) in differing.items()]
        raise TableError(
            f"tables {one.name} and {other.name} differ in their recipe: {', '.join(settings)}; only tables "
            "of one recipe can be joined"
        )


def compare_heads(one: Table, other: Table) -> dict[str, tuple[Any, Any]]:
    """Of what tables of one recipe share beside it and the operations, both values where they differ."""
    pairs = {
        "checkpoints": (one.epochs.tolist(), other.epochs.tolist()),
        "training images": (one.train_images, other.train_images),
        "chance": (one.chance, other.chance),
        "licence": (one.licence, other.licence),
    }
    return {what: pair for what, pair in pairs.items() if pair[0] != pair[1]}


def compare_recipes(one: Table, other: Table) -> dict[str, tuple[Any, Any]]:
    """Both values of each setting in which recipes differ, by name."""
    keys = sorted({*one.recipe, *other.recipe})
    pairs = {key: (one.recipe.get(key), other.recipe.get(key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if json_text(pair[0]) != json_text(pair[1])}


def _join_cells(tables: Sequence[Table], name: str) -> Table:
    """One set of cells, sorted; runs still as they came, those of all tables one after another."""
    space = tables[0].space
    cells = np.concatenate([table.cells for table in tables])
    first, inverse = space.unique(cells) if len(cells) else (np.zeros(0, np.intp), np.zeros(0, np.intp))
    origins: list[list[str]] = [[] for _ in first]
    for place, origin in zip(inverse, (origin for table in tables for origin in table.origins), strict=True):
        origins[place].append(origin)
    offsets = np.cumsum([0, *(len(table) for table in tables[:-1])])
    runs = np.concatenate([table.run_cells + start for table, start in zip(tables, offsets, strict=True)])
    arrays = {name: np.concatenate([getattr(table, name) for table in tables]) for name in RUN_ARRAYS}
    texts = {json_text(entry): entry for table in tables for entry in table.provenance}
    return replace(
        tables[0],
        name=name,
        provenance=tuple(texts[text] for text in sorted(texts)),
        closed=False,
        cells=cells[first],
        parameters=_agree(tables, "parameters", inverse, len(first)),
        multiply_adds=_agree(tables, "multiply_adds", inverse, len(first)),
        origins=tuple(join_words(several) for several in origins),
        errors=tuple(line for table in tables for line in table.errors),
        surrogates={},
        **{**arrays, "run_cells": inverse[runs].astype(np.int64)},
    )


def _agree(tables: Sequence[Table], name: str, inverse: Integers, count: int) -> Integers:
    """The value each cell has in the tables that know it (-1 where none does)."""
    values = np.concatenate([getattr(table, name) for table in tables])
    agreed = np.full(count, -1, np.int64)
    np.maximum.at(agreed, inverse, values)
    differing = (values != -1) & (values != agreed[inverse])
    if differing.any():
        row = int(np.argmax(differing))
        cells = np.concatenate([table.cells for table in tables])
        text = tables[0].space.format(cells[row])
        raise TableError(f"the tables disagree about {name} of {text}: {values[row]}, {agreed[inverse[row]]}")
    return agreed


def _join_runs(table: Table) -> Table:
    """Each run once; the table in order."""
    failed = table.status == Status.FAILED
    seconds = np.where(np.isnan(table.seconds), np.inf, table.seconds)
    errors = np.array(table.errors, object)
    # sorted so that of equal (cell, seed) the one to keep comes first
    order = np.lexsort((_ranks(errors), seconds, failed, table.seeds, table.run_cells))
    same_cell = np.diff(table.run_cells[order]) == 0
    same_seed = np.diff(table.seeds[order]) == 0
    repeated = np.concatenate([np.zeros(min(1, len(order)), bool), same_cell & same_seed])
    _demand_agreement(table, order, repeated)
    return arrange_table(take_runs(table, order[~repeated]))


def _ranks(texts: np.ndarray[tuple[int], np.dtype[np.object_]]) -> Integers:
    distinct = {text: rank for rank, text in enumerate(sorted(set(texts.tolist())))}
    return np.array([distinct[text] for text in texts], np.int64)


def _demand_agreement(
    table: Table, order: Integers, repeated: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> None:
    """Compares each repeated run with the one before it, which is the one kept or was compared with it."""
    for place in np.flatnonzero(repeated):
        one, other = order[place - 1], order[place]
        if table.status[other] == Status.FAILED:
            continue
        for name in ("status", "valid_accuracy", "test_accuracy", "curves"):
            left, right = getattr(table, name)[one], getattr(table, name)[other]
            if not np.array_equal(left, right, equal_nan=True):
                text = table.space.format(table.cells[table.run_cells[one]])
                run = f"{text} with seed {table.seeds[one]}"
                raise TableError(f"the tables disagree about {run}: {name} {left} and {right}")
