"""One thread for matrix products, whatever the process is set to.

The order in which a product is summed, and with it the last bits, can change with the number of threads; a
benchmark's answers must not. The products here are small, too: several threads make them slower.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any


def one_thread(fresh: bool = False) -> AbstractContextManager[Any]:
    """A context in which BLAS uses one thread.

    Args:
        fresh: look for libraries anew (milliseconds): where some may have been loaded since the last time.
    """
    if fresh:
        _find_libraries.cache_clear()
    limited: AbstractContextManager[Any] = _find_libraries().limit(limits=1, user_api="blas")
    return limited


@lru_cache(maxsize=1)
def _find_libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
