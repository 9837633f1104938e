"""SQLite files that may be somebody else's: read only if they hold the tables that are known, and no more.

A view stands wherever a table may, and asks whatever it likes, for ever; a trigger acts when a row is added.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

_SCHEMA = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"  # keys have indexes of no text


def demand_known(database: sqlite3.Connection, statements: str) -> None:
    """Checks a file that was just opened, before anything in it is asked for; an empty one will do.

    Args:
        database: of the file.
        statements: that make its tables.

    Raises:
        sqlite3.DatabaseError: it holds something else, or its pages do not hang together: then one that
            is met again and again could be read for ever.
    """
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON"):
        database.execute(f"PRAGMA {pragma}")
    with closing(sqlite3.connect(":memory:")) as made:
        made.executescript(statements)
        known = dict(made.execute(_SCHEMA).fetchall())
    for name, sql in database.execute(_SCHEMA).fetchall():
        if known.get(name) != sql:
            raise sqlite3.DatabaseError(f"{name!r} in it is none of the tables that belong there")
    (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(f"{' '.join(str(found).split())}")
