"""What commands write: one JSON object or text on standard output, everything else on standard error."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import click

from pnas_sim.texts import show_controls


def write_json(value: Mapping[str, Any]) -> None:
    """Writes one object to standard output as strict JSON."""
    escaped = not takes_any_letter(sys.stdout)
    write_text(json.dumps(strict(value), indent=2, ensure_ascii=escaped, allow_nan=False))


def write_text(text: str) -> None:
    """Writes to standard output what a person or a program reads; no terminal obeys it."""
    click.echo(show_controls(text))


def strict(value: Any) -> Any:
    """The same value with null for numbers that JSON does not have, and lists for tuples."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return value


def takes_any_letter(stream: TextIO) -> bool:
    """Whether what is written to a stream may have any letter, as far as is known."""
    return "utf" in (getattr(stream, "encoding", None) or "utf").lower()


def say(line: str) -> None:
    """Writes a line to standard error."""
    click.echo(show_controls(line), err=True)
