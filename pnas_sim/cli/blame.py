"""Whose an unforeseen error is: this program's, or that of a part which somebody else wrote."""

from __future__ import annotations

from collections.abc import Mapping
from traceback import walk_tb
from typing import Any

from pnas_sim.cli.options import BUG
from pnas_sim.plugins import Family, find_plugin
from pnas_sim.predict.catalogue import PREDICTORS
from pnas_sim.registry import BACKENDS
from pnas_sim.search.catalogue import SEARCHES

OWN_PACKAGES = ("pnas_sim", "pnas_backends", "pnas_tables")


def name_culprit(error: BaseException, parts: Mapping[str, Any], remedy: str) -> str:
    """Who is to mend what raised an error that nobody raised on purpose.

    Args:
        error: as it was caught.
        parts: names of the run's `backend`, `search` and `predictor`, those there are.
        remedy: the command that goes on when it is mended.

    Returns:
        A few words: the part of another package that the error came through; else this program, and the
        parts that may have misled it; of files and memory how to go on, where no such part had a hand in it.
    """
    foreign = _list_foreign(parts)
    passed = {
        str(frame.f_globals.get("__name__", "")).partition(".")[0]
        for frame, _ in walk_tb(error.__traceback__)
    }
    for title, package in foreign.items():
        if package in passed:
            return f"raised in {title}; mend it, then {remedy}"
    if isinstance(error, MemoryError) or (not foreign and isinstance(error, OSError)):
        return f"go on with: {remedy}"
    return " or of ".join([BUG, *foreign])


def _list_foreign(parts: Mapping[str, Any]) -> dict[str, str]:
    """Top-level packages of the parts that do not ship with this program, by what messages call them."""
    families: dict[str, Family] = {"backend": BACKENDS, "search": SEARCHES, "predictor": PREDICTORS}
    found = {}
    for word, family in families.items():
        name = parts.get(word)
        if isinstance(name, str):
            package = find_plugin(family, name).path.partition(":")[0].strip().partition(".")[0]
            if package not in OWN_PACKAGES:
                found[f"{word} {name}"] = package
    return found
