from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pnas_sim.cli import verifying
from pnas_sim.cli.verifying import Training, VerifySettings
from pnas_sim.evaluate import Evaluation
from pnas_tables.format import read_table, write_table
from pnas_tables.record import Table
from pnas_tables.testing import MadeUpTrainer, made_up_head

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
    words = ("--searches", "pnas,random,evolution", "--set", "pnas.beam=20", "--set", "pnas.predictor=ridge")
    budget = ("--seeds", 2, "--worlds", 2, "--budget", 60, "--blocks", 3, "--sample", 0, "--local", 0)
    more = ("--top", 1, "--workers", 1, "--no-pictures", "-q", "--out", "compared", "--resamples", 10)
    outcome = pnas("compare", "--table", small_table, *words, *budget, *more)
    assert outcome.code == 0, outcome.err
    result = pnas("verify", "compared", "--top", 4, "--spread", 4, "--json", "-q").json
    groups = list(dict.fromkeys(one["group"] for one in result["cells"]))
    assert groups[0] == "pnas"
    assert groups[1] in ("random", "evolution")
    assert groups[2] == "spread"
    assert len(result["cells"]) == 12
    assert {one["world"] for one in result["cells"]} == {0, 1}
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
