"""How far a comparison has come: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from pnas_sim.report.text import format_duration

if TYPE_CHECKING:
    from pnas_sim.study.compare import Standing

LINE_SECONDS = 10.0  # between two lines

Show = Callable[["Standing"], None]


@contextmanager
def open_comparison_progress(
    stream: TextIO, quiet: bool, clock: Callable[[], float] = time.monotonic
) -> Iterator[Show]:
    """A function that shows standings on a stream: as a bar on a terminal, as lines elsewhere, or not at all.

    Args:
        stream: standard error.
        quiet: show nothing.
        clock: seconds that never go back.
    """
    pace = _Pace(clock)
    if quiet:
        yield lambda standing: None
    elif not stream.isatty():
        yield lambda standing: _write_line(stream, pace, standing)
    else:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (BarColumn(bar_width=24), TextColumn("{task.description}", markup=False))
        with Progress(*columns, console=Console(file=stream), refresh_per_second=4) as bar:
            task = bar.add_task("begins", total=None)

            def show(standing: Standing) -> None:
                text = format_comparison_standing(standing, pace.estimate_left(standing))
                bar.update(task, description=text, completed=standing.done, total=standing.total)

            yield show


class _Pace:
    """Remembers when the work began, with how much done, and when a line was last written."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun: tuple[float, int] | None = None
        self._written = float("-inf")

    def estimate_left(self, standing: Standing) -> float | None:
        """Seconds left at the pace of this sitting; None before its first job is done."""
        now = self._clock()
        if self._begun is None:
            self._begun = now, standing.done
        begun, before = self._begun
        if standing.done <= before:
            return None
        return (standing.total - standing.done) * (now - begun) / (standing.done - before)

    def is_due(self, standing: Standing) -> bool:
        """Whether a line is to be written: the first, the last, and one every ten seconds."""
        now = self._clock()
        due = now - self._written >= LINE_SECONDS or standing.done == standing.total
        self._written = now if due else self._written
        return due


def _write_line(stream: TextIO, pace: _Pace, standing: Standing) -> None:
    left = pace.estimate_left(standing)
    if pace.is_due(standing):
        print(format_comparison_standing(standing, left), file=stream, flush=True)


def format_comparison_standing(standing: Standing, left: float | None) -> str:
    """`12/40 done  random, world 0, seed 3  1 min 05 s left`."""
    last = f"  {standing.last}" if standing.last else ""
    rest = "" if left is None or standing.done == standing.total else f"  {format_duration(left)} left"
    return f"{standing.done}/{standing.total} done{last}{rest}"
