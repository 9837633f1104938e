from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

WORDS = ("run", "--blocks", 2, "--beam", 5, "--predictor", "knn", "--json", "-q")


def test_an_acquisition_is_recorded_and_repeated(pnas: Any, small_table: Path, tmp_path: Path) -> None:
    one = pnas(*WORDS, "--table", small_table, "--acquisition", "ucb", "--kappa", 0.5, "--out", "one")
    assert one.code == 0, one.err
    options = tomllib.loads((tmp_path / "one" / "run.toml").read_text())["settings"]["search_options"]
    assert (options["acquisition"], options["kappa"]) == ("ucb", 0.5)
    again = pnas("run", "--config", "one/run.toml", "--out", "two", "--json", "-q").json
    assert again["levels"] == one.json["levels"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--acquisition", "thompson"), "acquisition thompson needs a predictor with members"),
        (("--acquisition", "ucb", "--predictor", "ridge"), "acquisition ucb needs a predictor with std"),
        (("--acquisition", "hope"), "must be one of greedy, ucb, thompson"),
        (("--kappa", 3), "acquisition greedy has none"),
        (("--search", "random", "--acquisition", "ucb"), "search random has no option"),
    ],
)
def test_what_cannot_be_acquired_is_refused_before_a_folder_is_made(
    pnas: Any, small_table: Path, tmp_path: Path, words: tuple[object, ...], named: str
) -> None:
    outcome = pnas(*WORDS, "--table", small_table, "--out", "run", *words)
    assert outcome.code == 2, outcome.err
    assert named in outcome.complaint
    assert not (tmp_path / "run").exists()
