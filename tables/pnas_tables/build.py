"""Trains cells into a table, child by child, so that it can be stopped or killed and gone on with.

`python -m pnas_tables.build --plan cifar10-16px --data DIR` goes on with the table that ships, as
`pnas-sim table build --plan` does, which has more options; with `--gather` it joins the parts.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from pnas_sim.errors import PnasError, RequestError, SettingError, TableError
from pnas_sim.evaluate import Evaluation, Evaluator, Status
from pnas_sim.files import follow_link
from pnas_tables.catalogue import DEFAULT_TABLE, data_folder
from pnas_tables.format import read_table, write_table
from pnas_tables.images import compare_images, fill_images, name_images
from pnas_tables.journal import Journal, TableHead, assemble_table
from pnas_tables.locking import lock_table, update_table
from pnas_tables.merge import compare_heads, compare_recipes, merge_tables
from pnas_tables.plans import Jobs
from pnas_tables.record import Table, demand_name

__all__ = ["JOURNAL_SUFFIX", "BuildProgress", "build_table", "list_missing", "main", "merge_tables"]

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

    def line(self) -> str:
        """One line for a person on the last child."""
        child = self.evaluation
        return (
            f"{self.done}/{self.total} {child.cell} seed {child.seed}: {child.status.name.lower()} "
            f"{child.valid_accuracy:.4f} in {child.seconds:.1f} s"
        )


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
    warn: Callable[[str], None] | None = None,
) -> Table:
    """Trains the jobs that `out` and its journal do not hold, and writes `out`.

    Every finished child is journaled beside `out` (`OUT.journal.sqlite`); the table is written every
    `save_every` children and whenever the build ends: finished, at its limit, interrupted or by an error. The
    same jobs give the same table, whatever kills lie between, where the evaluator gives the same answers.
    What others add to `out` meanwhile stays.

    Args:
        jobs: canonical rows of the head's space, with their training seeds.
        head: what the table says of itself.
        out: the table file; if it exists, it is added to.
        evaluator: trains; its space is the head's. The checksum of its spec, if any, is that of the images:
            it is kept in the provenance.
        provenance: JSON object on this sitting: versions, machine, command.
        hours: by the clock on the wall; the first child that ends after these is the last.
        children: at most this many are trained.
        save_every: children between two writings of `out`.
        progress: called after each child.
        warn: told in a line if `out` does not say which images it was trained on.

    Returns:
        The table as written.

    Raises:
        SettingError: a limit is not positive, or no table may have the head's name.
        TableError: `out` or its journal is of another recipe, space or images.
        WorkError: the disk is full.
    """
    demand_positive(hours=hours, children=children, save_every=save_every)
    demand_name(head.name)
    provenance = name_images(provenance, evaluator.spec.checksum)
    if out.exists():  # what is wrong with it is told before a journal is begun
        _demand_fit(out, head, evaluator.spec.checksum, warn)
    with Journal(_journal_path(out), head, provenance) as journal:
        # read again under the journal's lock: another build may just have written it; also says at once, and
        # not after hours, when what is there does not fit
        table = _add_children(read_table(out) if out.exists() else None, journal)
        missing = list_missing(jobs, table)
        clock = _Clock(time.monotonic(), len(jobs) - len(missing), len(jobs))
        try:
            for trained, evaluation in enumerate(_train(missing, journal, evaluator), 1):
                if progress is not None:
                    progress(clock.tell(trained, evaluation))
                if trained % save_every == 0:
                    update_table(out, lambda now: _add_children(now, journal))
                if trained == children or (hours is not None and clock.seconds() >= hours * 3600):
                    break
        finally:
            table = update_table(out, lambda now: _add_children(now, journal))
            journal.remove()
    return table


def _add_children(table: Table | None, journal: Journal) -> Table:
    """A table with the children so far."""
    return merge_tables([*([] if table is None else [table]), journal.read()], journal.head.name)


def _demand_fit(out: Path, head: TableHead, images: str, warn: Callable[[str], None] | None = None) -> None:
    """Checks that children of this head, trained on these images, may be added to the table at `out`."""
    table, wanted = read_table(out), assemble_table(head, (), ())
    # of a recipe all that differs, for checkpoints and the like follow from it
    differing = compare_recipes(table, wanted) or compare_heads(table, wanted)
    if differing:
        there, asked = (
            ", ".join(f"{what} {pair[side]}" for what, pair in differing.items()) for side in (0, 1)
        )
        raise TableError(f"{out} was begun with {there}, and not with {asked}; give another --out")
    compare_images([table], images, warn)
    merge_tables([table, wanted], head.name)


def demand_positive(**limits: float | None) -> None:
    """Checks limits; None is no limit.

    Raises:
        SettingError: one is not positive.
    """
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


def list_missing(jobs: Jobs, *tables: Table) -> Jobs:
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


def main(arguments: list[str] | None = None) -> int:
    """`python -m pnas_tables.build`: goes on with a plan until it is done, at its limit, or interrupted."""
    parser = argparse.ArgumentParser(prog="python -m pnas_tables.build", description=__doc__)
    parser.add_argument("--plan", default=DEFAULT_TABLE)
    parser.add_argument(
        "--data",
        type=Path,
        help="folder of the data set; with --gather: whose images all parts that name none were trained on",
    )
    parser.add_argument(
        "--parts", type=Path, default=data_folder() / "parts", help="folder of the table's parts"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--hours", type=float, help="stop after these")
    parser.add_argument(
        "--gather", type=Path, metavar="FILE", help="train nothing; join the plan's parts here"
    )
    options = parser.parse_args(arguments)

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops as Ctrl-C does: the part is written
    try:
        if options.gather is not None:
            return _gather(options.plan, options.parts, options.gather, options.data)
        from pnas_tables.trainer import train_plan

        part = train_plan(
            options.plan,
            options.data,
            options.parts,
            workers=options.workers,
            hours=options.hours,
            progress=lambda step: print(step.line(), file=sys.stderr, flush=True),
            warn=lambda line: print(line, file=sys.stderr, flush=True),
        )
    except KeyboardInterrupt:
        print(
            f"interrupted; what was trained is in {options.parts}; the same command goes on", file=sys.stderr
        )
        return 130
    except PnasError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, RequestError) else 1
    print(f"written: {part}" if part.exists() else "nothing is left to train")
    return 0


def _gather(name: str, parts: Path, out: Path, data: Path | None) -> int:
    from pnas_tables.parts import gather_table
    from pnas_tables.shipped_plans import find_plan, find_recipe, find_relatives

    table = gather_table(find_plan(name), parts, find_relatives(name))
    if data is not None:
        from pnas_backends.training.data import read_source

        table = fill_images(table, read_source(find_recipe(name).dataset, data).checksum())
    with lock_table(out):
        write_table(follow_link(out), table)
    print(f"written: {out}: {len(table)} cells, {len(table.seeds)} runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
