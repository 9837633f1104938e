from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pnas_sim.cli import main
from pnas_sim.evaluate import Answers, BackendRequest, Evaluation, EvaluatorSpec, Source
from pnas_sim.predict.ridge import RidgePredictor, RidgeSettings
from pnas_sim.search import RandomSearch
from pnas_sim.search.base import SearchRequest, Strategy
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_tables.fit import FitSettings
from pnas_tables.forest import ForestSettings
from pnas_tables.format import read_table, write_table
from pnas_tables.plans import list_jobs, sample_plan
from pnas_tables.surrogate import fit_surrogate
from pnas_tables.testing import build_made_up_table


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, which is one strict JSON object and nothing else."""
        value = json.loads(self.out, parse_constant=_refuse_constant)
        assert isinstance(value, dict)
        return value

    @property
    def complaint(self) -> str:
        """The one line of an error."""
        lines = [line for line in self.err.splitlines() if line.startswith("pnas-sim: error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        assert self.out == ""
        return lines[0]


def _refuse_constant(name: str) -> float:
    raise AssertionError(f"{name} is not JSON")


Command = Callable[..., Outcome]


@pytest.fixture
def pnas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> Outcome:
        out, err = io.StringIO(), io.StringIO()
        handler = signal.getsignal(signal.SIGTERM)
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            main([str(word) for word in words])
        assert signal.getsignal(signal.SIGTERM) == handler
        return Outcome(int(end.value.code or 0), out.getvalue(), err.getvalue())

    return run


class Plain:
    """Answers from rows' hashes, shifted a little by the seed and a lot by the world."""

    def __init__(self, space: CellSpace, world: int, checksum: str) -> None:
        self.spec = EvaluatorSpec(
            name="plain", space=space, epochs=1.0, fidelities=(1.0,), train_images=10, checksum=checksum
        )
        self._world = world

    def evaluate_bulk(self, cells: Rows, epochs: float, seed: int) -> Answers:
        """Noise-free values are shares of the hashes."""
        hashes = self.spec.space.hash_rows(cells) % np.uint64(997 + self._world)
        truth, count = hashes / 1100, len(cells)
        return Answers(
            source=Source.PREDICTED,
            epochs=epochs,
            seed=seed,
            status=np.zeros(count, np.uint8),
            valid_accuracy=truth * (1 - 0.001 * (seed % 100)),
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


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A backend and a search of the user's own, by import path `toys:...`."""
    about = {"checksum": "abcdef"}
    module = ModuleType("toys")

    def create(request: BackendRequest) -> Plain:
        space = CellSpace(operations=("sep3", "id", "max3"), max_blocks=request.blocks)
        return Plain(space, int(request.options.get("world", 0)), about["checksum"])

    def mine(request: SearchRequest) -> Strategy:
        return RandomSearch(request.space, unique=False, seed=request.seed)

    def guess(space: CellSpace, **options: Any) -> RidgePredictor:
        return RidgePredictor(space, RidgeSettings())

    vars(module).update({"create": create, "mine": mine, "guess": guess})
    monkeypatch.setitem(sys.modules, "toys", module)
    return about


@pytest.fixture(scope="session")
def bare_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up table of 60 cells of up to 3 blocks, two seeds each, no surrogate; not to be changed."""
    space = CellSpace(max_blocks=3)
    path = tmp_path_factory.mktemp("tables") / "bare.h5"
    jobs = list_jobs(sample_plan("bare", 60, (1, 2, 3), seeds=2, seed=3, space=space), space)
    build_made_up_table(jobs, space, path, "bare")
    return path


@pytest.fixture(scope="session")
def small_table(bare_table: Path) -> Path:
    """The same with a small surrogate; not to be changed."""
    settings = FitSettings(worlds=2, shares=(), forest=ForestSettings(forests=2, trees=10))
    path = bare_table.with_name("small.h5")
    write_table(path, fit_surrogate(read_table(bare_table), settings=settings))
    return path
