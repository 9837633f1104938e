"""Cost of a whole default search. Run: `pytest bench/bench_whole_search.py --benchmark-only`.

`pnas-sim run`, the paper's search on the table that ships and nothing else asked for, as a process of its
own: 1,160 models, 686,952 candidates scored, four fits. Counted are the processor seconds of the process from
its start to its end, user and system, on one thread: what it takes on an idle machine, whatever else runs on
this one. Peak memory is the process's largest resident set. A test fails where its target is missed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

SECONDS = {"mlp-ensemble": 12.0, "rnn-ensemble": 30.0}
MOST_MEGABYTES = 1_500


def search(predictor: str, folder: Path) -> tuple[dict[str, object], float, float]:
    """Returns a search's result, its processor seconds and its peak memory in megabytes."""
    command = [sys.executable, "-c", "from pnas_sim.cli import main; main()", "run"]
    command += ["--predictor", predictor, "--threads", "1", "--out", str(folder), "--json", "--quiet"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        answer = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return json.loads(answer), used.ru_utime + used.ru_stime, used.ru_maxrss / 1_024


@pytest.mark.parametrize("predictor", SECONDS)
def test_a_whole_search(benchmark, predictor: str, tmp_path: Path) -> None:
    figures = {}

    def run() -> None:
        begun = time.perf_counter()
        figures["result"], figures["seconds"], figures["megabytes"] = search(predictor, tmp_path / "run")
        figures["wall"] = time.perf_counter() - begun

    benchmark.pedantic(run, rounds=1)
    assert figures["result"]["models_evaluated"] == 1_160
    benchmark.extra_info.update(
        target=SECONDS[predictor],
        unit="s",
        measured=figures["seconds"],
        n=1_160,
        wall_seconds=figures["wall"],
        peak_megabytes=figures["megabytes"],
        most_megabytes=MOST_MEGABYTES,
    )
    assert figures["megabytes"] < MOST_MEGABYTES
    assert figures["seconds"] < SECONDS[predictor]
