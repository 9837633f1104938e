"""Searches by the names that `--search` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from pnas_sim.errors import SettingError

if TYPE_CHECKING:
    from pnas_sim.cli.settings import RunSettings
    from pnas_sim.search import Strategy
    from pnas_sim.space import CellSpace


def make_search(settings: RunSettings, space: CellSpace) -> Strategy:
    """The strategy that the settings name.

    Raises:
        SettingError: its name, or its predictor's, is unknown.
    """
    if settings.search not in SEARCHES:
        known = ", ".join(SEARCHES)
        raise SettingError(f"unknown search {settings.search!r}; known are: {known}")
    return SEARCHES[settings.search](settings, space)


def _make_pnas(settings: RunSettings, space: CellSpace) -> Strategy:
    from pnas_sim.predict import make_predictor
    from pnas_sim.search import Pnas

    options = {} if settings.refit == "scratch" else {"refit": settings.refit}
    predictor = make_predictor(settings.predictor, space, **options)
    return Pnas(space, predictor, beam=settings.beam, seed=settings.seed)


def _make_random(settings: RunSettings, space: CellSpace) -> Strategy:
    from pnas_sim.search import RandomSearch

    return RandomSearch(space, unique=True, seed=settings.seed)


def _make_raw_random(settings: RunSettings, space: CellSpace) -> Strategy:
    from pnas_sim.search import RandomSearch

    return RandomSearch(space, unique=False, seed=settings.seed)


SEARCHES: Mapping[str, Callable[[RunSettings, CellSpace], Strategy]] = MappingProxyType(
    {"pnas": _make_pnas, "random": _make_random, "random-raw": _make_raw_random}
)
