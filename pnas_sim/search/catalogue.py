"""Searches by name: those that ship, those of other packages, and any `package.module:factory`.

Listing imports none of them; making one imports its own module alone. To add one that ships:

1. Write `pnas_sim/search/<module>.py` with the strategy and `create(request: SearchRequest) -> Strategy`.
2. Add its row to `_ROWS` below: where it is, what it does, the paper it is from, its options' defaults.
3. Run the contract suite of `pnas_sim.testing` on it in its own test.

A package of its own brings one by an entry point in its pyproject.toml instead:

    [project.entry-points."pnas_sim.searches"]
    mine = "my_package.search:create"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from pnas_sim.errors import SettingError
from pnas_sim.plugins import Family, Plugin, find_plugin, list_plugins, make_plugin
from pnas_sim.predict.base import Predictor
from pnas_sim.search.base import SearchRequest, Strategy
from pnas_sim.space import CellSpace

GROUP = "pnas_sim.searches"
ONE_BLOCK = "one-block cells"  # as many as there are


@dataclass(frozen=True, slots=True)
class _Row:
    """A search that ships.

    Attributes:
        path: `module:create`.
        description: one line.
        source: the paper it is from.
        options: all it takes, with their defaults; an option's type is its default's.
        progressive: it goes from level to level, `beam` cells each, and its best is of the last one.
        first: how many cells it proposes before it learns from any: the option that says so, or `ONE_BLOCK`;
            empty: it never learns, or not by a number known beforehand.
        note: what a reader of its figures has to know, said after its label.
    """

    path: str
    description: str
    source: str
    options: Mapping[str, Any] = field(default_factory=dict)
    progressive: bool = False
    first: str = ""
    note: str = ""


_PROGRESSIVE = {
    "predictor": "mlp-ensemble",
    "refit": "scratch",
    "beam": 256,
    "batch": 256,
    "acquisition": "greedy",
    "kappa": 1.0,
}
_NO_GROWTH = {"predictor": "mlp-ensemble", "beam": 256, "candidates": 300_000, "batch": 256}
_POLICY = {
    "hidden": 100,
    "learning_rate": 0.00035,
    "entropy": 0.00001,
    "baseline": 0.95,
    "batch": 20,
}
_LIU = "Liu et al. 2018, arXiv 1712.00559"
_ZOPH = "Zoph et al. 2018, arXiv 1707.07012, A.2"

_ROWS: Mapping[str, _Row] = MappingProxyType(
    {
        "pnas": _Row(
            "pnas_sim.search.pnas:create",
            "progressive: the best-predicted expansions of the cells kept, level by level",
            f"{_LIU}, algorithm 1",
            _PROGRESSIVE,
            progressive=True,
            first=ONE_BLOCK,
        ),
        "random": _Row(
            "pnas_sim.search.random_search:create",
            "unique cells of the largest size, none twice",
            f"{_LIU}, section 5.3, without its repeats",
        ),
        "random-raw": _Row(
            "pnas_sim.search.random_search:create_raw",
            "independent draws of every token, the paper's baseline",
            f"{_LIU}, section 5.3",
        ),
        "evolution": _Row(
            "pnas_sim.search.evolution:create",
            "regularised evolution: the best of a sample is mutated, the oldest dies",
            "Real et al. 2019, arXiv 1802.01548, algorithm 1",
            {"population": 100, "sample": 25, "batch": 20},
            first="population",
        ),
        "local": _Row(
            "pnas_sim.search.local:create",
            "local search: climbs by one change at a time, starts anew at each local optimum",
            "White et al. 2021, arXiv 2005.02960",
            {"starts": 10, "batch": 1},
            first="starts",
        ),
        "tpe": _Row(
            "pnas_sim.search.tpe:create",
            "Optuna's tree-structured Parzen estimator over a cell's tokens; needs pnas-sim[optuna]",
            "Bergstra et al. 2011; Akiba et al. 2019, arXiv 1907.10902",
            {"startup": 10, "batch": 1},
            first="startup",
        ),
        "bananas": _Row(
            "pnas_sim.search.bananas:create",
            "Thompson sampling of a predictor ensemble over mutations of the best cells",
            "White et al. 2021, arXiv 1910.11858, with the project's predictors",
            {"predictor": "mlp-ensemble", "starts": 10, "candidates": 100, "batch": 10},
            first="starts",
        ),
        "hyperband": _Row(
            "pnas_sim.search.hyperband:create",
            "successive halving of random cells over epochs; needs a table with learning curves",
            "Li et al. 2018, arXiv 1603.06560",
            {"eta": 3, "rungs": 0, "brackets": 0, "batch": 256},
            note="counts each rung as a new model: compare it by examples, which count what a rung costs "
            "beyond the one below where trainings go on, as on a table",
        ),
        "reinforce": _Row(
            "pnas_sim.search.reinforce:create",
            "an LSTM controller that writes cells, taught by REINFORCE",
            f"Williams 1992; {_ZOPH}",
            _POLICY,
            first="batch",
        ),
        "ppo": _Row(
            "pnas_sim.search.ppo:create",
            "an LSTM controller that writes cells, taught by proximal policy optimisation",
            f"Schulman et al. 2017, arXiv 1707.06347; {_ZOPH}",
            {**_POLICY, "epochs": 3, "clip": 0.2},
            first="batch",
        ),
        "pnas-no-growth": _Row(
            "pnas_sim.search.no_growth:create",
            "ablation: PNAS's predictor, rounds and K on uniform draws of the largest size",
            f"against {_LIU}, algorithm 1",
            _NO_GROWTH,
            first=ONE_BLOCK,
        ),
        "pnas-mutations": _Row(
            "pnas_sim.search.no_growth:create_mutating",
            "ablation: as pnas-no-growth, on mutations of the best cells",
            f"against {_LIU}, algorithm 1",
            _NO_GROWTH,
            first=ONE_BLOCK,
        ),
        "pnas-random-beam": _Row(
            "pnas_sim.search.ablations:create_random_beam",
            "ablation: growth without a predictor, K random expansions on each level",
            f"against {_LIU}, algorithm 1",
            {"beam": 256, "batch": 256},
            progressive=True,
        ),
        "pnas-oracle": _Row(
            "pnas_sim.search.ablations:create_oracle",
            "ablation: PNAS with a perfect predictor, drawn effects included; in comparisons only",
            f"against {_LIU}, algorithm 1",
            {"beam": 256, "batch": 256},
            progressive=True,
        ),
        "pnas-oracle-model": _Row(
            "pnas_sim.search.ablations:create_model_oracle",
            "ablation: PNAS with a predictor that knows all but what a world draws for single cells",
            f"against {_LIU}, algorithm 1",
            {"beam": 256, "batch": 256},
            progressive=True,
        ),
        # a new search's row goes here
    }
)

SEARCHES = Family("search", SettingError, GROUP, {name: row.path for name, row in _ROWS.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchInfo:
    """A search that can be made, not loaded.

    Attributes:
        name: as `--search` takes it.
        description: one line; empty for one of another package.
        source: the paper it is from; empty for one of another package.
        options: its options with their defaults; empty where only its factory knows them.
        progressive: it goes from level to level, and its best is of the last one.
        first: what says how many cells it proposes before it learns from any: the option's name, or
            `ONE_BLOCK`; empty: it never learns, or nothing says so.
        note: what a reader of its figures has to know, said after its label; empty: nothing.
        package: name and version of the distribution that brings it; empty for a path that a user gave.
    """

    name: str
    description: str = ""
    source: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    progressive: bool = False
    first: str = ""
    note: str = ""
    package: str = ""


def list_searches() -> list[SearchInfo]:
    """Returns every search that has a name, those that ship first; imports none of them."""
    return [_describe(plugin) for plugin in list_plugins(SEARCHES)]


def describe_search(name: str) -> SearchInfo:
    """What is known of a search without loading it.

    Raises:
        SettingError: there is none of this name.
    """
    return _describe(find_plugin(SEARCHES, name))


def make_search(name: str, request: SearchRequest) -> Strategy:
    """Loads the search of this name, and no other, and makes it.

    Args:
        name: one of `list_searches`, or `package.module:factory` of any other.
        request: given to its factory, with defaults for the options that were not given.

    Raises:
        SettingError: the name or an option is unknown, a value is out of its range, what is named cannot be
            imported or makes no `Strategy`, or the request is none.
    """
    if not isinstance(request, SearchRequest):
        given = type(request).__name__
        raise SettingError(f"request is {given}; give SearchRequest(space=..., seed=..., options={{...}})")
    options = resolve_options(name, request.options)
    strategy: Strategy = make_plugin(SEARCHES, name, Strategy, replace(request, options=options))
    return strategy


def resolve_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a search will be made with; imports nothing.

    Args:
        name: as for `make_search`.
        given: by name.

    Returns:
        Those given and the defaults of the others; of a search that does not ship, those given.

    Raises:
        SettingError: the name is unknown, the search has no such option, or a value is of another type.
    """
    plugin = find_plugin(SEARCHES, name)
    row = _find_row(plugin)
    return dict(given) if row is None else fill_options(name, given, row.options)


def count_first_cells(name: str, options: Mapping[str, Any], space: CellSpace, blocks: int) -> int:
    """Cells that a search proposes before it learns from any; 0 where it never does, or nothing says so.

    Args:
        name: as for `make_search`.
        options: all of them, as `resolve_options` gives them.
        space: that it searches.
        blocks: of the largest cells it asks for.

    Raises:
        SettingError: the name is unknown.
    """
    first = describe_search(name).first
    if first == ONE_BLOCK:  # with one block these are all there is, and nothing is to be learnt
        return len(space.initial()) if blocks > 1 else 0
    return int(options.get(first, 0))


def fill_options(name: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The options given, checked, with defaults for the others; for factories of other packages, too.

    Args:
        name: of the search, for messages.
        given: by name.
        defaults: every option that the search takes. A value must be of its default's type; a whole number
            will do for a fraction. An option named `predictor` may be a predictor or its factory instead.

    Raises:
        SettingError: an option is unknown, or of another type.
    """
    for option, value in given.items():
        if option not in defaults:
            known = ", ".join(defaults)
            has = f"it has: {known}" if known else "it has none"
            raise SettingError(f"search {name} has no option {option!r}; {has}")
        _demand_type(option, value, type(defaults[option]))
    return {**defaults, **given}


def _demand_type(option: str, value: Any, wanted: type[Any]) -> None:
    if option == "predictor" and (callable(value) or isinstance(value, Predictor)):
        return  # of a program; what stands in files is text
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    taken = (int, float) if wanted is float else wanted
    if not isinstance(value, taken) or (isinstance(value, bool) and wanted is not bool):
        raise SettingError(f"{option} is {value!r}; it must be {words.get(wanted, wanted.__name__)}")


def _find_row(plugin: Plugin) -> _Row | None:
    """The row of a search that ships, also where it was named by its path."""
    return next((row for row in _ROWS.values() if row.path == plugin.path), None)


def _describe(plugin: Plugin) -> SearchInfo:
    row = _find_row(plugin)
    if row is None:
        return SearchInfo(name=plugin.name, package=plugin.package)
    return SearchInfo(
        name=plugin.name,
        description=row.description,
        source=row.source,
        options=row.options,
        progressive=row.progressive,
        first=row.first,
        note=row.note,
        package=plugin.package,
    )
