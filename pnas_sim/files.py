"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Replaces a file in one step: new file beside it, flushed to the disk, renamed, folder flushed.

    Raises:
        OSError: as the disk says; what was there is unchanged.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:  # an interruption, too, leaves nothing half-written behind
        _remove(fresh)
        raise


def make_plain(text: str) -> str:
    """A text as part of a file's name: letters, digits, `-`, `_` and `.`, all else `~`."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "~" for letter in text)


def _remove(path: Path) -> None:
    """Removes what was begun; where even that fails, the first error is the one to tell."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
