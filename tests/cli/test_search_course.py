from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_sim.cli.run_result import MOST_POINTS, _describe_course
from pnas_sim.search import RandomSearch
from pnas_sim.space import CellSpace


class Talkative:
    """As much of somebody's search as says how it went."""

    def __init__(self, batches: int) -> None:
        self.course = np.arange(batches, dtype=np.float64)

    def diagnostics(self) -> dict[str, np.ndarray]:
        return {"temperature": self.course}


@pytest.mark.parametrize(("batches", "every", "points"), [(0, 1, 0), (500, 1, 500), (1201, 3, 401)])
def test_long_courses_are_thinned_by_their_means(batches: int, every: int, points: int) -> None:
    course = _describe_course(Talkative(batches))["diagnostics"]
    assert course["every"] == every
    assert len(course["temperature"]) == points <= MOST_POINTS
    if points:
        assert course["temperature"][0] == np.arange(every).mean()
        assert course["temperature"][-1] == batches - 1


def test_most_searches_say_nothing() -> None:
    assert _describe_course(RandomSearch(CellSpace(), seed=0)) == {}


def test_a_policy_reports_entropy_and_repeats(pnas: Any, small_table: Path, tmp_path: Path) -> None:
    run = ("run", "--table", small_table, "--blocks", 2, "--search", "reinforce", "--budget", 100)
    options = ("--search-option", "hidden=8", "--search-option", "learning_rate=0.05")
    outcome = pnas(*run, *options, "--out", tmp_path / "json", "--json")
    course = outcome.json["diagnostics"]
    assert set(course) == {"every", "policy_entropy", "mean_accuracy", "repeat_rate"}
    assert len(course["policy_entropy"]) == len(course["repeat_rate"]) >= 5
    assert all(0 <= rate <= 1 for rate in course["repeat_rate"])
    outcome = pnas(*run, *options, "--out", tmp_path / "text")
    went = f"entropy from {course['policy_entropy'][0]:.1f} to {course['policy_entropy'][-1]:.1f} nats a cell"
    assert f"policy      {went}; {course['repeat_rate'][-1]:.0%} repeats at the end" in outcome.out
