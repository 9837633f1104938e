from __future__ import annotations

import logging
import sys

import numpy as np
import optuna
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.search import SearchRequest, list_searches, make_search
from pnas_sim.search.random_search import RandomSearch
from pnas_sim.search.tpe import TpeSearch
from pnas_sim.space import CellSpace

SPACE = CellSpace()


@pytest.fixture(autouse=True)
def quiet():
    """Optuna's own word of each study the tests make."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(verbosity)


def sample_by_hand(answer, seed: int, trials: int, fail) -> list[list[int]]:
    """Optuna's own loop, define by run, on the small space; the sampler anew at each trial."""
    study, cells = optuna.create_study(direction="maximize"), []
    for k in range(trials):
        state = int(np.random.SeedSequence([seed, k]).generate_state(1)[0])
        study.sampler = optuna.samplers.TPESampler(seed=state)
        choices = {
            f"{name}_{block + 1}": optuna.distributions.CategoricalDistribution(
                tuple(range(block + 2 if "input" in name else 3))
            )
            for block in range(3)
            for name in ("input1", "input2", "operation1", "operation2")
        }
        trial = study.ask(choices)
        row = np.array([[trial.params[name] for name in choices]], np.uint8)
        cells += row.tolist()
        if fail(row)[0] == 2:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, float(answer(row)[0]))
    return cells


def fail_some(cells: np.ndarray) -> np.ndarray:
    return np.where(cells[:, 6] == 0, 2, 0).astype(np.uint8)


def test_is_optunas_sampler(small_space, answer, drive) -> None:
    trace = drive(TpeSearch(small_space, seed=6), answer, 30, fail=fail_some)
    assert any((told.status == 2).any() for _, told in trace)
    cells = np.concatenate([proposals.cells for proposals, _ in trace]).tolist()
    assert cells == sample_by_hand(answer, 6, 30, fail_some)


def test_learns_what_random_search_does_not(drive) -> None:
    operations = np.arange(20) % 4 >= 2

    def share_of_first(cells: np.ndarray) -> np.ndarray:
        return (cells[:, operations] == 0).mean(axis=1)

    trace = drive(TpeSearch(SPACE, seed=2), share_of_first, 150)
    late = np.concatenate([told.valid_accuracy for _, told in trace[-40:]])
    by_chance = drive(RandomSearch(SPACE, seed=2), share_of_first, 1, n=500)[0][1].valid_accuracy
    assert late.mean() > by_chance.mean() + 0.25


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("cut", [1, 13])
def test_replay_goes_on_as_live(small_space, answer, drive, batch: int, cut: int) -> None:
    live = drive(TpeSearch(small_space, batch=batch, seed=7), answer, 16, fail=fail_some)
    search = TpeSearch(small_space, batch=batch, seed=7)
    for proposals, observations in live[:cut]:
        search.replay(proposals, observations)
    went_on = drive(search, answer, 16 - cut, fail=fail_some)
    assert [len(proposals) for proposals, _ in live] == [batch] * 16
    for ours, theirs in zip(went_on, live[cut:], strict=True):
        assert ours[0].cells.tolist() == theirs[0].cells.tolist()


def test_says_nothing_and_leaves_optunas_logging_alone(small_space, capfd) -> None:
    optuna.logging.set_verbosity(logging.INFO)
    TpeSearch(small_space).ask(2)
    assert capfd.readouterr().err == ""
    assert optuna.logging.get_verbosity() == logging.INFO


def test_a_missing_optuna_is_said_in_one_line(small_space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "tpe" in {info.name for info in list_searches()}
    with pytest.raises(SettingError, match=r"pip install 'pnas-sim\[optuna\]'$"):
        make_search("tpe", SearchRequest(space=small_space))


def test_misuse_is_explained(small_space, demand_turns) -> None:
    demand_turns(TpeSearch(small_space, batch=4))
    for wrong in ({"startup": 0}, {"batch": 0}):
        with pytest.raises(SettingError, match="at least 1"):
            TpeSearch(small_space, **wrong)
