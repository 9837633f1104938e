"""Where reports are printed: a terminal that is shown the texts of files, and obeys none."""

from __future__ import annotations

from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from pnas_sim.texts import show_controls


class _PlainConsole(Console):
    def render_str(self, text: str, **options: Any) -> Text:
        return Console.render_str(self, show_controls(text), **options)  # every text comes through here


def open_console(stream: TextIO | None = None, width: int | None = None) -> Console:
    """A console that takes no markup and no names of emojis, and shows control characters as escapes.

    Args:
        stream: where to; by default standard output, 80 columns wide where it is no terminal.
        width: columns; by default the terminal's.
    """
    return _PlainConsole(file=stream, width=width, markup=False, emoji=False, highlight=False)
