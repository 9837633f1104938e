"""What scripts of bench/ train and keep, where they are killed, started twice, or out of time."""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pnas_backends.training.recipe import DIGITS
from pnas_backends.training.workers import Failure
from pnas_sim.evaluate import Evaluation
from pnas_sim.space import CellSpace

BENCH = Path(__file__).parents[2] / "bench"
SPACE = CellSpace(max_blocks=1)
CELLS = SPACE.format_many(SPACE.initial()[:3])
LINE = {
    "phase": "choose",
    "candidate": "base",
    "settings": {},
    "cell": CELLS[0],
    "seed": 0,
    "source": "table",
}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a script, at no other niceness."""
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.setattr("os.nice", lambda by: 0)
    return importlib.import_module


def start_study(load: Any, monkeypatch: pytest.MonkeyPatch, path: Path) -> list[int]:
    """Starts the study of recipes on a file of lines; how many trainings are left, instead of doing them."""
    study, left = load("recipe_study"), list[int]()
    monkeypatch.setattr(study, "LINES", path)
    monkeypatch.setattr(study, "train", lambda jobs, *given, **more: left.append(len(jobs)))
    monkeypatch.setattr(study, "take_from_table", lambda parts, space: None)
    monkeypatch.setattr("sys.argv", ["recipe_study.py", "train", "--data", "none"])
    study.main()
    return left


@pytest.mark.parametrize("torn", ["", '{"phase": "choose", "cand'])
def test_a_study_that_was_killed_in_a_line_goes_on(
    load: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, torn: str
) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text(json.dumps(LINE) + "\n" + torn)
    assert len(start_study(load, monkeypatch, path)) == 1
    assert path.read_text() == json.dumps(LINE) + "\n"


HOLD = """
import sys
from pathlib import Path
from keeping import hold_lines
with hold_lines(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_study_on_the_same_lines_is_refused(
    load: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "lines.jsonl"
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=BENCH,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with first:
        assert first.stdout is not None and first.stdout.readline() == "held\n"
        with path.open("a") as file:
            file.write('{"half a')
        with pytest.raises(
            SystemExit, match=r"lines.jsonl is being added to by another process; let that end"
        ):
            start_study(load, monkeypatch, path)
        assert path.read_text() == '{"half a', "which the first has not finished writing"
        first.communicate("")
    assert len(start_study(load, monkeypatch, path)) == 1


class Pool:
    """Answers with what was prepared; a training takes an hour."""

    outcomes: Sequence[Evaluation | Failure] = ()

    def __init__(self, setups: object) -> None:
        self.clock = 0

    def run(self, tasks: object) -> Iterator[tuple[int, Evaluation | Failure]]:
        for place, outcome in enumerate(self.outcomes):
            Clock.now += 3600
            yield place, outcome

    def close(self) -> None:
        """Nothing is held."""


class Clock:
    """Stands in for the module `time`."""

    now = 0.0

    @classmethod
    def monotonic(cls) -> float:
        return cls.now


@pytest.mark.parametrize(("hours", "kept"), [(None, 2), (0.5, 0), (1.5, 1), (9.0, 2)])
def test_the_first_training_that_ends_after_the_hours_is_the_last(
    load: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hours: float | None, kept: int
) -> None:
    """The first one fails, and counts for that too."""
    trainings: ModuleType = load("trainings")
    found = [Evaluation(cell=cell, valid_accuracy=0.5, seconds=9.0) for cell in CELLS[1:]]
    monkeypatch.setattr(Pool, "outcomes", [Failure("killed"), *found])
    monkeypatch.setattr(trainings, "WorkerPool", Pool)
    monkeypatch.setattr(trainings, "time", Clock)
    jobs = [trainings.Job({"candidate": "base"}, DIGITS, {}, cell, 0) for cell in CELLS]
    path = tmp_path / "lines.jsonl"
    trainings.train(jobs, path, SPACE, tmp_path, 1, hours)
    assert [line["cell"] for line in load("keeping").read_lines(path)] == CELLS[1 : 1 + kept]


def test_the_help_says_what_becomes_of_trainings_in_flight(load: Any) -> None:
    parser = argparse.ArgumentParser()
    load("trainings").add_training_options(parser)
    told = " ".join(parser.format_help().split())
    assert "the first training that ends after these is the last; those in flight then are given up" in told
