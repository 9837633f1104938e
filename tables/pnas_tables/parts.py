"""The parts of a table that grows over many sittings: each sitting trains on where the parts stop.

A part is a table file of its own, `NAME-001.h5` and so on; `merge_tables` joins them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pnas_sim.errors import TableError
from pnas_sim.evaluate import Evaluator
from pnas_tables.build import JOURNAL_SUFFIX, BuildProgress, build_table, list_missing
from pnas_tables.format import read_table
from pnas_tables.journal import TableHead, assemble_table
from pnas_tables.merge import merge_tables
from pnas_tables.plans import Plan, list_jobs
from pnas_tables.record import Table


def build_plan(
    plan: Plan,
    head: TableHead,
    parts: Path,
    evaluator: Evaluator,
    *,
    shipped: Path | None = None,
    provenance: Mapping[str, Any],
    hours: float | None = None,
    children: int | None = None,
    save_every: int = 20,
    progress: Callable[[BuildProgress], None] | None = None,
) -> Path:
    """Goes on with a plan where the parts in a folder stop; the new children make a new part.

    A part that was being written when its build was killed (its journal lies beside it) is gone on with.

    Args:
        plan: what to train, in order.
        head: as for `build_table`.
        parts: the folder of `NAME-001.h5`, `NAME-002.h5`, ...; made if it is not there.
        evaluator: as for `build_table`.
        shipped: the merged table, if there is one; its children are not trained again either.
        provenance: as for `build_table`.
        hours: as for `build_table`.
        children: as for `build_table`.
        save_every: as for `build_table`.
        progress: as for `build_table`.

    Returns:
        The part that was written; it does not exist if there was nothing left to train.

    Raises:
        SettingError: a limit is not positive.
        TableError: a part is damaged, or of another recipe or space.
        WorkError: the disk is full.
    """
    parts.mkdir(parents=True, exist_ok=True)
    out, others = _choose_part(plan.name, parts)
    known = [read_table(path) for path in others]
    if shipped is not None and shipped.exists():
        known.append(read_table(shipped))
    merge_tables([assemble_table(head, (), ()), *known], plan.name)  # refuses parts that do not fit
    jobs = list_missing(list_jobs(plan, head.space), *known)
    build_table(
        jobs,
        head,
        out,
        evaluator,
        provenance=provenance,
        hours=hours,
        children=children,
        save_every=save_every,
        progress=progress,
    )
    return out


def _choose_part(name: str, folder: Path) -> tuple[Path, list[Path]]:
    """The part to write, and the other parts there are."""
    numbers = _part_numbers(name, folder, "")
    unfinished = _part_numbers(name, folder, JOURNAL_SUFFIX)
    number = min(unfinished) if unfinished else max(numbers, default=0) + 1
    return _part_path(name, folder, number), [_part_path(name, folder, n) for n in numbers if n != number]


def _part_path(name: str, folder: Path, number: int) -> Path:
    return folder / f"{name}-{number:03d}.h5"


def _part_numbers(name: str, folder: Path, suffix: str) -> list[int]:
    pattern = re.compile(re.escape(name) + r"-(\d{3,})\.h5" + re.escape(suffix))
    found = (pattern.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(match.group(1)) for match in found if match)


def read_parts(name: str, folder: Path) -> list[Table]:
    """All parts of a table, in the order of their numbers.

    Raises:
        TableError: there is none, or one is damaged.
    """
    numbers = _part_numbers(name, folder, "") if folder.is_dir() else []
    if not numbers:
        raise TableError(f"there is no part {name}-NNN.h5 in {folder}; build one first")
    return [read_table(_part_path(name, folder, number)) for number in numbers]
