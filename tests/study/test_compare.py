from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_sim.errors import RequestError, RunError, SettingError, WorkError
from pnas_sim.evaluate import BackendRequest
from pnas_sim.search.base import Observations, Proposals, SearchRequest
from pnas_sim.space import CellSpace
from pnas_sim.study.compare import compare, list_jobs, prepare
from pnas_sim.study.finished import read_run
from pnas_sim.study.pool import Standing
from pnas_sim.study.settings import CompareSettings, make_compare_settings

SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=2)


@pytest.fixture(autouse=True)
def backends(monkeypatch: pytest.MonkeyPatch, made_up_bulk: Any) -> dict[str, Any]:
    """Backends made here stand in for installed ones."""
    made: dict[str, Any] = {"checksum": "abc", "opened": 0}

    def make(name: str, request: BackendRequest) -> Any:
        assert name == "made-up"
        made["opened"] += 1
        evaluator = made_up_bulk(SPACE, world=request.options.get("world", 0))
        evaluator.spec = _stamp(evaluator.spec, made["checksum"])
        return evaluator

    monkeypatch.setattr("pnas_sim.study.compare.make_backend", make)
    monkeypatch.setattr("pnas_sim.study.work.make_backend", make)
    return made


def _stamp(spec: Any, checksum: str) -> Any:
    return replace(spec, checksum=checksum, fidelities=(0.5, 1.0))


def test_epochs_that_the_table_has_not_are_refused() -> None:
    assert prepare(make_settings(epochs=0.5)).costs.full == 50
    with pytest.raises(SettingError, match=r"epochs is 0.3; backend made-up has 0.5, 1: choose one"):
        prepare(make_settings(epochs=0.3))


@pytest.mark.parametrize(
    ("worlds", "complaint"),
    [
        (tuple(range(1000)), "--worlds 1000 asks for world 999; there are 0 to 9: choose among them"),
        ((0, 5, 99), "--worlds 0,5,99 asks for world 99; there are 0 to 9: choose among them"),
        ((50,), "world is 50; there are 0 to 9: choose among them"),
        ((0, 3, 10), "world is 1000; there are 0 to 9: choose among them"),
    ],
)
def test_a_world_that_there_is_not_is_told_as_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, worlds: tuple[int, ...], complaint: str
) -> None:
    """What is said of other worlds is passed on as it is."""

    def refuse(name: str, request: BackendRequest) -> Any:
        asked = request.options["world"]
        told = 1000 if asked == 10 else asked
        raise SettingError(f"world is {told}; there are 0 to 9: choose among them")

    monkeypatch.setattr("pnas_sim.study.compare.make_backend", refuse)
    with pytest.raises(SettingError, match=f"^{complaint}$"):
        prepare(make_settings(worlds=worlds))


def test_no_search_trains_for_longer_than_the_comparison() -> None:
    searches = {
        "random": {"search": "random"},
        "h": {"search": "hyperband", "options": {"batch": 9, "eta": 2}},
    }
    prepare(make_settings(searches=searches))
    with pytest.raises(SettingError, match=r"hyperband needs .* this one has 0.5 epochs only"):
        prepare(make_settings(searches=searches, epochs=0.5))


RANDOMS = {"random": {"search": "random"}, "raw": {"search": "random-raw"}}


def make_settings(**changes: Any) -> CompareSettings:
    values: dict[str, Any] = {
        "searches": {
            "pnas": {"search": "pnas", "options": {"predictor": "ridge", "beam": 12}},
            "random": {"search": "random"},
        },
        "backend": "made-up",
        "blocks": 2,
        "budget": "40",
        "seeds": (0, 1),
        "tops": (1, 5),
        "resamples": 50,
        "sample": 100,
        "local": 500,
    }
    return make_compare_settings({**values, **changes})


def test_comparison_runs_every_search_world_and_seed(tmp_path: Path) -> None:
    settings, told = make_settings(worlds=(0, 3)), list[Standing]()
    found = compare(prepare(settings), tmp_path, tell=told.append)
    assert [one.done for one in told] == list(range(11))
    assert told[-1].total == 10
    assert {run.facts.seed for run in found.grid.runs["pnas"]} == {0, 1}
    assert set(found.landmarks) == {0, 3}
    assert len(list(tmp_path.glob("runs/*.npz"))) == 8
    assert {len(run) for run in found.grid.runs["pnas"]} == {21 + 12}
    assert {row.reference for row in found.analysis.duels} == {"pnas"}
    assert found.prepared.costs.full == 100


def test_a_seed_is_another_one_in_each_world_and_the_same_for_all_searches(tmp_path: Path) -> None:
    """Else all worlds share the luck of one seed, and a bootstrap that draws seeds in each does not know."""
    searches = {"one": {"search": "random"}, "two": {"search": "random"}}
    found = compare(prepare(make_settings(searches=searches, worlds=(0, 3))), tmp_path)
    runs = {label: {run.facts.place: run for run in of} for label, of in found.grid.runs.items()}
    for (place, one), two in zip(runs["one"].items(), runs["two"].values(), strict=True):
        assert one.cells.tobytes() == two.cells.tobytes(), place
        np.testing.assert_array_equal(one.values, two.values)
    courses = [run.cells.tobytes() for run in runs["one"].values()]
    assert len(set(courses)) == 4
    seeds = [place.run_seed for place in runs["one"]]
    assert seeds == [0, 1, 3_000_000, 3_000_001]


def test_targets_and_regret_may_be_left_out(tmp_path: Path) -> None:
    found = compare(prepare(make_settings(sample=0)), tmp_path)
    assert found.landmarks == {}
    assert found.analysis.reaches == found.analysis.regrets == []
    assert not (tmp_path / "landmarks").exists()


def test_nobody_trains_thousands_of_cells_for_targets_by_mistake(
    monkeypatch: pytest.MonkeyPatch, made_up_bulk: Any
) -> None:
    class OneByOne:
        """As the training backend: no arrays."""

        def __init__(self) -> None:
            self.spec = made_up_bulk(SPACE).spec
            self.evaluate = made_up_bulk(SPACE).evaluate

        def close(self) -> None:
            """Nothing is held."""

    monkeypatch.setattr("pnas_sim.study.compare.make_backend", lambda name, request: OneByOne())
    with pytest.raises(SettingError, match="for 600 cells in each world, one by one; lower --sample"):
        prepare(make_settings())
    prepare(make_settings(sample=30, local=0))
    prepare(make_settings(sample=0))


def test_worlds_differ_and_searches_of_a_repetition_share_their_noise(tmp_path: Path) -> None:
    options = {"predictor": "ridge", "beam": 4}
    twins = {label: {"search": "pnas", "options": options} for label in ("a", "b")}
    found = compare(prepare(make_settings(searches=twins, worlds=(0, 3))), tmp_path)
    by_cell: dict[tuple[int, int, bytes], set[float]] = {}
    for runs in found.grid.runs.values():
        for run in runs:
            for row, value in zip(run.cells, run.values, strict=True):
                key = (run.facts.world, run.facts.seed, row.tobytes())
                by_cell.setdefault(key, set()).add(float(value))
    assert all(len(values) == 1 for values in by_cell.values())
    assert len(by_cell) == sum(len(run) for run in found.grid.runs["a"])


def test_stopped_comparison_goes_on_with_what_is_left(tmp_path: Path, backends: dict[str, Any]) -> None:
    prepared = prepare(make_settings())
    whole = compare(prepared, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    jobs = list_jobs(prepared, tmp_path / "cut")
    for job in jobs[2:4]:
        job.path.unlink()
    kept = {job.path: job.path.stat().st_mtime_ns for job in jobs if job.path.exists()}
    told: list[Standing] = []
    again = compare(prepared, tmp_path / "cut", tell=told.append)
    assert [one.done for one in told] == [3, 4, 5]
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    for label in whole.grid.labels:
        for one, other in zip(whole.grid.runs[label], again.grid.runs[label], strict=True):
            np.testing.assert_array_equal(one.values, other.values)
            np.testing.assert_array_equal(one.cells, other.cells)


def test_nothing_is_done_twice(tmp_path: Path, backends: dict[str, Any]) -> None:
    prepared = prepare(make_settings())
    compare(prepared, tmp_path)
    opened = backends["opened"]
    compare(prepared, tmp_path)
    assert backends["opened"] == opened


def test_more_seeds_and_searches_join_what_is_there(tmp_path: Path) -> None:
    compare(prepare(make_settings()), tmp_path)
    searches = make_settings().model_dump()["searches"] | {"raw": {"search": "random-raw"}}
    told: list[Standing] = []
    compare(prepare(make_settings(searches=searches, seeds=(0, 1, 2))), tmp_path, tell=told.append)
    assert (told[0].done, told[0].total) == (5, 10)


@pytest.mark.parametrize(
    "changes",
    [
        {"budget": "41"},
        {"blocks": 1},
        {"searches": {"pnas": {"search": "pnas", "options": {"beam": 9}}, "random": {"search": "random"}}},
    ],
    ids=["budget", "blocks", "options"],
)
def test_other_settings_in_one_folder_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    compare(prepare(make_settings()), tmp_path)
    with pytest.raises(RunError, match="made with other settings"):
        compare(prepare(make_settings(**changes)), tmp_path)


def test_another_table_in_one_folder_is_refused(tmp_path: Path, backends: dict[str, Any]) -> None:
    compare(prepare(make_settings()), tmp_path)
    backends["checksum"] = "xyz"
    with pytest.raises(RunError, match="checksum abc, the table's is xyz"):
        compare(prepare(make_settings()), tmp_path)


def test_damaged_run_is_named(tmp_path: Path) -> None:
    prepared = prepare(make_settings())
    compare(prepared, tmp_path)
    path = tmp_path / "runs" / "random-w0-s1.npz"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(RunError, match=r"random-w0-s1\.npz is damaged"):
        compare(prepared, tmp_path)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"budget": "8"}, r"budget is 8 models; the first batch of pnas has 21: raise --budget"),
        ({"tops": (50,)}, r"budget is 40 models; the mean over the top 50"),
        ({"budget": "1190ex"}, r"budget is 11 models; the first batch of pnas has 21: raise --budget"),
        ({"budget": "99ex", "searches": RANDOMS}, r"budget is 0 models; the mean over the top 5 needs"),
        ({"budget": "2300ex", "tops": (24,)}, r"budget is 23 models; the mean over the top 24"),
        ({"seeds": (0,), "demand_intervals": True}, "at least 2 runs: raise --seeds"),
        (
            {"searches": {"pnas": {"search": "pnas"}, "x": {"search": "nonsense"}}},
            "unknown search 'nonsense'",
        ),
        (
            {"searches": {"a": {"search": "random", "options": {"rate": 1}}, "b": {"search": "random"}}},
            "'rate'",
        ),
        ({"searches": {"a": {"search": "random"}}}, "at least 2"),
        *(
            ({"searches": {"b": {"search": "pnas"}, label: {"search": "random"}}}, "cannot stand in tables")
            for label in ("", "=1+1", "+1", "-1", "@SUM(A1)", "a\x1b[2J", "a\nb", "a\u202eb", "a" * 101)
        ),
        ({"seeds": ()}, "seeds is empty"),
        ({"seeds": (1, 1)}, "none twice"),
        ({"worlds": (-1,)}, "worlds has -1"),
        ({"tops": (0,)}, r"^--top has 0; each must be at least 1, such as 1,5,25$"),
        ({"tops": (5, 5)}, r"^--top is 5, 5; give at least one number, and none twice$"),
        ({"tops": (10**30,)}, r"budget is 40 models; the mean over the top 10{30} needs as many"),
        ({"references": ("rl",)}, "'rl' is not compared; the searches are: pnas, random"),
        ({"budget": "much"}, "budget is 'much'"),
        *(
            (
                {"confidence": value},
                f"^confidence is {value:g}; it must be above 0 and below 1, such as 0.95$",
            )
            for value in (95.0, 1.0, 0.0, -0.5, float("nan"))
        ),
        ({"colour": "red"}, "unknown setting 'colour'"),
    ],
)
def test_bad_requests_are_told_before_anything_runs(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RequestError, match=complaint):
        prepare(make_settings(**changes))


class Broken:
    """A user's own search with a bug."""

    def ask(self, n: int) -> Proposals:
        return Proposals(SPACE.initial()[:3])

    def tell(self, observations: Observations) -> None:
        raise ZeroDivisionError("of the user's")

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        self.tell(observations)


def make_broken(request: SearchRequest) -> Broken:
    """A factory as users write them."""
    return Broken()


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> str:
    """The import path of a search that fails."""
    from types import ModuleType

    module = ModuleType("users_own_module")
    vars(module)["create"] = make_broken
    monkeypatch.setitem(sys.modules, "users_own_module", module)
    return "users_own_module:create"


def test_users_own_search_that_fails_is_named_and_others_are_kept(tmp_path: Path, broken: str) -> None:
    searches = {"random": {"search": "random"}, "mine": {"search": broken}}
    prepared = prepare(make_settings(searches=searches))
    assert prepared.settings.choose_references() == ("random",)
    with pytest.raises(WorkError, match="mine, world 0, seed 0 failed: ZeroDivisionError: of the user's"):
        compare(prepared, tmp_path)
    assert len(read_run(tmp_path / "runs" / "random-w0-s0.npz")) == 40


def test_a_budget_need_only_reach_for_the_batch_that_a_search_begins_with() -> None:
    """The first level of PNAS and the lowest rung of Hyperband are below what a batch may have."""
    rungs = {"search": "hyperband", "options": {"eta": 2}}
    searches = {"pnas": {"search": "pnas", "options": {"predictor": "ridge"}}, "h": rungs}
    prepare(make_settings(searches=searches, budget="21"))
    with pytest.raises(SettingError, match="budget is 20 models; the first batch of pnas has 21: raise"):
        prepare(make_settings(searches=searches, budget="20"))
    rungs_alone = {"random": {"search": "random"}, "h": rungs}
    for budget in ("2", "100ex"):  # two cells of half a training each
        prepare(make_settings(searches=rungs_alone, budget=budget, tops=(1,)))
    for budget in ("1", "99ex"):
        with pytest.raises(SettingError, match="budget is 1 models; the first batch of h has 2: raise"):
            prepare(make_settings(searches=rungs_alone, budget=budget, tops=(1,)))


def test_users_own_search_is_asked_for_nothing_beforehand(broken: str) -> None:
    searches = {"random": {"search": "random"}, "mine": {"search": broken, "options": {"batch": 64}}}
    with pytest.raises(SettingError, match="budget is 40 models; the first batch of mine has 64: raise"):
        prepare(make_settings(searches=searches))


def test_references_are_every_pnas_unless_named() -> None:
    searches = {
        "random": {"search": "random"},
        "k8": {"search": "pnas", "options": {"beam": 8}},
        "k4": {"search": "pnas", "options": {"beam": 4}},
    }
    assert make_settings(searches=searches).choose_references() == ("k8", "k4")
    assert make_settings(searches=searches, references=("random",)).choose_references() == ("random",)


def test_settings_survive_json() -> None:
    settings = make_settings(worlds=(0, 1))
    again = CompareSettings.model_validate_json(settings.model_dump_json())
    assert again == settings
    assert again.fingerprint("pnas", {}) == settings.fingerprint("pnas", {})
    with pytest.raises(SettingError, match=r"searches\.pnas"):
        make_compare_settings({"searches": {"pnas": {}, "random": {"search": "random"}}})


def test_comparisons_are_imported_without_torch_and_matplotlib() -> None:
    code = (
        "import sys, pnas_sim.study.compare, pnas_sim.study.results, pnas_sim.study.claims;"
        "print([name for name in ('torch', 'matplotlib', 'lightgbm', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
