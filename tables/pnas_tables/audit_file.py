"""The JSON file of an exploitation audit, held to what a card needs of it before any of it is believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from pnas_sim.errors import CellError, RunError
from pnas_tables.proxy import Correlation, Count, Finite
from pnas_tables.record import Table

Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class _Settings:
    searches: Annotated[list[Text], Field(min_length=1)]
    budget: Count
    seeds: Count
    surrogate: Text
    world: Count
    seed: Count


@dataclass(frozen=True, slots=True)
class _Find:
    cell: Text
    search: Text
    observed: Finite
    predicted: Finite
    measured: Finite | None
    noise_free: Finite | None = None


@dataclass(frozen=True, slots=True)
class _Search:
    cells: Count
    optimism: Finite


@dataclass(frozen=True, slots=True)
class _Round:
    round: Annotated[int, Field(ge=1)]
    cells: Count
    optimism: Finite
    standard_error: Finite | None
    told_too_much: Finite
    rmse: Finite
    spearman: Correlation | None
    seed_deviation: Finite
    verdict: Text
    by_search: Mapping[str, _Search]
    rows: Annotated[list[_Find], Field(min_length=1)]
    world: Count | None = None
    noise_free_optimism: Finite | None = None
    noise_free_standard_error: Finite | None = None
    noise_free_spearman: Correlation | None = None
    noise_free_verdict: Text | None = None


@dataclass(frozen=True, slots=True)
class _Audit:
    table: Text
    settings: _Settings
    rounds: Annotated[list[_Round], Field(min_length=1)]
    cells: Count | None = None
    data: str | None = None


def read_audit(path: Path, table: Table) -> dict[str, Any]:
    """What `pnas-sim table audit` wrote to its folder's `audit.json`.

    Files of before noise-free values were reported are read, too.

    Args:
        path: of the JSON file.
        table: whose audit it must be; it may have grown since.

    Raises:
        RunError: the file is not there, is no such audit or a damaged one, or of another table.
    """
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise RunError(f"{path} cannot be read as an audit; give the audit.json in its folder") from None
    try:
        audit = TypeAdapter(_Audit).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = " ".join(".".join(map(str, first["loc"])).split()) or "it"
        raise RunError(
            f"{path} is no audit: {place}: {first['msg']}; give the audit.json in an audit's folder"
        ) from None
    _demand_same(path, audit, table)
    return value


def _demand_same(path: Path, audit: _Audit, table: Table) -> None:
    if audit.table != table.name:
        raise RunError(f"{path} is an audit of table {audit.table}, not of {table.name}; give this one's")
    try:
        table.space.parse_many([find.cell for report in audit.rounds for find in report.rows])
    except CellError as error:
        raise RunError(f"{path} is no audit of table {table.name}: {error}") from None
