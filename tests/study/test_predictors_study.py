from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from pnas_sim.errors import SettingError, WorkError
from pnas_sim.predict import Prediction
from pnas_sim.space import CellSpace
from pnas_sim.study.pool import Standing
from pnas_sim.study.predictors import StudySettings, list_jobs, run_study
from pnas_sim.study.predictors_paper import find_paper_value
from pnas_sim.study.predictors_pools import SURROGATE, TRAINED, Pool, Pools, pool_answers
from pnas_sim.study.predictors_rows import ALL_SIZES, draw_shared, score_job
from pnas_sim.study.predictors_trials import Trials, choose_cells, read_trials, run_trials, write_trials

SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)


def silent(standing: Standing) -> None:
    """Tells nobody."""


@pytest.fixture
def pools(made_up_bulk) -> Pools:
    return pool_answers(made_up_bulk(SPACE), 120, 1.0, seed=0, largest=3)


def settle(**changes: object) -> StudySettings:
    plain = {"predictors": ("ridge", "knn"), "fitted": {SURROGATE: (40,)}, "trials": 3, "resamples": 50}
    return StudySettings(**{**plain, **changes})


def test_a_study_has_a_row_for_every_set_and_truth(pools, tmp_path: Path) -> None:
    study = run_study([pools], [], settle(), tmp_path, silent)
    found = {(row.predictor, row.blocks, row.place, row.truth) for row in study.rows}
    both = ("noisy", "noise-free")
    for name in ("ridge", "knn"):
        for truth in both:
            # all 21 cells of one block are fitted, so there are no others of their size
            assert {(b, p) for n, b, p, t in found if (n, t) == (name, truth)} == {
                *((b, p) for b in (1, 2) for p in ("fitted", "next")),
                (2, "unseen"),
                (ALL_SIZES, "next"),
            }
    cells = {(row.blocks, row.place): (row.fitted_cells, row.cells) for row in study.rows}
    assert cells[1, "fitted"] == (21, 21)
    assert cells[2, "unseen"] == (40, 80)
    assert cells[2, "next"] == (40, 120)
    assert cells[ALL_SIZES, "next"] == (0, 240)
    assert {row.blocks: row.fitted_sets for row in study.rows} == {1: 1, 2: 3, ALL_SIZES: 0}


def test_figures_are_those_of_the_trials(pools, tmp_path: Path) -> None:
    settings = settle(predictors=("knn",))
    study = run_study([pools], [], settings, tmp_path, silent)
    job = next(job for job in list_jobs(pools, settings) if job.blocks == 2)
    trials = run_trials(job)
    truth = pools.by_blocks[3].noisy
    each = [spearmanr(predicted, truth).statistic for predicted in trials.beyond]
    row = next(r for r in study.rows if (r.blocks, r.place, r.truth) == (2, "next", "noisy"))
    assert row.figures["spearman"].value == pytest.approx(np.mean(each))
    assert row.deviation == pytest.approx(np.std(each, ddof=1))
    assert row.by_trial == pytest.approx(each)
    pooled = spearmanr(trials.beyond.ravel(), np.tile(truth, 3)).statistic
    assert row.figures["spearman_pooled"].value == pytest.approx(pooled)
    fitted = next(r for r in study.rows if (r.blocks, r.place, r.truth) == (2, "fitted", "noisy"))
    here = pools.by_blocks[2].noisy
    own = [spearmanr(trials.here[t, trials.fitted[t]], here[trials.fitted[t]]).statistic for t in range(3)]
    assert fitted.figures["spearman"].value == pytest.approx(np.mean(own))


def test_differences_are_from_the_first_and_paired(pools, tmp_path: Path) -> None:
    study = run_study([pools], [], settle(), tmp_path, silent)
    rows = {(r.predictor, r.blocks, r.truth): r for r in study.rows if r.place == "next"}
    for blocks in (1, 2, ALL_SIZES):
        first, second = (rows[name, blocks, "noisy"].figures for name in ("ridge", "knn"))
        assert np.isnan(first["difference"].value)
        apart = second["spearman"].value - first["spearman"].value
        assert second["difference"].value == pytest.approx(apart)
        assert second["difference"].low <= apart <= second["difference"].high


def test_a_difference_may_be_larger_than_any_figure(pools) -> None:
    """A predictor that ranks cells the right way round beside one that ranks them the wrong way round."""
    job = next(iter(list_jobs(pools, settle(predictors=("knn",)))))
    draws = draw_shared(job, 40)
    fitted = np.tile(np.arange(len(job.here)), (3, 1))
    right, wrong = (
        Trials(
            fitted,
            np.tile(sign * job.here.noisy, (3, 1)),
            np.tile(sign * job.beyond.noisy, (3, 1)),
            np.ones(3),
        )
        for sign in (1, -1)
    )
    first = {(row.place, row.truth): sample for row, sample in score_job("x", job, wrong, draws, {})}
    rows = [row for row, _ in score_job("x", job, right, draws, first) if row.truth == "noisy"]
    assert rows
    for row in rows:
        found = row.figures["difference"]
        assert found.value == pytest.approx(2.0) and found.high <= 2.0
        assert found.low == pytest.approx(2.0)


def test_the_same_cells_for_every_predictor_and_none_twice(pools) -> None:
    pool = pools.by_blocks[2]
    chosen = [choose_cells(pool, 40, 2, trial, seed=0) for trial in range(5)]
    assert all(len(set(one.tolist())) == 40 for one in chosen)
    assert len({one.tobytes() for one in chosen}) == 5
    ridge, knn = (run_trials(job) for job in list_jobs(pools, settle()) if job.blocks == 2)
    assert np.array_equal(ridge.fitted, knn.fitted)


def test_what_is_done_is_not_done_again(pools, tmp_path: Path) -> None:
    told: list[str] = []

    def tell(standing: Standing) -> None:
        told.extend([standing.last] if standing.last else [])

    settings = settle()
    first = run_study([pools], [], settings, tmp_path, tell)
    assert len(told) == 4
    files = sorted(tmp_path.iterdir())
    files[0].write_bytes(files[0].read_bytes()[:50])  # cut by a full disk, say
    again = run_study([pools], [], settings, tmp_path, tell)
    assert len(told) == 5
    for one, other in zip(first.rows, again.rows, strict=True):
        assert one.figures["spearman"] == other.figures["spearman"]
    more = settle(predictors=("ridge", "knn", "depth"))
    run_study([pools], [], more, tmp_path, tell)
    assert len(told) == 7  # the new predictor's two


def test_two_processes_find_the_same(pools, tmp_path: Path) -> None:
    alone = run_study([pools], [], settle(), tmp_path / "one", silent)
    both = run_study([pools], [], settle(workers=2), tmp_path / "two", silent)
    assert [row.figures["spearman"] for row in alone.rows] == [row.figures["spearman"] for row in both.rows]


class Stubborn:
    """A predictor that raises what it is made to raise, or answers badly."""

    def __init__(self, space: CellSpace, how: str = "raise") -> None:
        self.how = how

    def fit(self, cells, accuracies, seed=0) -> None:
        if self.how == "raise":
            raise ZeroDivisionError("no luck")

    def predict(self, cells) -> Prediction:
        return Prediction(np.full(len(cells), np.nan))


@pytest.mark.parametrize(("how", "message"), [("raise", "failed: ZeroDivisionError"), ("nan", "finite")])
def test_a_predictor_that_fails_is_named(pools, how: str, message: str, monkeypatch) -> None:
    job = replace(next(iter(list_jobs(pools, settle()))), predictor="a:b")
    monkeypatch.setattr(
        "pnas_sim.study.predictors_trials.make_predictor", lambda name, space, **options: Stubborn(space, how)
    )
    with pytest.raises(WorkError, match=f"predictor a:b.*{message}"):
        run_trials(job)


class Probe:
    """A predictor that remembers what it was made with and fitted on, and answers by that."""

    def __init__(self, **options: object) -> None:
        self.options = options

    def fit(self, cells, accuracies, seed=0) -> None:
        self.cells, self.accuracies, self.seed = cells, accuracies, seed

    def predict(self, cells) -> Prediction:
        return Prediction(cells[:, :8] @ np.arange(1.0, 9.0) + self.seed % 1000)


def test_each_trial_has_its_own_predictor_cells_and_seed(pools, monkeypatch) -> None:
    made: list[Probe] = []

    def make(name: str, space: CellSpace, **options: object) -> Probe:
        made.append(Probe(**options))
        return made[-1]

    monkeypatch.setattr("pnas_sim.study.predictors_trials.make_predictor", make)
    jobs = [replace(job, options={"alpha": 2.0}) for job in list_jobs(pools, settle(predictors=("knn",)))]
    for job in (*jobs, replace(jobs[0], seed=1)):
        trials = run_trials(job)
        for trial, probe in enumerate(made[-3:]):
            assert probe.options == {"alpha": 2.0}
            assert np.array_equal(probe.cells, job.here.cells[trials.fitted[trial]])
            assert np.array_equal(probe.accuracies, job.here.noisy[trials.fitted[trial]])
            assert np.array_equal(trials.here[trial], probe.predict(job.here.cells).mean)
            assert np.array_equal(trials.beyond[trial], probe.predict(job.beyond.cells).mean)
    assert len(made) == 9 and len({probe.seed for probe in made}) == 9


def test_trials_are_kept_exactly(pools, tmp_path: Path) -> None:
    trials = run_trials(next(iter(list_jobs(pools, settle()))))
    write_trials(tmp_path / "t.npz", trials)
    read = read_trials(tmp_path / "t.npz")
    assert read is not None
    for name in ("fitted", "here", "beyond", "seconds"):
        assert np.array_equal(getattr(read, name), getattr(trials, name))
    assert read_trials(tmp_path / "none.npz") is None
    content = bytearray((tmp_path / "t.npz").read_bytes())
    content[30 + content[26] + content[28]] = 7  # the first block, of a type that deflate lacks
    (tmp_path / "t.npz").write_bytes(content)
    assert read_trials(tmp_path / "t.npz") is None


def test_file_names_follow_what_decides(pools) -> None:
    jobs = list(list_jobs(pools, settle()))
    changed = [
        replace(jobs[0], **change)
        for change in (
            {"seed": 1},
            {"trials": 4},
            {"fitted": 41},
            {"data": "x"},
            {"options": {"alpha": 1.0}},
            {"beyond": jobs[0].here},
        )
    ]
    assert len({job.file_name for job in (*jobs, *changed)}) == len(jobs) + len(changed)


def test_sizes_without_a_neighbour_or_with_few_cells_are_left_out(pools, tmp_path: Path) -> None:
    few = Pool(*(values[:4] for values in (pools.by_blocks[2].cells, *[pools.by_blocks[2].noisy] * 2)), 0.1)
    lonely = Pools(SURROGATE, SPACE, {1: pools.by_blocks[1], 2: few, 3: pools.by_blocks[3]}, "d")
    assert list(list_jobs(lonely, settle())) == []
    with pytest.raises(SettingError, match="no cells to study"):
        run_study([lonely], [], settle(), tmp_path, silent)


def test_a_size_whose_accuracies_are_all_equal_is_named_before_anything_is_fitted(
    pools, tmp_path: Path
) -> None:
    three = pools.by_blocks[3]
    flat = Pool(three.cells, np.full(len(three), 0.5), np.full(len(three), np.nan), float("nan"))
    equal = Pools(SURROGATE, SPACE, {**pools.by_blocks, 3: flat}, "d")
    message = rf"all {len(three)} accuracies of 3 blocks \(surrogate\) are 0.5, .* fewer --blocks"
    with pytest.raises(SettingError, match=message):
        run_study([equal], [], settle(), tmp_path, silent)
    assert list(tmp_path.iterdir()) == []


def test_equal_accuracies_may_be_fitted_and_rank_nothing(pools, tmp_path: Path) -> None:
    one = pools.by_blocks[1]
    flat = Pool(one.cells, np.full(len(one), 0.5), np.full(len(one), np.nan), float("nan"))
    study = run_study(
        [Pools(SURROGATE, SPACE, {1: flat, 2: pools.by_blocks[2]}, "d")], [], settle(), tmp_path, silent
    )
    assert all(row.figures["spearman"].value == 0 for row in study.rows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predictors": ()}, "no predictors"),
        ({"predictors": ("knn", "knn")}, "'knn' is named twice"),
        ({"trials": 0}, "trials is 0"),
        ({"workers": 0}, "workers is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"fitted": {SURROGATE: (3,)}}, "cells to fit on are 3"),
        ({"fitted": {SURROGATE: ()}}, "cells to fit on are none"),
    ],
)
def test_settings_out_of_range_are_named(changes: dict, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        settle(**changes)


def test_the_papers_table() -> None:
    assert find_paper_value("mlp-ensemble", "next", 1) == 0.164
    assert find_paper_value("rnn", "fitted", 2) == 0.996
    assert find_paper_value("rnn-ensemble", "next", 4) == 0.424
    assert find_paper_value("rnn", "unseen", 2) is None
    assert find_paper_value("gbt", "next", 2) is None
    assert find_paper_value("mlp", "next", 5) is None


def test_the_ceiling_of_trained_cells_is_simulated_from_their_seeds(pools, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    doubled = {}
    for size, pool in pools.by_blocks.items():
        other = pool.noisy + rng.normal(0, 0.05, len(pool))
        doubled[size] = Pool(pool.cells, pool.noisy, (pool.noisy + other) / 2, 0.05)
    trained = Pools(TRAINED, SPACE, doubled, "d")
    study = run_study([trained], [], settle(fitted={TRAINED: (40,)}), tmp_path, silent)
    for ceiling, pool in zip(study.ceilings, doubled.values(), strict=True):
        # the mean of two seeds would promise more than a second seed could show
        assert ceiling.figures["spearman"] < spearmanr(pool.expected, pool.noisy).statistic
        assert ceiling.noise == 0.05
