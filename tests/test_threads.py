from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from pnas_sim.threads import THREAD_VARIABLES, default_threads, hold_threads, set_threads


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


def count_threads() -> list[int]:
    """Of torch, then of each numerical library."""
    np.linalg.cholesky(np.eye(3))
    return [torch.get_num_threads(), *(library["num_threads"] for library in threadpool_info())]


@pytest.mark.parametrize("told", ["2", None])
def test_threads_are_held_for_a_while_and_then_as_before(
    restored: None, monkeypatch: pytest.MonkeyPatch, told: str | None
) -> None:
    set_threads(2)
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name)
        if told is not None:
            monkeypatch.setenv(name, told)
    before = count_threads()
    assert set(before) == {2}
    with pytest.raises(KeyboardInterrupt), hold_threads(1):
        assert set(count_threads()) == {1}
        assert {os.environ[name] for name in THREAD_VARIABLES} == {"1"}
        raise KeyboardInterrupt
    assert count_threads() == before
    assert {os.environ.get(name) for name in THREAD_VARIABLES} == {told}


LOADED_INSIDE = """
import json
from pnas_sim.threads import hold_threads
with hold_threads(1):
    import torch
    from threadpoolctl import threadpool_info
    inside = [torch.get_num_threads(), *(one["num_threads"] for one in threadpool_info())]
after = [torch.get_num_threads(), *(one["num_threads"] for one in threadpool_info())]
print(json.dumps([inside, after]))
"""


def test_a_library_that_is_loaded_meanwhile_is_as_free_as_others() -> None:
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, "3")}
    words = [sys.executable, "-c", LOADED_INSIDE]
    inside, after = json.loads(subprocess.run(words, env=environment, check=True, capture_output=True).stdout)
    assert set(inside) == {1} and set(after) == {3}


@pytest.mark.parametrize(("wished", "threads"), [("3", 3), ("", 1), ("0", 1), ("many", 1), (None, 1)])
def test_the_environment_chooses_else_one(
    monkeypatch: pytest.MonkeyPatch, wished: str | None, threads: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if wished is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", wished)
    assert default_threads() == threads
