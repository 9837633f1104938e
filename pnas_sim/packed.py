"""Arrays in `.npz` files that anybody may have written: none is unpickled, nor unpacked beyond a limit."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DAMAGED = (  # what reading the arrays of a damaged file raises
    *(OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, MemoryError, ArithmeticError),
    *(RuntimeError, SyntaxError, zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError),
)


def read_arrays(path: Path, names: Iterable[str], largest: int) -> dict[str, NDArray[Any]]:
    """Arrays of an `.npz` file by name.

    Args:
        path: of the file.
        names: of the arrays.
        largest: bytes that all the file's arrays may unpack to.

    Raises:
        FileNotFoundError: it is missing.
        KeyError: it lacks some of the arrays; the message says which.
        DAMAGED: one of these, where it is damaged.
    """
    names = tuple(names)
    with zipfile.ZipFile(path) as packed:
        there = set(packed.namelist())
        missing = [name for name in names if f"{name}.npy" not in there]
        if missing:
            raise KeyError(f"it lacks {', '.join(missing)}")
        size = sum(entry.file_size for entry in packed.infolist())
        if size > largest:
            raise ValueError(f"it says that it holds {size} bytes, the limit is {largest}")
        found = {}
        for name in names:
            with packed.open(f"{name}.npy") as file:
                found[name] = np.lib.format.read_array(file, allow_pickle=False)
    return found
