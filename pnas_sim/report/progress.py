"""How far a work has come: a bar on a terminal, now and then a line elsewhere. Throttled."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TextIO

from pnas_sim.report.text import format_accuracy, format_duration
from pnas_sim.space import name_size

if TYPE_CHECKING:
    from pnas_sim.study.pool import Standing as JobStanding

BAR_SECONDS = 0.1  # between two changes of the bar
LINE_SECONDS = 10.0  # between two lines


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a search stands.

    Attributes:
        blocks: of the cells being answered.
        done: models answered so far.
        total: models there will be, as far as can be known; None if it cannot.
        best: the best validation accuracy so far; NaN before the first.
        failed: models without an accuracy.
    """

    blocks: int
    done: int
    total: int | None
    best: float
    failed: int = 0


Show = Callable[[Standing], None]
ShowJobs = Callable[["JobStanding"], None]
_Write = Callable[[float | None], str]  # a standing in words, given the seconds left if they are known
_Draw = Callable[[int, int | None, int, _Write], None]  # done, total, stage and words


@contextmanager
def open_progress(stream: TextIO, quiet: bool, clock: Callable[[], float] = time.monotonic) -> Iterator[Show]:
    """A function that shows standings on a stream: as a bar on a terminal, as lines elsewhere, or not at all.

    Args:
        stream: standard error.
        quiet: show nothing.
        clock: seconds that never go back.
    """
    with _open_display(stream, quiet, clock) as draw:
        yield lambda standing: draw(
            standing.done, standing.total, standing.blocks, partial(format_standing, standing)
        )


@contextmanager
def open_job_progress(
    stream: TextIO, quiet: bool, clock: Callable[[], float] = time.monotonic
) -> Iterator[ShowJobs]:
    """As `open_progress`, for work that consists of jobs, as a comparison does."""
    with _open_display(stream, quiet, clock) as draw:
        yield lambda standing: draw(standing.done, standing.total, 0, partial(format_job_standing, standing))


def format_standing(standing: Standing, left: float | None) -> str:
    """`3 blocks  392/1160 models  2 failed  best 91.02%  1 min 05 s left`."""
    total = "" if standing.total is None else f"/{standing.total}"
    rest = "" if left is None else f"  {format_duration(left)} left"
    failed = f"  {standing.failed} failed" if standing.failed else ""
    best = "" if math.isnan(standing.best) else f"  best {format_accuracy(standing.best)}"
    return f"{name_size(standing.blocks)}  {standing.done}{total} models{failed}{best}{rest}"


def format_job_standing(standing: JobStanding, left: float | None) -> str:
    """`12/40 done  random, world 0, seed 3  1 min 05 s left`."""
    last = f"  {standing.last}" if standing.last else ""
    rest = "" if left is None or standing.done == standing.total else f"  {format_duration(left)} left"
    return f"{standing.done}/{standing.total} done{last}{rest}"


def estimate_left(done: int, total: int | None, begun: int, seconds: float) -> float | None:
    """Seconds that are left at the pace so far; None if that is not known.

    Args:
        done: of the work, so far.
        total: of the work; None if unknown.
        begun: what was done at the start (a resumed run begins with some).
        seconds: since the start.
    """
    if total is None or done <= begun:
        return None
    return max(total - done, 0) * seconds / (done - begun)


@dataclass(slots=True)
class _Pace:
    """Remembers when a work began and was last shown; the first and the last standing are always shown."""

    clock: Callable[[], float]
    every: float
    begun: float | None = None
    done_then: int = 0
    shown: float = -math.inf
    stage: int = 0

    def is_due(self, done: int, total: int | None, stage: int) -> bool:
        now = self.clock()
        if self.begun is None:
            self.begun, self.done_then = now, done
        last = total is not None and done >= total
        due = now - self.shown >= self.every or stage != self.stage or last
        if due:
            self.shown, self.stage = now, stage
        return due

    def left(self, done: int, total: int | None) -> float | None:
        begun = self.clock() if self.begun is None else self.begun
        return estimate_left(done, total, self.done_then, self.clock() - begun)


@contextmanager
def _open_display(stream: TextIO, quiet: bool, clock: Callable[[], float]) -> Iterator[_Draw]:
    if quiet:
        yield lambda done, total, stage, write: None
    elif not stream.isatty():
        lines = _Pace(clock, LINE_SECONDS)
        yield _throttle(lines, lambda text, done, total: print(text, file=stream, flush=True))
    else:
        from rich.progress import BarColumn, Progress, TextColumn

        from pnas_sim.report.console import open_console

        columns = (BarColumn(bar_width=24), TextColumn("{task.description}", markup=False))
        with Progress(*columns, console=open_console(stream), refresh_per_second=4) as bar:
            task = bar.add_task("begins", total=None)
            yield _throttle(
                _Pace(clock, BAR_SECONDS),
                lambda text, done, total: bar.update(task, description=text, completed=done, total=total),
            )


def _throttle(pace: _Pace, put: Callable[[str, int, int | None], None]) -> _Draw:
    def draw(done: int, total: int | None, stage: int, write: _Write) -> None:
        if pace.is_due(done, total, stage):
            put(write(pace.left(done, total)), done, total)

    return draw
