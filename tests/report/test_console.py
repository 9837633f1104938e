from __future__ import annotations

import io

from rich.table import Table as Grid

from pnas_sim.report.console import open_console
from pnas_sim.report.grids import print_grid


def test_texts_are_printed_as_they_are() -> None:
    stream = io.StringIO()
    open_console(stream, 80).print("[/b]x [link=https://x]here[/link] :smile: \x1b[31m\x9b", soft_wrap=True)
    assert stream.getvalue() == "[/b]x [link=https://x]here[/link] :smile: \\u001b[31m\\u009b\n"


def test_so_are_the_titles_heads_and_fields_of_tables() -> None:
    stream = io.StringIO()
    grid = Grid("[/head]\x07", title="[/title]\x07")
    grid.add_row("[/field]\x07" * 20)
    print_grid(open_console(stream, 40), grid)
    text = stream.getvalue()
    for word in ("[/title]\\u0007", "[/head]\\u0007", "[/field]\\u0007" * 20):
        assert word in text
