from __future__ import annotations

import errno
import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

KEYS = {
    "kind",
    "schema",
    "search",
    "backend",
    "seed",
    "evaluation_seed",
    "space",
    "models_evaluated",
    "proposals",
    "repeats",
    "failed",
    "examples",
    "seconds",
    "child_seconds",
    "stopped",
    "levels",
    "best",
    "notes",
    "out",
}
LEVEL_KEYS = {
    "blocks",
    "candidates",
    "unique",
    "evaluated",
    "best_valid_accuracy",
    "top5_valid_accuracy",
    "top25_valid_accuracy",
    "rank_correlation",
}
BEST_KEYS = {"cell", "valid_accuracy", "expected_valid_accuracy", "test_accuracy"}
TINY = (
    *("--backend", "gpu", "--device", "cpu", "--dataset", "digits", "--blocks", "1", "--epochs", "0.1"),
    *("--filters", "2", "--cells-per-stage", "1", "--train-images", "40", "--valid-images", "20"),
    *("--test-images", "10", "--batch-size", "20", "--budget", "3"),
)


def _search(table: Path, *more: object) -> tuple[object, ...]:
    return ("run", "--table", table, "--blocks", 3, "--beam", 4, "--predictor", "ridge", *more)


def _lasting(result: dict[str, Any]) -> dict[str, Any]:
    """What of a result must be the same whenever the run is repeated."""
    return {key: value for key, value in result.items() if key not in ("seconds", "out")}


def test_json_is_what_the_folder_keeps(pnas: Any, small_table: Path, tmp_path: Path) -> None:
    outcome = pnas(*_search(small_table, "--out", tmp_path / "r", "--json"))
    assert outcome.code == 0, outcome.err
    result = outcome.json
    assert set(result) >= KEYS
    assert (result["models_evaluated"], result["stopped"]) == (136 + 4 + 4, "finished")
    assert [level["blocks"] for level in result["levels"]] == [1, 2, 3]
    assert [level["evaluated"] for level in result["levels"]] == [136, 4, 4]
    assert all(set(level) >= LEVEL_KEYS for level in result["levels"])
    assert result["levels"][0]["rank_correlation"] is None
    assert result["levels"][1]["candidates"] == 40_800
    assert set(result["best"]) >= BEST_KEYS
    assert result["best"]["cell"].count("|") == 2
    assert json.loads((tmp_path / "r" / "result.json").read_text()) == result
    assert {path.name for path in (tmp_path / "r").iterdir()} >= {
        "run.toml",
        "evaluations.sqlite",
        "result.json",
    }


def test_the_summary_is_for_a_person(pnas: Any, small_table: Path, tmp_path: Path) -> None:
    outcome = pnas(*_search(small_table, "--out", tmp_path / "r"))
    assert outcome.code == 0
    for part in ("40,800", "best cell", "144 models", "simulated", f"pnas-sim resume {tmp_path / 'r'}"):
        assert part in outcome.out
    assert "models" in outcome.err
    quiet = pnas(*_search(small_table, "--out", tmp_path / "q", "-q"))
    assert quiet.err == ""


def test_the_record_repeats_the_run(pnas: Any, small_table: Path, tmp_path: Path) -> None:
    first = pnas(*_search(small_table, "--seed", 5, "--out", tmp_path / "a", "--json")).json
    record = tomllib.loads((tmp_path / "a" / "run.toml").read_text())
    assert record["settings"]["seed"] == record["settings"]["evaluation_seed"] == 5
    assert record["settings"]["threads"] == 1
    assert record["settings"]["backend_options"] == {"table": str(small_table)}
    assert len(record["backend"]["checksum"]) == 64
    assert record["versions"]["pnas-sim"] == "0.1.0"
    again = pnas("run", "--config", tmp_path / "a" / "run.toml", "--out", tmp_path / "b", "--json").json
    assert _lasting(again) == _lasting(first)
    other = pnas(
        "run", "--config", tmp_path / "a" / "run.toml", "--seed", 6, "--out", tmp_path / "c", "--json"
    )
    assert other.json["seed"] == 6


def test_the_evaluation_seed_alone_moves_the_noise(pnas: Any, small_table: Path, tmp_path: Path) -> None:
    one = pnas(*_search(small_table, "--out", tmp_path / "a", "--json")).json
    two = pnas(*_search(small_table, "--evaluation-seed", 9, "--out", tmp_path / "b", "--json")).json
    assert (two["seed"], two["evaluation_seed"]) == (0, 9)
    assert one["levels"][0]["best_valid_accuracy"] != two["levels"][0]["best_valid_accuracy"]
    calm = pnas(*_search(small_table, "--noise", "off", "--out", tmp_path / "c", "--json")).json
    best = calm["best"]
    assert best["valid_accuracy"] == best["expected_valid_accuracy"]


def test_random_search_ends_at_its_budget(pnas: Any, small_table: Path, tmp_path: Path) -> None:
    words = ("run", "--table", small_table, "--blocks", 2, "--budget", 50, "--json")
    for search in ("random", "random-raw"):
        result = pnas(*words, "--search", search, "--out", tmp_path / search).json
        assert (result["search"], result["models_evaluated"], result["stopped"]) == (search, 50, "budget")


@pytest.mark.parametrize(
    ("words", "first", "models"),
    [
        (("evolution", "--budget", 5), 100, 5),
        (("evolution", "--budget", 70), 100, 70),
        (("evolution", "--budget", 12, "--search-option", "population=12"), 12, 12),
        (("reinforce", "--budget", 19), 20, 19),
        (("bananas", "--budget", 9, "--predictor", "forest"), 10, 9),
        (("pnas", "--budget", 100, "--beam", 4), 136, 100),
        (("pnas", "--budget", 136), 136, 136),
        (("pnas", "--budget", "1s"), 136, 1),
        (("pnas-no-growth", "--budget", "1ex"), 136, 0),
    ],
)
def test_a_budget_that_ends_before_the_search_learns_is_noted(
    pnas: Any, small_table: Path, tmp_path: Path, words: tuple[object, ...], first: int, models: int
) -> None:
    outcome = pnas("run", "--table", small_table, "--blocks", 2, "--out", tmp_path / "r", "--search", *words)
    assert outcome.code == 0, outcome.err
    note = (
        f"the budget ended within the first {first} models ({models} evaluated): {words[0]} never learnt "
        "from any; raise --budget"
    )
    assert f"note        {note}\n" in outcome.out
    assert json.loads((tmp_path / "r" / "result.json").read_text())["notes"] == [note]


@pytest.mark.parametrize(
    "words",
    [
        ("random", "--budget", 5),
        ("evolution", "--budget", 13, "--search-option", "population=12"),
        ("reinforce", "--budget", 30),
        ("pnas", "--budget", 140, "--predictor", "ridge"),
        ("pnas", "--budget", 100, "--blocks", 1),
    ],
)
def test_a_search_that_learnt_or_never_would_is_not_noted(
    pnas: Any, small_table: Path, tmp_path: Path, words: tuple[object, ...]
) -> None:
    run = ("run", "--table", small_table, "--blocks", 2, "--out", tmp_path / "r", "--search", *words)
    assert pnas(*run, "--json").json["notes"] == []
    assert "note  " not in pnas("resume", tmp_path / "r").out


def test_options_of_a_search_are_recorded_with_their_defaults(
    pnas: Any, small_table: Path, tmp_path: Path
) -> None:
    words = _search(small_table, "--blocks", 2, "--out", tmp_path / "r", "--json")
    result = pnas(*words, "--search-option", "batch=50").json
    record = tomllib.loads((tmp_path / "r" / "run.toml").read_text())
    expected = {"predictor": "ridge", "refit": "scratch", "beam": 4, "batch": 50}
    expected |= {"acquisition": "greedy", "kappa": 1.0}
    assert record["settings"]["search_options"] == expected
    assert result["predictor"] == "ridge"
    again = pnas("run", "--config", tmp_path / "r" / "run.toml", "--out", tmp_path / "s", "--json").json
    assert _lasting(again) == _lasting(result)
    other = ("--search", "random", "--budget", 5, "--out", tmp_path / "t", "--json")
    assert pnas("run", "--config", tmp_path / "r" / "run.toml", *other).json["predictor"] is None


def test_folders_are_made_under_runs(pnas: Any, small_table: Path, tmp_path: Path) -> None:
    result = pnas("run", "--table", small_table, "--blocks", 1, "--predictor", "ridge", "--json").json
    folder = tmp_path / result["out"]
    assert folder.parent == tmp_path / "runs"
    assert folder.name.endswith("-pnas-0")
    assert (folder / "result.json").exists()


def test_children_are_really_trained(pnas: Any, tmp_path: Path) -> None:
    outcome = pnas("run", *TINY, "--out", tmp_path / "r", "--predictor", "ridge", "--json", "-q")
    assert outcome.code == 0, outcome.err
    result = outcome.json
    assert result["models_evaluated"] == 3
    assert result["source"] == "trained"
    assert result["child_seconds"] > 0
    assert result["best"]["test_accuracy"] is not None
    assert result["examples"] == pytest.approx(3 * 0.1 * 40)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--search", "magic"], "unknown search 'magic'"),
        (["--search", "randm"], "did you mean 'random'?"),
        (["--search", "random"], "search random has no option 'predictor'"),
        (["--search", "no.such:create"], "no module"),
        (["--search-option", "magic=1"], "search pnas has no option 'magic'; it has: predictor"),
        (["--search-option", "batch=many"], "batch is 'many'; it must be a whole number"),
        (["--search-option", "batch=0"], "batch is 0"),
        (["--search-option", "magic"], "--search-option is 'magic'; write KEY=VALUE"),
        (["--backend", "magic"], "magic"),
        (["--predictor", "magic"], "unknown predictor 'magic'"),
        (["--refit", "never"], "refit is 'never'"),
        (["--beam", "0"], "beam is 0"),
        (["--budget", "0"], "budget is '0'"),
        (["--budget", "lots"], "budget is 'lots'"),
        (["--blocks", "0"], "blocks is 0"),
        (["--blocks", "11"], "blocks is 11"),
        (["--blocks", "4"], "--extrapolate"),
        (["--epochs", "0"], "epochs is 0"),
        (["--epochs", "0.3"], "0.25, 0.5, 1"),
        (["--seed", "-1"], "seed is -1"),
        (["--threads", "0"], "threads is 0"),
        (["--table", "absent.h5"], "absent.h5"),
        (["--table", "no-such-name"], "no-such-name"),
        (["--table-mode", "guessed"], "guessed"),
        (["--table-mode", "measured"], "not closed"),
        (["--surrogate", "none"], "none"),
        (["--noise", "loud"], "loud"),
        (["--filters", "4"], "filters"),
        (["--backend-option", "magic=1"], "magic"),
        (["--backend-option", "magic"], "KEY=VALUE"),
        (["--config", "absent.toml"], "absent.toml"),
        (["--backend", "gpu", "--device", "abacus"], "table"),
    ],
)
def test_bad_requests_are_one_line_and_make_nothing(
    pnas: Any, small_table: Path, tmp_path: Path, words: list[str], named: str
) -> None:
    outcome = pnas(*_search(small_table), *words)
    assert outcome.code == 2
    assert named in outcome.complaint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--device", "abacus"], "abacus"),
        (["--device", "cpu", "--dataset", "mnist"], "mnist"),
        (["--device", "cpu", "--dataset", "cifar10"], "--data"),
        (["--device", "cpu", "--dataset", "cifar10", "--data", "gone"], "gone"),
        (["--device", "cpu", "--dataset", "absent.npz"], "absent.npz"),
        (["--device", "cpu", "--train-images", "100000"], "1497 training images"),
        (["--device", "cpu", "--filters", "0"], "filters"),
        (["--device", "cpu", "--workers", "0"], "workers is 0"),
        (["--device", "cpu", "--time-limit", "-1"], "time_limit is -1"),
        (["--device", "cpu", "--learning-rate", "0"], "learning_rate"),
        (["--device", "cpu", "--noise", "on"], "noise"),
    ],
)
def test_bad_requests_to_train_make_nothing(pnas: Any, tmp_path: Path, words: list[str], named: str) -> None:
    outcome = pnas("run", "--backend", "gpu", "--predictor", "ridge", *words)
    assert outcome.code == 2
    assert named in outcome.complaint
    assert list(tmp_path.iterdir()) == []


def test_unknown_keys_of_a_config_are_named(pnas: Any, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("bean = 3\n")
    outcome = pnas("run", "--config", tmp_path / "c.toml")
    assert outcome.code == 2
    assert "'bean'" in outcome.complaint


def test_a_damaged_table_is_refused(pnas: Any, small_table: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.h5").write_bytes(small_table.read_bytes()[:-100])
    outcome = pnas("run", "--table", tmp_path / "bad.h5", "--blocks", 2)
    assert outcome.code == 2
    assert "bad.h5" in outcome.complaint
    assert [path.name for path in tmp_path.iterdir()] == ["bad.h5"]


def test_a_folder_that_holds_a_run_is_refused_and_kept(pnas: Any, small_table: Path, tmp_path: Path) -> None:
    words = ("run", "--table", small_table, "--blocks", 1, "--predictor", "ridge", "--out", tmp_path / "r")
    assert pnas(*words, "-q").code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir()}
    outcome = pnas(*words)
    assert outcome.code == 2
    assert f"pnas-sim resume {tmp_path / 'r'}" in outcome.complaint
    assert {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir()} == before


def test_a_full_disk_leaves_a_folder_that_can_be_resumed(
    pnas: Any, small_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "r"
    sync = os.fsync

    def fail(descriptor: int) -> None:
        if (out / "run.toml").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as full:
        full.setattr("os.fsync", fail)
        outcome = pnas(*_search(small_table, "--out", out, "-q"))
    assert outcome.code == 1
    assert "disk is full" in outcome.complaint
    assert not (out / "result.json").exists()
    resumed = pnas("resume", out, "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.json["models_evaluated"] == 144


FAILING = '''
from pnas_sim.evaluate import Evaluation, EvaluatorSpec, Status
from pnas_sim.space import CellSpace


class Failing:
    """Children of two blocks fail; it cannot be closed."""

    def __init__(self, blocks):
        space = CellSpace(max_blocks=blocks)
        self.spec = EvaluatorSpec(name="failing", space=space, epochs=1.0, deterministic=False)

    def evaluate(self, cells, epochs, seed):
        for number, text in enumerate(self.spec.space.format_many(cells)):
            if "|" in text:
                error = "no memory" if number % 3 else ""
                yield Evaluation(cell=text, status=Status.FAILED, epochs=epochs, error=error)
            else:
                yield Evaluation(cell=text, valid_accuracy=0.5, epochs=epochs)

    def close(self):
        raise RuntimeError("still busy")


def make(request):
    return Failing(request.blocks)
'''


def test_failures_are_told_with_their_reasons_and_lose_nothing(
    pnas: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last level failed whole: the best is of the one before, and the page says why."""
    (tmp_path / "failing_part.py").write_text(FAILING)
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ("--backend", "failing_part:make", "--blocks", 2, "--beam", 6, "--predictor", "ridge")
    outcome = pnas("run", *words, "--out", "r", "--json")
    assert outcome.code == 0
    assert "warning: backend failing_part:make cannot be closed: RuntimeError: still busy" in outcome.err
    result = outcome.json
    assert result["failed"] == 6 and result["best"]["valid_accuracy"] == 0.5
    note, other = result["notes"]
    assert note == "6 of 142 children failed: no memory (4); no reason given (2)"
    assert other.startswith("backend failing does not repeat itself there")
    assert pnas("report", "r").code == 0
    assert "no memory (4)" in next(tmp_path.glob("r/*.html")).read_text(encoding="utf-8")


def test_a_run_in_which_every_child_failed_has_failed(
    pnas: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for the exit code learns it, of a run gone on with, too; the result stays."""
    (tmp_path / "broken_part.py").write_text(FAILING.replace('"|" in text', "True"))
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ("run", "--search", "random", "--backend", "broken_part:make", "--budget", 4, "--out", "r")
    for again in (words, ("resume", "r")):
        outcome = pnas(*again, "--json")
        assert outcome.code == 1
        assert outcome.json["failed"] == 4 and outcome.json["best"] is None
        told = "4 of 4 children failed: no reason given (2); no memory (2); mend it"
        assert f"error: nothing was found: {told}" in outcome.err
