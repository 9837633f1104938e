"""Files that scripts of this folder grow line by line, and pages of docs/ of which they write a part."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def read_lines(path: Path) -> list[dict[str, Any]]:
    """All lines; none if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def append_line(path: Path, line: Mapping[str, Any]) -> None:
    """Adds a line and waits until the disk has it."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _drop_torn_line(path: Path) -> None:
    """Removes the begun last line that a crash of the machine or a full disk can leave."""
    if not path.exists():
        return
    content = path.read_bytes()
    kept = content[: content.rfind(b"\n") + 1]
    if len(kept) < len(content):
        os.truncate(path, len(kept))


@contextmanager
def hold_lines(path: Path) -> Iterator[None]:
    """Has a file of lines, made if it is not there, for this process alone, and without a begun last line.

    Raises:
        SystemExit: another process has it.
    """
    with path.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"{path} is being added to by another process; let that end first") from None
        _drop_torn_line(path)
        yield


def fill_page(page: Path, marks: tuple[str, str], text: str) -> None:
    """Replaces what stands between the two marks of a page.

    Raises:
        ValueError: it has not both marks.
    """
    whole = page.read_text(encoding="utf-8")
    begin, end = whole.index(marks[0]) + len(marks[0]), whole.index(marks[1])
    page.write_text(f"{whole[:begin]}\n\n{text.strip()}\n\n{whole[end:]}", encoding="utf-8")


QUOTE = re.compile(
    r"(?P<mark><!-- quote (?P<file>\S+) > (?P<headings>[^|]+?)(?: \| (?P<rows>.+?))? -->)\n"
    r".*?(?P<end><!-- end of quote -->)",
    re.DOTALL,
)


def fill_quotes(page: Path) -> int:
    """Writes anew what a page quotes of the tables of other files; how many tables that were.

    A quote stands between `<!-- quote FILE > HEADING > HEADING | ROW, ROW -->` and `<!-- end of quote -->`;
    FILE is as seen from the page, rows are as `pick_rows` takes them.

    Raises:
        ValueError: a heading or a row is not there.
    """

    def write(found: re.Match[str]) -> str:
        text = (page.parent / found["file"]).read_text(encoding="utf-8")
        table = find_table_under(text, found["headings"].split(" > "))
        rows = [row.strip() for row in (found["rows"] or "").split(",") if row.strip()]
        return f"{found['mark']}\n\n" + "\n".join(pick_rows(table, rows)) + f"\n\n{found['end']}"

    text, count = QUOTE.subn(write, page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")
    return count


def find_table_under(text: str, headings: list[str]) -> list[str]:
    """The lines of the first table below headings that stand in this order, of whatever level.

    Raises:
        ValueError: there is no such heading, or no table between the last of them and the next.
    """
    lines, at = text.splitlines(), 0
    for heading in headings:
        places = [
            n for n, line in enumerate(lines[at:], at + 1) if re.fullmatch(f"#+ {re.escape(heading)}", line)
        ]
        if not places:
            raise ValueError(f"there is no heading {heading!r}")
        at = places[0]
    ends = (n for n, line in enumerate(lines[at:], at) if line.startswith("#"))
    table = [line for line in lines[at : next(ends, len(lines))] if line.startswith("|")]
    if not table:
        raise ValueError(f"there is no table below {headings[-1]!r}")
    return table


def pick_rows(table: list[str], rows: list[str]) -> list[str]:
    """A table's heading and those rows, each given by its first cell or its first few; all if none is given.

    Raises:
        ValueError: there is no such row.
    """
    if not rows:
        return table
    found = {row: [line for line in table[2:] if begins_with(line, row)] for row in rows}
    if missing := [row for row, lines in found.items() if not lines]:
        raise ValueError(f"there is no row {missing[0]!r}")
    return [*table[:2], *(line for lines in found.values() for line in lines)]


def begins_with(line: str, row: str) -> bool:
    """Whether a table's line has these first cells, written `CELL` or `CELL/CELL`."""
    cells = row.split("/")
    return [cell.strip() for cell in line.split("|")[1 : len(cells) + 1]] == cells
