"""pydantic's errors as one line for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

RANGES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "greater_than_equal": ("at least", "ge"),
        "greater_than": ("above", "gt"),
        "less_than_equal": ("at most", "le"),
        "less_than": ("below", "lt"),
    }
)
"""pydantic's complaints of a number out of range: in words, and the limit's name."""


def explain_first(error: ValidationError, known: Iterable[str], of: str = "") -> str:
    """The first thing that is wrong: its name, its value and what it must be.

    Args:
        error: of a model.
        known: names that settings may have.
        of: what unknown settings are said to be of, as ` of a comparison`.
    """
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown setting {name!r}{of}; known are: {', '.join(known)}"
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    return f"{name} is {first['input']!r}; it must be {say_demand(first)}"


def say_demand(complaint: Mapping[str, Any]) -> str:
    """What a value must be, of one of pydantic's complaints: `at least 1`, say."""
    if complaint["type"] in RANGES:
        word, limit = RANGES[complaint["type"]]
        at = complaint["ctx"][limit]
        return f"{word} {at:g}" if isinstance(at, float) else f"{word} {at}"
    text = str(complaint["msg"]).removeprefix("Input should be ")
    return text[:1].lower() + text[1:]
