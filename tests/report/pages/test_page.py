from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from pnas_sim.report.pages.comparison import report_comparison
from pnas_sim.report.pages.page import render_page
from pnas_sim.report.pages.parts import (
    Chart,
    Charts,
    Facts,
    Folded,
    Legend,
    Listing,
    Part,
    Photograph,
    Photographs,
    Report,
    Section,
    Table,
    Words,
)
from pnas_sim.report.pages.predictors import report_predictors
from pnas_sim.report.pages.run import report_run
from pnas_sim.report.pages.verification import report_verification

HOSTILE = """<script>document.title='taken'</script><img src=x onerror=alert(1)>"'&amp;</style></title>"""
EMPTY = ("meta", "link", "img", "br", "hr", "input")
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


class Reader(HTMLParser):
    """Elements, attributes and text of a page; every element must be closed in its turn."""

    def __init__(self, page: str) -> None:
        HTMLParser.__init__(self)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def find(self, *names: str) -> list[dict[str, str | None]]:
        return [given for tag, given in self.tags if tag in names]


def make_report(text: str = HOSTILE) -> Report:
    """A report with every kind of part and the same text in each of their fields."""
    drawing = Markup('<svg role="img" aria-label="drawn"></svg>')
    parts: list[Part] = [
        Words(text=text),
        Facts(rows=[(text, text)]),
        Table(caption=text, heads=[text, text], rows=[[text, text]], shares=[[None, 0.25]]),
        Charts(
            charts=[Chart(title=text, drawing=drawing)],
            caption=text,
            legend=[Legend(label=text, style=0), Legend(label=text, style=9)],
        ),
        Photographs(pictures=[Photograph(title=text, data="data:image/png;base64,AAAA")], caption=text),
        Listing(caption=text, text=text),
    ]
    return Report(
        kind=text,
        title=text,
        folder=text,
        summary=text,
        notes=[text],
        sections=[Section(title=text, parts=[*parts, Folded(title=text, parts=parts)])] * 3,
        finished=False,
    )


MakeReports = Callable[[str], list[Report]]


@pytest.fixture
def make_reports(
    make_files: Any, make_comparison: Any, make_study: Any, make_verification: Any
) -> MakeReports:
    """Makes a report of each kind, with a name that stands wherever a user's own may."""

    def make(name: str) -> list[Report]:
        comparison = json.dumps(make_comparison()).replace('"random"', json.dumps(name))
        return [
            report_run(make_files(name=name), 3),
            report_run(make_files(finished=False, name=name), 3),
            report_comparison(f"runs/{name}", json.loads(comparison)),
            report_predictors(Path(f"runs/{name}"), make_study(name)),
            report_verification(f"runs/{name}", make_verification(name)),
        ]

    return make


def test_whatever_is_written_is_text_and_nothing_else() -> None:
    page = render_page([make_report()])
    reader = Reader(page)
    assert not reader.find("script")
    assert all(given["src"].startswith("data:") for given in reader.find("img") if given["src"])
    assert all("onerror" not in given for _, given in reader.tags)
    assert len(reader.find("style")) == 1
    assert sum(HOSTILE in text for text in reader.text) >= 50
    assert reader.find("img")[0]["alt"] == HOSTILE


@pytest.mark.parametrize("count", [1, 2])
def test_headings_descend_in_order_and_places_are_named_once(count: int) -> None:
    page = render_page([make_report("plain")] * count)
    reader = Reader(page)
    levels = [int(tag[1]) for tag, _ in reader.tags if tag in HEADINGS]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    names = [given["id"] for _, given in reader.tags if "id" in given]
    assert len(names) == len(set(names))
    links = [given["href"] or "" for given in reader.find("a")]
    assert links
    assert {link[1:] for link in links} <= set(names)
    labels = [given["aria-labelledby"] for _, given in reader.tags if "aria-labelledby" in given]
    assert set(labels) <= set(names)


def test_several_reports_have_an_index() -> None:
    page = render_page([make_report("one"), make_report("two")])
    reader = Reader(page)
    assert "2 reports of pnas-sim" in reader.text
    assert [given["href"] for given in reader.find("a")][:2] == ["#report-1", "#report-2"]
    assert "reports of pnas-sim" not in render_page([make_report("one")])


def test_real_pages_load_nothing_and_are_read_out(make_reports: MakeReports) -> None:
    page = render_page(make_reports("plain"))
    reader = Reader(page)
    assert not reader.find("script", "link", "iframe", "object", "video", "audio", "base")
    assert "default-src 'none'" in page
    assert set(re.findall(r"https?://[^\"'\s<]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in page
    assert "url(" not in page
    assert reader.find("html")[0]["lang"] == "en"
    drawn = [given for given in reader.find("svg") if given.get("role") == "img"]
    assert len(drawn) > 20
    titled = page.count("<title>")
    assert titled >= len(drawn) + 1
    assert all(given.get("scope") in ("col", "row") for given in reader.find("th"))
    assert len(reader.find("caption")) == len(reader.find("table"))
    assert "NaN" not in page
    assert "nan%" not in page


def test_hostile_names_are_text_on_real_pages(make_reports: MakeReports) -> None:
    reader = Reader(render_page(make_reports(HOSTILE)))
    assert not reader.find("script", "b", "img")
    assert sum(HOSTILE in text for text in reader.text) > 40


def test_same_reports_give_the_same_page(make_reports: MakeReports) -> None:
    pages = {render_page(make_reports("plain")) for _ in range(2)}
    assert len(pages) == 1


def test_halves_of_letters_can_be_written() -> None:
    assert "a?b" in render_page([make_report("a\ud800b")])
