"""pydantic's errors as one line for a person."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError


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
    return f"{name} is {first['input']!r}; {first['msg'].replace('Input should be', 'it must be')}"
