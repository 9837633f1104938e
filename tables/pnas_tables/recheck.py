"""Finds a stored surrogate's held-out figures again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pnas_sim.errors import TableError
from pnas_tables.families import FitSettings, find_kind
from pnas_tables.fit import measure_surrogate
from pnas_tables.record import Table


def remeasure(table: Table, name: str) -> dict[str, Any]:
    """The held-out figures of a surrogate, from fits with its stored settings and seed.

    Raises:
        TableError: the table has no such surrogate, or this version does not fit its kind.
    """
    if name not in table.surrogates:
        known = ", ".join(sorted(table.surrogates)) or "none; `pnas-sim table fit` makes one"
        raise TableError(f"surrogate {name!r} is not in table {table.name}; it has: {known}")
    about = table.surrogates[name].metadata
    family, settings = find_kind(about.get("kind")), FitSettings.from_json(about["settings"])
    return measure_surrogate(table, family.name, int(about["seed"]), settings)


def compare_quality(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """The largest difference between two reports in any Kendall tau over all cells of a part.

    Raises:
        TableError: they are of different parts.
    """
    taus = [dict(_list_taus(report)) for report in (one, other)]
    if taus[0].keys() != taus[1].keys():
        apart = ", ".join(sorted(taus[0].keys() ^ taus[1].keys()))
        raise TableError(f"the stored figures are of other parts of the table: {apart}; fit it again")
    gaps = [abs((taus[0][part] or 0.0) - (taus[1][part] or 0.0)) for part in taus[0]]
    return max(gaps)


def _list_taus(report: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    yield f"overall of {report.get('group') or 'all'}", report["overall"]["kendall_tau"]
    for kind in ("by_blocks", "by_group", "by_training_share"):
        for part, figures in report[kind].items():
            yield f"{kind} {part}", figures["kendall_tau"]
            for size, row in figures.get("by_blocks", {}).items():
                yield f"{kind} {part} by_blocks {size}", row["kendall_tau"]
