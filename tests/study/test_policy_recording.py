from __future__ import annotations

from pathlib import Path
from typing import Any

from pnas_sim.engine import Budget
from pnas_sim.search import RandomSearch, SearchRequest, make_search
from pnas_sim.space import CellSpace
from pnas_sim.study.finished import Place, read_run, write_run
from pnas_sim.study.recording import record_run

SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)


def test_a_policys_entropy_is_kept_with_its_run(made_up_bulk: Any, tmp_path: Path) -> None:
    search = make_search("ppo", SearchRequest(space=SPACE, options={"hidden": 8, "learning_rate": 0.05}))
    run = record_run(
        search, made_up_bulk(SPACE), Place("ppo", 0, 0), budget=Budget(models=90), fingerprint="f"
    )
    course = search.diagnostics()["policy_entropy"]  # type: ignore[attr-defined]
    assert (run.facts.first_entropy, run.facts.last_entropy) == (course[0], course[-1])
    write_run(tmp_path / "run.npz", run)
    assert read_run(tmp_path / "run.npz").facts == run.facts


def test_other_searches_have_none(made_up_bulk: Any) -> None:
    search = RandomSearch(SPACE, seed=1)
    run = record_run(search, made_up_bulk(SPACE), Place("r", 0, 0), budget=Budget(models=9), fingerprint="f")
    assert run.facts.first_entropy is run.facts.last_entropy is None
