"""`pnas-sim searches`: what `--search` and `--predictor` take, without loading any of it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import click

from pnas_sim.cli.options import example, json_option, verbose_option
from pnas_sim.cli.output import write_json, write_text

WIDTH, INDENT = 100, 21


@click.command(
    epilog=example(
        "pnas-sim searches",
        "pnas-sim run --search evolution --search-option population=50",
        "pnas-sim compare --searches pnas,evolution --set evolution.population=50 --seeds 5",
    )
)
@json_option
@verbose_option
def searches(as_json: bool) -> None:
    """List searches with their options, and predictors.

    Any other is named by its factory: --search package.module:factory, --predictor likewise.
    """
    found, steering = list_known()
    if as_json:
        write_json({"kind": "searches", "schema": 1, "searches": found, "predictors": steering})
        return
    for line in write_lines(found, steering):
        write_text(line)


def list_known() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The searches and the predictors that have a name, those that ship first."""
    from pnas_sim.predict.catalogue import list_predictors
    from pnas_sim.search.catalogue import list_searches

    return (
        [
            {
                "name": search.name,
                "does": search.description or f"a search of {search.package}",
                "options": dict(search.options),
                "source": search.source,
                "package": search.package,
            }
            for search in list_searches()
        ],
        [
            {
                "name": predictor.name,
                "does": predictor.description or f"a predictor of {predictor.package}",
                "family": predictor.family,
                "package": predictor.package,
            }
            for predictor in list_predictors()
        ],
    )


def write_lines(found: list[dict[str, Any]], steering: list[dict[str, Any]]) -> Iterator[str]:
    """The lists as lines for a terminal."""
    yield "searches (an option is given as --search-option KEY=VALUE, in compare as --set SEARCH.KEY=VALUE)"
    for search in found:
        yield from _describe(search["name"], [search["does"], search["source"], _say(search["options"])])
    yield ""
    yield "predictors (--predictor NAME, in compare --set SEARCH.predictor=NAME)"
    for predictor in steering:
        yield from _describe(predictor["name"], [predictor["does"]])


def _say(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{option}={value}" for option, value in options.items())


def _describe(name: str, texts: list[str]) -> Iterator[str]:
    """A name and texts beside it, each on lines of its own; an empty text is left out."""
    lines = [line for text in texts for line in textwrap.wrap(text, WIDTH - INDENT, break_on_hyphens=False)]
    for number, line in enumerate(lines):
        yield f"  {'' if number else name:<{INDENT - 2}}{line}"
