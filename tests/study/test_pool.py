"""Processes that are really spawned: a few seconds, most of them Python's own start."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from pnas_sim.errors import SettingError, WorkError
from pnas_sim.evaluate import Answers, BackendRequest, Evaluation, EvaluatorSpec, Source
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_sim.study.compare import compare, list_jobs, prepare
from pnas_sim.study.pool import MOST_DEATHS, do_jobs, hold_interruption, open_pool
from pnas_sim.study.settings import CompareSettings, make_compare_settings
from pnas_sim.study.work import Job, do_in_pool
from pnas_sim.threads import THREAD_VARIABLES, hold_threads

DEADLINE = 120  # seconds to start or end a few processes, on a machine with other work
DOOMED = 1  # the seed whose first worker is killed
SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=2)


class Hashing:
    """Answers from rows' hashes; worker processes import it from this file."""

    spec = EvaluatorSpec(name="hashing", space=SPACE, epochs=1.0, train_images=10, checksum="abc")

    def evaluate_bulk(self, cells: Rows, epochs: float, seed: int) -> Answers:
        """Noise-free values are shares of the hashes; the seed shifts them a little."""
        truth, count = (SPACE.hash_rows(cells) % 1000) / 1000, len(cells)
        return Answers(
            source=Source.PREDICTED,
            epochs=epochs,
            seed=seed,
            status=np.zeros(count, np.uint8),
            valid_accuracy=truth * (1 - 0.01 * seed),
            expected_valid_accuracy=truth,
            test_accuracy=truth,
            examples=np.full(count, 10.0),
            seconds=np.ones(count),
            parameters=np.ones(count, np.int64),
            multiply_adds=np.ones(count, np.int64),
            extrapolated=np.zeros(count, np.bool_),
        )

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """The engine asks for arrays."""
        raise AssertionError("asked one by one")

    def close(self) -> None:
        """Nothing is held."""


def create(request: BackendRequest) -> Hashing:
    """The backend's factory."""
    return Hashing()


def list_held_signals() -> list[int]:
    """Those that do not reach this process."""
    return sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def shuffle_with_own_modules() -> tuple[int, str | None]:
    """Needs two of Python's own modules; and what a program that is started here would be told."""
    random, struct = importlib.import_module("random"), importlib.import_module("struct")
    return random.Random(1).randint(0, 9) + struct.calcsize("B"), os.environ.get("PYTHONSAFEPATH")


def count_threads() -> list[int]:
    """Of each numerical library of this process."""
    return [library["num_threads"] for library in threadpool_info()]


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """This file under a name by which spawned processes find it, too."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("test_pool")


def make_settings(**changes: Any) -> CompareSettings:
    values: dict[str, Any] = {
        "searches": {"random": {"search": "random"}, "raw": {"search": "random-raw"}},
        "backend": "test_pool:create",
        "blocks": 2,
        "budget": "30",
        "seeds": (0, DOOMED),
        "tops": (1,),
        "resamples": 20,
        "sample": 50,
        "local": 0,
    }
    return make_compare_settings({**values, **changes})


def test_processes_give_what_one_process_gives(importable: ModuleType, tmp_path: Path) -> None:
    prepared = prepare(make_settings())
    spread = compare(prepared, tmp_path / "two", workers=2)
    alone = compare(prepared, tmp_path / "one", workers=1)
    assert spread.landmarks == alone.landmarks
    for label in alone.grid.labels:
        for one, other in zip(alone.grid.runs[label], spread.grid.runs[label], strict=True):
            np.testing.assert_array_equal(one.values, other.values)
            np.testing.assert_array_equal(one.expected, other.expected)


@pytest.mark.parametrize("fails", [False, True])
def test_jobs_done_here_leave_this_process_its_threads(
    importable: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """It may be somebody's notebook."""
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "2")
    job, seen = list_jobs(prepare(make_settings()), tmp_path)[0], list[int]()

    def do(job: Job) -> None:
        seen.extend(count_threads())
        if fails:
            raise SettingError("refused")

    with hold_threads(2):
        with pytest.raises(SettingError) if fails else nullcontext():
            do_jobs([job], 1, lambda job: None, do, do)
        assert set(count_threads()) == {2}
    assert seen and set(seen) == {1}
    assert {os.environ[name] for name in THREAD_VARIABLES} == {"2"}


def die_once(job: Job) -> None:
    """The first worker that meets the doomed job is killed; the next one does it."""
    mark = job.folder / "killed"
    if job.place.seed == DOOMED and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    do_in_pool(job)


def die_always(job: Job) -> None:
    """As an operating system that is out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def hang(job: Job) -> None:
    """Says which process it is in, and never ends."""
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / f"pid-{os.getpid()}").touch()
    threading.Event().wait()


def hang_in_pool(folder: str) -> None:
    """What a process does that will be killed."""
    do_jobs(list_jobs(prepare(make_settings()), Path(folder)), 2, lambda job: None, hang, hang)


def refuse(job: Job) -> None:
    """An error of this project."""
    raise SettingError(f"{job.name} is refused")


def test_killed_worker_costs_only_its_job_in_flight(importable: ModuleType, tmp_path: Path) -> None:
    jobs, told = list_jobs(prepare(make_settings()), tmp_path), list[Job]()
    do_jobs(jobs, 2, told.append, importable.die_once, do_in_pool)
    assert sorted(job.name for job in told) == sorted(job.name for job in jobs)
    assert all(job.path.exists() for job in jobs)


def test_workers_killed_again_and_again_are_told(importable: ModuleType, tmp_path: Path) -> None:
    jobs = list_jobs(prepare(make_settings()), tmp_path)
    with pytest.raises(WorkError, match=f"killed {MOST_DEATHS} times.*fewer than --workers 2"):
        do_jobs(jobs, 2, lambda job: None, importable.die_always, do_in_pool)


def test_error_of_a_worker_is_the_comparisons(importable: ModuleType, tmp_path: Path) -> None:
    jobs = list_jobs(prepare(make_settings()), tmp_path)
    with pytest.raises(SettingError, match="is refused"):
        do_jobs(jobs, 2, lambda job: None, importable.refuse, do_in_pool)


def test_workers_leave_with_a_parent_that_is_killed(importable: ModuleType, tmp_path: Path) -> None:
    code = f"import test_pool; test_pool.hang_in_pool({str(tmp_path / 'here')!r})"
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths})
    try:
        _wait_until(lambda: len(list(tmp_path.glob("here/pid-*"))) == 2 or parent.poll() is not None)
        assert parent.poll() is None
    finally:
        parent.kill()
        parent.wait()
    workers = [int(mark.name.removeprefix("pid-")) for mark in tmp_path.glob("here/pid-*")]
    try:
        _wait_until(lambda: not any(map(_is_running, workers)))  # for ever, if they stayed
    finally:
        for worker in filter(_is_running, workers):
            os.kill(worker, signal.SIGKILL)


def _wait_until(is_so: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun < DEADLINE, "it took too long"
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as in a terminal; what a shell starts in the background is told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_interruptions_wait_and_are_not_lost(interruptible: None) -> None:
    before, done = list_held_signals(), []
    with pytest.raises(KeyboardInterrupt), hold_interruption():
        signal.raise_signal(signal.SIGINT)
        done.append("inside")
    assert done == ["inside"] and list_held_signals() == before


def test_workers_do_not_get_the_terminals_interruption_even_while_they_start(importable: ModuleType) -> None:
    with open_pool(1) as pool:
        with hold_interruption():
            future = pool.submit(importable.list_held_signals)
        assert signal.SIGINT in future.result()


def test_libraries_loaded_before_a_worker_is_prepared_have_one_thread_too(
    importable: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "2")
    with open_pool(1) as pool:
        threads = pool.submit(importable.count_threads).result()
    assert threads and set(threads) == {1}


@pytest.mark.parametrize("told", [None, "yes"])
def test_modules_in_the_current_folder_do_not_stand_for_pythons_own(
    importable: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str | None
) -> None:
    """Named as a user may name files; a worker that starts meets both before it knows where to look."""
    for name in ("random", "struct"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported by mistake')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    if told is not None:
        monkeypatch.setenv("PYTHONSAFEPATH", told)
    expected = importable.shuffle_with_own_modules()
    with open_pool(1) as pool:
        assert pool.submit(importable.shuffle_with_own_modules).result() == expected
    assert expected[1] == told == os.environ.get("PYTHONSAFEPATH")
