from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pnas_backends.training.recipe import DIGITS
from pnas_sim.cli import verifying
from pnas_sim.cli.verifying import Training, VerifySettings
from pnas_sim.evaluate import Evaluation
from pnas_sim.space import CellSpace
from pnas_tables.build import build_table
from pnas_tables.fit import FitSettings
from pnas_tables.forest import ForestSettings
from pnas_tables.format import read_table, write_table
from pnas_tables.images import find_images
from pnas_tables.plans import list_jobs, sample_plan
from pnas_tables.record import Table
from pnas_tables.surrogate import fit_surrogate
from pnas_tables.testing import MadeUpTrainer, made_up_head
from pnas_tables.trainer import trained_head

VERIFY = ("--top", 8, "--spread", 10, "--resamples", 50)


class CountedTrainer(MadeUpTrainer):
    """Counts what it trains."""

    trained: list[tuple[str, int]] = []  # noqa: RUF012  # of one test: the fixture empties it

    def evaluate(self, cells: Any, epochs: float, seed: int) -> Iterator[Evaluation]:
        for answer in MadeUpTrainer.evaluate(self, cells, epochs, seed):
            self.trained.append((answer.cell, seed))
            yield answer


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Verifications train by the made-up trainer; what it trained."""

    def open_training(table: Table, settings: VerifySettings) -> Training:
        return Training(made_up_head(table.space, table.name), CountedTrainer(table.space))

    CountedTrainer.trained.clear()
    monkeypatch.setattr(verifying, "open_training", open_training)
    return CountedTrainer.trained


@pytest.fixture
def ran(pnas: Any, small_table: Path) -> Path:
    """A finished random search on the small table."""
    words = ("--search", "random", "--blocks", 3, "--budget", 120, "--out", "ran", "-q")
    outcome = pnas("run", "--table", small_table, *words)
    assert outcome.code == 0, outcome.err
    return Path("ran")


def test_top_and_spread_are_trained_and_compared(
    pnas: Any, ran: Path, made_up: list[tuple[str, int]], small_table: Path
) -> None:
    outcome = pnas("verify", ran, *VERIFY, "--seeds", 3, "--append", "mine.h5", "--json")
    assert outcome.code == 0, outcome.err
    result = outcome.json
    assert (result["kind"], result["schema"], result["seeds"]) == ("verification", 1, [0, 1, 2])
    assert result["all_untrained_before"]
    assert result["same_recipe"]
    assert len(made_up) == 18 * 3
    before = set(read_table(small_table).space.format_many(read_table(small_table).cells))
    cells = [one["cell"] for one in result["cells"]]
    assert len(set(cells)) == 18
    assert not before & set(cells)
    top = [one for one in result["cells"] if one["group"] == "random"]
    assert [one["rank"] for one in top] == list(range(1, 9))
    assert [one["observed"] for one in top] == sorted((one["observed"] for one in top), reverse=True)
    assert result["winners"] == {"random": top[0]["cell"]}
    for one in result["cells"]:
        assert one["trained"] == pytest.approx(sum(one["by_seed"]) / 3)
    found = result["agreement"]["predicted"]["top"]
    apart = [one["predicted"] - one["trained"] for one in top]
    assert found["bias"]["value"] == pytest.approx(sum(apart) / 8)
    assert result["agreement"]["predicted"]["all"]["kendall_tau"]["value"] > 0.3
    assert json.loads((ran / "verification" / "result.json").read_text()) == result
    assert (ran / "verification" / "predicted-trained.png").read_bytes()[:4] == b"\x89PNG"
    assert "<svg" in (ran / "verification" / "predicted-trained.svg").read_text()
    appended = read_table(Path("mine.h5"))
    assert len(appended) == 18
    assert set(appended.origins) == {"verify"}


def test_the_cell_that_a_run_hands_over_is_the_winner(
    pnas: Any, made_up: list[tuple[str, int]], small_table: Path
) -> None:
    """Of PNAS that is the best of the last level, and the level before comes when that has no more."""
    words = ("--predictor", "ridge", "--beam", 4, "--blocks", 3, "--out", "grown", "-q", "--json")
    best = pnas("run", "--table", small_table, *words).json["best"]
    result = pnas("verify", "grown", "--top", 6, "--spread", 6, "--again", "--json", "-q").json
    assert result["winners"] == {"pnas": best["cell"]}
    top = [one for one in result["cells"] if one["group"] == "pnas"]
    assert [one["blocks"] for one in top] == [3, 3, 3, 3, 2, 2]
    assert any(one["observed"] > top[0]["observed"] for one in result["cells"])
    assert 1 in [one["blocks"] for one in result["cells"] if one["group"] == "spread"]


def test_runs_of_one_search_with_other_settings_are_groups_of_their_own(
    pnas: Any, made_up: list[tuple[str, int]], small_table: Path
) -> None:
    """And a second seed of either is one with it."""
    words = ("--table", small_table, "--search", "random", "--blocks", 3, "--budget", 60, "-q", "--json")
    best = {}
    for folder, own in {"plain": (), "again": ("--seed", 1), "quiet": ("--noise", "off")}.items():
        best[folder] = pnas("run", *words, *own, "--out", folder).json["best"]
    result = pnas("verify", *best, "--top", 3, "--spread", 3, "--again", "--json", "-q").json
    top = max(("plain", "again"), key=lambda folder: best[folder]["valid_accuracy"])
    winners = {"random (plain)": best[top]["cell"], "random (quiet)": best["quiet"]["cell"]}
    assert result["winners"] == winners
    assert set(result["regret"]) == set(winners)


def test_an_interrupted_verification_goes_on_with_what_is_missing(
    pnas: Any, ran: Path, made_up: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(step: Any) -> None:
        if step.trained == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pnas_sim.cli.table_build.print_child", stop)
        stopped = pnas("verify", ran, *VERIFY)
    assert stopped.code == 130
    assert "the same command goes on" in stopped.complaint
    assert not (ran / "verification" / "result.json").exists()
    outcome = pnas("verify", ran, *VERIFY, "-q")
    assert outcome.code == 0, outcome.err
    assert len(made_up) == len(set(made_up)) == 18 * 2
    assert outcome.out.startswith(("yes: ", "order only: ", "no: "))
    assert outcome.err == ""
    again = pnas("verify", ran, *VERIFY, "-q")
    assert again.out == outcome.out
    assert len(made_up) == 36


KILLED = """
import os, signal, sys
from pnas_sim.cli import main, verifying
from pnas_sim.cli.verifying import Training
from pnas_tables.testing import MadeUpTrainer, made_up_head
import pnas_sim.cli.table_build as table_build

def kill(step):
    if step.trained == 7:
        os.kill(os.getpid(), signal.SIGKILL)

table_build.print_child = kill
verifying.open_training = lambda table, settings: Training(
    made_up_head(table.space, table.name), MadeUpTrainer(table.space))
main(sys.argv[1:])
"""


def test_a_killed_verification_loses_no_finished_child(
    pnas: Any, ran: Path, made_up: list[tuple[str, int]]
) -> None:
    words = [sys.executable, "-c", KILLED, "verify", str(ran), *map(str, VERIFY)]
    assert subprocess.run(words, check=False, capture_output=True).returncode == -9
    outcome = pnas("verify", ran, *VERIFY, "-q")
    assert outcome.code == 0, outcome.err
    assert len(made_up) == 36 - 7


def test_a_comparison_gives_top_cells_of_pnas_and_of_the_best_other(
    pnas: Any, small_table: Path, made_up: list[tuple[str, int]]
) -> None:
    words = ("--searches", "pnas,random", "--set", "pnas.beam=10", "--set", "pnas.predictor=ridge")
    budget = ("--seeds", 1, "--worlds", 2, "--budget", 170, "--blocks", 3, "--sample", 0, "--local", 0)
    more = ("--top", 1, "--workers", 1, "--no-pictures", "-q", "--out", "compared", "--resamples", 10)
    outcome = pnas("compare", "--table", small_table, *words, *budget, *more)
    assert outcome.code == 0, outcome.err
    result = pnas("verify", "compared", "--top", 4, "--spread", 4, "--json", "-q").json
    groups = list(dict.fromkeys(one["group"] for one in result["cells"]))
    assert groups[0] == "pnas"
    assert groups[1] == "random"
    assert groups[2] == "spread"
    assert len(result["cells"]) == 12
    assert {one["world"] for one in result["cells"]} == {0, 1}
    assert [one["blocks"] for one in result["cells"] if one["group"] == "pnas"] == [3] * 4
    one = pnas("verify", "compared", "--searches", "random", "--top", 2, "--out", "v", "--json", "-q").json
    assert set(one["winners"]) == {"random"}
    wrong = pnas("verify", "compared", "--searches", "moon")
    assert wrong.code == 2
    assert "moon" in wrong.complaint


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--top", "-1"], "top is -1"),
        (["--top", "0", "--spread", "0"], "no cell is left"),
        (["--seeds", "0"], "seeds is 0"),
        (["--confidence", "2"], "confidence is 2"),
        (["--append", "gone/x.h5"], "gone is not a folder"),
    ],
)
def test_bad_requests_are_one_line_before_any_training(
    pnas: Any, ran: Path, made_up: list[tuple[str, int]], words: list[str], named: str
) -> None:
    outcome = pnas("verify", ran, *words)
    assert outcome.code == 2
    assert named in outcome.complaint
    assert made_up == []
    assert not (ran / "verification").exists()


def test_what_is_no_finished_run_on_this_table_is_refused(
    pnas: Any, ran: Path, small_table: Path, tmp_path: Path, made_up: list[tuple[str, int]]
) -> None:
    def refused(*words: object) -> str:
        outcome = pnas("verify", *words)
        assert outcome.code == 2
        return str(outcome.complaint)

    assert "gone is not a folder" in refused("gone")
    (tmp_path / "empty").mkdir()
    assert "holds no run" in refused("empty")
    assert "give another --out" in refused(ran, "--out", ran)
    record = ran / "run.toml"
    text = record.read_text()
    record.write_text(text.replace('backend = "table"', 'backend = "gpu"', 1))
    assert "backend gpu" in refused(ran)
    record.write_text(text.replace(str(small_table), str(tmp_path / "other.h5")))
    write_table(tmp_path / "other.h5", read_table(small_table.with_name("bare.h5")))
    assert "bring the old table back" in refused(ran)
    record.write_text(text)
    (ran / "result.json").rename("kept.json")
    assert "has not finished" in refused(ran)
    assert made_up == []


def test_what_a_build_adds_meanwhile_stays_in_the_table_added_to(
    pnas: Any, ran: Path, made_up: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    space, trainer = CellSpace(max_blocks=3), MadeUpTrainer(CellSpace(max_blocks=3))

    def build(count: int) -> None:
        jobs = list_jobs(sample_plan("mine", count, (1, 2, 3), seeds=1, seed=3, space=space), space)
        build_table(jobs, made_up_head(space, "mine"), Path("mine.h5"), trainer, provenance={})

    def go_on(step: Any) -> None:
        if step.trained == 5:
            build(30)

    build(9)
    monkeypatch.setattr("pnas_sim.cli.table_build.print_child", go_on)
    outcome = pnas("verify", ran, *VERIFY, "--append", "mine.h5")
    assert outcome.code == 0, outcome.err
    table, trained = read_table("mine.h5"), read_table(ran / "verification" / "trained.h5")
    held = {
        (row.tobytes(), seed) for row, seed in zip(table.cells[table.run_cells], table.seeds, strict=True)
    }
    assert table.name == "mine" and len(trained.seeds) == 36
    assert sum("uniform" in origin for origin in table.origins) == 30
    assert all(
        (row.tobytes(), seed) in held
        for row, seed in zip(trained.cells[trained.run_cells], trained.seeds, strict=True)
    )
    assert not list(Path().glob("mine.h5.*"))


def test_other_images_than_the_tables_are_refused_before_any_training(
    pnas: Any, ran: Path, made_up: list[tuple[str, int]], small_table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the table searched, of the one added to, and of the trainings in the folder."""
    one, other = "1" * 32, "2" * 32
    images = [one]

    def open_training(table: Table, settings: VerifySettings) -> Training:
        return Training(made_up_head(table.space, table.name), CountedTrainer(table.space, images[0]))

    monkeypatch.setattr(verifying, "open_training", open_training)
    mine = replace(read_table(small_table.with_name("bare.h5")), surrogates={})
    write_table("mine.h5", replace(mine, provenance=({"images_checksum": other},)))
    refused = pnas("verify", ran, *VERIFY, "--append", "mine.h5")
    assert refused.code == 2 and f"bare was trained on other images (checksum {other})" in refused.complaint
    assert made_up == [] and not (ran / "verification").exists()
    write_table("mine.h5", mine)  # of unknown ones, as the table searched
    done = pnas("verify", ran, *VERIFY, "--append", "mine.h5")
    assert done.code == 0
    assert done.err.count("warning: ") == 1 and "does not say which images" in done.err
    assert find_images(read_table("mine.h5")) == one
    images[0] = other
    refused = pnas("verify", ran, *VERIFY)
    assert refused.code == 2 and f"on other images (checksum {one})" in refused.complaint


def test_nothing_is_appended_to_the_installation(
    pnas: Any, ran: Path, made_up: list[tuple[str, int]]
) -> None:
    from pnas_tables.catalogue import data_folder

    outcome = pnas("verify", ran, "--append", data_folder() / "new.h5")
    assert outcome.code == 2
    assert "part of the installation" in outcome.complaint
    assert made_up == []


def test_a_table_of_others_cannot_be_trained(pnas: Any, ran: Path) -> None:
    outcome = pnas("verify", ran)
    assert outcome.code == 2
    assert "was not trained by this project" in outcome.complaint


@pytest.fixture
def ran_on_digits(pnas: Any, tmp_path: Path) -> Path:
    """A run on a table whose recipe trains digits, a few steps; its accuracies are made up."""
    space = CellSpace(max_blocks=2)
    recipe = DIGITS.change(
        train_images=40,
        valid_images=20,
        test_images=10,
        filters=2,
        cells_per_stage=1,
        batch_size=20,
        epochs=1.0,
    ).change(checkpoints=(0.25, 0.5))
    jobs = list_jobs(sample_plan("tiny", 60, (1, 2), seeds=2, seed=3, space=space), space)
    head = trained_head("tiny", recipe, space)
    table = build_table(jobs, head, tmp_path / "tiny.h5", MadeUpTrainer(space), provenance={})
    settings = FitSettings(worlds=1, shares=(), forest=ForestSettings(forests=1, trees=5))
    write_table(tmp_path / "tiny.h5", fit_surrogate(table, settings=settings))
    words = ("--search", "random", "--blocks", 2, "--budget", 20, "--out", "ran", "-q")
    outcome = pnas("run", "--table", tmp_path / "tiny.h5", *words)
    assert outcome.code == 0, outcome.err
    return Path("ran")


def test_cells_are_really_trained_by_the_tables_recipe_or_another(pnas: Any, ran_on_digits: Path) -> None:
    few = ("--top", 1, "--spread", 1, "--json", "-q")
    own = pnas("verify", ran_on_digits, *few, "--append", "more.h5")
    assert own.code == 0, own.err
    assert own.json["same_recipe"]
    assert own.json["recipe"]["dataset"] == "digits"
    assert all(0 <= value <= 1 for one in own.json["cells"] for value in one["by_seed"])
    shorter = ("--epochs", 0.5, "--seeds", 1)
    mixed = pnas("verify", ran_on_digits, *few, *shorter)
    assert mixed.code == 2
    assert "differ" in mixed.complaint
    foreign = pnas("verify", ran_on_digits, *few, *shorter, "--out", "v", "--append", "more.h5")
    assert foreign.code == 2
    other = pnas("verify", ran_on_digits, *few, *shorter, "--out", "v").json
    assert not other["same_recipe"]
    assert other["epochs"] == 0.5
    assert other["regret"] == {"random": None}
    assert "another recipe" in other["verdict"]
    assert any("one seed" in note for note in other["notes"])
    for words in (
        ["--dataset", "cifar10"],
        ["--data", "gone", "--dataset", "cifar10"],
        ["--device", "abacus"],
    ):
        refused = pnas("verify", ran_on_digits, *words, "--out", "w")
        assert refused.code == 2
        assert refused.complaint
        assert not Path("w").exists()


def test_children_that_take_too_long_have_failed_and_may_be_trained_again(
    pnas: Any, ran_on_digits: Path
) -> None:
    few = ("--top", 1, "--spread", 1, "--json")
    assert pnas("verify", ran_on_digits, *few, "--seeds", 1).code == 0
    late = pnas("verify", ran_on_digits, *few, "--time-limit", 1e-6)
    assert late.code == 0, late.err
    assert late.err.count(": failed nan in ") == 2
    assert [[value is None for value in one["by_seed"]] for one in late.json["cells"]] == [[False, True]] * 2
    assert late.json["notes"] == ["2 cells failed with some seeds: their means are of fewer trainings"]
    table = read_table(ran_on_digits / "verification" / "trained.h5")
    errors = [error for seed, error in zip(table.seeds, table.errors, strict=True) if seed == 1]
    assert ["time limit of 1e-06 s reached" in error for error in errors] == [True, True]
    patient = pnas("verify", ran_on_digits, *few, "--time-limit", 600)
    assert all(None not in one["by_seed"] for one in patient.json["cells"])
    refused = pnas("verify", ran_on_digits, *few, "--time-limit", 0, "--out", "v")
    assert refused.code == 2
    assert "time_limit is 0.0; it must be a number above 0, in seconds" in refused.complaint
    assert not Path("v").exists()


def test_two_workers_train_what_one_does(pnas: Any, ran_on_digits: Path) -> None:
    few = ("--top", 1, "--spread", 1, "--seeds", 1, "--json", "-q")
    one, two = (
        pnas("verify", ran_on_digits, *few, "--workers", count, "--out", f"v{count}") for count in (1, 2)
    )
    assert (one.code, two.code) == (0, 0), one.err + two.err
    assert two.json["cells"] == one.json["cells"]
