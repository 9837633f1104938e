from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from pnas_sim.errors import SettingError, WorkError
from pnas_sim.study.pool import Standing
from pnas_sim.study.predictors_jobs import do_jobs


@dataclass(frozen=True)
class Job:
    """Leaves a file with the process's number, or does what it should not."""

    name: str

    def run(self, folder: Path) -> None:
        if self.name == "fails":
            raise SettingError("this one cannot be")
        mark = folder / "killed before"
        if self.name == "killed" or (self.name == "killed once" and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        (folder / self.name).write_text(str(os.getpid()))

    def is_done(self, folder: Path) -> bool:
        return (folder / self.name).exists()


JOBS = [Job(name) for name in "abc"]


@pytest.mark.parametrize("workers", [1, 2])
def test_jobs_leave_their_files_and_are_told(tmp_path: Path, workers: int) -> None:
    told: list[Standing] = []
    JOBS[0].run(tmp_path)
    do_jobs(JOBS, tmp_path, workers, told.append)
    assert sorted(standing.last for standing in told) == ["", "b", "c"]
    assert [(standing.done, standing.total) for standing in told] == [(1, 3), (2, 3), (3, 3)]
    here = {(tmp_path / name).read_text() == str(os.getpid()) for name in "bc"}
    assert here == {workers == 1}


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [("fails", SettingError, "this one cannot be"), ("killed", WorkError, "fewer than --workers 2")],
)
def test_what_goes_wrong_in_a_process_is_told_and_ends_the_others(tmp_path, name, error, message) -> None:
    with pytest.raises(error, match=message):
        do_jobs([Job(name), Job("a"), Job("b")], tmp_path, 2, lambda *words: None)
    assert not [child for child in multiprocessing.active_children() if child.is_alive()]


def test_a_killed_process_costs_no_more_than_its_job_in_flight(tmp_path: Path) -> None:
    told: list[Standing] = []
    do_jobs([Job("killed once"), *JOBS], tmp_path, 2, told.append)
    assert sorted(standing.last for standing in told) == ["", "a", "b", "c", "killed once"]
    assert [standing.done for standing in told] == [0, 1, 2, 3, 4]


def test_an_interrupt_ends_the_processes(tmp_path: Path) -> None:
    def interrupt(standing: Standing) -> None:
        if standing.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        do_jobs(JOBS, tmp_path, 2, interrupt)
    assert not [child for child in multiprocessing.active_children() if child.is_alive()]
