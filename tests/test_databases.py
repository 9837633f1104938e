from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pnas_sim.databases import demand_known

TABLES = """
CREATE TABLE IF NOT EXISTS notes (number INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY);
"""
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, 'x' FROM n"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "d.sqlite", isolation_level=None)) as opened:
        yield opened


def test_an_empty_file_and_one_with_its_own_tables_will_do(database: sqlite3.Connection) -> None:
    demand_known(database, TABLES)
    database.executescript(TABLES)
    database.execute("INSERT INTO notes VALUES (1, 'x')")
    demand_known(database, TABLES)
    assert database.execute("PRAGMA trusted_schema").fetchone() == (0,)


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("notes", f"CREATE VIEW notes(number, text) AS {ENDLESS}"),
        ("notes", "CREATE TABLE notes (number INTEGER PRIMARY KEY, text TEXT AS (hex(zeroblob(1e9))))"),
        ("more", "CREATE TABLE more (word TEXT)"),
        ("act", "CREATE TRIGGER act AFTER INSERT ON words BEGIN DELETE FROM words; END"),
        ("sorted", "CREATE INDEX sorted ON words (hex(zeroblob(1e9)))"),
    ],
)
def test_whatever_else_a_file_holds_is_refused_before_it_acts(
    database: sqlite3.Connection, name: str, statement: str
) -> None:
    database.execute("CREATE TABLE words (word TEXT PRIMARY KEY)")
    database.execute(statement)
    with pytest.raises(sqlite3.DatabaseError, match=f"'{name}' in it is none of the tables"):
        demand_known(database, TABLES)


def test_a_virtual_table_is_refused_before_its_module_is_asked(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA writable_schema = ON")
    sql = "CREATE VIRTUAL TABLE notes USING nothing(x)"
    database.execute("INSERT INTO sqlite_master VALUES ('table', 'notes', 'notes', 0, ?)", (sql,))
    with pytest.raises(sqlite3.DatabaseError, match="'notes' in it"):
        demand_known(database, TABLES)


def test_pages_that_are_met_again_and_again_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA page_size = 512")
        database.executescript(TABLES)
        database.executemany("INSERT INTO notes VALUES (?, ?)", [(n, "x" * 300) for n in range(9)])
        (root,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'notes'").fetchone()
    data = bytearray(path.read_bytes())
    page = memoryview(data)[512 * (root - 1) : 512 * root]
    assert page[0] == 5  # of pages that lead to others
    first = int.from_bytes(page[12:14], "big")  # where the page's first entry stands, and in it its child
    page[8:12] = page[first : first + 4]  # the last child is the first one
    path.write_bytes(data)
    with (
        closing(sqlite3.connect(path)) as database,
        pytest.raises(sqlite3.DatabaseError, match="On tree page"),
    ):
        demand_known(database, TABLES)
