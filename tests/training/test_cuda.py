"""Children on a real GPU; on a machine without one these are left out, unless the environment demands one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pnas_backends.training.data import Images
from pnas_backends.training.recipe import Recipe
from pnas_backends.training.train import train_child
from pnas_sim.evaluate import BackendRequest, Status
from pnas_sim.space import CellSpace

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("gpu")]


def test_a_child_learns_on_cuda_as_on_the_cpu(recipe: Recipe, images: Images, space: CellSpace) -> None:
    rows = space.sample(3, np.random.default_rng(0), blocks=3)
    moved = images.to("cuda")
    for row in rows:
        on_gpu = train_child(row, recipe, moved, 1, "cuda", space)
        on_cpu = train_child(row, recipe, images, 1, "cpu", space)
        assert on_gpu.status is Status.OK
        assert on_gpu.seconds > 0
        assert on_gpu.valid_accuracy == pytest.approx(on_cpu.valid_accuracy, abs=0.15)


def test_the_backend_trains_on_cuda_by_default(npz_path: Path) -> None:
    from pnas_backends.training.backend import create

    options = {"dataset": str(npz_path), "filters": 4, "cells_per_stage": 1, "workers": 2}
    backend = create(BackendRequest(blocks=1, options=options))
    try:
        children = list(backend.evaluate(backend.spec.space.initial()[:6], 1.0, 0))
    finally:
        backend.close()
    assert len({child.cell for child in children}) == 6
    assert not backend.spec.deterministic
    assert all(child.status is not Status.FAILED for child in children), [child.error for child in children]
