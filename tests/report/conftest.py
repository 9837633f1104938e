from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pnas_sim.evaluate import EvaluatorSpec
from pnas_sim.space import CellSpace
from pnas_sim.study.accounts import Reranking
from pnas_sim.study.analysis import Wishes, analyse
from pnas_sim.study.compare import Comparison, Prepared
from pnas_sim.study.efficiency import Costs
from pnas_sim.study.finished import Facts, FinishedRun
from pnas_sim.study.grid import arrange_runs
from pnas_sim.study.landmarks import Landmarks
from pnas_sim.study.results import describe_comparison
from pnas_sim.study.settings import make_compare_settings

MARKS = {"top 1%": 0.55, "top 0.1%": 0.9}


def make_run(label: str, world: int, seed: int, images: int = 1000) -> FinishedRun:
    """PNAS climbs by levels; a random search stays low; a search named with a bar and a tag does, too."""
    rng = np.random.default_rng([len(label), world, seed])
    grows = label == "pnas"
    truth = np.repeat([0.4, 0.5, 0.6], 10) if grows else np.full(60, 0.5)
    truth = truth + rng.normal(0, 0.01, len(truth))
    facts = Facts(
        label=label,
        world=world,
        seed=seed,
        fingerprint=label,
        data="abc",
        proposals=len(truth),
        repeats=0,
        failed=0,
        stopped="budget",
        seconds=1.5,
        source="predicted",
    )
    return FinishedRun(
        facts=facts,
        cells=np.zeros((len(truth), 12), np.uint8),
        blocks=np.repeat([1, 2, 3], 10) if grows else np.full(60, 3),
        values=truth + rng.normal(0, 0.01, len(truth)),
        expected=truth,
        examples=np.full(len(truth), float(images)),
        seconds=np.full(len(truth), 30.0 if images else 0.0),
        proposals=np.arange(1, len(truth) + 1),
    )


@pytest.fixture
def make_comparison() -> Any:
    """Makes a comparison's result object without running anything."""

    def make(
        seeds: tuple[int, ...] = (0, 1, 2), worlds: tuple[int, ...] = (0, 1), images: int = 1000
    ) -> dict[str, Any]:
        labels = ["pnas", "random", "_[b]$|odd"]
        settings = make_compare_settings(
            {
                "searches": {label: {"search": "pnas" if label == "pnas" else "random"} for label in labels},
                "seeds": seeds,
                "worlds": worlds,
                "tops": (1, 15),
                "blocks": 3,
            }
        )
        runs = [
            make_run(label, world, seed, images) for label in labels for world in worlds for seed in seeds
        ]
        grid = arrange_runs(runs, labels, worlds, seeds)
        mark = Landmarks(
            world=0,
            data="abc",
            sample=500,
            observed=MARKS,
            expected=MARKS,
            local_evaluations=2000,
            local_best=0.7,
            local_cell="",
        )
        marks = {world: replace(mark, world=world) for world in worlds}
        wishes = Wishes(
            references=["pnas"], tops=[1, 15], costs=Costs(float(images), Reranking()), resamples=40
        )
        spec = EvaluatorSpec(
            name="table", space=CellSpace(max_blocks=3), epochs=1.0, train_images=images, checksum="abc"
        )
        prepared = Prepared(settings, spec, {label: {} for label in labels})
        comparison = Comparison(prepared, grid, marks, analyse(grid, marks, wishes))
        return describe_comparison(comparison, {"python": "3"}, "somewhere")

    return make
