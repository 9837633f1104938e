"""How far a search has come: a bar on a terminal, now and then a line elsewhere. Throttled."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from pnas_sim.report.text import format_accuracy, format_duration

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
    """

    blocks: int
    done: int
    total: int | None
    best: float


Show = Callable[[Standing], None]


@contextmanager
def open_progress(stream: TextIO, quiet: bool, clock: Callable[[], float] = time.monotonic) -> Iterator[Show]:
    """A function that shows standings on a stream: as a bar on a terminal, as lines elsewhere, or not at all.

    Args:
        stream: standard error.
        quiet: show nothing.
        clock: seconds that never go back.
    """
    if quiet:
        yield lambda standing: None
    elif stream.isatty():
        with _open_bar(stream, clock) as show:
            yield show
    else:
        yield _open_lines(stream, clock)


def estimate_left(standing: Standing, begun: int, seconds: float) -> float | None:
    """Seconds that are left at the pace so far; None if that is not known.

    Args:
        standing: where the search stands.
        begun: models that were done at the start (a resumed run begins with some).
        seconds: since the start.
    """
    done = standing.done - begun
    if standing.total is None or done <= 0:
        return None
    return max(standing.total - standing.done, 0) * seconds / done


def format_standing(standing: Standing, left: float | None) -> str:
    """`3 blocks  392/1160 models  best 91.02%  1 min 05 s left`."""
    size = f"{standing.blocks} block{'s' if standing.blocks != 1 else ''}"
    total = "" if standing.total is None else f"/{standing.total}"
    rest = "" if left is None else f"  {format_duration(left)} left"
    best = "" if math.isnan(standing.best) else f"  best {format_accuracy(standing.best)}"
    return f"{size}  {standing.done}{total} models{best}{rest}"


@dataclass(slots=True)
class _Pace:
    """Remembers when a search began and was last shown; the first and the last standing are always shown."""

    clock: Callable[[], float]
    every: float
    begun: float | None = None
    done_then: int = 0
    shown: float = -math.inf
    blocks: int = 0

    def is_due(self, standing: Standing) -> bool:
        now = self.clock()
        if self.begun is None:
            self.begun, self.done_then = now, standing.done
        last = standing.total is not None and standing.done >= standing.total
        due = now - self.shown >= self.every or standing.blocks != self.blocks or last
        if due:
            self.shown, self.blocks = now, standing.blocks
        return due

    def left(self, standing: Standing) -> float | None:
        begun = self.clock() if self.begun is None else self.begun
        return estimate_left(standing, self.done_then, self.clock() - begun)


def _open_lines(stream: TextIO, clock: Callable[[], float]) -> Show:
    pace = _Pace(clock, LINE_SECONDS)

    def show(standing: Standing) -> None:
        if pace.is_due(standing):
            print(format_standing(standing, pace.left(standing)), file=stream, flush=True)

    return show


@contextmanager
def _open_bar(stream: TextIO, clock: Callable[[], float]) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (BarColumn(bar_width=24), TextColumn("{task.description}", markup=False))
    pace = _Pace(clock, BAR_SECONDS)
    with Progress(*columns, console=Console(file=stream), refresh_per_second=4) as progress:
        task = progress.add_task("begins", total=None)

        def show(standing: Standing) -> None:
            if pace.is_due(standing):
                text = format_standing(standing, pace.left(standing))
                progress.update(task, description=text, completed=standing.done, total=standing.total)

        yield show
