"""Trains cells into a table, child by child, so that it can be stopped or killed and gone on with.

`python -m pnas_tables.build --plan cifar10-16px --data DIR --parts DIR` goes on with the table that ships.
"""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from typing import Any

from pnas_sim.errors import SettingError, TableError
from pnas_sim.evaluate import Evaluation, Evaluator, Status
from pnas_tables.format import read_table, write_table
from pnas_tables.journal import Journal, TableHead, assemble_table
from pnas_tables.merge import merge_tables
from pnas_tables.plans import Jobs, Plan, list_jobs
from pnas_tables.record import Table

__all__ = ["BuildProgress", "build_plan", "build_table", "describe_machine", "merge_tables", "read_parts"]

JOURNAL_SUFFIX = ".journal.sqlite"


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """Where a build stands, told after each child.

    Attributes:
        done: children finished of those this build was asked for, earlier sittings' among them.
        total: children it was asked for.
        trained: children finished in this sitting.
        seconds: since this sitting began, by the clock on the wall.
        evaluation: the last child.
    """

    done: int
    total: int
    trained: int
    seconds: float
    evaluation: Evaluation


def build_table(
    jobs: Jobs,
    head: TableHead,
    out: Path,
    evaluator: Evaluator,
    *,
    provenance: Mapping[str, Any],
    hours: float | None = None,
    children: int | None = None,
    save_every: int = 20,
    progress: Callable[[BuildProgress], None] | None = None,
) -> Table:
    """Trains the jobs that `out` and its journal do not hold, and writes `out`.

    Every finished child is journaled beside `out` (`OUT.journal.sqlite`); the table is written every
    `save_every` children and whenever the build ends: finished, at its limit, interrupted or by an error. The
    same jobs give the same table, whatever kills lie between, where the evaluator gives the same answers.

    Args:
        jobs: canonical rows of the head's space, with their training seeds.
        head: what the table says of itself.
        out: the table file; if it exists, it is added to.
        evaluator: trains; its space is the head's.
        provenance: JSON object on this sitting: versions, machine, command.
        hours: no child is waited for after this time by the clock on the wall.
        children: at most this many are trained.
        save_every: children between two writings of `out`.
        progress: called after each child.

    Returns:
        The table as written.

    Raises:
        SettingError: a limit is not positive.
        TableError: `out` or its journal is of another recipe or space.
        WorkError: the disk is full.
    """
    _demand_positive(hours=hours, children=children, save_every=save_every)
    earlier = [read_table(out)] if out.exists() else []
    with Journal(_journal_path(out), head, provenance) as journal:
        # also says at once, and not after hours, when what is there does not fit
        table = merge_tables([*earlier, journal.read()], head.name)
        missing = _missing(jobs, table)
        clock = _Clock(time.monotonic(), len(jobs) - len(missing), len(jobs))
        try:
            for trained, evaluation in enumerate(_train(missing, journal, evaluator), 1):
                if progress is not None:
                    progress(clock.tell(trained, evaluation))
                if trained % save_every == 0:
                    write_table(out, merge_tables([*earlier, journal.read()], head.name))
                if trained == children or (hours is not None and clock.seconds() >= hours * 3600):
                    break
        finally:
            table = merge_tables([*earlier, journal.read()], head.name)
            if len(table):
                write_table(out, table)
            journal.remove()
    return table


def _demand_positive(**limits: float | None) -> None:
    for name, value in limits.items():
        if value is not None and not value > 0:
            raise SettingError(f"{name} is {value}; it must be above 0")


def _journal_path(out: Path) -> Path:
    return out.with_name(out.name + JOURNAL_SUFFIX)


@dataclass(frozen=True, slots=True)
class _Clock:
    begun: float
    before: int
    total: int

    def seconds(self) -> float:
        return time.monotonic() - self.begun

    def tell(self, trained: int, evaluation: Evaluation) -> BuildProgress:
        return BuildProgress(self.before + trained, self.total, trained, self.seconds(), evaluation)


def _missing(jobs: Jobs, *tables: Table) -> Jobs:
    """Jobs that no table holds. A failed child is asked for again: the machine failed, not the cell."""
    done = {
        (table.cells[cell].tobytes(), int(seed))
        for table in tables
        for cell, seed, status in zip(table.run_cells, table.seeds, table.status, strict=True)
        if status != Status.FAILED
    }
    pairs = zip(jobs.cells, jobs.seeds, strict=True)
    return jobs.take([i for i, (row, seed) in enumerate(pairs) if (row.tobytes(), int(seed)) not in done])


def _train(jobs: Jobs, journal: Journal, evaluator: Evaluator) -> Iterator[Evaluation]:
    """Trains in the order of the jobs, a stretch of one seed at a time; what is yielded is journaled."""
    space = journal.head.space
    start = 0
    for seed, group in groupby(jobs.seeds.tolist()):
        stop = start + len(list(group))
        cells = jobs.cells[start:stop]
        origins = dict(zip(space.format_many(cells), jobs.origins[start:stop], strict=True))
        answers = evaluator.evaluate(cells, evaluator.spec.epochs, seed)
        with closing(answers):  # type: ignore[type-var]  # a generator, which must not be left hanging
            for evaluation in answers:
                journal.add(evaluation, origins[evaluation.cell])
                yield evaluation
        start = stop


# ----------------------------------------------------------------------------------------------------- parts


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
    jobs = _missing(list_jobs(plan, head.space), *known)
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


# ------------------------------------------------------------------------------------------------ provenance


def describe_machine(command: str, **more: Any) -> dict[str, Any]:
    """The provenance of a sitting: versions and machine in words, without the names of hosts or folders."""
    packages = ("pnas-sim", "numpy", "torch")
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}",
        "command": command,
        **more,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _processor() -> str:
    """The processor's model where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else "unknown processor"
