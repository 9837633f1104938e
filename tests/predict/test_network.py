from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from pnas_sim.errors import CellError, SettingError
from pnas_sim.predict import make_predictor

NETWORKS = "mlp", "rnn", "mlp-ensemble", "rnn-ensemble"
SMALL = {"embedding": 8, "hidden": 8, "epochs": 2}
HARDLY = {"first_learning_rate": 1e-9, "learning_rate": 1e-9, "epochs": 1}


def fit(name: str, space, cells: np.ndarray, values: np.ndarray, seed: int = 0, **options: object):
    predictor = make_predictor(name, space, **options)
    predictor.fit(cells, values, seed)
    return predictor


@pytest.mark.parametrize(
    ("name", "epochs", "least"), [("mlp", 20, 0.9), ("mlp-ensemble", 20, 0.9), ("rnn", 20, 0.8)]
)
def test_learns_an_additive_function_and_ranks_larger_cells(
    paper_space, accuracy, name, epochs, least
) -> None:
    rng = np.random.default_rng(0)
    drawn = paper_space.sample(400, rng, blocks=2)
    fitted, held_out = drawn[:256], drawn[256:]
    larger = paper_space.sample(200, rng, blocks=3)
    predictor = fit(name, paper_space, fitted, accuracy(fitted), epochs=epochs)
    predicted = predictor.predict(held_out).mean
    assert spearmanr(predicted, accuracy(held_out)).statistic > least
    assert spearmanr(predictor.predict(larger).mean, accuracy(larger)).statistic > least - 0.2
    error_of_mean = np.abs(accuracy(held_out) - accuracy(fitted).mean()).mean()
    assert np.abs(predicted - accuracy(held_out)).mean() < error_of_mean / 2


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_expansions_equal_predict(paper_space, accuracy, name: str, size: int) -> None:
    cells = paper_space.sample(40, np.random.default_rng(size), blocks=size)
    predictor = fit(name, paper_space, cells, accuracy(cells), **SMALL)
    parents = cells[:9]  # several chunks, and the last of them not full
    scored = predictor.predict_expansions(parents)
    asked = predictor.predict(paper_space.expand(parents).cells)
    assert np.allclose(scored.mean, asked.mean, rtol=0, atol=1e-6)
    assert np.ptp(scored.mean) > 1e-4
    assert (scored.members is None) == (name in ("mlp", "rnn"))
    if scored.members is not None:
        assert np.allclose(scored.members, asked.members, rtol=0, atol=1e-6)
        assert np.allclose(scored.std, asked.std, rtol=0, atol=1e-6)


def test_an_ensemble_is_the_mean_of_its_members(paper_space, accuracy) -> None:
    cells = paper_space.initial()
    answer = fit("mlp-ensemble", paper_space, cells, accuracy(cells), **SMALL).predict(cells)
    assert answer.members.shape == (5, len(cells))
    assert np.allclose(answer.mean, answer.members.mean(axis=0))
    assert np.allclose(answer.std, np.std(answer.members, axis=0, ddof=1))
    assert len({tuple(member) for member in answer.members.tolist()}) == 5


@pytest.mark.parametrize("name", ["mlp", "rnn"])
@pytest.mark.parametrize("level", [0.2, 0.45, 0.9])
def test_the_first_bias_is_the_logit_of_the_mean(paper_space, name: str, level: float) -> None:
    cells = paper_space.initial()
    values = level + np.linspace(-0.05, 0.05, len(cells))
    predicted = fit(name, paper_space, cells, values, **HARDLY).predict(cells).mean
    # before any learning the last layer adds a small random part to the bias
    assert abs(predicted.mean() - level) < 0.03
    papers = fit(name, paper_space, cells, values, bias=1.8, **HARDLY).predict(cells).mean
    assert abs(papers.mean() - 1 / (1 + np.exp(-1.8))) < 0.03
    shift = np.log(papers / (1 - papers)) - np.log(predicted / (1 - predicted))
    assert np.allclose(shift, 1.8 - log(values.mean() / (1 - values.mean())), atol=1e-3)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_constant_accuracies_and_two_cells_give_finite_predictions(
    tiny_space, name: str, value: float
) -> None:
    for count in (1, 2, len(tiny_space.initial())):
        cells = tiny_space.initial()[:count]
        answer = fit(name, tiny_space, cells, np.full(count, value), **SMALL).predict(tiny_space.initial())
        assert np.isfinite(answer.mean).all()
        assert np.abs(answer.mean - value).max() < 0.1


@pytest.mark.parametrize("name", ["mlp-ensemble", "rnn-ensemble"])
@pytest.mark.parametrize("patience", [0, 1])
def test_fewer_cells_than_folds_leave_no_member_without_cells(paper_space, name: str, patience: int) -> None:
    cells, values = paper_space.initial()[:3], np.array([0.2, 0.5, 0.8])
    options = {**SMALL, "epochs": 150, "patience": patience, "first_learning_rate": 0.03}
    answer = fit(name, paper_space, cells, values, **options).predict(cells)
    assert answer.members.shape == (5, 3)
    assert np.isfinite(answer.members).all() and (answer.std > 0).all()
    if not patience:  # each cell is in the training set of four members at least
        assert answer.mean[0] < answer.mean[1] < answer.mean[2]


@pytest.mark.parametrize("name", ["mlp-ensemble", "rnn"])
def test_the_same_fit_is_the_same_predictor_in_any_order_and_after_any_fit(
    paper_space, accuracy, name: str
) -> None:
    cells = paper_space.initial()
    values, order = accuracy(cells), np.random.default_rng(0).permutation(len(cells))
    once = fit(name, paper_space, cells, values, 5, **SMALL)
    other = fit(name, paper_space, cells[:50], values[:50], 1, **SMALL)
    other.fit(cells[order], values[order], 5)
    assert np.array_equal(once.predict(cells).mean, other.predict(cells).mean)
    other.fit(cells, values, 6)
    assert not np.allclose(once.predict(cells).mean, other.predict(cells).mean)


def test_nothing_global_is_touched(paper_space, accuracy) -> None:
    cells = paper_space.initial()
    state, threads, grad = torch.get_rng_state(), torch.get_num_threads(), torch.is_grad_enabled()
    fit("rnn", paper_space, cells, accuracy(cells), **SMALL).predict_expansions(cells[:3])
    assert torch.equal(torch.get_rng_state(), state)
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == (threads, grad)


def test_fits_inside_a_callers_no_grad(paper_space, accuracy) -> None:
    cells = paper_space.initial()
    with torch.no_grad():
        inside = fit("mlp", paper_space, cells, accuracy(cells), **SMALL)
    outside = fit("mlp", paper_space, cells, accuracy(cells), **SMALL)
    assert np.array_equal(inside.predict(cells).mean, outside.predict(cells).mean)


def test_finetuning_goes_on_from_the_present_weights(paper_space, accuracy) -> None:
    one, two = paper_space.initial(), paper_space.sample(20, np.random.default_rng(0), blocks=2)
    # the second fit's rate is next to nothing, so that only where it begins can show
    options = {"embedding": 8, "hidden": 8, "epochs": 20, "learning_rate": 1e-9}
    finetuned = fit("mlp", paper_space, one, accuracy(one), refit="finetune", **options)
    scratch = fit("mlp", paper_space, one, accuracy(one), refit="scratch", **options)
    learnt = finetuned.predict(one).mean
    assert np.array_equal(learnt, scratch.predict(one).mean)  # a first fit has nothing to go on from
    for predictor in (finetuned, scratch):
        predictor.fit(two, accuracy(two))
    assert np.allclose(finetuned.predict(one).mean, learnt, atol=1e-6)
    assert np.ptp(scratch.predict(one).mean) < np.ptp(learnt) / 4


def test_finetune_epochs_decide_how_far_it_goes(paper_space, accuracy) -> None:
    cells = paper_space.initial()
    moved = []
    for epochs in (1, 20):
        made = make_predictor("mlp", paper_space, **SMALL, refit="finetune", finetune_epochs=epochs)
        made.fit(cells, np.full(len(cells), 0.8))
        before = made.predict(cells).mean
        made.fit(cells, np.full(len(cells), 0.2))
        moved.append(float((before - made.predict(cells).mean).mean()))
    assert 0 < moved[0] < moved[1] / 3


def test_the_first_level_is_fitted_at_its_own_rate(paper_space, accuracy) -> None:
    one, two = paper_space.initial(), paper_space.sample(30, np.random.default_rng(0), blocks=2)
    mixed = np.concatenate([one, two])

    def predicted(cells: np.ndarray, first: float, later: float) -> np.ndarray:
        options = {"first_learning_rate": first, "learning_rate": later, **SMALL}
        return fit("mlp", paper_space, cells, accuracy(cells), **options).predict(mixed).mean

    assert np.array_equal(predicted(one, 0.01, 0.002), predicted(one, 0.01, 0.5))
    assert not np.array_equal(predicted(one, 0.01, 0.002), predicted(one, 0.02, 0.002))
    assert np.array_equal(predicted(mixed, 0.01, 0.002), predicted(mixed, 0.5, 0.002))
    assert not np.array_equal(predicted(mixed, 0.01, 0.002), predicted(mixed, 0.01, 0.004))


def test_bad_requests_are_refused(paper_space) -> None:
    cells = paper_space.initial()
    predictor = make_predictor("mlp", paper_space, **SMALL)
    for ask in (predictor.predict, predictor.predict_expansions):
        with pytest.raises(SettingError, match="not fitted yet"):
            ask(cells)
    with pytest.raises(SettingError, match="seed is -1"):
        predictor.fit(cells, np.full(len(cells), 0.5), -1)
    predictor.fit(cells, np.full(len(cells), 0.5))
    bad = cells[:1].copy()
    bad[0, 0] = 7
    for ask in (predictor.predict, predictor.predict_expansions):
        with pytest.raises(CellError):
            ask(bad)
