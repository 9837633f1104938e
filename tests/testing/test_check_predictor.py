from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pnas_sim.predict import Prediction, make_predictor
from pnas_sim.space import CellSpace
from pnas_sim.testing.predictors import check_predictor

SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)
SMALL = {"embedding": 6, "hidden": 6, "epochs": 2}


@pytest.mark.parametrize("name", ["mlp-ensemble", "rnn-ensemble", "mlp", "rnn"])
def test_networks_keep_the_contract(name: str) -> None:
    check_predictor(name, SPACE, **SMALL)


def test_ridge_keeps_the_contract() -> None:
    check_predictor("ridge", SPACE)


def test_the_papers_sizes_keep_the_contract() -> None:
    check_predictor("mlp-ensemble", CellSpace(), epochs=1)


class Broken:
    """Ridge with one thing done wrong."""

    def __init__(self, space: CellSpace, fault: str) -> None:
        self.space, self.fault = space, fault
        self.inner = make_predictor("ridge", space)
        self.calls = 0

    def fit(self, cells: np.ndarray, accuracies: np.ndarray, seed: int = 0) -> None:
        if self.fault == "accepts unknown":
            accuracies = np.nan_to_num(accuracies)
        self.inner.fit(cells, accuracies, seed)
        if self.fault == "changes its input":
            accuracies[0] += 0.1
        if self.fault == "seeds the global generator":
            np.random.seed(seed)  # noqa: NPY002

    def predict(self, cells: np.ndarray) -> Prediction:
        if self.fault == "cuts larger cells short":
            cells = cells[:, : self.space.width]
        answer = self.inner.predict(cells)
        self.calls += 1
        if self.fault == "has broken members":
            return replace(answer, members=np.full((2, len(answer.mean)), np.nan))
        wrong = {
            "depends on the batch": lambda mean: (
                np.clip(mean - mean.mean() + 0.5, 0, 1) if len(mean) else mean
            ),
            "depends on the place": lambda mean: mean * np.linspace(1, 0.9, len(mean)),
            "differs by call": lambda mean: mean * 0.99**self.calls,
            "leaves [0, 1]": lambda mean: mean + 1,
            "is not finite": lambda mean: np.full(len(mean), np.nan),
            "has a wrong shape": lambda mean: mean[:, None],
        }
        change = wrong.get(self.fault, lambda mean: mean)
        return replace(answer, mean=change(answer.mean))

    def predict_expansions(self, parents: np.ndarray) -> Prediction:
        answer = self.inner.predict_expansions(parents)
        backwards = self.fault == "expands in another order"
        return replace(answer, mean=answer.mean[::-1].copy() if backwards else answer.mean)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("accepts unknown", "not a number is not refused"),
        ("changes its input", "changes the arrays"),
        ("depends on the batch", "one by one"),
        ("depends on the place", "one by one"),
        ("differs by call", "predicted otherwise"),
        ("leaves [0, 1]", "outside"),
        ("is not finite", "not finite"),
        ("has a wrong shape", "mean is not"),
        ("expands in another order", "predict_expansions differs"),
        ("seeds the global generator", "the predictor uses the global generator of numpy"),
        ("cuts larger cells short", "larger cell than the space has is not refused"),
        ("has broken members", "a member's prediction is not finite"),
    ],
)
def test_faults_are_found(fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_predictor(lambda space: Broken(space, fault), SPACE)


def test_a_sound_predictor_without_a_name_passes() -> None:
    check_predictor(lambda space: Broken(space, "none"), SPACE)


def test_a_predictor_that_differs_between_processes_is_found(tmp_path, monkeypatch) -> None:
    source = (
        "from dataclasses import replace\n"
        "from pnas_sim.predict import make_predictor\n"
        "class Hashing:\n"
        "    def __init__(self, space): self.inner = make_predictor('ridge', space)\n"
        "    def fit(self, cells, accuracies, seed=0): self.inner.fit(cells, accuracies, seed)\n"
        "    def predict(self, cells):\n"
        "        answer = self.inner.predict(cells)\n"
        "        return replace(answer, mean=answer.mean * (hash('salt') % 997 / 997))\n"
    )
    (tmp_path / "hashing_predictor_fixture.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    for factory in ("hashing_predictor_fixture:Hashing", __import__("hashing_predictor_fixture").Hashing):
        with pytest.raises(AssertionError, match="another process"):
            check_predictor(factory, SPACE)
