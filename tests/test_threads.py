from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from pnas_sim.threads import THREAD_VARIABLES, default_threads, set_threads


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads as they were, after the test."""
    before = torch.get_num_threads()
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, str(before))
    yield
    set_threads(before)


@pytest.mark.parametrize("count", [2, 1])
def test_libraries_that_are_loaded_have_as_many_as_are_asked_for(restored: None, count: int) -> None:
    """NumPy's, too, whose products a Gaussian process rests on."""
    np.linalg.cholesky(np.eye(3))
    set_threads(count)
    blas = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
    assert blas and set(blas) == {count}
    assert torch.get_num_threads() == count
    assert {os.environ[name] for name in THREAD_VARIABLES} == {str(count)}


@pytest.mark.parametrize(("wished", "threads"), [("3", 3), ("", 1), ("0", 1), ("many", 1), (None, 1)])
def test_the_environment_chooses_else_one(
    monkeypatch: pytest.MonkeyPatch, wished: str | None, threads: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if wished is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", wished)
    assert default_threads() == threads
