"""What a page is made of; each part names the template that writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from markupsafe import Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A paragraph.

    Attributes:
        text: of it.
    """

    template: ClassVar[str] = "words.html"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A list of names and what they are.

    Attributes:
        rows: name and value.
    """

    template: ClassVar[str] = "facts.html"
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; the first column holds the rows' names.

    Attributes:
        caption: what it shows.
        heads: of the columns.
        rows: of fields, as many as heads.
        shares: of each field, in [0, 1], drawn as a bar behind it; None for none. Empty: no bars at all.
        words_last: the last column holds words and stands to the left, as the first.
    """

    template: ClassVar[str] = "table.html"
    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    shares: Sequence[Sequence[float | None]] = ()
    words_last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Legend:
    """What a line or dot of a chart stands for.

    Attributes:
        label: the name.
        style: its number, which colour and dashes follow.
    """

    label: str
    style: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawing.

    Attributes:
        title: in a few words; read out in place of the drawing.
        drawing: SVG.
    """

    title: str
    drawing: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """Drawings side by side, as many as the page is wide.

    Attributes:
        charts: at least one.
        caption: what they show.
        legend: for all of them.
        wide: each as wide as the page.
    """

    template: ClassVar[str] = "charts.html"
    charts: Sequence[Chart]
    caption: str
    legend: Sequence[Legend] = ()
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCard:
    """One cell.

    Attributes:
        title: such as its rank.
        text: of the cell.
        drawing: SVG.
        facts: name and value.
    """

    title: str
    text: str
    drawing: Markup
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Cells, drawn.

    Attributes:
        cards: one for each.
    """

    template: ClassVar[str] = "cells.html"
    cards: Sequence[CellCard]


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    """A picture file, inside the page.

    Attributes:
        title: in words, for who cannot see it.
        data: a data URI of `image/png`.
    """

    title: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Photographs:
    """Picture files under each other.

    Attributes:
        pictures: at least one.
        caption: what they show.
    """

    template: ClassVar[str] = "photographs.html"
    pictures: Sequence[Photograph]
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Text as it stands in a file or at a prompt.

    Attributes:
        caption: what it is.
        text: of it.
    """

    template: ClassVar[str] = "listing.html"
    caption: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Parts that are shown when asked for, and in print.

    Attributes:
        title: what they are.
        parts: those.
    """

    template: ClassVar[str] = "folded.html"
    title: str
    parts: Sequence[Part]


Part: TypeAlias = Words | Facts | Table | Charts | Cells | Photographs | Listing | Folded


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands under it.

    Attributes:
        title: the heading.
        parts: under it.
    """

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All about one folder.

    Attributes:
        kind: of its result.
        title: in one line.
        folder: as it was named.
        summary: the result in a few sentences.
        notes: what has to be known before any figure is believed.
        sections: in order.
        finished: nothing is missing.
    """

    kind: str
    title: str
    folder: str
    summary: str
    sections: Sequence[Section]
    notes: Sequence[str] = ()
    finished: bool = True
