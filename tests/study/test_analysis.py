from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pnas_sim.study.accounts import Reranking
from pnas_sim.study.analysis import Analysis, Wishes, analyse
from pnas_sim.study.curves import Counting, Kind, View
from pnas_sim.study.efficiency import Costs, measure_efficiency
from pnas_sim.study.finished import FinishedRun
from pnas_sim.study.grid import RunGrid, arrange_runs
from pnas_sim.study.landmarks import Landmarks
from pnas_sim.study.lines import Axis
from pnas_sim.study.log_efficiency import score_log_efficiency
from pnas_sim.study.resampling import draw_resamples
from pnas_sim.study.targets import measure_regrets, reach_targets

MakeRun = Callable[..., FinishedRun]
WISHES = Wishes(references=["pnas"], tops=[1, 3], costs=Costs(10.0, Reranking()), resamples=60)
WORLDS, SEEDS = (0, 1, 2), (0, 1)


@pytest.fixture
def grid(make_run: MakeRun) -> RunGrid:
    """PNAS, which climbs by levels, a random search that is worse, and a twin of the random one."""
    runs = []
    for world in WORLDS:
        for seed in SEEDS:
            rng = np.random.default_rng([world, seed])
            truth = np.repeat([0.4, 0.5, 0.6], 20) + 0.01 * world + rng.normal(0, 0.01, 60)
            seen, blocks = truth + rng.normal(0, 0.01, 60), np.repeat([1, 2, 3], 20)
            runs.append(make_run(seen, truth, blocks, "pnas", world, seed))
            flat = 0.5 + 0.01 * world + rng.normal(0, 0.03, 150)
            noisy = flat + rng.normal(0, 0.01, 150)
            runs += [make_run(noisy, flat, None, label, world, seed) for label in ("random", "twin")]
    return arrange_runs(runs, ["pnas", "random", "twin"], WORLDS, SEEDS)


@pytest.fixture
def landmarks() -> dict[int, Landmarks]:
    return {
        world: Landmarks(
            world=world,
            data="abc",
            sample=100,
            observed={"top 1%": 0.55, "top 0.1%": 2.0},
            expected={"top 1%": 0.55, "top 0.1%": 2.0},
            local_evaluations=10,
            local_best=0.9,
            local_cell="",
        )
        for world in WORLDS
    }


@pytest.fixture
def analysis(grid: RunGrid, landmarks: dict[int, Landmarks]) -> Analysis:
    return analyse(grid, landmarks, WISHES)


def test_every_question_has_a_row_for_every_way_of_counting(analysis: Analysis) -> None:
    views = {(top, counting, kind) for top in (1, 3) for counting in Counting for kind in Kind}
    for rows in (analysis.finals, analysis.duels, analysis.lines):
        assert {(row.view.top, row.view.counting, row.view.kind) for row in rows} == views
    assert {(row.reference, row.search) for row in analysis.duels} == {("pnas", "random"), ("pnas", "twin")}
    assert len(analysis.duels) == 2 * len(views)
    assert len(analysis.finals) == 3 * len(views)
    assert len(analysis.lines) == 3 * 3 * len(views)
    assert len(analysis.scores) == 2 * len(views) / 2
    assert {row.search for row in analysis.reaches} == {"pnas", "random", "twin"}
    assert len(analysis.regrets) == 3 * 2 * 2


def test_winner_is_found_and_the_twin_is_not_another(analysis: Analysis) -> None:
    view = View(1, Counting.PAPER, Kind.EXPECTED)
    row = next(row for row in analysis.duels if row.view == view and row.search == "random")
    assert row.efficiency.difference.low > 0
    score = next(row for row in analysis.scores if row.search == "random")
    assert score.models == 60
    assert math.isfinite(score.score)
    twins = [row for row in analysis.rankings if (row.test.first, row.test.second) == ("random", "twin")]
    assert twins
    assert all(row.test.p_value == 1 and row.test.holm == 1 for row in twins)
    assert {(row.at, row.unit, row.test.pairs) for row in twins} == {
        ("equal", "run", 6),
        ("end", "run", 6),
        ("equal", "world", 3),
        ("end", "world", 3),
    }


def test_holm_is_over_the_pairs_of_one_family(analysis: Analysis) -> None:
    view = View(1, Counting.SYMMETRICAL, Kind.EXPECTED)
    family = [r.test for r in analysis.rankings if r.view == view and r.at == "equal" and r.unit == "run"]
    assert len(family) == 3
    assert min(one.holm for one in family) == pytest.approx(3 * min(one.p_value for one in family))


def test_equal_is_the_references_number_of_models(analysis: Analysis, grid: RunGrid) -> None:
    view = View(1, Counting.SYMMETRICAL, Kind.OBSERVED)
    row = next(row for row in analysis.finals if row.view == view and row.search == "random")
    best = [run.values[:60].max() for run in grid.runs["random"]]
    assert row.equal.value == pytest.approx(np.mean(best))
    assert row.end.value == pytest.approx(np.mean([run.values.max() for run in grid.runs["random"]]))
    assert row.in_runs == tuple(run.values.max() for run in grid.runs["random"])


def test_regret_is_from_the_best_known(analysis: Analysis, grid: RunGrid) -> None:
    row = next(r for r in analysis.regrets if (r.search, r.kind, r.at) == ("pnas", Kind.EXPECTED, "end"))
    chosen = [run.expected[np.argmax(run.values)] for run in grid.runs["pnas"]]
    assert row.regret.value == pytest.approx(0.9 - np.mean(chosen))


def test_best_known_may_be_a_searchs_own(grid: RunGrid, landmarks: dict[int, Landmarks]) -> None:
    low = {world: replace(one, local_best=0.0) for world, one in landmarks.items()}
    rows = analyse(grid, low, WISHES).regrets
    assert min(row.regret.value for row in rows if row.kind is Kind.EXPECTED) >= 0


@pytest.fixture
def uneven(make_run: MakeRun) -> RunGrid:
    """Three searches whose runs all end after other numbers of models, in three worlds with two seeds."""
    runs = []
    for number, (world, seed) in enumerate((world, seed) for world in WORLDS for seed in SEEDS):
        for place, label in enumerate(("pnas", "grown", "random")):
            rng = np.random.default_rng([place, world, seed])
            count = 12 + 6 * place + number * (1 if place else 2)
            truth = 0.4 + 0.02 * place + 0.05 * world + np.sort(rng.normal(0, 0.05, count))
            blocks = None if label == "random" else np.repeat([1, 2], [5, count - 5])
            runs.append(make_run(truth + rng.normal(0, 0.03, count), truth, blocks, label, world, seed))
    return arrange_runs(runs, ["pnas", "grown", "random"], WORLDS, SEEDS)


def test_each_pair_is_measured_on_its_own_curves_by_worlds_and_their_seeds(uneven: RunGrid) -> None:
    wishes = replace(WISHES, references=["pnas", "grown"])
    found = analyse(uneven, {}, wishes)
    drawn = draw_resamples(len(WORLDS), len(SEEDS), wishes.resamples, wishes.confidence)
    assert len(found.duels) == 2 * 2 * 8
    for duel in found.duels:
        own, other = (
            uneven.join(label, uneven.follow(label, duel.view.top, duel.view.counting), duel.view.kind)
            for label in (duel.reference, duel.search)
        )
        assert repr(duel.efficiency) == repr(measure_efficiency(own, other, drawn, wishes.costs))


def test_equal_is_each_run_of_the_first_references_own_number(uneven: RunGrid) -> None:
    """The second reference evaluated more."""
    found = analyse(uneven, {}, replace(WISHES, references=["pnas", "grown"]))
    view = View(1, Counting.SYMMETRICAL, Kind.OBSERVED)
    row = next(row for row in found.finals if row.view == view and row.search == "random")
    pairs = zip(uneven.runs["random"], uneven.runs["pnas"], strict=True)
    assert row.equal.value == pytest.approx(np.mean([run.values[: len(own)].max() for run, own in pairs]))
    assert row.equal.low < row.equal.value < row.end.value


def test_ends_are_where_runs_ended_also_where_a_better_cell_was_displaced(uneven: RunGrid) -> None:
    found = analyse(uneven, {}, WISHES)
    view, fell = View(1, Counting.SYMMETRICAL, Kind.EXPECTED), False
    ends = {row.search: np.array(row.in_runs) for row in found.finals if row.view == view}
    for row in found.finals:
        assert row.end.value == pytest.approx(np.mean(row.in_runs))
        if row.view == view:
            chosen = [run.expected[np.argmax(run.values)] for run in uneven.runs[row.search]]
            assert row.in_runs == pytest.approx(chosen)
            fell |= any(
                c < run.expected.max() for c, run in zip(chosen, uneven.runs[row.search], strict=True)
            )
    assert fell
    for ranking in found.rankings:
        if (ranking.view, ranking.at, ranking.unit) == (view, "end", "run"):
            apart = ends[ranking.test.first] - ends[ranking.test.second]
            assert ranking.test.difference == pytest.approx(np.median(apart))


@pytest.mark.parametrize(("models", "scored"), [(1, False), (2, True), (3, True)])
def test_two_models_are_enough_for_a_score(make_run: MakeRun, models: int, scored: bool) -> None:
    curves = {"pnas": [0.1, 0.3, 0.5], "random": [0.1, 0.2, 0.3]}
    runs = [make_run(values[:models], label=label) for label, values in curves.items()]
    found = analyse(arrange_runs(runs, ["pnas", "random"], [0], [0]), {}, replace(WISHES, tops=[1])).scores
    assert [math.isfinite(row.score) for row in found] == [scored] * 2


def test_targets_need_landmarks_of_every_world(uneven: RunGrid, landmarks: dict[int, Landmarks]) -> None:
    found = analyse(uneven, {0: landmarks[0], 1: landmarks[1]}, replace(WISHES, tops=[1]))
    assert found.reaches == found.regrets == []


def test_log_efficiency_is_of_the_reference_over_models_that_all_runs_have(uneven: RunGrid) -> None:
    found = analyse(uneven, {}, WISHES).scores
    assert {row.view.counting for row in found} == {Counting.SYMMETRICAL}
    for row in found:
        curves = [
            [curve.read(row.view.kind) for curve in uneven.follow(label, row.view.top, row.view.counting)]
            for label in (row.search, row.reference)
        ]
        models = min(len(curve) for side in curves for curve in side)
        begin = row.view.top - 1  # before it there are fewer than the top M
        sides = [np.maximum.accumulate([c[begin:models] for c in side], axis=1) for side in curves]
        assert row.models == models == 12
        assert row.score == pytest.approx(score_log_efficiency(sides[0], sides[1], begin))
    assert any(abs(row.score) > 0.1 for row in found)


def test_a_search_whose_top_is_there_late_is_scored_from_there_on(make_run: MakeRun) -> None:
    """Its first children failed: where one curve is not known yet, nothing is compared."""
    late = [math.nan] * 4 + [0.3, 0.5, 0.7, 0.8]
    runs = [make_run(np.linspace(0.1, 0.8, 8), label="pnas"), make_run(late, label="random")]
    found = analyse(arrange_runs(runs, ["pnas", "random"], [0], [0]), {}, replace(WISHES, tops=[1]))
    wanted = score_log_efficiency(np.array([late[4:]]), np.linspace(0.1, 0.8, 8)[None, 4:], begin=4)
    assert [row.score for row in found.scores] == [pytest.approx(wanted)] * 2


def test_targets_and_regrets_are_of_each_runs_own_world(
    uneven: RunGrid, landmarks: dict[int, Landmarks]
) -> None:
    marks = {
        w: replace(one, expected={"top 1%": 0.4 + w / 9, "top 0.1%": 0.9}) for w, one in landmarks.items()
    }
    known = [marks[run.facts.world] for run in uneven.runs["pnas"]]
    found, drawn = analyse(uneven, marks, WISHES), draw_resamples(len(WORLDS), len(SEEDS), WISHES.resamples)
    assert repr(found.reaches) == repr(reach_targets(uneven, known, list(Kind), drawn))
    assert repr(found.regrets) == repr(measure_regrets(uneven, known, list(Kind), drawn, "pnas"))


def test_where_there_is_one_seed_worlds_are_the_runs(uneven: RunGrid) -> None:
    runs = [run for mine in uneven.runs.values() for run in mine if run.facts.seed == 0]
    found = analyse(arrange_runs(runs, ["pnas", "random"], WORLDS, [0]), {}, WISHES)
    assert {(row.unit, row.test.pairs) for row in found.rankings} == {("run", 3)}


def test_where_there_is_one_world_no_means_of_worlds_are_paired(uneven: RunGrid) -> None:
    runs = [run for mine in uneven.runs.values() for run in mine if run.facts.world == 0]
    found = analyse(arrange_runs(runs, ["pnas", "random"], [0], SEEDS), {}, WISHES)
    assert {(row.unit, row.test.pairs) for row in found.rankings} == {("run", 2)}


def test_target_out_of_reach_is_censored(analysis: Analysis) -> None:
    rows = [row for row in analysis.reaches if row.target == "top 0.1%"]
    assert all(row.models.value == math.inf and row.reached == 0 for row in rows)
    easy = next(
        r for r in analysis.reaches if (r.search, r.target, r.kind) == ("pnas", "top 1%", Kind.EXPECTED)
    )
    assert easy.models.value <= 60
    assert easy.reached == 1


def test_lines_rise_along_their_axis_inside_their_band(analysis: Analysis) -> None:
    for line in analysis.lines:
        assert (np.diff(line.at) > 0).all()
        assert len(line.at) <= 200
        assert (line.low <= line.mean + 1e-12).all() or line.view.kind is Kind.EXPECTED
        assert (line.low <= line.high).all()
    ends = {line.axis: line.at[-1] for line in analysis.lines if line.search == "pnas"}
    assert ends == {Axis.MODELS: 60, Axis.PROPOSALS: 120, Axis.SECONDS: 180}


def test_bands_of_curves_end_in_the_intervals_of_the_tables(grid: RunGrid) -> None:
    """At its last point a curve has all models; 80 resamples have a whole number beyond each end."""
    analysis = analyse(grid, {}, replace(WISHES, resamples=80))
    ends = {(line.search, line.view): line for line in analysis.lines if line.axis is Axis.MODELS}
    for final in analysis.finals:
        line = ends[final.search, final.view]
        assert line.low[-1] == pytest.approx(final.end.low)
        assert line.high[-1] == pytest.approx(final.end.high)


def test_without_landmarks_there_are_no_targets(grid: RunGrid) -> None:
    found = analyse(grid, {}, WISHES)
    assert found.reaches == found.regrets == []
    assert found.duels


def test_unknown_expected_values_leave_observed_ones_only(make_run: MakeRun) -> None:
    runs = [make_run([0.1, 0.2, 0.3], [math.nan] * 3, label=label) for label in ("pnas", "random")]
    found = analyse(arrange_runs(runs, ["pnas", "random"], [0], [0]), {}, WISHES)
    assert found.kinds == (Kind.OBSERVED,)
    assert {row.view.kind for row in found.duels} == {Kind.OBSERVED}


def test_one_run_has_no_intervals(make_run: MakeRun) -> None:
    runs = [make_run([0.1, 0.2, 0.3], label=label) for label in ("pnas", "random")]
    single = arrange_runs(runs, ["pnas", "random"], [0], [0])
    found = analyse(single, {}, WISHES)
    assert found.resamples == 0
    assert found.rankings == []
    assert math.isnan(found.duels[0].efficiency.difference.low)
