"""The tables of a comparison in Markdown, for a document that says what was found and by which command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pnas_sim.report.comparison_sheets import Topic, list_topics
from pnas_sim.texts import change_texts, escape_markdown


def write_markdown(result: Mapping[str, Any]) -> str:
    """The notes on a comparison, then every table that has rows, each under a heading of the third level.

    Args:
        result: the object of a comparison.
    """
    result = change_texts(result, escape_markdown)  # labels are whatever somebody liked
    notes = [f"- {note}" for note in result["notes"]]
    lines = [*notes, ""] if notes else []
    for topic in list_topics(result):
        lines += _write_topic(topic)
    return "\n".join(lines) + "\n"


def _write_topic(topic: Topic) -> Iterator[str]:
    text = [topic.text, ""] if topic.text else []
    yield from (f"### {topic.heading}", "", *text, *make_table(topic.sheet.heads, topic.sheet.rows), "")


def make_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table; bars inside fields are escaped."""
    lines = [_make_line(headings), "|" + "--|" * len(headings)]
    return lines + [_make_line(row) for row in rows]


def _make_line(fields: Sequence[object]) -> str:
    return "| " + " | ".join(str(field).replace("|", "\\|") for field in fields) + " |"
