from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pnas_sim.errors import SettingError, TableError, WorkError
from pnas_sim.evaluate import Evaluation, EvaluatorSpec, Status
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_tables.build import BuildProgress, build_table
from pnas_tables.format import read_table
from pnas_tables.journal import Journal
from pnas_tables.plans import Jobs, Plan, Step, join_jobs, list_jobs
from pnas_tables.record import Table, checksum
from pnas_tables.testing import CHECKPOINTS, MadeUpTrainer, made_up_head

PROVENANCE = {"command": "test"}


def jobs_of(space: CellSpace, count: int, seed: int = 0) -> Jobs:
    return list_jobs(Plan("x", 0, (Step("uniform", 3, 0, count, seed),)), space)


def build(space: CellSpace, jobs: Jobs, out: Path, **options: object) -> Table:
    evaluator = options.pop("evaluator", MadeUpTrainer(space))
    return build_table(jobs, made_up_head(space), out, evaluator, provenance=PROVENANCE, **options)  # type: ignore


class Stumbling:
    """A trainer in which some children fail, and which stops dead after some."""

    def __init__(
        self, space: CellSpace, failing: int = 0, error: BaseException | None = None, after: int = 3
    ) -> None:
        self.inner = MadeUpTrainer(space)
        self.failing, self.error, self.after = failing, error, after

    @property
    def spec(self) -> EvaluatorSpec:
        return self.inner.spec

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        for number, answer in enumerate(self.inner.evaluate(cells, epochs, seed)):
            if self.error is not None and number == self.after:
                raise self.error
            if number < self.failing:
                yield Evaluation(
                    cell=answer.cell, seed=seed, status=Status.FAILED, error="killed:\n out of memory"
                )
            else:
                yield answer

    def close(self) -> None:
        pass


def test_a_built_table_holds_what_was_trained(space: CellSpace, tmp_path: Path) -> None:
    jobs = jobs_of(space, 12)
    table = build(space, jobs, tmp_path / "x.h5")
    answers = {answer.cell: answer for answer in MadeUpTrainer(space).evaluate(jobs.cells, 1.0, 0)}
    assert len(table) == 12 and table.origins == ("uniform",) * 12
    for cell, row in enumerate(table.cells):
        answer = answers[space.format(row)]
        run = int(np.flatnonzero(table.run_cells == cell)[0])
        assert table.valid_accuracy[run] == answer.valid_accuracy
        assert table.test_accuracy[run] == answer.test_accuracy
        assert tuple(zip(CHECKPOINTS, table.curves[run], strict=True)) == answer.curve
        assert (table.parameters[cell], table.multiply_adds[cell]) == (
            answer.parameters,
            answer.multiply_adds,
        )
        assert table.seconds[run] == answer.seconds
    assert checksum(read_table(tmp_path / "x.h5")) == checksum(table)
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"], "the journal goes once the table stands"


def test_a_cell_has_every_word_it_was_trained_for(space: CellSpace, tmp_path: Path) -> None:
    """Whether its seeds were trained in one sitting or in two: the last word is not the only one."""
    sealed, searched = jobs_of(space, 3), jobs_of(space, 2, seed=1)
    sealed, searched = replace(sealed, origins=("sealed",) * 3), replace(searched, origins=("search",) * 2)
    once = build(space, join_jobs([sealed, searched], space), tmp_path / "once.h5")
    assert Counter(once.origins) == {"sealed+search": 2, "sealed": 1}
    build(space, sealed, tmp_path / "twice.h5")
    assert checksum(build(space, searched, tmp_path / "twice.h5")) == checksum(once)


def test_progress_counts_children(space: CellSpace, tmp_path: Path) -> None:
    told: list[BuildProgress] = []
    build(space, jobs_of(space, 3), tmp_path / "x.h5")
    build(space, jobs_of(space, 8), tmp_path / "x.h5", progress=told.append)
    assert [(step.done, step.total, step.trained) for step in told] == [(3 + i, 8, i) for i in range(1, 6)]


def test_limits_stop_a_build_that_goes_on_later(space: CellSpace, tmp_path: Path) -> None:
    whole = build(space, jobs_of(space, 10), tmp_path / "whole.h5")
    stopped = build(space, jobs_of(space, 10), tmp_path / "x.h5", children=4)
    assert len(stopped) == 4 and not list(tmp_path.glob("*.sqlite"))
    assert len(build(space, jobs_of(space, 10), tmp_path / "x.h5", hours=1e-12)) == 5
    assert checksum(build(space, jobs_of(space, 10), tmp_path / "x.h5")) == checksum(whole)


def test_what_another_build_wrote_meanwhile_is_kept(
    space: CellSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended, and let go of the journal, while this one waited for the lock."""
    out, begin = tmp_path / "x.h5", Journal.__init__
    build(space, jobs_of(space, 2), out)

    def wait(self: Journal, *arguments: object) -> None:
        monkeypatch.setattr(Journal, "__init__", begin)
        build(space, jobs_of(space, 6), out)
        begin(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Journal, "__init__", wait)
    assert len(build(space, jobs_of(space, 8), out)) == 8
    assert len(read_table(out)) == 8


def test_a_file_that_is_no_table_leaves_no_journal(space: CellSpace, tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_bytes(b"something else")
    with pytest.raises(TableError, match="not an HDF5 file"):
        build(space, jobs_of(space, 2), tmp_path / "x.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"]


@pytest.mark.parametrize("limit", ["children", "hours", "save_every"])
def test_limits_must_be_positive(limit: str, space: CellSpace, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=f"{limit} is 0; it must be above 0"):
        build(space, jobs_of(space, 2), tmp_path / "x.h5", **{limit: 0})


def test_a_name_no_table_can_have_is_refused_before_a_child_is_trained(
    space: CellSpace, tmp_path: Path
) -> None:
    head, jobs = made_up_head(space, "Mine"), jobs_of(space, 4)
    with pytest.raises(SettingError, match="named 'Mine'; give --name with lower-case letters"):
        build_table(jobs, head, tmp_path / "a.h5", MadeUpTrainer(space), provenance={})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), WorkError("the device is gone")])
def test_an_interrupted_build_writes_what_it_has(
    error: BaseException, space: CellSpace, tmp_path: Path
) -> None:
    whole = build(space, jobs_of(space, 6), tmp_path / "whole.h5")
    with pytest.raises(type(error)):
        build(space, jobs_of(space, 6), tmp_path / "x.h5", evaluator=Stumbling(space, error=error, after=4))
    assert len(read_table(tmp_path / "x.h5")) == 4
    assert checksum(build(space, jobs_of(space, 6), tmp_path / "x.h5")) == checksum(whole)


def test_failed_children_are_kept_and_tried_again_later(space: CellSpace, tmp_path: Path) -> None:
    whole = build(space, jobs_of(space, 5), tmp_path / "whole.h5")
    table = build(space, jobs_of(space, 5), tmp_path / "x.h5", evaluator=Stumbling(space, failing=2))
    assert sorted(table.status.tolist()) == [0, 0, 0, 2, 2]
    assert np.isnan(table.valid_accuracy[table.status == 2]).all()
    assert set(table.errors) == {"", "killed: out of memory"}
    again = build(space, jobs_of(space, 5), tmp_path / "x.h5")
    assert checksum(again) == checksum(whole)


def test_a_journal_of_another_build_is_refused(space: CellSpace, tmp_path: Path) -> None:
    head = made_up_head(space)
    with Journal(tmp_path / "x.h5.journal.sqlite", replace(head, recipe={"epochs": 9}), PROVENANCE):
        pass
    with pytest.raises(TableError, match="build with another recipe"):
        build(space, jobs_of(space, 2), tmp_path / "x.h5")


def test_a_journal_that_is_a_link_is_refused(space: CellSpace, tmp_path: Path) -> None:
    (tmp_path / "t.h5.journal.sqlite").symlink_to(tmp_path / "victim")
    with pytest.raises(TableError, match=r"t\.h5\.journal\.sqlite is a link; remove it"):
        build(space, jobs_of(space, 1), tmp_path / "t.h5")
    assert not (tmp_path / "victim").exists()


def test_a_table_of_another_recipe_is_not_added_to(space: CellSpace, tmp_path: Path) -> None:
    build(space, jobs_of(space, 2), tmp_path / "x.h5")
    head = replace(made_up_head(space), recipe={"trainer": "other", "epochs": 1.0})
    with pytest.raises(
        TableError,
        match=r"x\.h5 was begun with trainer made-up, and not with trainer other; give another --out",
    ):
        build_table(jobs_of(space, 3), head, tmp_path / "x.h5", MadeUpTrainer(space), provenance=PROVENANCE)
    head = replace(made_up_head(space), licence="mine")
    with pytest.raises(TableError, match=r"begun with licence CC0-1\.0, and not with licence mine; give"):
        build_table(jobs_of(space, 3), head, tmp_path / "x.h5", MadeUpTrainer(space), provenance=PROVENANCE)
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"], "no journal is in the way of the right one"


def test_a_journal_in_use_is_refused(space: CellSpace, tmp_path: Path) -> None:
    journal = tmp_path / "x.h5.journal.sqlite"
    with (
        Journal(journal, made_up_head(space), PROVENANCE),
        pytest.raises(TableError, match="in use by another"),
    ):
        build(space, jobs_of(space, 2), tmp_path / "x.h5")


def test_a_damaged_journal_is_named(space: CellSpace, tmp_path: Path) -> None:
    (tmp_path / "x.h5.journal.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(TableError, match=r"journal .* is damaged"):
        build(space, jobs_of(space, 2), tmp_path / "x.h5")


# ----------------------------------------------------------------------------------------------------- kills

BUILD = """
import sys, time
from pathlib import Path
from pnas_sim.space import CellSpace
from pnas_tables.build import build_table
from pnas_tables.parts import build_plan, read_parts
from pnas_tables.plans import Plan, Step, list_jobs
from pnas_tables.testing import MadeUpTrainer, made_up_head

class Telling(MadeUpTrainer):
    def evaluate(self, cells, epochs, seed):
        for answer in super().evaluate(cells, epochs, seed):
            print("child", flush=True)
            time.sleep(0.005)
            yield answer

space = CellSpace(max_blocks=3)
steps = (Step("uniform", 3, 0, 20), Step("uniform", 3, 0, 20, seed=1), Step("uniform", 2, 0, 20))
jobs = list_jobs(Plan("x", 0, steps), space)
head = made_up_head(space)
build_table(jobs, head, Path(sys.argv[1]), Telling(space), provenance={"command": "test"}, save_every=4)
"""


def run_build(out: Path, children: int | None = None, delay: float = 0.0) -> bool:
    """Runs the build in a process; kills it some time after a child began. True if it ended by itself."""
    command = [sys.executable, "-c", BUILD, str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ) as process:
        assert process.stdout is not None
        if children is None:
            process.stdout.read()
        else:
            for _ in range(children):
                assert process.stdout.readline() == b"child\n"
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        return process.wait() == 0


def count_journal(out: Path) -> int:
    path = out.with_name(out.name + ".journal.sqlite")
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as database:
        try:
            return int(database.execute("SELECT count(*) FROM children").fetchone()[0])
        except sqlite3.OperationalError:  # killed before its tables stood
            return 0


def test_killed_at_any_moment_it_goes_on_to_the_same_table(tmp_path: Path) -> None:
    assert run_build(tmp_path / "whole.h5")
    out = tmp_path / "killed.h5"
    moments = random.Random(5)
    before = 0
    for _ in range(5):
        begun = moments.randint(1, 9)
        assert not run_build(out, begun, moments.uniform(0.0, 0.02))
        kept = count_journal(out)
        assert kept >= before + begun - 1, "a finished child was lost"
        before = kept
        if out.exists():
            read_table(out)  # at every moment the old file or the whole new one
    assert run_build(out)
    assert checksum(read_table(out)) == checksum(read_table(tmp_path / "whole.h5"))
    assert not list(tmp_path.glob("*journal*"))
