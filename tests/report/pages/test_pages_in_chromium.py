"""Pages as a browser shows them: nothing is loaded, nothing complains, everything fits and is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pnas_sim.report.pages.comparison import report_comparison
from pnas_sim.report.pages.page import render_page
from pnas_sim.report.pages.predictors import report_predictors
from pnas_sim.report.pages.run import report_run
from pnas_sim.report.pages.verification import report_verification

pytestmark = pytest.mark.chromium

PHONE, DESK = 390, 1200
HOSTILE = """<script>document.title='no'</script><img src=x onerror="document.title='no'">"'&amp;</style>"""
NOT_DRAWN = """[...document.querySelectorAll('img, svg[role=img]')].filter(one => {
    const box = one.getBoundingClientRect();
    const loaded = one.tagName !== 'IMG' || (one.complete && one.naturalWidth > 0);
    return box.width < 10 || box.height < 10 || !loaded;
}).length"""
OUTSIDE = """[...document.querySelectorAll('body *')].filter(one =>
    one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.scroll, pre, svg')
).map(one => one.outerHTML.slice(0, 80))"""
UNREADABLE = """[...document.querySelectorAll('p, td, th, h1, h2, h3, dt, dd, figcaption, a')].filter(one =>
    getComputedStyle(one).color === getComputedStyle(document.documentElement).backgroundColor
).length"""


def draw_png() -> bytes:
    """A small real picture."""
    from io import BytesIO

    from matplotlib.figure import Figure

    stream = BytesIO()
    figure = Figure(figsize=(6, 2))
    figure.subplots(1, 1).plot([0, 1], [0, 1])
    figure.savefig(stream, format="png")
    return stream.getvalue()


@pytest.fixture
def page(
    make_files: Any, make_comparison: Any, make_study: Any, make_verification: Any, tmp_path: Path
) -> Path:
    """A page with one of each, three of them with hostile names."""
    (tmp_path / "scatter-trained-20-mlp.png").write_bytes(draw_png())
    reports = [
        report_run(make_files(name=HOSTILE), 4),
        report_run(make_files(finished=False), 2),
        report_comparison("runs/compare", make_comparison()),
        report_predictors(tmp_path, make_study(HOSTILE)),
        report_verification(f"runs/{HOSTILE}", make_verification(HOSTILE)),
    ]
    path = tmp_path / "report.html"
    path.write_text(render_page(reports), encoding="utf-8")
    return path


@pytest.mark.parametrize(("width", "dark"), [(PHONE, True), (DESK, False)])
def test_a_page_loads_nothing_complains_of_nothing_and_fits(
    browser: Any, page: Path, width: int, dark: bool
) -> None:
    browser.open(page, width, dark=dark)
    browser.ask("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert browser.list_complaints() == []
    assert browser.list_requests() == [page.as_uri()]
    assert browser.ask("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
    assert browser.ask(OUTSIDE) == []
    assert browser.ask(NOT_DRAWN) == 0
    assert browser.ask("document.querySelectorAll('img').length") == 1
    assert browser.ask("document.querySelectorAll('svg[role=img]').length") > 20
    assert browser.ask(UNREADABLE) == 0


def test_hostile_names_stay_text(browser: Any, page: Path) -> None:
    browser.open(page)
    assert browser.ask("document.title") == "5 reports of pnas-sim"
    assert browser.ask("document.scripts.length") == 0
    text = browser.ask("document.body.textContent")
    assert text.count(HOSTILE) > 10
    titles = browser.ask("[...document.querySelectorAll('article > h2')].map(one => one.textContent)")
    assert len(titles) == 5
    assert [HOSTILE in title for title in titles] == [True, False, False, True, True]


def test_light_and_dark_are_what_the_reader_asked_for(browser: Any, page: Path) -> None:
    colours = []
    for dark in (False, True):
        browser.open(page, dark=dark)
        style = browser.ask("getComputedStyle(document.documentElement).backgroundColor")
        colours.append([int(part) for part in style.removeprefix("rgb(").removesuffix(")").split(",")])
    light, night = (sum(colour) / 3 for colour in colours)
    assert light > 240
    assert night < 40


def test_links_lead_to_their_places(browser: Any, page: Path) -> None:
    browser.open(page)
    broken = "[...document.links].filter(one => !document.querySelector(one.hash)).length"
    assert browser.ask("document.links.length") > 10
    assert browser.ask(broken) == 0


def test_print_shows_what_is_folded(browser: Any, page: Path) -> None:
    browser.open(page)
    hidden = "[...document.querySelectorAll('details > figure')].filter(one => !one.checkVisibility()).length"
    assert browser.ask(hidden) > 0
    browser.send("Emulation.setEmulatedMedia", media="print")
    assert browser.ask(hidden) == 0
    browser.send("Emulation.setEmulatedMedia", media="")


def test_the_checks_themselves_can_fail(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text(
        "<!doctype html><title>bad</title><body><p style='width: 2000px'>wide</p><img src='missing.png' "
        "width='50' height='50'><script>console.error('oh')</script>"
    )
    browser.open(path, PHONE)
    assert any("oh" in complaint for complaint in browser.list_complaints())
    assert any(address.endswith("missing.png") for address in browser.list_requests())
    assert len(browser.ask(OUTSIDE)) == 1
    assert browser.ask(NOT_DRAWN) == 1
