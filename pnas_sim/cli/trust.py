"""Code that a file of settings names to be imported: only if whoever gives the command trusts it.

A run's or a comparison's file may be somebody else's, and a part called `module:factory` in it any module at
all. Parts that are installed, and those named on the command line, need no such word.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from pnas_sim.errors import SettingError

_Function = TypeVar("_Function", bound=Callable[..., Any])


def trust_option(function: _Function) -> _Function:
    """`--trust`: parts of one's own that a file names are imported."""
    return click.option("--trust", is_flag=True, help="Import the module:factory parts that the file names.")(
        function
    )


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


def demand_trusted(path: Path, settings: Any, typed: Collection[str] = ()) -> None:
    """Refuses settings of a file that would have code imported; inside a command.

    Args:
        path: of the file.
        settings: that the command would go by.
        typed: names on the command line.

    Raises:
        SettingError: a part of them is neither installed nor on the command line; says how to allow it.
    """
    named = [name for name in list_own_parts(settings) if name not in typed]
    if named:
        command, *rest = click.get_current_context().obj
        again = shlex.join(["pnas-sim", command, "--trust", *rest])
        raise SettingError(f"{path} names code to import, {', '.join(named)}; if you trust it, give: {again}")
