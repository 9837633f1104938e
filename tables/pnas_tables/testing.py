"""A made-up trainer, for tests of tables without training: instant, deterministic, and of a known truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pnas_sim.evaluate import Evaluation, EvaluatorSpec
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_tables.build import build_table
from pnas_tables.journal import TableHead
from pnas_tables.plans import Jobs
from pnas_tables.record import Table

CHECKPOINTS = (0.25, 0.5, 1.0)
NOISE = 0.005  # deviation of a training seed


def made_up_accuracy(space: CellSpace, cells: Rows) -> NDArray[np.float64]:
    """The truth, `float64[n]` in (0, 1): it knows operations, which input each reads, depth and size."""
    blocks = np.where(cells == 255, -1, cells.astype(np.int64)).reshape(len(cells), -1, 4)
    there = blocks[:, :, :1] >= 0
    weights = np.linspace(1.0, -0.6, len(space.operations))
    worth = np.where(there, weights[np.maximum(blocks[:, :, 2:], 0)], 0.0)
    inputs = np.maximum(blocks[:, :, :2], 0)
    from_previous = np.where(there, (inputs == 1) * 0.5 + (inputs > 1) * 0.3, 0.0)
    mixed = np.where(there[:, :, 0], np.abs(worth[:, :, 0] - worth[:, :, 1]), 0.0)
    score = (worth + from_previous * worth).sum((1, 2)) - 0.3 * mixed.sum(1)
    count = there[:, :, 0].sum(1)
    logit = 0.4 * score / np.sqrt(count) + 0.1 * count - 0.4
    return np.asarray(1 / (1 + np.exp(-logit)), np.float64)


@dataclass(frozen=True)
class MadeUpTrainer:
    """An `Evaluator` that answers `made_up_accuracy` plus noise keyed by cell and seed.

    Attributes:
        space: of its cells.
        images: checksum of the images that it is said to train on; empty: none is told.
    """

    space: CellSpace
    images: str = ""

    @property
    def spec(self) -> EvaluatorSpec:
        """One epoch of 1,000 images, three checkpoints."""
        return EvaluatorSpec(
            name="made-up",
            space=self.space,
            epochs=1.0,
            fidelities=CHECKPOINTS,
            train_images=1000,
            checksum=self.images,
        )

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """One answer after another."""
        truth = made_up_accuracy(self.space, cells)
        for row, accuracy in zip(cells, truth, strict=True):
            yield self._answer(row, float(accuracy), epochs, seed)

    def _answer(self, row: NDArray[np.uint8], accuracy: float, epochs: float, seed: int) -> Evaluation:
        text = self.space.format(row)
        key = blake2b(f"{text} {seed}".encode(), digest_size=8).digest()
        noise = np.random.default_rng(int.from_bytes(key, "little")).normal(0, NOISE, len(CHECKPOINTS) + 1)
        shares = np.array([0.6, 0.8, 1.0, 0.99])  # of the final accuracy: two checkpoints, the end, the test
        values = np.clip(accuracy * shares + noise, 0, 1).tolist()
        blocks = int(np.sum(row != 255)) // 4
        return Evaluation(
            cell=text,
            valid_accuracy=values[2],
            test_accuracy=values[3],
            epochs=epochs,
            examples=1000.0 * epochs,
            seconds=2.0 * blocks,
            parameters=1000 * blocks + int(np.sum(row[row != 255])),
            multiply_adds=20000 * blocks,
            curve=tuple(zip(CHECKPOINTS, values[:3], strict=True)),
            seed=seed,
        )

    def close(self) -> None:
        """Nothing is held."""


def made_up_head(space: CellSpace, name: str = "made-up") -> TableHead:
    """The head of a table that `MadeUpTrainer` fills."""
    return TableHead(
        name=name,
        space=space,
        recipe={"trainer": "made-up", "epochs": 1.0},
        licence="CC0-1.0",
        train_images=1000,
        chance=0.1,
        epochs=CHECKPOINTS,
    )


def build_made_up_table(jobs: Jobs, space: CellSpace, out: Path, name: str = "made-up") -> Table:
    """Builds a table of these jobs at `out` with `MadeUpTrainer`."""
    return build_table(
        jobs,
        made_up_head(space, name),
        out,
        MadeUpTrainer(space),
        provenance={"command": "made up"},
        save_every=10**9,
    )
