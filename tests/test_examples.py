"""The programs of `examples/` run as their first lines say, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
LAST_LINES = {
    "own_backend.py": "the best is sep5",
    "own_loop.py": "168 cells judged; the best is sep5",
    "own_predictor.py": "the predictor keeps its contract; ",
    "own_search.py": "the search keeps its contract; of 1000 cells the best is ",
}


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(LAST_LINES)


@pytest.mark.parametrize("name", sorted(LAST_LINES))
def test_an_example_runs_to_its_end(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(EXAMPLES / name)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith(LAST_LINES[name])
