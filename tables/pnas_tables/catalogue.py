"""The tables that ship, by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from pnas_sim.errors import TableError

DEFAULT_TABLE = "cifar10-16px"


def data_folder() -> Path:
    """Where the tables that ship lie."""
    return Path(str(files("pnas_tables") / "data"))


def is_checkout() -> bool:
    """Whether tables lie beside the parts that they are gathered from, which no installation has."""
    return (data_folder() / "parts").is_dir()


def shipped_tables() -> dict[str, Path]:
    """Files of the tables that ship, by name."""
    return {path.stem: path for path in sorted(data_folder().glob("*.h5"))}


def find_table(table: str) -> Path:
    """The file that `table` means: a file's path, or the name of a table that ships.

    Raises:
        TableError: it is neither; the names there are are listed.
    """
    shipped = shipped_tables()
    if table in shipped:
        return shipped[table]
    path = Path(table)
    if path.is_file():
        return path
    known = ", ".join(shipped) or "none"
    if path.suffix == ".h5" or len(path.parts) > 1:
        raise TableError(f"table {table}: there is no such file; tables that ship: {known}")
    raise TableError(f"table {table!r} is unknown; tables that ship: {known}; or give a file")
