from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.space import CellSpace
from pnas_tables.features import cell_features
from pnas_tables.process import ProcessModel, ProcessSettings, fit_process
from pnas_tables.sample import Sample, gather_sample
from pnas_tables.subtrees import HEIGHTS, NOTHING, count_labels, label_halves, sum_weights

SPACE = CellSpace(max_blocks=4)


def label_one(text: str) -> np.ndarray:
    return label_halves(SPACE, SPACE.parse(text)[None])[0]


# ----------------------------------------------------------------------------------------------------- labels


def test_labels_see_one_step_further_at_each_height() -> None:
    """Two cells whose second blocks differ only in what their input was made of."""
    one = label_one("sep3(-1)+id(-1) | max3(1)+id(-1)")
    two = label_one("sep3(-2)+id(-1) | max3(1)+id(-1)")
    of_max = 2  # max3 is the first half of block 2: halves follow each other block by block
    assert one[0, of_max] == two[0, of_max], "height 0: the operation"
    assert one[1, of_max] == two[1, of_max], "height 1: and the operations of the block it reads"
    assert one[2, of_max] != two[2, of_max], "height 2: and what those read"
    other = label_one("sep5(-2)+id(-1) | max3(1)+id(-1)")
    assert one[0, of_max] == other[0, of_max] and one[1, of_max] != other[1, of_max]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), blocks=st.integers(1, 4))
def test_labels_belong_to_the_cell_and_not_to_how_it_is_written(seed: int, blocks: int) -> None:
    rng = np.random.default_rng(seed)
    rows = SPACE.sample(4, rng, blocks=blocks, unique=False)
    wide = CellSpace(max_blocks=7)
    for written, other in ((rows, SPACE.canonical(rows)), (rows, wide.fit_width(rows))):
        one, two = (np.sort(label_halves(SPACE, cells), axis=2) for cells in (written, other))
        np.testing.assert_array_equal(one[one != NOTHING], two[two != NOTHING])


def test_the_kernel_of_a_cell_with_itself_is_1_and_never_more() -> None:
    rng = np.random.default_rng(0)
    cells = np.concatenate([SPACE.sample(30, rng, blocks=b) for b in (1, 2, 3, 4)])
    labels = label_halves(SPACE, cells)
    vocabulary = np.unique(labels[labels != NOTHING])
    counts = count_labels(labels, vocabulary)
    kernel = counts @ counts.T
    np.testing.assert_allclose(np.diag(kernel), 1)
    assert kernel.min() >= 0 and kernel.max() <= 1 + 1e-12
    assert np.linalg.eigvalsh(kernel).min() > -1e-9


def test_the_kernel_counts_pairs_of_equal_labels() -> None:
    """Two halves of one operation against one such half: 2 pairs over the root of 4 x 2 at each height."""
    cells = SPACE.parse_many(["id(-1)+id(-1)", "id(-1)+sep3(-2)"])
    labels = label_halves(SPACE, cells)
    counts = count_labels(labels, np.unique(labels[labels != NOTHING]))
    assert (counts @ counts.T)[0, 1] == pytest.approx(2 / np.sqrt(4 * 2))


def test_weights_are_summed_without_counts() -> None:
    rng = np.random.default_rng(1)
    known, asked = (np.concatenate([SPACE.sample(20, rng, blocks=b) for b in (1, 3, 4)]) for _ in (0, 1))
    labels = label_halves(SPACE, known)
    vocabulary = np.unique(labels[labels != NOTHING])
    weights = rng.normal(size=len(vocabulary))
    new = label_halves(SPACE, asked)
    np.testing.assert_allclose(
        sum_weights(new, vocabulary, weights), count_labels(new, vocabulary) @ weights, atol=1e-12
    )
    assert new.shape == (60, HEIGHTS, 8)


# -------------------------------------------------------------------------------------------------- the model


@pytest.fixture(scope="module")
def sample(table) -> Sample:  # type: ignore[no-untyped-def]
    return gather_sample(table)


def fit_one(sample: Sample, scores: np.ndarray, drawn: np.ndarray, world: int = 0) -> ProcessModel:
    draws = np.stack([np.ones(len(sample), np.int64), drawn])
    arrays = {
        k: v for one in fit_process(sample, scores, draws, ProcessSettings(), 0) for k, v in one.items()
    }
    return ProcessModel(arrays, world, sample.space, sample.features.shape[1])


def test_it_is_the_posterior_mean_of_its_kernel(sample: Sample) -> None:
    """On a fine grid of weights scikit-learn would do the same: here by solving the normal equations anew."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=len(sample))
    draws = np.ones((1, len(sample)), np.int64)
    arrays = fit_process(sample, scores, draws, ProcessSettings(), 0)[0]
    model = ProcessModel(arrays, 0, sample.space, sample.features.shape[1])
    amplitude, length, linear, subtree, noise = np.exp(arrays["shared-logs"])
    columns, center, spread = (arrays[f"shared-{name}"] for name in ("columns", "center", "spread"))

    def kernel(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        x, y = ((cell_features(sample.space, cells)[:, columns] - center) / spread for cells in (one, two))
        apart = ((x[:, None] - y[None]) ** 2).mean(axis=2)
        labels = [label_halves(sample.space, cells) for cells in (one, two)]
        every = np.unique(np.concatenate([part[part != NOTHING] for part in labels]))
        counts = [count_labels(part, every) for part in labels]
        curved = amplitude * np.exp(-0.5 * apart / length**2)
        return curved + linear * (x @ y.T) / len(columns) + subtree * counts[0] @ counts[1].T

    asked = sample.space.canonical(sample.space.sample(40, rng, blocks=3))
    mean = np.average(scores, weights=sample.weights)
    within = kernel(sample.cells, sample.cells) + np.diag(noise / sample.weights + 1e-6)
    expected = mean + kernel(asked, sample.cells) @ np.linalg.solve(within, scores - mean)
    found = model.predict(asked, cell_features(sample.space, asked))
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_cells_that_a_world_does_not_hold_have_no_say(sample: Sample) -> None:
    rng = np.random.default_rng(0)
    scores = sample.final * 10
    drawn = (np.arange(len(sample)) % 2).astype(np.int64)
    one = fit_one(sample, scores, drawn, world=1)
    asked = sample.space.canonical(sample.space.sample(30, rng, blocks=2))
    features = cell_features(sample.space, asked)
    support = fit_one(sample, scores, np.ones_like(drawn), world=1)
    assert not np.array_equal(one.predict(asked, features), support.predict(asked, features))
    # twice the same cells is the same mean with half the noise: nearer to the scores of the cells held
    twice = fit_one(sample, scores, 2 * drawn, world=1)
    held = drawn > 0
    gaps = [
        np.abs(model.predict(sample.cells[held], sample.features[held]) - scores[held]).mean()
        for model in (one, twice)
    ]
    assert gaps[1] < gaps[0]


@pytest.mark.parametrize("support", [37, 585, 1585])
def test_an_answer_does_not_depend_on_its_place_among_others(support: int) -> None:
    """A matrix product rounds its last rows otherwise, where they are not as many as it takes at once."""
    rng = np.random.default_rng(support)
    known, asked = (SPACE.canonical(SPACE.sample(n, rng, blocks=4)) for n in (support, 300))
    features = cell_features(SPACE, known)
    varied = np.flatnonzero(np.ptp(features, axis=0) > 0)
    arrays = {
        "shared-columns": varied,
        "shared-support": features[:, varied],
        "shared-center": features[:, varied].mean(axis=0),
        "shared-spread": features[:, varied].std(axis=0),
        "shared-vocabulary": np.unique(label_halves(SPACE, known)),
        "shared-logs": np.array([0.0, 0.0, -2.0, -2.0, -1.5]),
        "world-0-dual": rng.normal(size=support),
        "world-0-linear": rng.normal(size=len(varied) + 1),
    }
    arrays["world-0-subtree"] = rng.normal(size=len(arrays["shared-vocabulary"]))
    model = ProcessModel(arrays, 0, SPACE, features.shape[1])
    new = cell_features(SPACE, asked)
    whole = model.predict(asked, new)
    for start in (1, 7, 37, 64, 100):
        np.testing.assert_array_equal(model.predict(asked[start:], new[start:]), whole[start:])
    alone = [model.predict(asked[place : place + 1], new[place : place + 1])[0] for place in range(100)]
    np.testing.assert_array_equal(alone, whole[:100])
