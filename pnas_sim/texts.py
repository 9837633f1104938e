"""Texts of files and labels as they may be shown: on a terminal, and in Markdown.

A file from elsewhere can hold any text: one that moves the cursor, turns the direction of writing, is a link.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

# of terminals, and those that turn the direction of writing: what is printed would not be what is there
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_MARKS = re.compile(r"[\\`*\[\]<>#!]|(?<![^\W_])_|_(?![^\W_])")  # a _ inside a word is none


def show_controls(text: str) -> str:
    r"""A text with its control characters, but for ends of lines, as what JSON writes for them: `\u001b`."""
    return CONTROL.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def escape_markdown(text: object) -> str:
    """A text that Markdown shows as it stands, in one line; the bars of tables are the tables' business."""
    return _MARKS.sub(r"\\\g<0>", show_controls(" ".join(str(text).split())))


def change_texts(value: Any, change: Callable[[str], str]) -> Any:
    """The same value of JSON with every text in it changed, but the keys."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: change_texts(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [change_texts(item, change) for item in value]
    return value
