from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest

from pnas_sim.databases import demand_known
from pnas_sim.errors import TableError, WorkError
from pnas_sim.evaluate import Evaluation, Status
from pnas_sim.space import CellSpace
from pnas_tables.journal import Child, Journal, assemble_table
from pnas_tables.testing import made_up_head

PROVENANCE = {"command": "test"}


def test_a_child_is_on_the_disk_before_the_next_one(space: CellSpace, tmp_path: Path) -> None:
    """A power cut, too, loses only the children in flight."""
    with Journal(tmp_path / "j.sqlite", made_up_head(space), PROVENANCE) as journal:
        pragmas = ("synchronous", "journal_mode", "locking_mode")
        found = [journal._database.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
    assert found == [2, "wal", "exclusive"]  # 2 is FULL


def test_a_journal_that_its_build_removed_meanwhile_is_not_gone_on_with(
    space: CellSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was opened while that build had it: children would go into a file that nobody finds again."""
    path = tmp_path / "j.sqlite"
    first = Journal(path, made_up_head(space), PROVENANCE)

    def wait(database: sqlite3.Connection, statements: str) -> None:
        first.remove()
        demand_known(database, statements)

    monkeypatch.setattr("pnas_tables.journal.demand_known", wait)
    with pytest.raises(TableError, match="was finished by another build meanwhile; start again"):
        Journal(path, made_up_head(space), PROVENANCE)
    assert not list(tmp_path.iterdir())


def test_a_journal_whose_name_goes_away_is_not_gone_on_with(
    space: CellSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though SQLite, which has the file open, sees nothing wrong."""
    path, begin = tmp_path / "j.sqlite", Journal._begin

    def lose(self: Journal, provenance: dict[str, str]) -> None:
        begin(self, provenance)
        path.unlink()

    monkeypatch.setattr(Journal, "_begin", lose)
    with pytest.raises(TableError, match="was finished by another build meanwhile; start again"):
        Journal(path, made_up_head(space), PROVENANCE)


def test_a_journal_that_is_removed_takes_nothing_from_the_next_one(space: CellSpace, tmp_path: Path) -> None:
    """Which may begin at once, and has its children in a file beside it, too."""
    path, following = tmp_path / "j.sqlite", []

    class Slow:
        def __init__(self, database: sqlite3.Connection) -> None:
            self.database = database

        def close(self) -> None:
            self.database.close()
            following.append(Journal(path, made_up_head(space), PROVENANCE))

    first = Journal(path, made_up_head(space), PROVENANCE)
    first._database = Slow(first._database)  # type: ignore[assignment]
    first.remove()
    cell = space.format(space.initial()[0])
    with following[0] as journal:
        journal.add(Evaluation(cell=cell, valid_accuracy=0.5), "all-1")
        left = shutil.copytree(tmp_path, tmp_path / "killed")  # as the disk is at this moment
        with Journal(left / "j.sqlite", made_up_head(space), PROVENANCE) as found:
            assert len(found) == 1


def test_rows_of_the_journal_keep_their_words_in_any_order(space: CellSpace) -> None:
    texts = space.format_many(space.canonical(space.sample(2, np.random.default_rng(0), blocks=3)))
    rows = [(texts[0], 1, "search"), (texts[1], 0, "raw"), (texts[0], 0, "sealed")]
    children = [Child(*row, Status.OK, 0.5, None, None, 7, 8, "[]", "") for row in rows]
    table = assemble_table(made_up_head(space), (), children)
    found = dict(zip(space.format_many(table.cells), table.origins, strict=True))
    assert found == {texts[0]: "sealed+search", texts[1]: "raw"}


def test_a_child_that_came_to_no_number_counts_as_a_guess(space: CellSpace, tmp_path: Path) -> None:
    lost = Evaluation(cell=space.format(space.initial()[0]), status=Status.DIVERGED, curve=((0.25, nan),))
    with Journal(tmp_path / "j.sqlite", made_up_head(space), PROVENANCE) as journal:
        journal.add(lost, "all-1")
        table = journal.read()
    assert table.valid_accuracy.tolist() == [0.1] and np.isnan(table.curves).all()


def test_a_journal_that_is_refused_is_not_kept_open(space: CellSpace, tmp_path: Path) -> None:
    head, path = made_up_head(space), tmp_path / "j.sqlite"
    with Journal(path, head, PROVENANCE):
        pass
    with pytest.raises(TableError, match="build with another recipe") as refused:
        Journal(path, replace(head, recipe={"epochs": 9}), PROVENANCE)
    with Journal(path, head, PROVENANCE) as journal:  # the error lives, and with it what it came from
        assert len(journal) == 0 and refused.value.__traceback__ is not None


def test_a_journal_with_more_in_it_than_children_is_refused(space: CellSpace, tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with Journal(path, made_up_head(space), PROVENANCE):
        pass
    with Journal(path, made_up_head(space), PROVENANCE) as journal:  # its own tables are those of a fresh one
        assert len(journal) == 0
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TRIGGER act AFTER INSERT ON children BEGIN DELETE FROM children; END")
    with pytest.raises(TableError, match="is damaged: 'act' in it is none of the tables"):
        Journal(path, made_up_head(space), PROVENANCE)


def test_a_full_disk_is_work_that_failed(space: CellSpace, tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite", made_up_head(space), PROVENANCE) as journal:
        pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
        journal._database.execute(f"PRAGMA max_page_count = {pages}")
        long = Evaluation(cell="x" * 10000, valid_accuracy=0.5)
        with pytest.raises(WorkError, match="full"):
            journal.add(long, "uniform")
