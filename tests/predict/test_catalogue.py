from __future__ import annotations

import subprocess
import sys

import pytest

from pnas_sim.errors import SettingError
from pnas_sim.predict import list_predictors, make_predictor
from pnas_sim.predict.network import NetworkPredictor

HEAVY = "torch", "sklearn", "lightgbm"


def modules_loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_every_listed_name_can_be_made(paper_space) -> None:
    assert list(list_predictors()) == ["mlp-ensemble", "rnn-ensemble", "mlp", "rnn", "ridge"]
    for name, description in list_predictors().items():
        assert description and "\n" not in description
        assert make_predictor(name, paper_space) is not make_predictor(name, paper_space)


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


def test_unknown_names_are_answered_with_the_known_ones(paper_space) -> None:
    with pytest.raises(SettingError, match=r"unknown predictor 'forest': .*mlp-ensemble.*ridge"):
        make_predictor("forest", paper_space)


@pytest.mark.parametrize(("name", "option"), [("mlp", "alpha"), ("ridge", "epochs"), ("rnn", "layers")])
def test_unknown_options_are_answered_with_the_known_ones(paper_space, name: str, option: str) -> None:
    with pytest.raises(SettingError, match=rf"{name} has no option '{option}': it has"):
        make_predictor(name, paper_space, **{option: 1})


def test_a_predictor_of_ones_own_comes_by_import_path(paper_space) -> None:
    made = make_predictor("pnas_sim.predict.ridge:RidgePredictor", paper_space, settings=None)
    assert type(made).__name__ == "RidgePredictor"


@pytest.mark.parametrize("path", ["no_such_module:make", "math:no_such_name", ":make", "math:", "math:pi"])
def test_bad_import_paths_are_named(paper_space, path: str) -> None:
    with pytest.raises(SettingError, match=f"predictor '{path}'"):
        make_predictor(path, paper_space)


def test_what_is_not_asked_for_is_not_imported() -> None:
    listed = "import pnas_sim.predict as p; p.list_predictors(); from pnas_sim.space import CellSpace"
    assert modules_loaded_by(f"{listed}; p.make_predictor('ridge', CellSpace())") == set()
    assert modules_loaded_by(f"{listed}; p.make_predictor('mlp', CellSpace())") == {"torch"}
