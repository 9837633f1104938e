"""What commands write: one JSON object or text on standard output, everything else on standard error."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any, TextIO

import click

from pnas_sim.texts import show_controls

KEPT = "pnas_sim.stdout"  # in click's context: standard output, where only JSON may stand


def keep_for_json(ctx: click.Context) -> None:
    """Until a command ends, gives standard output to its JSON object alone.

    What parts of others print, and libraries, goes to standard error meanwhile.
    """
    ctx.meta[KEPT] = sys.stdout
    ctx.with_resource(redirect_stdout(sys.stderr))


def write_json(value: Mapping[str, Any]) -> None:
    """Writes one object to standard output as strict JSON."""
    ctx = click.get_current_context(silent=True)
    kept = None if ctx is None else ctx.meta.get(KEPT)
    stream: TextIO = sys.stdout if kept is None else kept
    escaped = not takes_any_letter(stream)
    text = json.dumps(strict(value), indent=2, ensure_ascii=escaped, allow_nan=False)
    _write(text, stream)


def write_text(text: str) -> None:
    """Writes to standard output what a person or a program reads; no terminal obeys it."""
    _write(text, sys.stdout)


def _write(text: str, stream: TextIO) -> None:
    """Writes to a stream; ends as rich does where nobody reads any more: click 8.5 forgets why it ends."""
    try:
        click.echo(show_controls(text), file=stream)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # nor is there a complaint at exit
        raise SystemExit(1) from None


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
