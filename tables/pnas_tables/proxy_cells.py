"""The cells on which a table's recipe is checked, chosen once: some uniform, some of the best.

A choice holds all that a report needs of the table, so a table that grows afterwards changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError, TableError
from pnas_sim.evaluate import Status
from pnas_tables.plans import draw_cells
from pnas_tables.record import Table, checksum
from pnas_tables.sample import is_sealed
from pnas_tables.seeds import fit_deviation
from pnas_tables.shipped_plans import PLANS

Kind: TypeAlias = Literal["uniform", "top"]

CHOICE_SEED = 20261127  # which of the best are taken
FIRST_SEED = 0  # the one that tells the best


@dataclass(frozen=True, slots=True)
class ChosenCell:
    """A cell to train under changed recipes.

    Attributes:
        cell: text.
        kind: `uniform`: the first of the plan's stream; `top`: among the best by the first seed.
        accuracies: validation accuracy under the table's recipe by training seed.
        deviation: between training seeds at this accuracy; None if no cell of the table has two.
    """

    cell: str
    kind: Kind
    accuracies: Mapping[int, float]
    deviation: float | None

    def value(self, more: Mapping[int, float] | None = None) -> tuple[float, int, bool]:
        """Accuracy under the table's recipe, how many seeds it is the mean of, and whether it is fair.

        Of a top cell the seed that it was chosen by is left out, for it is chosen upwards; where there is no
        other seed the value is that one, and not fair.

        Args:
            more: accuracies under the table's recipe by seeds that the table had not.
        """
        known = {**self.accuracies, **(more or {})}
        others = [accuracy for seed, accuracy in known.items() if seed != FIRST_SEED]
        if self.kind == "top" and others:
            return float(np.mean(others)), len(others), True
        if self.kind == "top":
            return known[FIRST_SEED], 1, False
        return float(np.mean(list(known.values()))), len(known), True


@dataclass(frozen=True, slots=True)
class Choice:
    """Cells of a table, and what is kept of it.

    Attributes:
        table: its name.
        checksum: of the table when the cells were chosen.
        recipe: of its children.
        operations: of its space.
        max_blocks: of its space.
        blocks: of each cell.
        pool: uniform cells of this size that the table had, whose best share the top cells are of.
        share: the best share, such as 0.1.
        cells: uniform and top ones in turns.
    """

    table: str
    checksum: str
    recipe: Mapping[str, Any]
    operations: tuple[str, ...]
    max_blocks: int
    blocks: int
    pool: int
    share: float
    cells: tuple[ChosenCell, ...]

    def as_json(self) -> dict[str, Any]:
        """The choice as JSON values."""
        cells = [
            asdict(cell) | {"accuracies": [list(pair) for pair in cell.accuracies.items()]}
            for cell in self.cells
        ]
        head = {"table": self.table, "checksum": self.checksum, "recipe": dict(self.recipe)}
        rest = {name: getattr(self, name) for name in ("max_blocks", "blocks", "pool", "share")}
        return {**head, "operations": list(self.operations), **rest, "cells": cells}

    @classmethod
    def from_json(cls, about: Mapping[str, Any]) -> Choice:
        """What `as_json` gave."""
        cells = tuple(
            ChosenCell(**{**cell, "accuracies": {int(seed): float(a) for seed, a in cell["accuracies"]}})
            for cell in about["cells"]
        )
        names = ("table", "checksum", "recipe", "max_blocks", "blocks", "pool", "share")
        kept = {name: about[name] for name in names}
        return cls(operations=tuple(about["operations"]), cells=cells, **kept)


def choose_cells(table: Table, each: int, share: float = 0.1) -> Choice:
    """Chooses `each` uniform and `each` top cells of the table's largest size.

    The uniform ones are the first of the plan's stream. The top ones are drawn from the best `share` of all
    uniform cells by the first seed, less those taken already.

    Raises:
        SettingError: a number is out of range, or the table has too few cells for it.
        TableError: it is not known by which stream the table's cells were drawn.
    """
    if each < 1 or not 0 < share <= 1:
        raise SettingError(f"{each} cells of the best {share:g} asked for; at least 1, of a share in (0, 1]")
    size = int(table.space.block_counts(table.cells).max(initial=1))
    first = _find_first_seed(table, size)
    stream = _order_by_stream(table, size, first)
    if len(stream) < each:
        raise SettingError(
            f"table {table.name} has {len(stream)} of the first uniform cells of {size} blocks that did not "
            f"diverge, {each} are asked for; train more of its plan, or ask for fewer"
        )
    best = sorted(first, key=lambda place: (-first[place], place))[: int(np.ceil(share * len(first)))]
    left = [place for place in best if place not in stream[:each]]
    if len(left) < each:
        raise SettingError(
            f"table {table.name} has {len(first)} uniform cells of {size} blocks; the best {share:g} of them "
            f"are {len(best)}, {len(left)} without the first uniform ones, {each} are asked for; train more "
            "of its plan, or take a larger share"
        )
    drawn = np.random.default_rng(CHOICE_SEED).permutation(len(left))[:each]
    top = [left[index] for index in drawn]
    deviations = _find_deviations(table)
    pairs = zip(stream[:each], top, strict=True)
    return Choice(
        table=table.name,
        checksum=checksum(table),
        recipe=dict(table.recipe),
        operations=tuple(table.space.operations),
        max_blocks=table.space.max_blocks,
        blocks=size,
        pool=len(first),
        share=share,
        cells=tuple(
            cell
            for uniform, best_one in pairs
            for cell in (
                _describe(table, uniform, "uniform", deviations),
                _describe(table, best_one, "top", deviations),
            )
        ),
    )


def _find_first_seed(table: Table, size: int) -> dict[int, float]:
    """Accuracy by the first seed of each uniform cell of this size that ended well with it, by place."""
    sizes = table.space.block_counts(table.cells)
    wanted = (table.status == Status.OK) & (table.seeds == FIRST_SEED) & (sizes[table.run_cells] == size)
    return {
        int(table.run_cells[run]): float(table.valid_accuracy[run])
        for run in np.flatnonzero(wanted)
        if _is_uniform(table.origins[table.run_cells[run]])
    }


def _is_uniform(origin: str) -> bool:
    return "uniform" in origin.split("+") and not is_sealed(origin)


def _order_by_stream(table: Table, size: int, known: Mapping[int, float]) -> list[int]:
    """Places of those of the cells that are among the first of the stream, in its order."""
    places = {table.cells[place].tobytes(): place for place in known}
    stream = draw_cells(table.space, size, len(known), find_stream_seed(table)) if known else table.cells[:0]
    return [places[row.tobytes()] for row in stream if row.tobytes() in places]


def find_stream_seed(table: Table) -> int:
    """The seed of the stream of a table's uniform cells: of a shipped plan, or of the one it was built by.

    Raises:
        TableError: neither is known.
    """
    if table.name in PLANS:
        return PLANS[table.name].seed
    for entry in table.provenance:
        if "plan" in entry:
            return int(entry["plan"]["seed"])
    raise TableError(f"table {table.name} was not built by a plan: which of its cells are first is unknown")


def _find_deviations(table: Table) -> NDArray[np.float64]:
    """Between training seeds, at each run's accuracy, `float64[m]`; NaN if no cell has two seeds."""
    deviation = fit_deviation(table, table.valid_accuracy)
    values = deviation.at(np.nan_to_num(table.valid_accuracy))
    return values if deviation.freedom else np.full(len(values), np.nan)


def _describe(table: Table, place: int, kind: Kind, deviations: NDArray[np.float64]) -> ChosenCell:
    runs = np.flatnonzero((table.run_cells == place) & (table.status == Status.OK))
    deviation = float(deviations[runs].mean())
    return ChosenCell(
        table.space.format(table.cells[place]),
        kind,
        {int(table.seeds[run]): float(table.valid_accuracy[run]) for run in runs},
        None if np.isnan(deviation) else deviation,
    )
