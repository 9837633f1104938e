"""Parts called `module:factory` in settings, and commands that repeat what was done with them.

A command that takes such a part from a file is refused without `--trust`, so one that is told to somebody has
it; what it would have imported is told beside it, as the file may be a stranger's.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any


def list_own_parts(settings: Any) -> list[str]:
    """The parts called `module:factory` in the settings of a run or a comparison."""
    searches = settings.get("searches") if isinstance(settings, Mapping) else None
    choices = [settings, *(searches.values() if isinstance(searches, Mapping) else ())]
    names: list[Any] = []
    for choice in (choice for choice in choices if isinstance(choice, Mapping)):
        options = [choice.get(holder) for holder in ("search_options", "options")]
        names += [choice.get("backend"), choice.get("search")]
        names += [one.get("predictor") for one in options if isinstance(one, Mapping)]
    return list(dict.fromkeys(name for name in names if isinstance(name, str) and ":" in name))


def write_command(settings: Any, command: str, *words: str) -> str:
    """A command of `pnas-sim` on a file of these settings, as a shell takes it, with the trust it needs."""
    trust = ["--trust"] if list_own_parts(settings) else []
    return shlex.join(["pnas-sim", command, *trust, *words])


def tell_imports(settings: Any) -> str:
    """What such a command imports, to be said beside it: ` (it imports mine:search)`; empty if nothing."""
    named = list_own_parts(settings)
    return f" (it imports {', '.join(named)})" if named else ""
