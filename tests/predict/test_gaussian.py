from __future__ import annotations

import numpy as np
from scipy.optimize import check_grad
from scipy.stats import spearmanr

from pnas_sim.predict import make_predictor
from pnas_sim.predict.gaussian import (
    Kernel,
    _compare_levels,
    _compare_sizes,
    _marginal_loss,
    count_labels,
    fit_process,
    make_covariance,
)
from pnas_sim.predict.graph_labels import ABSENT, label_graphs
from pnas_sim.space import CellSpace

SPACE = CellSpace()


def draw_labels(count: int, blocks: int, seed: int) -> np.ndarray:
    cells = SPACE.sample(count, np.random.default_rng(seed), blocks=blocks)
    return np.moveaxis(label_graphs(SPACE, cells, 4), 0, 1)


def list_vocabularies(labels: np.ndarray) -> list[np.ndarray]:
    return [np.setdiff1d(labels[:, level], [ABSENT]) for level in range(labels.shape[1])]


def test_the_gradient_of_the_marginal_likelihood_is_right() -> None:
    labels = np.concatenate([draw_labels(20, 2, 0), draw_labels(20, 3, 1)])
    graphs = count_labels(labels, list_vocabularies(labels))
    target = np.random.default_rng(2).normal(size=40)
    start = Kernel.start(4)
    loss = _marginal_loss(_compare_levels(graphs, graphs), _compare_sizes(graphs, graphs), target, start)
    at = start + np.linspace(-0.4, 0.4, len(start))
    error = check_grad(lambda logs: loss(logs)[0], lambda logs: loss(logs)[1], at)
    assert error < 1e-4 * np.linalg.norm(loss(at)[1])


def test_the_kernel_by_hand() -> None:
    labels = draw_labels(6, 2, 3)
    graphs = count_labels(labels, list_vocabularies(labels))
    kernel = Kernel(np.array([0.5, 0.2, 0.1, 0.3]), size=0.25, amplitude=2.0, noise=0.1)
    found = make_covariance(kernel, graphs)(graphs)
    for one in range(6):
        for two in range(6):
            distance = 0.0
            for level, weight in enumerate(kernel.levels):
                a, b = labels[one, level], labels[two, level]
                a, b = a[a != ABSENT], b[b != ABSENT]
                alike = (a[:, None] == b).sum() / np.sqrt((a[:, None] == a).sum() * (b[:, None] == b).sum())
                distance += weight * (1 - alike)
            assert abs(found[one, two] - (2.0 * np.exp(-distance) + 0.25)) < 1e-12


def test_sizes_are_as_alike_as_a_normal_density_of_their_distance() -> None:
    labels = np.concatenate([draw_labels(1, blocks, 0) for blocks in (1, 2, 5)])
    graphs = count_labels(labels, list_vocabularies(labels))
    away = np.array([[0, 1, 4], [1, 0, 3], [4, 3, 0]]) / 2  # deviations of two blocks
    assert np.allclose(_compare_sizes(graphs, graphs), np.exp(-(away**2) / 2), rtol=1e-12)


def test_labels_never_fitted_count_in_the_norm_alone() -> None:
    labels = draw_labels(8, 3, 4)
    known = list_vocabularies(labels[:4])
    graphs = count_labels(labels, known)
    lengths = np.stack([np.sqrt(level.multiply(level).sum(axis=1)) for level in graphs.levels])
    # a row's entries repeat where labels do, so sum them first
    exact = np.stack([np.linalg.norm(level.toarray(), axis=1) for level in graphs.levels])
    assert np.allclose(exact[:, :4], 1)
    assert (exact[-1, 4:] < 1).all() and (lengths <= exact + 1e-12).all()


def test_a_process_remembers_what_it_was_fitted_on_and_is_unsure_elsewhere() -> None:
    labels = draw_labels(60, 3, 5)
    values = 0.4 + 0.02 * (labels[:, 0] == labels[0, 0, 0]).sum(axis=1)
    guess = fit_process(labels, values, steps=25)
    at_home, abroad = guess(labels), guess(draw_labels(60, 5, 6))
    assert np.abs(at_home.mean - values).max() < 0.01
    assert at_home.std is not None and abroad.std is not None
    assert at_home.std.mean() < abroad.std.mean() / 2


def test_the_std_agrees_with_the_textbook_formula() -> None:
    labels, asked = draw_labels(30, 2, 7), draw_labels(10, 3, 8)
    values = np.random.default_rng(9).uniform(0.3, 0.6, 30)
    known = list_vocabularies(labels)
    kernel = Kernel.of_logs(Kernel.start(4))
    graphs = count_labels(labels, known)
    covary = make_covariance(kernel, graphs)
    inverse = np.linalg.inv(covary(graphs) + (kernel.noise + 1e-6) * np.eye(30))
    between = covary(count_labels(asked, known))
    variance = kernel.amplitude + kernel.size - np.einsum("ij,jk,ik->i", between, inverse, between)
    answer = fit_process(labels, values, steps=0)(asked)
    assert np.allclose(answer.std, values.std() * np.sqrt(variance), rtol=1e-4)
    assert np.allclose(answer.mean, values.mean() + between @ inverse @ (values - values.mean()))


def test_learns_wiring_and_ranks_larger_cells(accuracy) -> None:
    rng = np.random.default_rng(10)
    fitted, larger = SPACE.sample(200, rng, blocks=2), SPACE.sample(200, rng, blocks=3)
    predictor = make_predictor("gp", SPACE, steps=10)
    predictor.fit(fitted, accuracy(fitted))
    assert spearmanr(predictor.predict(larger).mean, accuracy(larger)).statistic > 0.8
