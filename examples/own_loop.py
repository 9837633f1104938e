"""Drives PNAS from a loop of one's own, without the engine. Run: `python examples/own_loop.py`."""

from __future__ import annotations

from math import isfinite

from pnas_sim.predict import make_predictor
from pnas_sim.search import Observations, Pnas
from pnas_sim.space import CellSpace


def judge(text: str) -> float:
    """A made-up accuracy: put your own training here, and give NaN where it fails."""
    return 0.5 + 0.05 * text.count("sep5") - 0.02 * text.count("id")


space = CellSpace(max_blocks=3)
search = Pnas(space, make_predictor("ridge", space), beam=16, seed=0)
accuracy_of: dict[str, float] = {}
while len(proposals := search.ask(64)):
    texts = space.format_many(proposals.cells)
    accuracies = [judge(text) for text in texts]
    accuracy_of.update(
        (text, value) for text, value in zip(texts, accuracies, strict=True) if isfinite(value)
    )
    search.tell(Observations.of(accuracies))
best = max(accuracy_of, key=lambda text: accuracy_of[text])
print(f"{len(accuracy_of)} cells judged; the best is {best} at {accuracy_of[best]:.2f}")
