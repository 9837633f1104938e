"""Speed of what is measured of finished runs. Run: `pytest bench/bench_study.py --benchmark-only`.

Figures are medians over rounds, one thread (`OMP_NUM_THREADS=1`), in CPU seconds. A comparison of the size
that the headline is from: 10 searches, two of them PNAS with 1,160 models, the others with 6,000, in 10
worlds with 2 seeds: 200 made-up runs.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from pnas_sim.study.accounts import Reranking
from pnas_sim.study.analysis import Analysis, Wishes, analyse
from pnas_sim.study.curves import Counting
from pnas_sim.study.efficiency import Costs
from pnas_sim.study.finished import Facts, FinishedRun
from pnas_sim.study.grid import RunGrid, arrange_runs
from pnas_sim.study.landmarks import Landmarks
from pnas_sim.study.paper import PAPER_BUDGET, PAPER_MODELS, TOPS

CURVE_SECONDS = 1.0  # top 1, 5 and 25 of all 200 runs
ANALYSIS_SECONDS = 20.0  # everything, 1,000 resamples
LABELS = ("pnas", "pnas-rnn", *(f"search-{number}" for number in range(8)))
WORLDS, SEEDS = tuple(range(10)), (0, 1)
MARKS = {"top 1%": 0.57, "top 0.1%": 0.6}


def make_run(label: str, world: int, seed: int) -> FinishedRun:
    rng = np.random.default_rng([LABELS.index(label), world, seed])
    grows = label.startswith("pnas")
    count = PAPER_MODELS if grows else PAPER_BUDGET
    blocks = np.repeat([1, 2, 3, 4, 5], [136, 256, 256, 256, 256]) if grows else np.full(count, 5)
    gain = 0.02 * blocks - 0.08 if grows else np.linspace(0, 0.02, count)
    expected = rng.normal(0.5, 0.03, count) + gain
    facts = Facts(
        label=label,
        world=world,
        seed=seed,
        fingerprint=label,
        data="made-up",
        proposals=count,
        repeats=0,
        failed=0,
        stopped="budget",
        seconds=1.0,
        source="predicted",
    )
    return FinishedRun(
        facts=facts,
        cells=np.zeros((count, 20), np.uint8),
        blocks=blocks,
        values=expected + rng.normal(0, 0.006, count),
        expected=expected,
        examples=np.full(count, 20_000.0),
        seconds=rng.random(count),
        proposals=np.arange(1, count + 1),
    )


@pytest.fixture(scope="module")
def grid() -> RunGrid:
    runs = [make_run(label, world, seed) for label in LABELS for world in WORLDS for seed in SEEDS]
    return arrange_runs(runs, LABELS, WORLDS, SEEDS)


@pytest.mark.benchmark(timer=time.process_time)
def test_curves_of_all_runs(benchmark, grid: RunGrid) -> None:
    def follow_all() -> int:
        return sum(len(grid.follow(label, top, Counting.SYMMETRICAL)) for label in LABELS for top in TOPS)

    benchmark.extra_info.update(target=CURVE_SECONDS, unit="s", n=600)
    assert benchmark.pedantic(follow_all, rounds=3) == 600
    assert benchmark.stats["median"] < CURVE_SECONDS


@pytest.mark.benchmark(timer=time.process_time)
def test_whole_analysis(benchmark, grid: RunGrid) -> None:
    marks = {
        world: Landmarks(
            world=world,
            data="made-up",
            sample=1,
            observed=MARKS,
            expected=MARKS,
            local_evaluations=0,
            local_best=0.7,
            local_cell="",
        )
        for world in WORLDS
    }
    wishes = Wishes(references=LABELS[:2], tops=TOPS, costs=Costs(20_000.0, Reranking()))

    def analyse_all() -> Analysis:
        return analyse(grid, marks, wishes)

    benchmark.extra_info.update(target=ANALYSIS_SECONDS, unit="s", n=200)
    found = benchmark.pedantic(analyse_all, rounds=1)
    assert len(found.duels) == 2 * 9 * 3 * 2 * 2
    assert benchmark.stats["median"] < ANALYSIS_SECONDS
