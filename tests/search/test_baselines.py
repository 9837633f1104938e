"""Every baseline keeps the contract, says its defaults and is made by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pnas_sim.engine import Budget, RunResult, run_search
from pnas_sim.errors import SettingError
from pnas_sim.runlog import RunLog
from pnas_sim.search import SearchRequest, list_searches, make_search
from pnas_sim.space import CellSpace
from pnas_sim.testing.strategies import check_strategy
from pnas_tables.testing import MadeUpTrainer

SPACE = CellSpace(("sep3", "id", "max3"), 3)
pytestmark = pytest.mark.usefixtures("one_thread")

# name: options that bring a short drive past the search's undirected beginning
QUICK: dict[str, dict[str, Any]] = {
    "evolution": {"population": 12, "sample": 4},
    "local": {"starts": 5, "batch": 4},
    "reinforce": {"hidden": 8, "learning_rate": 0.05},
    "ppo": {"hidden": 8, "learning_rate": 0.05},
    "tpe": {"startup": 6, "batch": 4},
    "bananas": {"predictor": "gp", "starts": 6, "candidates": 20, "batch": 4},
    "hyperband": {"eta": 2},
    "pnas-no-growth": {"predictor": "ridge", "beam": 10, "candidates": 200},
    "pnas-mutations": {"predictor": "ridge", "beam": 10, "candidates": 200},
    "pnas-random-beam": {"beam": 10},
}
_NASNET = {"hidden": 100, "learning_rate": 0.00035, "entropy": 0.00001, "baseline": 0.95, "batch": 20}
PUBLISHED: dict[str, dict[str, Any]] = {
    "evolution": {"population": 100, "sample": 25},
    "local": {"starts": 10, "batch": 1},
    "reinforce": _NASNET,
    "ppo": {**_NASNET, "epochs": 3, "clip": 0.2},
    "tpe": {"startup": 10, "batch": 1},
    "bananas": {"starts": 10, "candidates": 100, "batch": 10},
    "hyperband": {"eta": 3},
    "pnas-no-growth": {"predictor": "mlp-ensemble", "beam": 256, "candidates": 300_000},
    "pnas-mutations": {"predictor": "mlp-ensemble", "beam": 256, "candidates": 300_000},
    "pnas-random-beam": {"beam": 256},
}
FIDELITIES = {"hyperband": (0.25, 0.5, 1.0)}
SAME_FIRST = {"pnas-random-beam"}  # all one-block cells, whatever the seed


@pytest.mark.parametrize("name", QUICK)
def test_keeps_the_contract(name: str) -> None:
    fidelities, seed_matters = FIDELITIES.get(name, ()), name not in SAME_FIRST
    check_strategy(
        name, SPACE, n=8, batches=6, seed_matters=seed_matters, fidelities=fidelities, **QUICK[name]
    )


@pytest.mark.parametrize("name", QUICK)
def test_is_made_by_name_with_its_published_defaults(name: str) -> None:
    info = {info.name: info for info in list_searches()}[name]
    search = make_search(name, SearchRequest(space=CellSpace(), fidelities=(0.25, 1.0)))
    assert 1 <= len(search.ask(256)) <= 136
    assert PUBLISHED[name].items() <= info.options.items()
    assert any(str(year) in info.source for year in range(1992, 2022))
    with pytest.raises(SettingError, match=f"search {name} has no option 'temperature'"):
        make_search(name, SearchRequest(space=SPACE, options={"temperature": 1}))


@pytest.mark.parametrize("name", QUICK)
def test_refuses_settings_out_of_range(name: str) -> None:
    with pytest.raises(SettingError, match="batch is 0"):
        make_search(name, SearchRequest(space=SPACE, fidelities=(0.25, 1.0), options={"batch": 0}))


@pytest.mark.parametrize("name", QUICK)
def test_a_run_that_was_cut_resumes_to_the_same_end(tmp_path: Path, name: str) -> None:
    """Through engine and log, cut within a batch; cells are logged as the search wrote them."""
    request = SearchRequest(space=SPACE, seed=3, fidelities=FIDELITIES.get(name, ()), options=QUICK[name])

    def run(models: int, log: RunLog | None) -> RunResult:
        budget = Budget(models=models)
        return run_search(make_search(name, request), MadeUpTrainer(SPACE), budget=budget, log=log, batch=8)

    whole = run(45, None)
    with RunLog(tmp_path / "log") as log:
        run(21, log)
    with RunLog(tmp_path / "log") as log:
        resumed = run(45, log)
    assert resumed.evaluations.cells.tolist() == whole.evaluations.cells.tolist()
    for figure in ("valid_accuracy", "epochs", "examples"):
        assert (resumed.evaluations.figures[figure] == whole.evaluations.figures[figure]).all()
    assert (resumed.models_evaluated, resumed.proposals) == (whole.models_evaluated, whole.proposals)
    assert resumed.stopped == whole.stopped
