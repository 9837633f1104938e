from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.predict import Prediction
from pnas_sim.search import (
    Bananas,
    Observations,
    Pnas,
    RandomSearch,
    SearchRequest,
    Strategy,
    list_searches,
    make_search,
)
from pnas_sim.search.catalogue import ONE_BLOCK, describe_search, fill_options, resolve_options
from pnas_sim.space import CellSpace

SPACE = CellSpace(("sep3", "id"), 2)
NAMES = [info.name for info in list_searches() if info.package == "pnas-sim"]
OWN_SEARCH = """
from pnas_sim.search import RandomSearch
from pnas_sim.search.catalogue import fill_options

def create(request):
    options = fill_options("mine", request.options, {"blocks": 1})
    return RandomSearch(request.space, blocks=options["blocks"], seed=request.seed)

def make_nothing(request):
    return 3

def fail(request):
    raise RuntimeError("no luck")

VALUE = 3
"""


def make(name: str, **options: Any) -> Strategy:
    return make_search(name, SearchRequest(space=SPACE, seed=1, options=options))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of somebody else's with a search, importable."""
    (tmp_path / "someones_search.py").write_text(OWN_SEARCH)
    (tmp_path / "broken_search.py").write_text("import no_such_thing")
    monkeypatch.syspath_prepend(tmp_path)
    return "someones_search"


def test_what_ships_is_listed_with_its_paper_and_options() -> None:
    listed = {info.name: info for info in list_searches()}
    assert {"pnas", "random", "random-raw"} <= set(listed)
    assert all(listed[name].description and listed[name].source for name in NAMES)
    assert listed["pnas"].options["beam"] == 256
    assert listed["pnas"].progressive
    assert not listed["random"].progressive
    assert all(listed[name].first in {"", ONE_BLOCK, *listed[name].options} for name in NAMES)
    assert [name for name in NAMES if listed[name].note] == ["hyperband"]
    assert describe_search("pnas") == listed["pnas"]


def test_searches_are_made_by_name() -> None:
    assert isinstance(make("pnas", predictor="ridge", beam=3), Pnas)
    assert isinstance(make("random"), RandomSearch)
    repeats = make("random-raw").ask(400).cells
    assert not (SPACE.canonical(repeats) == repeats).all()


def test_only_the_named_search_is_imported() -> None:
    code = (
        "import sys; from pnas_sim.search import *; from pnas_sim.space import CellSpace; list_searches();"
        "make_search('random', SearchRequest(space=CellSpace()));"
        "print(*(name for name in ('torch', 'sklearn', 'optuna', 'scipy') if name in sys.modules))"
    )
    heavy = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heavy.stdout.split() == []


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("pmas", {}, ["unknown search 'pmas'", "did you mean 'pnas'?", "random-raw"]),
        ("pnas", {"bean": 3}, ["search pnas has no option 'bean'", "predictor, refit, beam"]),
        ("random", {"beam": 3}, ["search random has no option 'beam'", "none"]),
        ("pnas", {"beam": 0}, ["beam is 0", "at least 1"]),
        ("pnas", {"beam": "many"}, ["beam is 'many'", "a whole number"]),
        ("pnas", {"beam": True}, ["beam is True", "a whole number"]),
        ("pnas", {"beam": 2.5}, ["beam is 2.5", "a whole number"]),
        ("pnas", {"predictor": 3}, ["predictor is 3", "a text"]),
        ("pnas", {"predictor": "magic"}, ["magic"]),
        ("pnas", {"refit": "never"}, ["refit is 'never'", "scratch or finetune"]),
        ("pnas", {"predictor": "ridge", "refit": "finetune"}, ["refit"]),
        ("absent_module:create", {}, ["absent_module", "install"]),
        ("broken_search:create", {}, ["broken_search", "'no_such_thing'", "not installed"]),
        ("someones_search:creat", {}, ["someones_search", "did you mean 'create'?"]),
        ("someones_search:VALUE", {}, ["not callable"]),
        ("someones_search:make_nothing", {}, ["int", "Strategy"]),
        ("someones_search:fail", {}, ["RuntimeError: no luck"]),
        ("someones_search:create", {"beam": 1}, ["search mine has no option 'beam'; it has: blocks"]),
    ],
)
def test_what_cannot_be_made_is_said_in_one_line(
    own: str, name: str, options: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(SettingError) as error:
        make(name, **options)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


def test_a_search_is_made_by_its_path(own: str) -> None:
    cells = make(f"{own}:create").ask(20).cells
    assert set(SPACE.block_counts(cells)) == {1}
    cells = make(f"{own}:create", blocks=2).ask(20).cells
    assert set(SPACE.block_counts(cells)) == {2}
    assert describe_search(f"{own}:create").options == {}
    assert resolve_options(f"{own}:create", {"any": 1}) == {"any": 1}


def test_one_that_ships_has_its_defaults_by_its_path_too() -> None:
    assert isinstance(make("pnas_sim.search.pnas:create", predictor="ridge"), Pnas)
    assert resolve_options("pnas_sim.search.pnas:create", {})["beam"] == 256


class Own:
    """A predictor of a program's own: the first operations are the best."""

    def __init__(self, space: CellSpace = SPACE) -> None:
        self.fits = 0

    def fit(self, cells: Any, accuracies: Any, seed: int) -> None:
        self.fits += 1

    def predict(self, cells: Any) -> Prediction:
        return Prediction(1 / (1.0 + cells[:, 2:4].sum(axis=1)))


@pytest.mark.parametrize("name", ["pnas", "pnas-no-growth", "pnas-mutations"])
@pytest.mark.parametrize("given", ["object", "class", "function"])
def test_a_predictor_need_not_have_a_name(name: str, given: str) -> None:
    own = Own()
    predictor = {"object": own, "class": Own, "function": lambda space: own}[given]
    search = make(name, predictor=predictor, beam=3)
    while len(cells := search.ask(100).cells):
        search.tell(Observations.ok(np.zeros(len(cells))))
    assert own.fits == (given != "class")


def test_a_predictor_without_an_uncertainty_is_refused_where_it_can_be_tried() -> None:
    with pytest.raises(SettingError, match="acquisition ucb needs a predictor with std"):
        make("pnas", predictor=Own, acquisition="ucb")
    own = Own()
    make("pnas", predictor=own, acquisition="ucb")
    assert own.fits == 0  # what was given is not fitted for a try
    assert isinstance(make("bananas", predictor=own), Bananas)


def test_a_predictor_that_is_made_cannot_be_told_how_to_refit() -> None:
    with pytest.raises(SettingError, match="takes no option 'refit'"):
        make("pnas", predictor=Own(), refit="finetune")
    with pytest.raises(SettingError, match="takes no option 'refit'"):
        make("pnas", predictor=Own, refit="finetune")


@pytest.mark.parametrize("request_", [SPACE, None, {"space": SPACE}])
def test_what_is_no_request_is_refused(request_: Any) -> None:
    with pytest.raises(SettingError, match=f"request is {type(request_).__name__}; give SearchRequest"):
        make_search("pnas", request_)


@dataclass
class Package:
    """A distribution that brings a search."""

    name: str = "their-package"
    version: str = "2.0"


def test_packages_bring_searches_by_entry_point(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("theirs", f"{own}:create", "pnas_sim.searches")
    vars(point).update(dist=Package())
    monkeypatch.setattr("pnas_sim.plugins.entry_points", lambda group: EntryPoints([point]))
    sys.modules.pop(own, None)
    info = {info.name: info for info in list_searches()}["theirs"]
    assert (info.package, info.source) == ("their-package 2.0", "")
    assert own not in sys.modules
    assert isinstance(make("theirs", blocks=1), RandomSearch)


def test_options_are_filled_and_checked_by_their_defaults_type() -> None:
    defaults = {"rate": 0.1, "count": 3, "flag": False, "name": "a"}
    assert fill_options("x", {}, defaults) == defaults
    assert fill_options("x", {"rate": 1, "flag": True}, defaults) == {**defaults, "rate": 1, "flag": True}
    for option, value in (("rate", True), ("count", 1.0), ("flag", 1), ("name", 1), ("rate", "1")):
        with pytest.raises(SettingError, match=f"{option} is"):
            fill_options("x", {option: value}, defaults)
