from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pnas_sim.cli import main
from pnas_sim.cli.output import say, takes_any_letter, write_json, write_text
from pnas_sim.study.pool import do_jobs


def test_texts_of_files_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    say("\x1b[2J one")
    write_text("two\x9b\nthree")
    write_json({"name": "four\u202e", "\x1b": "ü"})
    out, err = capsys.readouterr()
    assert err == "\\u001b[2J one\n"
    assert out.startswith("two\\u009b\nthree\n{") and "\u202e" not in out
    assert json.loads(out.partition("three")[2]) == {"name": "four\u202e", "\x1b": "ü"}


def test_so_are_those_in_complaints(pnas: Any) -> None:
    assert "error: \\u001b[2J holds no run" in pnas("resume", "\x1b[2J").complaint


@pytest.mark.parametrize(("encoding", "any_letter"), [("utf-8", True), ("UTF-16", True), ("ascii", False)])
def test_which_streams_take_any_letter(encoding: str, any_letter: bool) -> None:
    assert takes_any_letter(io.TextIOWrapper(io.BytesIO(), encoding=encoding)) is any_letter
    assert takes_any_letter(io.StringIO())


def test_letters_that_a_pipe_does_not_know_lose_no_result(pnas: Any, small_table: Path) -> None:
    words = ("--table", small_table, "--blocks", 1, "--predictor", "ridge", "-q")
    assert pnas("run", *words, "--out", "ü 数").code == 0
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "pnas_sim", "resume", "ü 数"]
    shown = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "run folder  \\xfc \\u6570\n" in shown.stdout and shown.stderr == ""
    command.append("--json")
    told = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert told.stdout.isascii() and json.loads(told.stdout)["out"] == "ü 数"


PRINTING = """
from pnas_sim.predict.ridge import RidgePredictor, RidgeSettings

class Loud(RidgePredictor):
    def fit(self, cells, accuracies, seed=0):
        print("a part prints")
        return super().fit(cells, accuracies, seed)

def loud(space):
    print("when it is made, too")
    return Loud(space, RidgeSettings())
"""


def test_json_is_alone_on_standard_output_whatever_parts_print(
    pnas: Any, small_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "printing_part.py").write_text(PRINTING)
    monkeypatch.syspath_prepend(str(tmp_path / "parts"))
    words = ("run", "--table", small_table, "--blocks", 2, "--beam", 4, "--predictor", "printing_part:loud")
    outcome = pnas(*words, "--out", "r", "-q", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["kind"] == "run"
    assert "a part prints" in outcome.err and "when it is made, too" in outcome.err


def test_standard_output_is_put_back_after_a_wrong_request(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    with pytest.raises(SystemExit):
        main(["run", "--json", "--fly"])
    assert sys.stdout is before


def test_workers_print_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    do_jobs(["one", "two"], 2, lambda job: None, print, here=print)
    printed = capfd.readouterr()
    assert printed.out == "" and sorted(printed.err.split()) == ["one", "two"]
