"""The parts of a table that grows over many sittings: each sitting trains on where the parts stop.

A part is a table file of its own, `NAME-001.h5` and so on; `merge_tables` joins them, and
`gather_table` adds what the parts of related plans have.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pnas_sim.errors import TableError
from pnas_sim.evaluate import Evaluator, Status
from pnas_sim.space import CellSpace
from pnas_tables.build import JOURNAL_SUFFIX, BuildProgress, build_table, demand_positive, list_missing
from pnas_tables.format import read_table
from pnas_tables.images import compare_images
from pnas_tables.journal import TableHead, assemble_table
from pnas_tables.merge import merge_tables
from pnas_tables.plans import Jobs, Plan, count_waiting, join_jobs, list_jobs
from pnas_tables.record import Table, json_text
from pnas_tables.subspace import fit_space


def build_plan(
    plan: Plan,
    head: TableHead,
    parts: Path,
    evaluator: Evaluator,
    *,
    shipped: Path | None = None,
    relatives: Sequence[str] = (),
    asked: Jobs | None = None,
    provenance: Mapping[str, Any],
    hours: float | None = None,
    children: int | None = None,
    save_every: int = 20,
    progress: Callable[[BuildProgress], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Path:
    """Goes on with a plan where the parts in a folder stop; the new children make a new part.

    A part that was being written when its build was killed (its journal lies beside it) is gone on with.
    Steps that choose by accuracy are looked at again whenever what comes before them is trained.

    Args:
        plan: what to train, in order.
        head: as for `build_table`.
        parts: the folder of `NAME-001.h5`, `NAME-002.h5`, ...; made if it is not there.
        evaluator: as for `build_table`.
        shipped: the merged table, if there is one; its children are not trained again either.
        relatives: other plans of the same recipe; what their parts have is not trained again.
        asked: jobs that come before the plan's.
        provenance: as for `build_table`.
        hours: as for `build_table`.
        children: as for `build_table`.
        save_every: as for `build_table`.
        progress: as for `build_table`.
        warn: told in a line if no part says which images it was trained on.

    Returns:
        The part that was written; it does not exist if there was nothing left to train.

    Raises:
        SettingError: a limit is not positive.
        TableError: a part is damaged, or of another recipe, space or images.
        WorkError: the disk is full.
    """
    demand_positive(hours=hours, children=children, save_every=save_every)
    parts.mkdir(parents=True, exist_ok=True)
    out, others = _choose_part(plan.name, parts)
    known = [read_table(path) for path in others]
    if shipped is not None and shipped.exists():
        known.append(read_table(shipped))
    _demand_fit(known, head, parts)
    for name in relatives:
        known += [fit_space(table, head.space) for table in _read_all(name, parts) if has_recipe(table, head)]
    compare_images([*known, *_read_if_there(out)], evaluator.spec.checksum, warn)
    limits = _Limits(hours, children)
    attempted: set[tuple[bytes, int]] = set()
    for jobs in _list_stages(plan, head.space, asked, lambda: [*known, *_read_if_there(out)], attempted):
        build_table(
            jobs,
            head,
            out,
            evaluator,
            provenance=provenance,
            hours=limits.hours_left(),
            children=limits.children_left(),
            save_every=save_every,
            progress=limits.count(progress),
        )
        if limits.reached():
            break
    return out


def _list_stages(
    plan: Plan,
    space: CellSpace,
    asked: Jobs | None,
    read_known: Callable[[], list[Table]],
    attempted: set[tuple[bytes, int]],
) -> Iterator[Jobs]:
    """Jobs that are left, up to the next step that waits for results; then, when those are there, further.

    A step that waits for children that cannot be trained is passed over.
    """
    skip = 0
    while True:
        known = read_known()
        results = collect_results(known)
        planned = list_jobs(plan, space, results, skip)
        missing = list_missing(join_jobs([asked, planned] if asked else [planned], space), *known)
        fresh = [place for place, key in enumerate(missing.keys()) if key not in attempted]
        if fresh:
            attempted.update(missing.keys())
            yield missing.take(fresh)
        elif skip < count_waiting(plan, space, results):
            skip += 1
        else:
            return


@dataclass
class _Limits:
    """What is left of a sitting over several calls of `build_table`."""

    hours: float | None
    children: int | None
    trained: int = 0
    begun: float = field(default_factory=time.monotonic)

    def hours_left(self) -> float | None:
        return None if self.hours is None else self.hours - (time.monotonic() - self.begun) / 3600

    def children_left(self) -> int | None:
        return None if self.children is None else self.children - self.trained

    def reached(self) -> bool:
        """Whether nothing may be trained any more."""
        left = (self.hours_left(), self.children_left())
        return any(limit is not None and limit <= 0 for limit in left)

    def count(self, progress: Callable[[BuildProgress], None] | None) -> Callable[[BuildProgress], None]:
        """Progress that is counted before it is told."""

        def tell(step: BuildProgress) -> None:
            self.trained += 1
            if progress is not None:
                progress(step)

        return tell


def collect_results(tables: Sequence[Table]) -> dict[tuple[bytes, int], float]:
    """Validation accuracy of every run that did not fail, by the row's bytes and the training seed."""
    return {
        (table.cells[cell].tobytes(), int(seed)): float(accuracy)
        for table in tables
        for cell, seed, status, accuracy in zip(
            table.run_cells, table.seeds, table.status, table.valid_accuracy, strict=True
        )
        if status != Status.FAILED
    }


def has_recipe(table: Table, head: TableHead) -> bool:
    """Whether a table was trained as this head says."""
    return json_text(table.recipe) == json_text(head.recipe)


def _demand_fit(tables: Sequence[Table], head: TableHead, parts: Path) -> None:
    """Refuses parts of another space or recipe, before anything is trained."""
    for table in tables:
        if table.space != head.space:
            raise TableError(f"a part of {head.name} in {parts} is of another space; move it away")
    try:
        merge_tables([assemble_table(head, (), ()), *tables], head.name)
    except TableError as error:
        remedy = f"if the recipe was changed, move the old parts away from {parts}, and the old table"
        raise TableError(f"{error}; {remedy}") from None


def gather_table(plan: Plan, parts: Path, relatives: Sequence[str] = ()) -> Table:
    """All parts of a plan as one table, with what its relatives' parts have of its space.

    Raises:
        TableError: there is no part, one is damaged, or they do not fit together.
    """
    own = read_parts(plan.name, parts)
    taken = [
        fit_space(table, plan.space)
        for name in relatives
        for table in _read_all(name, parts)
        if json_text(table.recipe) == json_text(own[0].recipe)
    ]
    return merge_tables([*own, *(table for table in taken if len(table))], plan.name)


def _read_all(name: str, parts: Path) -> list[Table]:
    return read_parts(name, parts) if _part_numbers(name, parts, "") else []


def _read_if_there(path: Path) -> list[Table]:
    return [read_table(path)] if path.exists() else []


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
