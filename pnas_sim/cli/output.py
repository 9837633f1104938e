"""What commands write: one JSON object or text on standard output, everything else on standard error."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import click


def write_json(value: Mapping[str, Any]) -> None:
    """Writes one object to standard output as strict JSON."""
    click.echo(json.dumps(strict(value), indent=2, ensure_ascii=False, allow_nan=False))


def strict(value: Any) -> Any:
    """The same value with null for numbers that JSON does not have, and lists for tuples."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return value


def say(line: str) -> None:
    """Writes a line to standard error."""
    click.echo(line, err=True)
