"""Speed of the engine's loop. Run: `pytest bench/bench_engine.py --benchmark-only`.

Whole runs, from the first ask to the summed-up result. With a free function over arrays: random search in
batches of 1,000, and the loop alone (cells drawn beforehand) in batches of 20, as evolution asks. With the
surrogate that ships and the run log on, as `pnas-sim run` has it: random search in batches of 100. Medians
over rounds, in CPU seconds of one thread, so that other work of the machine counts little; the run with a
log, which waits for the disk, says beside it what it came to by the clock. Each test fails where its target
is missed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pnas_backends.table import SurrogateBackend
from pnas_sim.engine import Budget, run_search
from pnas_sim.evaluate import Answers, Evaluation, Evaluator, EvaluatorSpec, Source
from pnas_sim.runlog import RunLog
from pnas_sim.search import Observations, Proposals, RandomSearch, Strategy
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_tables.catalogue import DEFAULT_TABLE, find_table
from pnas_tables.format import read_table

FREE_MODELS_A_SECOND = 100_000  # batches of 1,000, no log
SMALL_BATCH_MODELS_A_SECOND = 20_000  # batches of 20, no log: 1 ms a batch
LOGGED_MODELS_A_SECOND = 5_000  # batches of 100, surrogate and log

SPACE = CellSpace()


class Free:
    """Answers at no cost."""

    def __init__(self) -> None:
        self.spec = EvaluatorSpec(name="free", space=SPACE, epochs=1.0)
        self.values = np.random.default_rng(0).random(1000)

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """One by one; not timed here."""
        yield from (Evaluation(cell=text, valid_accuracy=0.5) for text in SPACE.format_many(cells))

    def evaluate_bulk(self, cells: Rows, epochs: float, seed: int) -> Answers:
        """As arrays."""
        zeros, unknown = np.zeros(len(cells)), np.full(len(cells), np.nan)
        return Answers(
            source=Source.PREDICTED,
            epochs=epochs,
            seed=seed,
            status=np.zeros(len(cells), np.uint8),
            valid_accuracy=self.values[: len(cells)],
            expected_valid_accuracy=unknown,
            test_accuracy=unknown,
            examples=zeros,
            seconds=zeros,
            parameters=np.full(len(cells), -1),
            multiply_adds=np.full(len(cells), -1),
            extrapolated=np.zeros(len(cells), np.bool_),
        )

    def close(self) -> None:
        """Nothing is held."""


class Drawn:
    """A strategy that has its cells ready, so that only the loop is timed."""

    def __init__(self, cells: Rows) -> None:
        self.cells, self.asked = cells, 0

    def ask(self, n: int) -> Proposals:
        """The next n."""
        self.asked += n
        return Proposals(self.cells[self.asked - n : self.asked])

    def tell(self, observations: Observations) -> None:
        """Learns nothing."""

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """Learns nothing."""


def search(
    strategy: Strategy, evaluator: Evaluator, models: int, batch: int, log: RunLog | None = None
) -> None:
    budget = Budget(models=models)
    result = run_search(strategy, evaluator, budget=budget, batch=batch, log=log)
    assert result.models_evaluated == models


@pytest.mark.benchmark(timer=time.process_time)
def test_random_search_with_a_free_function(benchmark) -> None:
    models, batch = 50_000, 1000
    benchmark.extra_info.update(target=FREE_MODELS_A_SECOND, unit="models/s", n=models)
    benchmark.pedantic(lambda: search(RandomSearch(SPACE), Free(), models, batch), rounds=9, warmup_rounds=1)
    assert models / benchmark.stats["median"] > FREE_MODELS_A_SECOND


@pytest.mark.benchmark(timer=time.process_time)
def test_the_loop_in_small_batches(benchmark) -> None:
    models, batch = 20_000, 20
    cells = SPACE.sample(models + 1000, np.random.default_rng(0))
    cells = cells[SPACE.unique(cells)[0]]
    benchmark.extra_info.update(target=SMALL_BATCH_MODELS_A_SECOND, unit="models/s", n=models)
    benchmark.pedantic(lambda: search(Drawn(cells), Free(), models, batch), rounds=9, warmup_rounds=1)
    assert models / benchmark.stats["median"] > SMALL_BATCH_MODELS_A_SECOND


@pytest.fixture(scope="module")
def surrogate() -> SurrogateBackend:
    """The default one of the main table that ships."""
    return SurrogateBackend(read_table(find_table(DEFAULT_TABLE)), 5, DEFAULT_TABLE)


@pytest.mark.benchmark(timer=time.process_time)
def test_a_logged_search_on_a_surrogate(benchmark, surrogate: SurrogateBackend, tmp_path: Path) -> None:
    models = 5_000
    numbers = itertools.count()
    by_the_clock = []

    def run() -> None:
        begun = time.perf_counter()
        with RunLog(tmp_path / f"log-{next(numbers)}") as log:
            search(RandomSearch(SPACE), surrogate, models, 100, log)
        by_the_clock.append(models / (time.perf_counter() - begun))

    benchmark.extra_info.update(target=LOGGED_MODELS_A_SECOND, unit="models/s", n=models)
    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    benchmark.extra_info["by_the_clock"] = float(np.median(by_the_clock))
    assert models / benchmark.stats["median"] > LOGGED_MODELS_A_SECOND
