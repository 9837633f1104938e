"""Threads of numerical libraries in this process: on their number depend the last digits, and so a search."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController, threadpool_limits

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def set_threads(count: int) -> None:
    """Fixes the number, also of libraries that are loaded already: they have read the variables."""
    for name in THREAD_VARIABLES:
        os.environ[name] = str(count)
    threadpool_limits(count)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)


@contextmanager
def hold_threads(count: int) -> Iterator[None]:
    """As `set_threads`, while inside; afterwards this process has what it had before.

    A library that is loaded inside has by then as many as it would have begun with outside.
    """
    variables = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    torch, libraries = sys.modules.get("torch"), ThreadpoolController()
    torchs = None if torch is None else torch.get_num_threads()
    limits = libraries.limit(limits=count)
    set_threads(count)
    try:
        yield
    finally:
        for name in THREAD_VARIABLES:
            os.environ.pop(name, None)
        os.environ.update({name: value for name, value in variables.items() if value is not None})
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.set_num_threads(torchs or _first_threads())
        _free_newcomers({one.filepath for one in libraries.lib_controllers})
        limits.restore_original_limits()


def _free_newcomers(known: set[str]) -> None:
    """Gives libraries at other paths than these as many threads as they begin with."""
    found = ThreadpoolController()
    new = [one.filepath for one in found.lib_controllers if one.filepath not in known]
    found.select(filepath=new).limit(limits=_first_threads())


def _first_threads() -> int:
    """What numerical libraries begin with: what `OMP_NUM_THREADS` says, else one a core."""
    wished = os.environ.get(THREAD_VARIABLES[0], "")
    if wished.isdigit() and int(wished) > 0:
        return int(wished)
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def default_threads() -> int:
    """What `OMP_NUM_THREADS` says, else 1.

    Where others share the cores, threads that wait for each other spin, and the products here are small.
    """
    wished = os.environ.get(THREAD_VARIABLES[0], "")
    return int(wished) if wished.isdigit() and int(wished) > 0 else 1
