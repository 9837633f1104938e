from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pnas_sim.cli.backend_options import reword_advice
from pnas_sim.cli.folder import hold_folder
from pnas_sim.errors import BackendError
from pnas_sim.evaluate import BackendRequest

Command = Callable[..., Any]

SMALL = ("--backend", "toys:create", "--blocks", 2, "--budget", 30, "--seeds", 2, "--top", "1,3")
MORE = ("--sample", 50, "--local", 0, "--resamples", 20, "--workers", 1)
SEARCHES = ("--searches", "pnas,random", "--set", "pnas.predictor=ridge", "--set", "pnas.beam=6")


def test_other_tables_and_other_settings_in_one_folder_are_refused(
    pnas: Command, toys: dict[str, str]
) -> None:
    words = ("compare", *SMALL, *MORE, *SEARCHES, "--no-pictures", "--out", "here")
    assert pnas(*words).code == 0
    before = {path: path.read_bytes() for path in Path("here").rglob("*") if path.is_file()}
    wider = pnas(*words, "--set", "pnas.beam=7")
    assert wider.code == 2
    assert "here holds runs of other settings: pnas.beam is 6 there and 7 here; give" in wider.complaint
    assert "budget is 30 there and 25 here; give" in pnas(*words, "--budget", 25).complaint
    assert "sample is 50 there and 40 here; give" in pnas(*words, "--sample", 40).complaint
    toys["checksum"] = "fedcba"
    other = pnas(*words)
    assert other.code == 2
    assert "checksum abcdef, which is now fedcba" in other.complaint
    assert before == {path: path.read_bytes() for path in Path("here").rglob("*") if path.is_file()}


def test_other_versions_are_told(pnas: Command, toys: dict[str, str]) -> None:
    words = ("compare", *SMALL, *MORE, *SEARCHES, "--no-pictures", "--out", "here")
    assert pnas(*words).code == 0
    record = Path("here/compare.toml")
    record.write_text(re.sub(r'numpy = ".*"', 'numpy = "0.1"', record.read_text()))
    again = pnas(*words)
    assert again.code == 0
    assert "warning: finished runs are of other versions: numpy 0.1 (now" in again.err


def test_a_comparison_in_work_is_left_alone(pnas: Command, toys: dict[str, str]) -> None:
    words = ("compare", *SMALL, *MORE, *SEARCHES, "--no-pictures", "--out", "here")
    Path("here").mkdir()
    with hold_folder(Path("here")):
        second = pnas(*words)
        assert second.code == 2
        assert "here is in use; let the other process end first" in second.complaint
        assert [path.name for path in Path("here").iterdir()] == ["in-use.lock"]
    assert pnas(*words).code == 0
    assert not Path("here/in-use.lock").exists()


def test_what_its_record_does_not_tell_is_refused_all_the_same(pnas: Command, toys: dict[str, str]) -> None:
    words = ("compare", *SMALL, *MORE, "--no-pictures", "--out", "here", "--searches")
    assert pnas(*words, "pnas,random", "--set", "pnas.predictor=ridge").code == 0
    assert pnas(*words, "random,also=random").code == 0  # the record is of these now
    refused = pnas(*words, "pnas,random", "--set", "pnas.predictor=knn")
    assert refused.code == 2 and "was made with other settings of pnas" in refused.complaint


@pytest.mark.parametrize("missing", [False, True])
def test_no_picture_of_before_stands_beside_new_tables(
    pnas: Command, toys: dict[str, str], monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    words = ("compare", *SMALL, *MORE, *SEARCHES, "--out", "here")
    assert pnas(*words).code == 0
    drawn = {path.name for path in Path("here").iterdir() if path.suffix in (".png", ".svg")}
    assert {"curves-paper-counting.png", "speed-up.svg"} < drawn
    Path("here/mine.png").write_text("of the user's own")
    if missing:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # as where it is not installed
    again = pnas(*words, "--seeds", 1, *(() if missing else ("--no-pictures",)))
    assert again.code == 0, again.err
    assert [path.name for path in Path("here").iterdir() if path.suffix in (".png", ".svg")] == ["mine.png"]


def test_advice_of_a_backend_is_of_options_that_compare_has(
    pnas: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = ModuleType("lacking")

    def create(request: BackendRequest) -> Any:
        raise BackendError("device cuda is not there: torch finds no CUDA; train with --device cpu")

    vars(lacking)["create"] = create
    monkeypatch.setitem(sys.modules, "lacking", lacking)
    refused = pnas("compare", "--backend", "lacking:create", "--out", "here")
    assert refused.code == 2
    assert "train with --backend-option device=cpu" in refused.complaint
    assert reword_advice("give it with --data") == "give it with --backend-option data=DIR"
    for text in ("fewer than --workers 2", "a --dataset", "--device-free"):
        assert reword_advice(text) == text


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("seeds = 2", "seeds is 2; write a list: seeds = [0, 1]"),
        ("worlds = 3", "worlds is 3; write a list: worlds = [0, 1, 2]"),
        ("seeds = 5000", "seeds is 5000; write a list: seeds = [5000]"),
        ("tops = 5", "tops is 5; write a list: tops = [5]"),
        ("references = 'pnas'", "references is 'pnas'; write a list: references = [\"pnas\"]"),
    ],
)
def test_a_number_in_place_of_a_list_is_told_with_the_list(
    pnas: Command, toys: dict[str, str], line: str, told: str
) -> None:
    Path("mine.toml").write_text(line + "\n")
    refused = pnas("compare", "--config", "mine.toml", *MORE)
    assert refused.code == 2 and told in refused.complaint


@pytest.mark.parametrize("text", ["kind = 'comparison'", "[searches.mine]\nsearch = 'random'"])
def test_a_file_of_a_comparison_is_none_of_a_run(pnas: Command, text: str) -> None:
    Path("compare.toml").write_text(text + "\n")
    refused = pnas("run", "--config", "compare.toml")
    assert refused.code == 2
    assert "compare.toml is of a comparison, not of a run: give it to pnas-sim compare" in refused.complaint
