from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from pnas_sim import plugins
from pnas_sim.errors import SettingError
from pnas_sim.predict import Prediction, Predictor, describe_predictor, list_predictors, make_predictor
from pnas_sim.predict.network import NetworkPredictor
from pnas_sim.predict.settings import NetworkSettings
from pnas_sim.space import CellSpace

HEAVY = "torch", "sklearn", "lightgbm", "scipy"
NAMES = [
    "mlp-ensemble",
    "rnn-ensemble",
    "mlp",
    "rnn",
    "gbt",
    "forest",
    "gp",
    "knn",
    "ridge",
    "log-parameters",
    "multiply-adds",
    "depth",
]


def modules_loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_every_listed_name_can_be_made(paper_space) -> None:
    shipped = [info for info in list_predictors() if info.package == "pnas-sim"]
    assert [info.name for info in shipped] == NAMES
    for info in shipped:
        assert info.description and "\n" not in info.description
        made = make_predictor(info.name, paper_space)
        assert isinstance(made, Predictor)
        assert made is not make_predictor(info.name, paper_space)


def test_what_shares_the_surrogates_family_is_circular() -> None:
    def list_favoured(kind: str) -> list[str]:
        return [info.name for info in list_predictors() if info.is_favoured(kind)]

    assert list_favoured("lightgbm-bagged-2") == ["gbt", "forest"]
    assert list_favoured("gp-structural-1") == ["gp"]
    assert list_favoured("mean-of-lightgbm-and-gp-1") == ["gbt", "forest", "gp"]
    assert list_favoured("something-else") == list_favoured("") == []
    assert {info.family for info in list_predictors()} >= {
        "neural network",
        "Gaussian process",
        "one measure",
    }


def test_members_follow_the_name(paper_space) -> None:
    members = {}
    for name in ("mlp-ensemble", "rnn-ensemble", "mlp", "rnn"):
        made = make_predictor(name, paper_space)
        assert isinstance(made, NetworkPredictor)
        members[name] = made.settings.members
    assert members == {"mlp-ensemble": 5, "rnn-ensemble": 5, "mlp": 1, "rnn": 1}


def test_options_reach_the_settings(paper_space) -> None:
    made = make_predictor("rnn", paper_space, epochs=7, bias=1.8, refit="finetune")
    assert isinstance(made, NetworkPredictor)
    assert (made.settings.epochs, made.settings.bias, made.settings.refit) == (7, 1.8, "finetune")


def test_unknown_names_are_answered_with_the_nearest_and_all_known(paper_space) -> None:
    with pytest.raises(SettingError, match=r"unknown predictor 'forests'; did you mean 'forest'\? .*ridge.*"):
        make_predictor("forests", paper_space)
    with pytest.raises(SettingError, match=r"unknown predictor 'zzz'; known are: mlp-ensemble.*depth"):
        describe_predictor("zzz")


@pytest.mark.parametrize(
    ("name", "option"), [("mlp", "alpha"), ("ridge", "epochs"), ("rnn", "layers"), ("depth", "refit")]
)
def test_unknown_options_are_answered_with_the_known_ones(paper_space, name: str, option: str) -> None:
    with pytest.raises(SettingError, match=rf"{name} has no option '{option}'; its options are: \w"):
        make_predictor(name, paper_space, **{option: 1})


def test_a_predictor_of_ones_own_comes_by_import_path(paper_space) -> None:
    made = make_predictor("pnas_sim.predict.ridge:RidgePredictor", paper_space, settings=None)
    assert type(made).__name__ == "RidgePredictor"
    assert "floor" not in describe_predictor("pnas_sim.predict.ridge:RidgePredictor").description


class Half:
    """A predictor of somebody else's."""

    def __init__(self, space: CellSpace, half: float = 0.5) -> None:
        self.half = half

    def fit(self, cells, accuracies, seed=0) -> None:
        pass

    def predict(self, cells) -> Prediction:
        return Prediction(np.full(len(cells), self.half))


def test_every_option_is_listed_with_its_default(paper_space) -> None:
    listed = {info.name: info.options for info in list_predictors()}
    assert listed["ridge"] == describe_predictor("ridge").options == {"alpha": 0.1}
    assert listed["depth"] == {}
    assert (listed["mlp-ensemble"]["members"], listed["mlp"]["members"]) == (5, 1)
    assert listed["mlp"] == {**asdict(NetworkSettings()), "members": 1}
    for name in NAMES:
        assert isinstance(make_predictor(name, paper_space, **listed[name]), Predictor)
    assert describe_predictor("pnas_sim.predict.ridge:RidgePredictor").options == {}


def test_a_predictor_itself_or_its_factory_will_do(paper_space) -> None:
    made = Half(paper_space)
    assert make_predictor(made, paper_space) is made
    for factory in (Half, lambda space, **options: Half(space, **options)):
        found = make_predictor(factory, paper_space, half=0.25)
        assert isinstance(found, Half)
        assert found.half == 0.25


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (3, {}, "predictor is int; give an object with fit and predict"),
        (lambda space: 3, {}, "predictor .*<lambda> made int, which is no Predictor"),
        (lambda: None, {}, "predictor .*<lambda> could not be made, its factory raised TypeError"),
        (Half, {"third": 1}, "predictor Half takes no option 'third'"),
        (Half(CellSpace()), {"refit": "finetune"}, "made takes no option 'refit'; give its factory"),
    ],
)
def test_what_is_no_predictor_is_refused(paper_space, given, options, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make_predictor(given, paper_space, **options)


@pytest.mark.parametrize("path", ["no_such_module:make", "math:no_such_name", ":make", "math:", "math:pi"])
def test_bad_import_paths_are_named(paper_space, path: str) -> None:
    with pytest.raises(SettingError, match=f"predictor '{path}'"):
        make_predictor(path, paper_space)


@pytest.fixture
def foreign(monkeypatch, tmp_path):
    """A package that brings the predictors `half` and `number` by entry point."""
    source = (
        "from pnas_sim.predict import Prediction\n"
        "import numpy as np\n"
        "class Half:\n"
        "    '''Predicts one half.'''\n"
        "    model_family = 'regression trees'\n"
        "    def __init__(self, space): pass\n"
        "    def fit(self, cells, accuracies, seed=0): pass\n"
        "    def predict(self, cells): return Prediction(np.full(len(cells), 0.5))\n"
        "def number(space): return 1\n"
    )
    (tmp_path / "foreign_predictor_fixture.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [
        EntryPoint(name, f"foreign_predictor_fixture:{factory}", "pnas_sim.predictors")
        for name, factory in (("half", "Half"), ("number", "number"))
    ]
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: points if group == "pnas_sim.predictors" else []
    )


def test_other_packages_bring_predictors_by_entry_point(paper_space, foreign) -> None:
    last = list_predictors()[-2:]
    assert [(info.name, info.family) for info in last] == [("half", "unknown"), ("number", "unknown")]
    assert "foreign_predictor_fixture" not in sys.modules  # listed, not loaded
    made = make_predictor("half", paper_space)
    assert made.predict(paper_space.initial()).mean.tolist() == [0.5] * 136
    info = describe_predictor("half")
    assert (info.description, info.family) == ("Predicts one half.", "regression trees")
    assert info.is_favoured("lightgbm-bagged-2")
    with pytest.raises(SettingError, match=r"number.*made int, which is no Predictor"):
        make_predictor("number", paper_space)


def test_what_is_not_asked_for_is_not_imported() -> None:
    listed = "import pnas_sim.predict as p; p.list_predictors(); from pnas_sim.space import CellSpace"
    for name in ("ridge", "knn", "log-parameters", "gbt"):
        assert modules_loaded_by(f"{listed}; p.make_predictor('{name}', CellSpace())") == set()
    assert modules_loaded_by(f"{listed}; p.describe_predictor('mlp').options") == set()
    assert modules_loaded_by(f"{listed}; p.make_predictor('mlp', CellSpace())") == {"torch"}
    assert modules_loaded_by(f"{listed}; p.make_predictor('gp', CellSpace())") == {"scipy"}
