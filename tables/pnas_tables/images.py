"""Which images a table was trained on: a checksum that each sitting of work keeps in its provenance.

Sittings of before it was kept have none, nor have trainers that do not say; of those the images are unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pnas_sim.errors import TableError
from pnas_tables.record import Table, json_text

IMAGES = "images_checksum"


def name_images(provenance: Mapping[str, Any], checksum: str) -> dict[str, Any]:
    """The provenance of a sitting that trains on these images; `checksum` is empty where they are unknown."""
    return {**provenance, **({IMAGES: checksum} if checksum else {})}


def list_images(provenance: Sequence[Mapping[str, Any]]) -> list[str]:
    """The checksums that these sittings name, each once; of a sound table at most one."""
    return sorted({entry[IMAGES] for entry in provenance if IMAGES in entry})


def find_images(table: Table) -> str:
    """The checksum of the images that a table was trained on; empty if no sitting names them."""
    return next(iter(list_images(table.provenance)), "")


def demand_same_images(tables: Sequence[Table]) -> None:
    """Refuses tables of different images; those of unknown ones go with any.

    Raises:
        TableError: two were trained on different ones.
    """
    named: dict[str, str] = {}
    for table in tables:
        named.setdefault(find_images(table), table.name)
    named.pop("", None)
    if len(named) > 1:
        (there, one), (here, other), *_ = named.items()
        raise TableError(
            f"tables {one} and {other} were trained on different images, {there} and {here}; only tables of "
            "the same images can be joined"
        )


def compare_images(tables: Sequence[Table], checksum: str, warn: Callable[[str], None] | None = None) -> None:
    """Holds images that are about to be trained on against those of tables, which what is trained belongs to.

    Args:
        tables: some of them.
        checksum: of the images; nothing is compared where it is empty.
        warn: told in a line if none of the tables says which images it was trained on.

    Raises:
        TableError: a table was trained on others.
    """
    if not checksum:
        return
    known = [table for table in tables if find_images(table)]
    for table in known:
        if find_images(table) != checksum:
            raise TableError(
                f"table {table.name} was trained on other images (checksum {find_images(table)}) than these "
                f"(checksum {checksum}); give --data those of the table"
            )
    names = [table.name for table in tables if len(table)]
    if names and not known and warn is not None:
        warn(
            f"warning: table {names[0]} does not say which images it was trained on; see to it that these "
            f"(checksum {checksum}) are the same"
        )


def fill_images(table: Table, checksum: str) -> Table:
    """The table with these images for all its sittings that name none.

    Raises:
        TableError: a sitting names others.
    """
    compare_images([table], checksum)
    texts = {json_text(entry): entry for entry in (name_images(old, checksum) for old in table.provenance)}
    return replace(table, provenance=tuple(texts[text] for text in sorted(texts)), surrogates={})
