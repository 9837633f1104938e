"""Tables and figures of a card's Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pnas_sim.texts import escape_markdown


def grid(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Lines of a table; bars inside fields are escaped."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'--|' * len(heads)}"
    for row in rows:
        fields = [str(value).replace("|", "\\|") for value in row]
        yield f"| {' | '.join(fields)} |"


def rounded(value: float | None, digits: int) -> str:
    """A figure to so many digits behind the point; `-` where it is not known."""
    return "-" if value is None else f"{value:.{digits}f}"


def list_plain(words: Iterable[str]) -> str:
    """Words of a file, as they stand there."""
    return ", ".join(map(escape_markdown, words))


def picture(pictures: Mapping[str, str], key: str, words: str) -> Iterator[str]:
    """Lines that show the picture of this key, if there is one; `words` stand for it."""
    if key in pictures:
        yield ""
        yield f"![{words}]({pictures[key]})"
