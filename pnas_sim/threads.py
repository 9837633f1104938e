"""Threads of numerical libraries in this process: on their number depend the last digits, and so a search."""

from __future__ import annotations

import os
import sys

from threadpoolctl import threadpool_limits

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def set_threads(count: int) -> None:
    """Fixes the number, also of libraries that are loaded already: they have read the variables."""
    for name in THREAD_VARIABLES:
        os.environ[name] = str(count)
    threadpool_limits(count)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)


def default_threads() -> int:
    """What `OMP_NUM_THREADS` says, else 1.

    Where others share the cores, threads that wait for each other spin, and the products here are small.
    """
    wished = os.environ.get(THREAD_VARIABLES[0], "")
    return int(wished) if wished.isdigit() and int(wished) > 0 else 1
