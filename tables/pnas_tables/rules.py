"""The rules a table keeps: checked before it is written and whenever it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import CellError, TableError
from pnas_sim.evaluate import Status
from pnas_sim.texts import CONTROL
from pnas_tables.datasets import check
from pnas_tables.figures import cells_by_blocks
from pnas_tables.images import IMAGES
from pnas_tables.record import ARRAY_TYPES, NAME_PATTERN, Table, data_checksum, json_text


def validate_table(table: Table) -> None:
    """Refuses a table that breaks a rule of the format.

    Raises:
        TableError: one line that names the rule, the dataset and the first offender.
    """
    _validate_head(table)
    _validate_shapes(table)
    _validate_cells(table)
    _validate_runs(table)
    _validate_closed(table)
    data = data_checksum(table) if table.surrogates else ""
    for name, stored in table.surrogates.items():
        check(NAME_PATTERN.fullmatch(name), f"surrogate name {name!r} is not a plain lower-case name")
        if stored.metadata.get("fitted_on") != data:
            raise TableError(f"surrogate {name!r} was fitted on other data than this; fit it again")
        _validate_arrays(name, stored.arrays)


def _validate_arrays(surrogate: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    for name, values in arrays.items():
        place = f"surrogate {surrogate!r}: array {name!r}"
        check(NAME_PATTERN.fullmatch(name) and name != "metadata", f"{place} has no plain lower-case name")
        check(values.dtype.newbyteorder("<").str in ARRAY_TYPES, f"{place} has type {values.dtype}")


def _validate_head(table: Table) -> None:
    check(NAME_PATTERN.fullmatch(table.name), f"name {table.name!r} is not a plain lower-case name")
    check(isfinite(table.chance) and 0 <= table.chance < 1, f"chance {table.chance} is not in [0, 1)")
    check(table.train_images >= 0, f"train_images {table.train_images} is below 0")
    epochs = table.epochs
    check(epochs.ndim == 1 and len(epochs) > 0, "epochs: there must be at least one checkpoint")
    rising = bool(np.all(np.isfinite(epochs)) and epochs[0] > 0 and np.all(np.diff(epochs) > 0))
    check(rising, "epochs: checkpoints must be positive and ascending")
    _validate_provenance(table)


def _validate_provenance(table: Table) -> None:
    check(all(isinstance(entry, Mapping) for entry in table.provenance), "provenance: an entry is no object")
    texts = [json_text(entry) for entry in table.provenance]
    check(texts == sorted(set(texts)), "provenance: entries must be distinct and in sorted order")
    named = [entry[IMAGES] for entry in table.provenance if IMAGES in entry]
    check(all(isinstance(name, str) and name for name in named), f"provenance: an {IMAGES} is no text")
    check(len(set(named)) < 2, f"provenance: sittings name different images, {' and '.join(set(named))}")


def _validate_shapes(table: Table) -> None:
    n, m, c = len(table.cells), len(table.run_cells), len(table.epochs)
    check(table.cells.shape == (n, table.space.width), f"cells: {table.cells.shape} is not a set of rows")
    for name in ("parameters", "multiply_adds"):
        values = getattr(table, name)
        check(values.shape == (n,), f"cells/{name}: shape {values.shape} is not ({n},)")
        check(np.all(values >= -1), f"cells/{name}: a value is below -1")
    for name in ("run_cells", "seeds", "status", "valid_accuracy", "test_accuracy", "seconds"):
        shape = getattr(table, name).shape
        check(shape == (m,), f"runs/{name}: shape {shape} is not ({m},)")
    check(table.curves.shape == (m, c), f"runs/curve: shape {table.curves.shape} is not ({m}, {c})")
    check(len(table.origins) == n, f"cells/origin: {len(table.origins)} entries for {n} cells")
    check(len(table.errors) == m, f"runs/error: {len(table.errors)} entries for {m} runs")
    words = (("cells/origin", table.origins), ("runs/error", table.errors), ("licence", table.licence))
    for name, texts in (*words, ("recipe", table.recipe), ("provenance", table.provenance)):
        wrong = next((text for text in _list_texts(texts) if CONTROL.search(text)), None)
        check(wrong is None, f"{name}: a text has a control character: {ascii(wrong)[:80]}")


def _list_texts(value: Any) -> Iterator[str]:
    """Every text in a value as JSON has them, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from (key, *_list_texts(inner))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _list_texts(inner)


def _validate_cells(table: Table) -> None:
    if len(table.cells) == 0:
        return
    try:
        table.space.validate(table.cells)
    except CellError as error:
        raise TableError(f"cells/tokens: {error}") from None
    changed = np.any(table.space.canonical(table.cells) != table.cells, axis=1)
    if changed.any():
        row = int(np.argmax(changed))
        raise TableError(f"cells/tokens: row {row}, {table.space.format(table.cells[row])}, is not canonical")
    first, inverse = table.space.unique(table.cells)
    if len(first) < len(table.cells):
        repeated = np.flatnonzero(first[inverse] != np.arange(len(table.cells)))[0]
        text = table.space.format(table.cells[repeated])
        raise TableError(f"cells/tokens: row {repeated}, {text}, is there twice")


def _validate_runs(table: Table) -> None:
    n = len(table.cells)
    outside = (table.run_cells < 0) | (table.run_cells >= n)
    if outside.any():
        run = int(np.argmax(outside))
        raise TableError(f"runs/cell: run {run} points at cell {table.run_cells[run]} of {n}")
    without = np.bincount(table.run_cells, minlength=n) == 0
    check(not without.any(), f"cells/tokens: row {np.argmax(without)} has no run" if n else "")
    check(np.all(table.seeds >= 0), "runs/seed: a seed is below 0")
    pairs = np.stack([table.run_cells, table.seeds], axis=1)
    check(len(np.unique(pairs, axis=0)) == len(pairs), "runs: a cell has the same seed twice")
    check(np.all(table.status <= max(Status)), "runs/status: a value is not 0, 1 or 2")
    for name in ("valid_accuracy", "test_accuracy", "curves"):
        values = getattr(table, name)
        legal = np.isnan(values) | ((values >= 0) & (values <= 1))
        check(legal.all(), f"runs/{name}: a value is outside [0, 1]")
    failed = table.status == Status.FAILED
    check(
        np.array_equal(np.isnan(table.valid_accuracy), failed),
        "runs/valid_accuracy: it must be there where the run did not fail, and only there",
    )
    known = table.seconds[~np.isnan(table.seconds)]
    check(np.all((known >= 0) & np.isfinite(known)), "runs/seconds: a value is negative or infinite")


def _validate_closed(table: Table) -> None:
    if not table.closed:
        return
    counts = cells_by_blocks(table)
    for blocks in range(1, table.space.max_blocks + 1):
        whole = table.space.count_unique(blocks)
        check(
            counts.get(blocks, 0) == whole,
            f"closed: it has {counts.get(blocks, 0)} of the {whole} cells of {blocks} blocks",
        )
