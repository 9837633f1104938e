from __future__ import annotations

import io
from math import nan

import pytest

from pnas_sim.report.progress import Standing, estimate_left, format_standing, open_progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _run(stream: io.StringIO, quiet: bool, count: int = 100, step: float = 1.0) -> str:
    clock = _Clock()
    with open_progress(stream, quiet, clock) as show:
        for done in range(count + 1):
            show(Standing(1 if done < 50 else 2, done, count, nan if done == 0 else 0.9))
            clock.now += step
    return stream.getvalue()


def test_lines_come_now_and_then_at_each_level_and_at_the_end() -> None:
    lines = _run(io.StringIO(), quiet=False).splitlines()
    done = [int(line.split()[2].split("/")[0]) for line in lines]
    assert done == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    assert lines[0] == "1 block  0/100 models"
    assert lines[1] == "1 block  10/100 models  best 90.00%  1 min 30 s left"
    assert lines[-1].endswith("0.0 s left")


def test_lines_are_few_however_fast_it_goes() -> None:
    assert len(_run(io.StringIO(), quiet=False, count=5000, step=1e-4).splitlines()) == 3


def test_quiet_is_silent() -> None:
    assert _run(io.StringIO(), quiet=True) == ""
    assert _run(_Terminal(), quiet=True) == ""


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    text = _run(_Terminal(), quiet=False)
    assert "100/100 models" in text
    assert "\r" in text or "\x1b[" in text


def test_time_left_counts_only_what_was_done_here() -> None:
    assert estimate_left(300, 400, 200, 50.0) == 50.0
    assert estimate_left(300, None, 200, 50.0) is None
    assert estimate_left(200, 400, 200, 50.0) is None
    assert estimate_left(500, 400, 200, 50.0) == 0.0


def test_unknown_totals_are_left_out() -> None:
    assert format_standing(Standing(5, 7, None, 0.5), None) == "5 blocks  7 models  best 50.00%"
    assert format_standing(Standing(5, 7, 9, nan, 7), None) == "5 blocks  7/9 models  7 failed"
