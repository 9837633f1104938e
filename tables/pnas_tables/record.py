"""What a table holds: cells of a space, and what training them gave, as plain arrays.

A `Table` is a value: nothing in it changes, and every figure about it is a plain function of it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Integers, Rows

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
NAME_RULE = "lower-case letters, digits, '.', '_' or '-', 64 at most"


ARRAY_TYPES = ("<f8", "<i8", "<u8", "|u1")  # of a surrogate's arrays
RUN_ARRAYS = ("run_cells", "seeds", "status", "valid_accuracy", "test_accuracy", "seconds", "curves")


@dataclass(frozen=True, slots=True, eq=False)
class StoredSurrogate:
    """A fitted surrogate as a table keeps it: never a pickle.

    Attributes:
        metadata: JSON object: of what kind it is, held-out figures, what it was fitted on.
        arrays: by plain lower-case name, what the kind is computed from: numbers of 64 bits, or the bytes of
            a text.
    """

    metadata: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StoredSurrogate) or self.arrays.keys() != other.arrays.keys():
            return False
        pairs = ((values, other.arrays[name]) for name, values in self.arrays.items())
        same = all(_equal_arrays(one, two) for one, two in pairs)
        return same and json_text(self.metadata) == json_text(other.metadata)

    __hash__ = None  # type: ignore[assignment]


def _equal_arrays(one: NDArray[Any], two: NDArray[Any]) -> bool:
    return one.dtype == two.dtype and np.array_equal(one, two, equal_nan=one.dtype.kind == "f")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Trained cells: n cells, m runs (a run is one cell trained with one seed), c checkpoints.

    Attributes:
        name: lower-case letters, digits, `.`, `_`, `-`.
        space: whose canonical rows the cells are.
        recipe: JSON object with everything that decides an accuracy but cell and seed.
        provenance: JSON objects, one for each sitting the runs come from, distinct, in sorted order.
        licence: of the table's contents.
        closed: it holds every cell of its space.
        train_images: training images of one epoch; 0 if unknown.
        chance: the accuracy of guessing.
        epochs: `float64[c]`, the checkpoints, ascending; the last is the full training length E.
        cells: `uint8[n, width]`, canonical, distinct.
        parameters: `int64[n]`, -1 if unknown.
        multiply_adds: `int64[n]` of one forward pass on one image, -1 if unknown.
        origins: n words on why a cell was chosen (`all-1`, `all-2`, `uniform`, `raw`, `search`, `verify`,
            `subspace`, `imported`, `sealed`, `sealed-top`, `sealed-search`, or a user's own; FORMAT.md says
            what each means); several are joined by `+` in sorted order. What is sealed, of any kind, is
            never fitted by a surrogate.
        run_cells: `int64[m]`, the cell of each run; every cell has at least one run.
        seeds: `int64[m]`, training seeds; a cell has each seed at most once.
        status: `uint8[m]`, values of `pnas_sim.evaluate.Status`.
        valid_accuracy: `float64[m]`, in [0, 1]; NaN where and only where the run failed.
        test_accuracy: `float64[m]`, in [0, 1], NaN if unknown.
        seconds: `float64[m]`, CPU or device seconds of the run, NaN if unknown.
        curves: `float64[m, c]`, validation accuracy at each checkpoint, NaN if unknown.
        errors: m lines on what went wrong; empty where nothing did.
        surrogates: by name.
    """

    name: str
    space: CellSpace
    recipe: Mapping[str, Any]
    provenance: tuple[Mapping[str, Any], ...]
    licence: str
    closed: bool
    train_images: int
    chance: float
    epochs: Floats
    cells: Rows
    parameters: Integers
    multiply_adds: Integers
    origins: tuple[str, ...]
    run_cells: Integers
    seeds: Integers
    status: NDArray[np.uint8]
    valid_accuracy: Floats
    test_accuracy: Floats
    seconds: Floats
    curves: Floats
    errors: tuple[str, ...]
    surrogates: Mapping[str, StoredSurrogate] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.cells)


def json_text(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values have equal text. NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def data_checksum(table: Table) -> str:
    """SHA-256 (hex) over everything but the surrogates; what a surrogate says it was fitted on."""
    return str(_hash_data(table).hexdigest())


def checksum(table: Table) -> str:
    """SHA-256 (hex) over all contents, in the order FORMAT.md documents; not over the file's bytes."""
    digest = _hash_data(table)
    for name in sorted(table.surrogates):
        stored = table.surrogates[name]
        _add_text(digest, f"surrogates/{name}/metadata", json_text(stored.metadata))
        for part in sorted(stored.arrays):
            values = stored.arrays[part]
            _add_array(digest, f"surrogates/{name}/{part}", values, values.dtype.newbyteorder("<").str)
    return str(digest.hexdigest())


def _hash_data(table: Table) -> Any:
    digest = hashlib.sha256()
    head = {
        "name": table.name,
        "operations": list(table.space.operations),
        "max_blocks": table.space.max_blocks,
        "recipe": table.recipe,
        "provenance": list(table.provenance),
        "licence": table.licence,
        "closed": table.closed,
        "train_images": table.train_images,
        "chance": table.chance,
    }
    _add_text(digest, "head", json_text(head))
    _add_array(digest, "epochs", table.epochs, "<f8")
    _add_array(digest, "cells/tokens", table.cells, "u1")
    _add_array(digest, "cells/parameters", table.parameters, "<i8")
    _add_array(digest, "cells/multiply_adds", table.multiply_adds, "<i8")
    _add_text(digest, "cells/origin", json_text(table.origins))
    _add_array(digest, "runs/cell", table.run_cells, "<i8")
    _add_array(digest, "runs/seed", table.seeds, "<i8")
    _add_array(digest, "runs/status", table.status, "u1")
    _add_array(digest, "runs/valid_accuracy", table.valid_accuracy, "<f8")
    _add_array(digest, "runs/test_accuracy", table.test_accuracy, "<f8")
    _add_array(digest, "runs/seconds", table.seconds, "<f8")
    _add_array(digest, "runs/curve", table.curves, "<f8")
    _add_text(digest, "runs/error", json_text(table.errors))
    return digest


def _add_text(digest: Any, name: str, text: str) -> None:
    body = text.encode("utf-8")
    digest.update(f"{name} text {len(body)}\n".encode())
    digest.update(body)


def _add_array(digest: Any, name: str, values: NDArray[Any], dtype: str) -> None:
    body = np.ascontiguousarray(values, np.dtype(dtype))
    if dtype == "<f8":  # one bit pattern for "unknown" and for zero, whoever computed them
        body = np.where(np.isnan(body), np.nan, body + 0.0)
    shape = ",".join(str(length) for length in body.shape)
    digest.update(f"{name} {dtype} {shape}\n".encode())
    digest.update(body.tobytes())


def arrange_table(table: Table) -> Table:
    """The same table with cells in order of blocks, then tokens, and runs in order of cell, then seed."""
    blocks = table.space.block_counts(table.cells)
    keys = (*table.cells.T[::-1], blocks)
    arranged = take_cells(table, np.lexsort(keys) if len(table) else np.zeros(0, np.int64))
    return take_runs(arranged, np.lexsort((arranged.seeds, arranged.run_cells)))


def take_cells(table: Table, places: Integers) -> Table:
    """The cells at these places, in their order, with their runs, in the table's."""
    new = np.full(len(table), -1, np.int64)
    new[places] = np.arange(len(places))
    run_cells = new[table.run_cells]
    taken = replace(
        table,
        cells=table.cells[places],
        parameters=table.parameters[places],
        multiply_adds=table.multiply_adds[places],
        origins=tuple(table.origins[cell] for cell in places),
        run_cells=run_cells,
    )
    return take_runs(taken, np.flatnonzero(run_cells >= 0))


def take_runs(table: Table, places: Integers) -> Table:
    """The table with the runs at these places only, in their order."""
    arrays = {name: getattr(table, name)[places] for name in RUN_ARRAYS}
    return replace(table, errors=tuple(table.errors[run] for run in places), **arrays)


def join_words(origins: Iterable[str]) -> str:
    """The origin of a cell that was chosen for all of these, each a word or several joined by `+`."""
    return "+".join(sorted({word for origin in origins for word in origin.split("+")}))


def demand_name(name: str) -> None:
    """Checks that a table may be called so, before anything is trained into it.

    Raises:
        SettingError: it may not.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise SettingError(f"a table cannot be named {name!r}; give --name with {NAME_RULE}")
