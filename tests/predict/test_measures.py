from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from pnas_backends.training.costs import cell_costs
from pnas_sim.errors import SettingError
from pnas_sim.predict import make_predictor
from pnas_sim.predict.measures import CostSettings, fit_line, measure_costs, measure_depth
from pnas_sim.space import CellSpace


@pytest.mark.parametrize("blocks", [1, 2, 3, 4, 5])
def test_costs_rank_as_the_exact_counts_do(paper_space, blocks: int) -> None:
    cells = paper_space.sample(400, np.random.default_rng(blocks), blocks=blocks)
    parameters, multiply_adds = cell_costs(cells, paper_space)
    measured = measure_costs(paper_space, cells, CostSettings())
    assert spearmanr(parameters, measured[:, 0]).statistic > 0.99
    assert spearmanr(multiply_adds, measured[:, 1]).statistic > 0.97


def test_costs_follow_the_network(paper_space) -> None:
    cells = paper_space.sample(50, np.random.default_rng(0), blocks=3)
    small = measure_costs(paper_space, cells, CostSettings(filters=8, cells_per_stage=1))
    assert (small < measure_costs(paper_space, cells, CostSettings())).all()


def test_operations_cost_their_weights_once_a_pixel_of_their_stage(paper_space) -> None:
    cells = paper_space.parse_many(["id(-2)+id(-1)", "id(-2)+sep3(-1)", "dil3(-2)+conv1x7(-1)"])
    nothing, separable, others = np.exp(
        measure_costs(paper_space, cells, CostSettings(filters=8, cells_per_stage=1))
    )
    weights = [2 * (9 * f + f * f) for f in (8, 16, 32)]
    assert np.allclose(separable - nothing, [sum(weights), weights[0] + weights[1] / 4 + weights[2] / 16])
    weights = [9 * f * f + 14 * f * (f // 4) for f in (8, 16, 32)]
    assert np.allclose(others - nothing, [sum(weights), weights[0] + weights[1] / 4 + weights[2] / 16])
    # one state is joined, of the block: adapters read it, at the pixels of the cell before
    assert np.allclose(nothing, [8 * 16 + 16 * 16 + 32 * 24, 8 * 16 + 16 * 16 + 32 * 24 / 4])


def test_depth_is_the_longest_path(paper_space) -> None:
    texts = ["sep3(-2)+id(-1) | id(1)+id(1)", "sep3(-2)+id(-1) | id(-2)+id(-1)"]
    assert measure_depth(paper_space, paper_space.parse_many(texts)).ravel().tolist() == [2, 1]


def test_a_line_is_fitted_and_may_fall() -> None:
    numbers = np.array([[1.0], [2.0], [4.0]])
    guess = fit_line(numbers, 0.9 - 0.1 * numbers[:, 0], 0)
    assert np.allclose(guess(np.array([[3.0], [8.0]])).mean, [0.6, 0.1])
    flat = fit_line(np.ones((3, 1)), np.array([0.1, 0.2, 0.6]), 0)
    assert np.allclose(flat(np.array([[1.0], [7.0]])).mean, 0.3)


def test_equal_numbers_whose_mean_is_rounded_make_no_slope() -> None:
    draws = np.random.default_rng(0)
    numbers = [np.full((count, 1), draws.uniform(8, 20)) for count in range(3, 60)]
    assert any(float(one.mean()) != float(one[0, 0]) for one in numbers)
    for one in numbers:
        accuracies = draws.random(len(one))
        asked = fit_line(one, accuracies, 0)(one[:1] + 3).mean
        assert asked.tolist() == [accuracies.mean()]


@pytest.mark.parametrize("name", ["log-parameters", "multiply-adds"])
def test_operations_of_unknown_cost_are_refused_at_once(name: str) -> None:
    with pytest.raises(SettingError, match=r"cost of operation 'mystery' is not known, only of sep3"):
        make_predictor(name, CellSpace(operations=("sep3", "mystery")))
    assert make_predictor("depth", CellSpace(operations=("sep3", "mystery"))) is not None


def test_more_parameters_are_predicted_better_where_they_are(paper_space) -> None:
    cells = paper_space.initial()
    parameters = cell_costs(cells, paper_space)[0]
    predictor = make_predictor("log-parameters", paper_space)
    predictor.fit(cells, 0.3 + 0.1 * (parameters > np.median(parameters)))
    larger = paper_space.sample(100, np.random.default_rng(0), blocks=4)
    exact = cell_costs(larger, paper_space)[0]
    assert spearmanr(predictor.predict(larger).mean, exact).statistic > 0.98
