"""Speed of the baselines through the engine. Run: `pytest bench/bench_searches.py --benchmark-only`.

Whole runs with a free function over arrays, 20 cells at a time, memo on, no log: the models counted are
unique cells, so that repeats cost and do not count. The function is rugged (a steep slope modulo 1), so that
no search converges to repeats alone. Learning is included. Medians over rounds in CPU seconds of the process,
one thread; each test fails where its target is missed. Beside them Optuna's own random search on the same
function.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from pnas_sim.engine import Budget, run_search
from pnas_sim.evaluate import Answers, Evaluation, EvaluatorSpec, Source
from pnas_sim.search import SearchRequest, make_search
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows

EVOLUTION_MODELS_A_SECOND = 20_000
CONTROLLER_MODELS_A_SECOND = 500
TIMES_OPTUNA = 10  # random search here over random search there

SPACE = CellSpace()
BATCH = 20
SLOPES = np.random.default_rng(0).uniform(10, 20, SPACE.width)  # so steep that the remainder is rugged


class Rugged:
    """A rugged function of the cell as its accuracy, at next to no cost."""

    spec = EvaluatorSpec(name="rugged", space=SPACE, epochs=1.0)

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """One by one; not timed here."""
        for text, value in zip(SPACE.format_many(cells), judge(cells), strict=True):
            yield Evaluation(cell=text, valid_accuracy=float(value))

    def evaluate_bulk(self, cells: Rows, epochs: float, seed: int) -> Answers:
        """As arrays."""
        values, zeros = judge(cells), np.zeros(len(cells))
        unknown = np.full(len(cells), -1)
        return Answers(
            source=Source.PREDICTED,
            epochs=epochs,
            seed=seed,
            status=np.zeros(len(cells), np.uint8),
            valid_accuracy=values,
            expected_valid_accuracy=values,
            test_accuracy=values,
            examples=zeros,
            seconds=zeros,
            parameters=unknown,
            multiply_adds=unknown,
            extrapolated=np.zeros(len(cells), np.bool_),
        )

    def close(self) -> None:
        """Nothing is held."""


def judge(cells: Rows) -> np.ndarray:
    return cells @ SLOPES % 1.0


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run(name: str, models: int, **options: Any) -> None:
    search = make_search(name, SearchRequest(space=SPACE, options=options))
    result = run_search(search, Rugged(), budget=Budget(models=models), batch=BATCH)
    assert result.models_evaluated == models


@pytest.mark.benchmark(timer=time.process_time)
def test_evolution(benchmark) -> None:
    models = 20_000
    benchmark.extra_info.update(target=EVOLUTION_MODELS_A_SECOND, unit="models/s", n=models)
    benchmark.pedantic(run, ("evolution", models), rounds=9, warmup_rounds=1)
    assert models / benchmark.stats["median"] > EVOLUTION_MODELS_A_SECOND


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("name", ["reinforce", "ppo"])
def test_a_controller_learning_included(benchmark, name: str) -> None:
    models = 1_000
    benchmark.extra_info.update(target=CONTROLLER_MODELS_A_SECOND, unit="models/s", n=models)
    benchmark.pedantic(run, (name, models), rounds=5, warmup_rounds=1)
    assert models / benchmark.stats["median"] > CONTROLLER_MODELS_A_SECOND


def run_optuna(trials: int) -> None:
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), direction="maximize")

    def objective(trial: optuna.Trial) -> float:
        tokens = [
            trial.suggest_categorical(f"{block}_{place}", list(range(block + 2 if place < 2 else 8)))
            for block in range(SPACE.max_blocks)
            for place in range(4)
        ]
        return float(judge(SPACE.canonical(np.array([tokens], np.uint8)))[0])

    study.optimize(objective, n_trials=trials)


@pytest.mark.benchmark(timer=time.process_time)
def test_random_search_beside_optunas(benchmark) -> None:
    """In one run, Optuna's loop first; its own words on each trial are turned off."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trials, models, seconds = 300, 5_000, []
    for _ in range(3):
        begun = time.process_time()
        run_optuna(trials)
        seconds.append(time.process_time() - begun)
    optuna.logging.set_verbosity(verbosity)
    theirs = trials / float(np.median(seconds))
    target = TIMES_OPTUNA * theirs
    benchmark.extra_info.update(target=target, unit="models/s", n=models, optuna_trials_a_second=theirs)
    benchmark.pedantic(run, ("random", models), rounds=5, warmup_rounds=1)
    assert models / benchmark.stats["median"] > target
