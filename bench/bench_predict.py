"""Speed of the predictors, against plain `torch.nn`. Run: `pytest bench/bench_predict.py --benchmark-only`.

Scoring: the 301,056 candidates of the last level of the paper's search by one member, against the same
weights in plain modules that read every row in full, in inference mode, at the best of four batch sizes.
Fitting: an epoch of the five-member RNN ensemble on the 904 cells that a search has before its last level,
against five `nn.LSTM` fitted one after another, padded or packed, whichever is faster.

Both sides of a ratio take turns in one run, on one thread, and are compared by processor seconds, so that
other work on the machine weighs on neither; figures are medians over rounds. Each claim also says how far it
is from its arithmetic alone: multiply-adds over the rate of a large matrix product, plus sigmoids and tanh
over the rate of `torch.sigmoid`, both measured here. A test fails where its target is missed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np
import pytest
import torch

from pnas_sim.predict import make_predictor
from pnas_sim.predict.network import NetworkPredictor
from pnas_sim.predict.stacked import _cut_minibatches, draw_training_sets
from pnas_sim.space import CellSpace
from pnas_sim.testing.plain_networks import PlainLstm, copy_network, read_tokens

SPACE = CellSpace()
PARENTS, CANDIDATES, UNITS = 256, 301_056, 100
BATCHES = (256, 1_024, 4_096, 16_384)
SAMPLE = 32_768  # rows on which the plain network's best batch is found
ROUNDS = 5
SCORING_TIMES_FASTER = {"mlp": 10.0, "rnn": 25.0}
FITTING_TIMES_FASTER = 1.5
ENSEMBLE_SECONDS = {"mlp-ensemble": 1.0, "rnn-ensemble": 2.5}  # the last level, processor seconds
INNER_NODES, NODES, PREFIX = 196, 1_371, 16  # of a parent's tree of 1,176 leaves; tokens of a parent


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def draw_fitted() -> tuple[np.ndarray, np.ndarray]:
    """Returns the cells a search has before its last level, and accuracies that can be learnt."""
    rng = np.random.default_rng(0)
    cells = np.concatenate([SPACE.initial(), *(SPACE.sample(256, rng, blocks=size) for size in (2, 3, 4))])
    worth = np.where(cells == 255, 0, cells * 7 % 5).sum(axis=1) / (SPACE.block_counts(cells) * 16)
    return cells, 0.3 + 0.4 * worth + rng.normal(0, 0.005, len(cells))


def fit(name: str, **options: Any) -> tuple[NetworkPredictor, np.ndarray]:
    """Returns a predictor fitted for real, and the parents of the last level."""
    cells, accuracies = draw_fitted()
    predictor = make_predictor(name, SPACE, **options)
    predictor.fit(cells, accuracies)
    assert isinstance(predictor, NetworkPredictor)
    return predictor, cells[-PARENTS:]


def seconds_of(call: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def arithmetic_seconds(multiply_adds: float, transcendental: float) -> float:
    """What so much arithmetic takes at this machine's rates, one thread."""
    square, row = torch.rand(1_000, 1_000), torch.rand(16_384)
    product, result = torch.empty_like(square), torch.empty_like(row)
    with torch.inference_mode():
        one = min(seconds_of(lambda: torch.mm(square, square, out=product)) for _ in range(7)) / 1e9

        def take_sigmoids() -> None:
            for _ in range(100):
                torch.sigmoid(row, out=result)

        other = min(seconds_of(take_sigmoids) for _ in range(7)) / (100 * len(row))
    return multiply_adds * one + transcendental * other


def count_scoring(name: str) -> tuple[float, float]:
    """Multiply-adds and transcendental functions of one member on the last level, nothing computed twice."""
    if name == "mlp":
        return CANDIDATES * (UNITS * UNITS + UNITS), CANDIDATES
    products = PARENTS * (PREFIX - 1 + INNER_NODES) * 4 * UNITS * UNITS
    return products + CANDIDATES * UNITS, PARENTS * (PREFIX + NODES) * 5 * UNITS


def read_plainly(network: torch.nn.Module, tokens: torch.Tensor, batch: int) -> torch.Tensor:
    with torch.inference_mode():
        return torch.cat([network(chunk) for chunk in tokens.split(batch)])


@pytest.mark.parametrize("name", SCORING_TIMES_FASTER)
def test_scoring_against_the_plain_forward(benchmark, name: str) -> None:
    predictor, parents = fit(name)
    plain = copy_network(predictor, 0)
    tokens = read_tokens(SPACE.expand(parents).cells, 5)
    assert len(tokens) == CANDIDATES
    trials = {
        size: seconds_of(lambda size=size: read_plainly(plain, tokens[:SAMPLE], size)) for size in BATCHES
    }
    batch = min(trials, key=trials.__getitem__)
    fast, slow, expected = [], 0.0, []
    for part in tokens.chunk(ROUNDS):
        fast.append(seconds_of(lambda: predictor.predict_expansions(parents)))
        slow += seconds_of(lambda part=part: expected.append(read_plainly(plain, part, batch)))
    scored = benchmark.pedantic(predictor.predict_expansions, (parents,), rounds=1)
    difference = np.abs(scored.mean - torch.sigmoid(torch.cat(expected)).numpy()).max()
    ratio, alone = slow / median(fast), arithmetic_seconds(*count_scoring(name))
    benchmark.extra_info.update(
        target=SCORING_TIMES_FASTER[name],
        unit="times",
        measured=ratio,
        n=CANDIDATES,
        seconds=median(fast),
        plain_seconds=slow,
        plain_batch=batch,
        arithmetic_seconds=alone,
        times_arithmetic=median(fast) / alone,
        most_difference=float(difference),
    )
    assert difference < 1e-5
    assert ratio > SCORING_TIMES_FASTER[name]


@pytest.mark.parametrize("name", ENSEMBLE_SECONDS)
def test_scoring_by_an_ensemble(benchmark, name: str) -> None:
    predictor, parents = fit(name, epochs=5)
    seconds = [seconds_of(lambda: predictor.predict_expansions(parents)) for _ in range(ROUNDS)]
    scored = benchmark.pedantic(predictor.predict_expansions, (parents,), rounds=1)
    assert len(scored.mean) == CANDIDATES
    benchmark.extra_info.update(
        target=ENSEMBLE_SECONDS[name], unit="s", measured=median(seconds), n=CANDIDATES
    )
    assert median(seconds) < ENSEMBLE_SECONDS[name]


class PlainFit:
    """Five `nn.LSTM`, each with an Adam of its own, fitted one after another."""

    def __init__(self, cells: np.ndarray, accuracies: np.ndarray, batch: int, packed: bool) -> None:
        self.sizes, self.tokens = torch.from_numpy(SPACE.block_counts(cells)), read_tokens(cells, 4)
        self.accuracies, self.batch, self.packed = torch.from_numpy(accuracies).float(), batch, packed
        self.sets = draw_training_sets(len(cells), 5, 0)
        self.networks = [PlainLstm(6, 8, UNITS, UNITS) for _ in self.sets]
        self.optimisers = [
            torch.optim.Adam(network.parameters(), lr=0.002, fused=True) for network in self.networks
        ]

    def run_epoch(self) -> None:
        """One pass of each network over its cells."""
        for network, optimiser, chosen in zip(self.networks, self.optimisers, self.sets, strict=True):
            for (batch,) in _cut_minibatches([chosen], self.batch, np.random.default_rng(0)):
                optimiser.zero_grad()
                error = torch.sigmoid(self.read(network, batch)) - self.accuracies[batch]
                error.abs().mean().backward()
                optimiser.step()

    def read(self, network: PlainLstm, batch: torch.Tensor) -> torch.Tensor:
        """Logits of some cells of several sizes."""
        if self.packed:
            return network.forward_padded(self.tokens[batch], self.sizes[batch])
        states, _ = network.lstm(network.embedding(self.tokens[batch]).flatten(1, 2))
        return network.last(states[torch.arange(len(batch)), 4 * self.sizes[batch] - 1])[:, 0]


def count_fitting(cells: np.ndarray) -> tuple[float, float]:
    """Multiply-adds and transcendental functions of an epoch: one product forwards, two backwards a step."""
    tokens = 4 * SPACE.block_counts(cells).sum() * 0.8 * 5  # four fifths of the cells, five members
    first = len(cells) * 0.8 * 5  # tokens that need no recurrent product
    return (tokens - first) * 3 * 4 * UNITS * UNITS, tokens * 5 * UNITS


def test_fitting_against_one_lstm_after_another(benchmark) -> None:
    cells, accuracies = draw_fitted()
    predictor = make_predictor("rnn-ensemble", SPACE, epochs=1)
    batch = predictor.settings.batch_size
    plain = [PlainFit(cells, accuracies, batch, packed) for packed in (False, True)]
    fast, slow = [], ([], [])
    for _ in range(ROUNDS):
        fast.append(seconds_of(lambda: predictor.fit(cells, accuracies)))
        for seconds, one in zip(slow, plain, strict=True):
            seconds.append(seconds_of(one.run_epoch))
    benchmark.pedantic(predictor.fit, (cells, accuracies), rounds=1)
    ratio, alone = min(map(median, slow)) / median(fast), arithmetic_seconds(*count_fitting(cells))
    benchmark.extra_info.update(
        target=FITTING_TIMES_FASTER,
        unit="times",
        measured=ratio,
        n=len(cells),
        epoch_seconds=median(fast),
        plain_epoch_seconds=min(map(median, slow)),
        batch=batch,
        arithmetic_seconds=alone,
        times_arithmetic=median(fast) / alone,
    )
    assert ratio > FITTING_TIMES_FASTER
