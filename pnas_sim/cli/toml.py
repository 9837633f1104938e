"""Writes TOML; Python reads it but does not write it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def format_toml(document: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """A document's text: strings, booleans, numbers, lists of these, and tables of tables.

    Values that are None are left out, as TOML has no null.
    """
    present = {key: value for key, value in document.items() if value is not None}
    plain = {key: value for key, value in present.items() if not isinstance(value, Mapping)}
    lines = [f"[{'.'.join(_format_key(part) for part in path)}]"] if path else []
    lines += [f"{_format_key(key)} = {_format_value(value)}" for key, value in plain.items()]
    sections = ["\n".join(lines) + "\n"] if lines else []
    sections += [
        format_toml(value, (*path, key)) for key, value in present.items() if isinstance(value, Mapping)
    ]
    return "\n".join(sections)


def _format_key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _format_text(key)


def _format_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML's basic strings are JSON's


def _format_value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case list() | tuple():
            return f"[{', '.join(_format_value(item) for item in value)}]"
        case Mapping():
            inner = (f"{_format_key(str(key))} = {_format_value(item)}" for key, item in value.items())
            return f"{{ {', '.join(inner)} }}"
        case _:
            return _format_text(str(value))
