"""What the check of a table's recipe found, as a value and as a JSON file."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from pnas_sim.errors import RunError
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_tables.proxy import (
    Count,
    Effect,
    Pairs,
    Part,
    Share,
    measure_effects,
    measure_parts,
    measure_slopes,
)
from pnas_tables.proxy_cells import Choice
from pnas_tables.record import Table
from pnas_tables.sample import GROUPS, RANDOM, RAW, gather_sample

KIND = "proxy-check"
SCHEMA = 1
AGAIN = "again"  # not a factor: the table's own recipe with a seed that the table has not

Lines: TypeAlias = Sequence[Mapping[str, Any]]
Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class FactorCheck:
    """One changed thing of the recipe.

    Attributes:
        name: such as `cells-2`.
        settings: in which its recipe differs from the table's; empty if nothing is trained yet.
        trained: cells that are.
        diverged: of these; they count with the accuracy of chance.
        seconds: core-seconds of a child, mean; None if none is trained.
        parts: agreement with the table on some of the cells.
        effects: of each operation.
    """

    name: str
    settings: Mapping[str, Any]
    trained: Count
    diverged: Count
    seconds: Seconds | None
    parts: tuple[Part, ...]
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class ProxyCheck:
    """A check of one table's recipe.

    Attributes:
        table: its name.
        checksum: of the table when the cells were chosen.
        recipe: of its children.
        blocks: of each cell.
        cells: chosen, of both kinds together.
        top: of these, the ones chosen for their accuracy.
        pool: uniform cells that the top ones are the best share of.
        share: this share.
        unfair: top cells whose value in the table is the very training that they were chosen by.
        factors: in the order of asking, those without a training too.
        random_cells: of this size, of the table whose effects stand beside these; 0 if none do.
    """

    table: str
    checksum: str
    recipe: Mapping[str, Any]
    blocks: Count
    cells: Count
    top: Count
    pool: Count
    share: Share
    unfair: Count
    factors: tuple[FactorCheck, ...]
    random_cells: Count = 0


def summarise(choice: Choice, factors: Sequence[str], lines: Lines) -> ProxyCheck:
    """What trainings of the chosen cells say.

    Args:
        choice: of the cells.
        factors: names of those to report.
        lines: of trainings; each has `factor`, `settings`, `cell`, `seed`, `status`, `valid_accuracy` and
            `seconds`. Those of the factor `again` add seeds under the table's own recipe.
    """
    more: dict[str, dict[int, float]] = defaultdict(dict)
    for line in lines:
        if line["factor"] == AGAIN and line["status"] == "ok":  # the table leaves out diverged ones too
            more[line["cell"]][line["seed"]] = line["valid_accuracy"]
    values = {cell.cell: cell.value(more[cell.cell]) for cell in choice.cells}
    top = [cell for cell in choice.cells if cell.kind == "top"]
    return ProxyCheck(
        table=choice.table,
        checksum=choice.checksum,
        recipe=choice.recipe,
        blocks=choice.blocks,
        cells=len(choice.cells),
        top=len(top),
        pool=choice.pool,
        share=choice.share,
        unfair=sum(not values[cell.cell][2] for cell in top),
        factors=tuple(
            _summarise_factor(name, choice, values, [line for line in lines if line["factor"] == name])
            for name in factors
        ),
    )


def _summarise_factor(
    name: str, choice: Choice, values: Mapping[str, tuple[float, int, bool]], lines: Lines
) -> FactorCheck:
    found: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        found[line["cell"]].append(line["valid_accuracy"])
    there = [cell for cell in choice.cells if cell.cell in found]
    space = CellSpace(operations=choice.operations, max_blocks=choice.max_blocks)
    deviations = np.array([np.nan if cell.deviation is None else cell.deviation for cell in there])
    pairs = Pairs(
        table=np.array([values[cell.cell][0] for cell in there], np.float64),
        changed=np.array([np.mean(found[cell.cell]) for cell in there], np.float64),
        noise=deviations / np.sqrt([values[cell.cell][1] for cell in there]),
        counts=count_operations(space, [cell.cell for cell in there]),
        top=np.array([cell.kind == "top" for cell in there], np.bool_),
    )
    return FactorCheck(
        name=name,
        settings=lines[0]["settings"] if lines else {},
        trained=len(there),
        diverged=len({line["cell"] for line in lines if line["status"] != "ok"}),
        seconds=float(np.mean([line["seconds"] for line in lines])) if lines else None,
        parts=measure_parts(pairs),
        effects=measure_effects(pairs, choice.operations),
    )


def count_operations(space: CellSpace, cells: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """How often each operation stands in each cell, `int64[n, k]`."""
    return _count_in_rows(space, space.parse_many(cells))


def _count_in_rows(space: CellSpace, rows: Rows) -> np.ndarray[Any, np.dtype[np.int64]]:
    tokens = rows.reshape(len(rows), space.max_blocks, 4)[:, :, 2:].reshape(len(rows), 2 * space.max_blocks)
    return np.stack([(tokens == place).sum(1) for place in range(len(space.operations))], axis=1)


def add_slopes(check: ProxyCheck, table: Table) -> ProxyCheck:
    """The check with each operation's slope on all random cells of the checked size that a table has.

    Random is what was drawn of the whole space, over cells or over rows, and neither sealed nor visited.

    Args:
        check: of some of the table's cells.
        table: any edition of the checked one.
    """
    sample = gather_sample(table)
    drawn = np.isin(sample.groups, [GROUPS.index(group) for group in (RANDOM, RAW)])
    mine = sample.take((sample.blocks == check.blocks) & drawn)
    slopes = measure_slopes(_count_in_rows(table.space, mine.cells), mine.final)
    by_name = dict(zip(table.space.operations, slopes, strict=True))
    factors = tuple(
        replace(
            factor,
            effects=tuple(replace(one, everywhere=by_name.get(one.operation)) for one in factor.effects),
        )
        for factor in check.factors
    )
    return replace(check, factors=factors, random_cells=len(mine))


# ----------------------------------------------------------------------------------------------------- file


def as_json(check: ProxyCheck) -> dict[str, Any]:
    """The check as JSON values; of each effect also whether it differs, its sign does, and beyond chance."""
    answer: dict[str, Any] = {"kind": KIND, "schema": SCHEMA, **asdict(check)}
    for about, factor in zip(answer["factors"], check.factors, strict=True):
        for row, effect in zip(about["effects"], factor.effects, strict=True):
            row |= {name: getattr(effect, name) for name in ("differs", "signs_differ", "beyond_chance")}
    value: dict[str, Any] = json.loads(json.dumps(answer, allow_nan=False))
    return value


@dataclass(frozen=True, slots=True)
class _Head:
    kind: Literal["proxy-check"]
    schema: Literal[1]


def read_proxy(path: Path, table: Table) -> ProxyCheck:
    """A check that `bench/proxy_check.py report --write` wrote.

    The slopes beside it are those of this table, as it is now.

    Args:
        path: of the JSON file.
        table: whose check it must be; it may have grown since.

    Raises:
        RunError: the file is not there, is no such check or a damaged one, or of another table or recipe.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise RunError(f"{path} cannot be read as a proxy check; give what `report --write` wrote") from None
    try:
        text = json.dumps(value)
        TypeAdapter(_Head).validate_json(text, strict=True)
        check = TypeAdapter(ProxyCheck).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise RunError(f"{path} is no proxy check: {place}: {first['msg']}; write it again") from None
    _demand_same(path, check, table)
    return add_slopes(check, table)


def _demand_same(path: Path, check: ProxyCheck, table: Table) -> None:
    if check.table != table.name:
        raise RunError(f"{path} is a check of table {check.table}, not of {table.name}; give this one's")
    named = {effect.operation for factor in check.factors for effect in factor.effects}
    unknown = sorted(named - set(table.space.operations))
    if unknown:
        raise RunError(
            f"{path} has operation {unknown[0]!r}, which table {table.name} has not; write it again"
        )
    there, here = dict(check.recipe), json.loads(json.dumps(dict(table.recipe)))
    differing = sorted(key for key in {*there, *here} if there.get(key) != here.get(key))
    if differing:
        key = differing[0]
        raise RunError(
            f"{path} is a check of another recipe: {key} is {there.get(key)} there and {here.get(key)} in "
            f"table {table.name}; train it anew"
        )
