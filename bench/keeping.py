"""Files that scripts of this folder grow line by line, and pages of docs/ of which they write a part."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
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


def drop_torn_line(path: Path) -> None:
    """Removes the begun last line that a crash of the machine or a full disk can leave."""
    if not path.exists():
        return
    content = path.read_bytes()
    kept = content[: content.rfind(b"\n") + 1]
    if len(kept) < len(content):
        os.truncate(path, len(kept))


def fill_page(page: Path, marks: tuple[str, str], text: str) -> None:
    """Replaces what stands between the two marks of a page.

    Raises:
        ValueError: it has not both marks.
    """
    whole = page.read_text(encoding="utf-8")
    begin, end = whole.index(marks[0]) + len(marks[0]), whole.index(marks[1])
    page.write_text(f"{whole[:begin]}\n\n{text.strip()}\n\n{whole[end:]}", encoding="utf-8")
