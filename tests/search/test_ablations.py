from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest, spearmanr

from pnas_sim.errors import SettingError
from pnas_sim.evaluate import BackendRequest, Source
from pnas_sim.function_evaluator import FunctionEvaluator
from pnas_sim.registry import make_backend
from pnas_sim.search import Pnas, SearchRequest, make_search
from pnas_sim.search.ablations import OracleScores, RandomScores, create_oracle, read_model, read_oracle
from pnas_sim.space import CellSpace
from pnas_sim.testing.strategies import check_strategy
from pnas_sim.wrappers import Noisy
from pnas_tables.testing import MadeUpTrainer

SPACE = CellSpace(("sep3", "id", "max3"), 3)


def test_random_scores_are_uniform_and_belong_to_the_cell() -> None:
    scores = RandomScores(SPACE)
    rows = SPACE.sample(4000, np.random.default_rng(0), unique=False)
    scores.fit(rows[:5], np.zeros(5), seed=3)
    mean = scores.predict(rows).mean
    assert (scores.predict(SPACE.canonical(rows)).mean == mean).all()
    distinct = mean[SPACE.unique(SPACE.canonical(rows))[0]]
    assert kstest(distinct, "uniform").pvalue > 0.001
    assert len(set(distinct.tolist())) == len(distinct)
    scores.fit(rows[:5], np.zeros(5), seed=4)
    other = scores.predict(rows).mean
    assert abs(spearmanr(mean, other).statistic) < 0.06
    scores.fit(rows[:5], np.zeros(5), seed=3)
    assert (scores.predict(rows).mean == mean).all()


def test_a_random_beam_is_a_uniform_choice_among_unique_cells(answer, drive) -> None:
    """How often each two-block cell is kept, over many seeds: as often as any other."""
    space = CellSpace(("sep3", "id"), 2)
    kept: dict[bytes, int] = {}
    for seed in range(150):
        search = Pnas(space, RandomScores(space), beam=20, seed=seed)
        cells = drive(search, answer, 10)[-1][0].cells
        for key in space.list_keys(cells):
            kept[key] = kept.get(key, 0) + 1
    counts = np.array(list(kept.values()))
    assert len(counts) == space.count_unique(2) == 165
    expected = 150 * 20 / 165
    assert 0.6 < ((counts - expected) ** 2).mean() / (expected * (1 - 20 / 165)) < 1.5


def test_an_oracle_keeps_the_truly_best_expansions(answer, drive) -> None:
    search = Pnas(SPACE, OracleScores(SPACE, answer), beam=7)
    trace = drive(search, answer, 10)
    parents = SPACE.initial()
    for proposals, observations in trace[1:]:
        children = SPACE.canonical(SPACE.expand(parents).cells)
        children = children[SPACE.unique(children)[0]]
        assert sorted(observations.valid_accuracy) == sorted(np.sort(answer(children))[-7:])
        assert (proposals.predicted == observations.valid_accuracy).all()
        parents = proposals.cells


def test_an_oracle_keeps_the_contract(answer) -> None:
    def make(request: SearchRequest) -> Pnas:
        return create_oracle(replace(request, oracle=answer, options={"beam": 8, "batch": 5}))

    check_strategy(make, SPACE, seed_matters=False, n=8, batches=8)


@pytest.mark.parametrize("predictor", ["log-parameters", "multiply-adds", "depth"])
def test_one_measure_may_stand_in_the_predictors_place(answer, drive, predictor: str) -> None:
    options = {"predictor": predictor, "beam": 6}
    trace = drive(make_search("pnas", SearchRequest(space=SPACE, options=options)), answer, 10)
    assert [len(proposals) for proposals, _ in trace] == [21, 6, 6]
    assert all(proposals.predicted is not None for proposals, _ in trace[1:])


class Alone:
    """Answers one by one, with the noise-free accuracy or without, or but for the first ones."""

    def __init__(self, knows: bool, lacks: int = 0) -> None:
        self.lacks = lacks
        self.inner, self.knows = MadeUpTrainer(SPACE), knows
        self.spec = self.inner.spec

    def evaluate(self, cells, epochs, seed):
        answers = list(self.inner.evaluate(cells, epochs, seed))
        for place in reversed(range(len(answers))):
            answer = answers[place]
            known = answer.valid_accuracy if self.knows and place >= self.lacks else float("nan")
            yield replace(answer, expected_valid_accuracy=known)

    def close(self) -> None:
        self.inner.close()


def test_an_evaluator_is_read_as_an_oracle() -> None:
    evaluator = Alone(knows=True)
    cells = SPACE.sample(30, np.random.default_rng(1))
    texts = SPACE.format_many(cells)
    answers = {
        one.cell: one.valid_accuracy for one in evaluator.inner.evaluate(cells, evaluator.spec.epochs, 0)
    }
    assert read_oracle(evaluator)(cells).tolist() == [answers[text] for text in texts]
    narrow = CellSpace(SPACE.operations, 2).sample(3, np.random.default_rng(1))
    assert len(read_oracle(evaluator)(narrow)) == 3
    with pytest.raises(SettingError, match="no noise-free accuracy"):
        read_oracle(Alone(knows=False))(cells)
    with pytest.raises(SettingError, match="no noise-free accuracy"):
        read_oracle(Alone(knows=True, lacks=1))(cells)


@pytest.mark.parametrize("takes", ["rows", "cell"])
def test_an_oracle_answers_free_of_noise_at_the_epochs_asked_for(takes) -> None:
    def rows_grow(cells: np.ndarray, epochs: float) -> np.ndarray:
        return 0.3 * epochs + 0.001 * cells[:, :4].sum(axis=1)

    def cell_grows(cell, epochs: float) -> float:
        return float(rows_grow(cell.row[None], epochs)[0])

    judge = rows_grow if takes == "rows" else cell_grows
    evaluator = Noisy(FunctionEvaluator(judge, SPACE, takes=takes, epochs=2.0, fidelities=(1.0, 2.0)), 0.05)
    cells = SPACE.sample(20, np.random.default_rng(2))
    np.testing.assert_allclose(read_oracle(evaluator)(cells), rows_grow(cells, 2.0))
    np.testing.assert_allclose(read_oracle(evaluator, epochs=1.0)(cells), rows_grow(cells, 1.0))


def test_an_oracle_takes_trainings_looked_up_for_the_truth() -> None:
    """What was measured once is all there is to know; a training that failed is told as chance."""

    class LookedUp(Alone):
        def evaluate(self, cells, epochs, seed):
            for answer in super().evaluate(cells, epochs, seed):
                value = float("nan") if answer.cell.startswith("id") else answer.valid_accuracy
                yield replace(answer, source=Source.MEASURED, valid_accuracy=value)

    evaluator, cells = LookedUp(knows=False), SPACE.initial()
    found = dict(zip(SPACE.format_many(cells), read_oracle(evaluator)(cells).tolist(), strict=True))
    answers = {one.cell: one.valid_accuracy for one in evaluator.evaluate(cells, evaluator.spec.epochs, 0)}
    chance = evaluator.spec.chance
    assert found == {text: chance if value != value else value for text, value in answers.items()}
    assert chance in found.values()


def test_beams_of_other_seeds_are_others(answer, drive) -> None:
    beams = []
    for seed in (0, 1, 0):
        request = SearchRequest(space=SPACE, seed=seed, options={"beam": 9})
        beams.append(drive(make_search("pnas-random-beam", request), answer, 2)[-1][0].cells.tolist())
    assert beams[0] == beams[2] != beams[1]


def test_a_model_is_read_without_what_is_drawn_for_cells() -> None:
    """Of a surrogate: its worlds' effects are not in it; a backend without a model has none to give."""
    backend = make_backend("table", BackendRequest(blocks=2, options={"world": 1}))
    model = read_model(backend)
    cells = CellSpace(max_blocks=2).canonical(CellSpace(max_blocks=2).sample(30, np.random.default_rng(0)))
    assert model is not None
    np.testing.assert_array_equal(model(cells), backend.predict_mean(backend.spec.space.fit_width(cells)))
    assert (model(cells) != read_oracle(backend)(cells)).all()
    assert read_model(Alone(knows=True)) is None
    named = SearchRequest(space=SPACE, options={"beam": 5}, model=model)
    assert isinstance(make_search("pnas-oracle-model", named), Pnas)
    with pytest.raises(SettingError, match="needs a backend with a model"):
        make_search("pnas-oracle-model", SearchRequest(space=SPACE))


def test_the_oracle_comes_with_the_request(answer) -> None:
    request = SearchRequest(space=SPACE, options={"beam": 5}, oracle=answer)
    assert isinstance(make_search("pnas-oracle", request), Pnas)
    with pytest.raises(SettingError, match="only a comparison gives it"):
        make_search("pnas-oracle", SearchRequest(space=SPACE))
