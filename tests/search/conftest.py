from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.predict import Prediction
from pnas_sim.search import Observations
from pnas_sim.space import CellSpace


class IntegerPredictor:
    """Scores are whole numbers of 64ths: exact on every machine, and full of ties.

    It reads rows as they are written, so that two rows of one cell may score differently.
    """

    def __init__(self, salt: int = 0) -> None:
        self.salt = salt
        self.fits: list[tuple[np.ndarray, np.ndarray, int]] = []
        self.scored = 0

    def fit(self, cells: np.ndarray, accuracies: np.ndarray, seed: int = 0) -> None:
        self.fits.append((cells.copy(), accuracies.copy(), seed))

    def predict(self, cells: np.ndarray) -> Prediction:
        self.scored += len(cells)
        tokens = np.where(cells == 255, 0, cells).astype(np.int64)
        places = np.arange(cells.shape[1]) * 7 + 3 + self.salt
        shift = round(float(sum(self.fits[-1][1])) * 64)
        return Prediction(mean=((tokens * places).sum(axis=1) * 11 + shift) % 64 / 64)


def integer_accuracy(cells: np.ndarray) -> np.ndarray:
    """Accuracies that are whole numbers of 64ths, `float64[n]`."""
    tokens = np.where(cells == 255, 0, cells).astype(np.int64)
    return (tokens * (np.arange(cells.shape[1]) * 5 + 1)).sum(axis=1) % 64 / 64


@pytest.fixture
def make_integer_predictor() -> type[IntegerPredictor]:
    return IntegerPredictor


@pytest.fixture
def answer():
    return integer_accuracy


@pytest.fixture
def small_space() -> CellSpace:
    return CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)


def drive_batches(search, answer, batches: int, n: int = 10_000, fail=None) -> list:
    """Asks and tells so many batches, fewer where the search finishes; returns (proposals, observations)."""
    trace = []
    for _ in range(batches):
        proposals = search.ask(n)
        if not len(proposals):
            break
        status = np.zeros(len(proposals), np.uint8) if fail is None else fail(proposals.cells)
        values = np.where(status == 2, np.nan, np.where(status == 1, 0.1, answer(proposals.cells)))
        observations = Observations(values, status)
        search.tell(observations)
        trace.append((proposals, observations))
    return trace


def check_misuse(search) -> None:
    """Asks that the usual mistakes of a loop are refused with one clear line."""
    with pytest.raises(SettingError, match="without ask"):
        search.tell(Observations.ok(np.zeros(3)))
    with pytest.raises(SettingError, match="at least 1"):
        search.ask(0)
    cells = len(search.ask(4))
    with pytest.raises(SettingError, match=f"{cells} cells"):
        search.tell(Observations.ok(np.zeros(cells + 1)))
    with pytest.raises(SettingError, match="without tell"):
        search.ask(4)
    search.tell(Observations.ok(np.full(cells, 0.5)))
    assert len(search.ask(4)) >= 1


def check_replay(make, answer, batches: int, cut: int, n: int = 10_000) -> None:
    """Asks that a search told a log's first batches goes on exactly as the one that made them."""
    live = drive_batches(make(), answer, batches, n)
    search = make()
    for proposals, observations in live[:cut]:
        search.replay(proposals, observations)
    for ours, theirs in zip(live[:cut] + drive_batches(search, answer, batches - cut, n), live, strict=True):
        assert ours[0].cells.tolist() == theirs[0].cells.tolist()
        assert ours[0].epochs == theirs[0].epochs


@pytest.fixture
def drive():
    return drive_batches


@pytest.fixture
def demand_turns():
    return check_misuse


@pytest.fixture
def demand_replay():
    return check_replay


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Lets torch use one thread: for networks this small, several only get in each other's way."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
