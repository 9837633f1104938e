from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pnas_sim.cli.blame import name_culprit
from pnas_sim.cli.options import BUG

STUMBLING = '''
import numpy as np

from pnas_sim.predict import Prediction


class Stumbling:
    """Raises when it is fitted again, or answers with nothing."""

    def __init__(self, raises):
        self.raises, self.fits = raises, 0

    def fit(self, cells, accuracies, seed=0):
        self.fits += 1
        if self.raises and self.fits > 1:
            raise ZeroDivisionError("of two\\nlines")

    def predict(self, cells):
        return Prediction(np.arange(len(cells), dtype=float)) if self.raises else None


class Deaf(Stumbling):
    """Cannot be asked as the search asks it."""

    def predict(self):
        pass


class Seedless(Stumbling):
    """Cannot be fitted as the search fits it."""

    def fit(self, cells, accuracies):
        pass


def raising(space):
    return Stumbling(True)


def without_file(space):
    stumbling = Stumbling(True)
    stumbling.fit = lambda cells, accuracies, seed=0: open("absent.bin")
    return stumbling


def hungry(space):
    stumbling = Stumbling(True)
    stumbling.fit = eat
    return stumbling


def eat(cells, accuracies, seed=0):
    raise MemoryError


def silent(space):
    return Stumbling(False)


def deaf(space):
    return Deaf(True)


def seedless(space):
    return Seedless(True)
'''


@pytest.fixture
def stumbling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of somebody else's, by the name it is imported by."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "stumbling_part.py").write_text(STUMBLING)
    monkeypatch.syspath_prepend(str(tmp_path / "parts"))
    return "stumbling_part"


def run(pnas: Any, table: Path, predictor: str, *words: str) -> Any:
    small = ["--table", table, "--blocks", 3, "--beam", 4, "--out", "r"]
    return pnas("run", *small, "--predictor", predictor, *words)


def test_what_a_part_of_another_package_raises_is_called_its_own(
    pnas: Any, small_table: Path, stumbling: str
) -> None:
    outcome = run(pnas, small_table, f"{stumbling}:raising", "--out", "my r")
    assert outcome.code == 1
    blamed = f"raised in predictor {stumbling}:raising; mend it, then pnas-sim resume --trust 'my r'"
    assert f"ZeroDivisionError: of two lines ({blamed}; -v shows where)" in outcome.complaint


def test_where_nobody_can_tell_both_are_named(pnas: Any, small_table: Path, stumbling: str) -> None:
    outcome = run(pnas, small_table, f"{stumbling}:deaf")
    assert outcome.code == 1
    assert f"({BUG} or of predictor {stumbling}:deaf; -v shows where)" in outcome.complaint


def test_a_fit_of_other_arguments_is_refused_before_anything_is_trained(
    pnas: Any, small_table: Path, stumbling: str
) -> None:
    outcome = run(pnas, small_table, f"{stumbling}:seedless")
    assert outcome.code == 2
    told = "Seedless has fit(cells, accuracies); it must take (cells, accuracies, seed)"
    assert f"predictor {stumbling}.{told}" in outcome.complaint
    assert not Path("r").exists()


def test_what_is_no_prediction_is_told_as_the_predictors(
    pnas: Any, small_table: Path, stumbling: str
) -> None:
    outcome = run(pnas, small_table, f"{stumbling}:silent")
    assert outcome.code == 2
    assert f"predictor {stumbling}.Stumbling answered with NoneType; give" in outcome.complaint


def test_a_file_that_a_part_lacks_is_that_parts(pnas: Any, small_table: Path, stumbling: str) -> None:
    outcome = run(pnas, small_table, f"{stumbling}:without_file")
    assert outcome.code == 1
    blamed = f"raised in predictor {stumbling}:without_file; mend it, then pnas-sim resume --trust r"
    assert f"absent.bin: No such file or directory ({blamed})" in outcome.complaint


def test_verbose_shows_where_in_the_part(pnas: Any, small_table: Path, stumbling: str) -> None:
    outcome = run(pnas, small_table, f"{stumbling}:raising", "-v")
    assert outcome.code == 1 and "stumbling_part.py" in outcome.err


@pytest.mark.parametrize("name", ["without_file", "hungry"])
def test_verbose_shows_where_files_and_memory_were_missed(
    pnas: Any, small_table: Path, stumbling: str, name: str
) -> None:
    outcome = run(pnas, small_table, f"{stumbling}:{name}", "-v")
    assert outcome.code == 1
    assert "Traceback" in outcome.err and "stumbling_part.py" in outcome.err


def test_full_memory_is_told_with_the_part_and_how_to_go_on(
    pnas: Any, small_table: Path, stumbling: str
) -> None:
    outcome = run(pnas, small_table, f"{stumbling}:hungry")
    blamed = f"raised in predictor {stumbling}:hungry; mend it, then pnas-sim resume --trust r"
    assert f"the memory is full; ask for less at once, or free some ({blamed})" in outcome.complaint


@pytest.mark.parametrize("workers", [1, 2])
def test_verbose_shows_where_in_a_part_of_a_study(
    pnas: Any, small_table: Path, stumbling: str, workers: int
) -> None:
    words = ("--table", small_table, "--predictors", f"depth,{stumbling}:hungry", "--workers", workers)
    few = ("--sources", "trained", "--fitted", 10, "--trials", 1, "--no-pictures", "-q")
    quiet = pnas("predictors", *words, *few)
    assert quiet.code == 1 and "failed: MemoryError" in quiet.complaint
    shown = pnas("predictors", *words, *few, "-v")
    assert shown.code == 1 and "Traceback" in shown.err and "stumbling_part.py" in shown.err


def test_parts_that_ship_are_this_programs_own() -> None:
    parts = {"backend": "table", "search": "pnas", "predictor": "ridge"}
    assert name_culprit(ValueError(), parts, "resume") == BUG
    assert name_culprit(ValueError(), {"backend": "gpu", "predictor": None}, "resume") == BUG
    for error in (OSError(), MemoryError()):
        assert name_culprit(error, parts, "resume") == "go on with: resume"
    assert name_culprit(MemoryError(), {"predictor": "mine:make"}, "resume") == "go on with: resume"
