"""Code that a file of settings names to be imported: only if whoever gives the command trusts it.

A run's or a comparison's file may be somebody else's, and a part called `module:factory` in it any module at
all. Parts that are installed, and those named on the command line, need no such word.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import click

from pnas_sim.errors import SettingError
from pnas_sim.own_parts import list_own_parts

_Function = TypeVar("_Function", bound=Callable[..., Any])


def trust_option(function: _Function) -> _Function:
    """`--trust`: parts of one's own that a file names are imported."""
    return click.option("--trust", is_flag=True, help="Import the module:factory parts that the file names.")(
        function
    )


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
