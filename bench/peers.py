"""Loops of other projects beside ours, on one free function, in one run: `python bench/peers.py`.

Every loop asks for five-block cells as 20 categories (or small integers) and judges them by the same rugged
function; ours also finds canonical forms and knows repeats. Printed: models a second in CPU seconds, the
median of the rounds, which are interleaved, so that what else the machine does touches all alike; n a round,
and how many times faster our random search is. What is not installed is left out and said:
`pip install optuna pymoo "syne-tune[blackbox-repository]"` into an environment of one's own brings all.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from bench_searches import SPACE, Rugged, judge

from pnas_sim.engine import Budget, run_search
from pnas_sim.search import SearchRequest, make_search

LIMITS = [limit for block in range(SPACE.max_blocks) for limit in (*[block + 2] * 2, *[8] * 2)]
NAMES = [f"token{at:02}" for at in range(len(LIMITS))]


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop to be timed.

    Attributes:
        run: judges so many cells.
        models: of a round.
        needs: the package it is of.
    """

    run: Callable[[int], None]
    models: int
    needs: str = "numpy"


def run_ours(name: str, batch: int) -> Callable[[int], None]:
    def run(models: int) -> None:
        search = make_search(name, SearchRequest(space=SPACE))
        run_search(search, Rugged(), budget=Budget(models=models), batch=batch)

    return run


def run_bare(models: int) -> None:
    """A Python loop that remembers the best of random cells, and nothing else."""
    rng = np.random.default_rng(0)
    draws, best = rng.integers(0, LIMITS, (models, len(LIMITS))).astype(np.uint8), -1.0
    for row in draws:
        best = max(best, float(judge(row)))


def judge_named(tokens: Mapping[str, Any]) -> float:
    return float(judge(np.array([tokens[name] for name in NAMES], np.uint8)))


def run_optuna(sampler: str, stored: bool = False) -> Callable[[int], None]:
    def run(models: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        choices = {name: list(range(limit)) for name, limit in zip(NAMES, LIMITS, strict=True)}

        def objective(trial: optuna.Trial) -> float:
            return judge_named({name: trial.suggest_categorical(name, choices[name]) for name in NAMES})

        with tempfile.TemporaryDirectory() as folder:
            storage = f"sqlite:///{Path(folder) / 'study.db'}" if stored else None
            made = getattr(optuna.samplers, sampler)(seed=0)
            study = optuna.create_study(storage=storage, sampler=made, direction="maximize")
            study.optimize(objective, n_trials=models)

    return run


def run_pymoo(models: int) -> None:
    """Its genetic algorithm on integers, population 100, judged as arrays."""
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    class Cells(Problem):
        def __init__(self) -> None:
            Problem.__init__(self, n_var=len(LIMITS), n_obj=1, xl=0, xu=np.array(LIMITS) - 1, vtype=int)

        def _evaluate(self, x: np.ndarray, out: dict[str, Any], *_: Any, **__: Any) -> None:
            out["F"] = -judge(x.astype(np.uint8))

    algorithm = GA(
        pop_size=100,
        sampling=IntegerRandomSampling(),
        crossover=SBX(vtype=float, repair=RoundingRepair()),
        mutation=PM(vtype=float, repair=RoundingRepair()),
    )
    minimize(Cells(), algorithm, ("n_eval", models), seed=0)


def run_syne_tune(models: int) -> None:
    """Its simulator, without its words on standard output and its files in the home folder."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        os.environ["SYNETUNE_FOLDER"] = folder
        make_tuner(models).run()


def make_tuner(models: int) -> Any:
    """Syne Tune's random search, four workers, a model taking one simulated second."""
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
    from syne_tune.blackbox_repository.blackbox import Blackbox
    from syne_tune.blackbox_repository.simulated_tabular_backend import UserBlackboxBackend
    from syne_tune.config_space import randint
    from syne_tune.optimizer.baselines import RandomSearch

    logging.getLogger().setLevel(logging.ERROR)
    space = {name: randint(0, limit - 1) for name, limit in zip(NAMES, LIMITS, strict=True)}

    class Cells(Blackbox):
        def __init__(self) -> None:
            epochs = {"epoch": randint(1, 1)}
            Blackbox.__init__(self, space, epochs, ["accuracy", "elapsed_time"])

        @property
        def fidelity_values(self) -> np.ndarray:
            return np.array([1])

        def _objective_function(
            self, configuration: dict[str, Any], fidelity: Any = None, seed: Any = None
        ) -> Any:
            found = [judge_named(configuration), 1.0]
            named = dict(zip(("accuracy", "elapsed_time"), found, strict=True))
            return np.array([found]) if fidelity is None else named

    return Tuner(
        trial_backend=UserBlackboxBackend(Cells(), elapsed_time_attr="elapsed_time"),
        scheduler=RandomSearch(space, metrics=["accuracy"], random_seed=0),
        stop_criterion=StoppingCriterion(max_num_trials_finished=models),
        n_workers=4,
        sleep_time=0,
        callbacks=[SimulatorCallback()],
        save_tuner=False,
        results_update_interval=1e9,
        print_update_interval=1e9,
    )


LOOPS: Mapping[str, Loop] = {
    "pnas-sim random, batches of 1,000": Loop(run_ours("random", 1000), 20_000),
    "pnas-sim evolution, 20 at a time": Loop(run_ours("evolution", 20), 10_000),
    "bare Python loop": Loop(run_bare, 20_000),
    "Optuna random": Loop(run_optuna("RandomSampler"), 300, "optuna"),
    "Optuna random, SQLite storage": Loop(run_optuna("RandomSampler", stored=True), 40, "optuna"),
    "Optuna TPE": Loop(run_optuna("TPESampler"), 100, "optuna"),
    "pymoo genetic algorithm": Loop(run_pymoo, 2_000, "pymoo"),
    "Syne Tune simulator, random": Loop(run_syne_tune, 300, "syne_tune"),
}


def main() -> None:
    """Prints a line for each loop."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    there = {name: loop for name, loop in LOOPS.items() if importlib.util.find_spec(loop.needs)}
    spent: dict[str, list[float]] = {name: [] for name in there}
    for number in range(rounds + 1):  # the first warms up
        for name, loop in there.items():
            begun = time.process_time()
            loop.run(loop.models)
            if number:
                spent[name].append(time.process_time() - begun)
    speeds = {name: there[name].models / float(np.median(spent[name])) for name in there}
    ours = next(iter(speeds.values()))
    print(f"models a CPU second, median of {rounds} rounds; n models a round; ours is so many times faster")
    for name, loop in LOOPS.items():
        if name in speeds:
            print(f"{name:36}{speeds[name]:>12,.0f}  n={loop.models:<7,}{ours / speeds[name]:>9,.1f}")
        else:
            print(f"{name:36}{'not installed':>12}: pip install {loop.needs.replace('_', '-')}")


if __name__ == "__main__":
    main()
