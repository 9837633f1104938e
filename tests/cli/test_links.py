"""Links: followed where the user named the file, and never in a folder, which may come from anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pnas_tables.format import read_table


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file that is nobody's business."""
    path = tmp_path / "bashrc"
    path.write_text("mine")
    return path


@pytest.fixture
def ran(pnas: Any, small_table: Path) -> Path:
    """The folder of a small finished run."""
    words = ("--blocks", 2, "--beam", 4, "--predictor", "ridge", "--out", "ran", "-q")
    assert pnas("run", "--table", small_table, *words).code == 0
    return Path("ran")


def test_a_page_replaces_a_link_in_its_folder_and_goes_through_one_that_was_named(
    pnas: Any, ran: Path, victim: Path
) -> None:
    page, named = ran / "report.html", Path("named.html")
    page.symlink_to(victim)
    assert pnas("report", ran).code == 0
    assert not page.is_symlink() and b"<html" in page.read_bytes()
    assert victim.read_text() == "mine"
    named.symlink_to(victim)
    assert pnas("report", ran, "--out", named).code == 0
    assert named.is_symlink() and victim.read_bytes() == page.read_bytes()


def test_a_result_that_is_a_dangling_link_is_replaced(pnas: Any, ran: Path, tmp_path: Path) -> None:
    whole = json.loads((ran / "result.json").read_text())
    (ran / "result.json").unlink()
    (ran / "result.json").symlink_to(tmp_path / "new" / "victim")
    assert pnas("resume", ran).code == 0
    assert not (ran / "result.json").is_symlink() and not (tmp_path / "new").exists()
    assert json.loads((ran / "result.json").read_text())["levels"] == whole["levels"]


@pytest.mark.parametrize("name", ["evaluations.sqlite", "evaluations.sqlite.lock"])
def test_a_log_that_is_a_link_is_refused(pnas: Any, ran: Path, tmp_path: Path, name: str) -> None:
    (ran / "result.json").unlink()
    (ran / name).unlink(missing_ok=True)
    (ran / name).symlink_to(tmp_path / "victim")
    done = pnas("resume", ran)
    assert done.code == 2 and f"ran/{name} is a link" in done.complaint
    (ran / "run.toml").unlink()
    if name.endswith("sqlite"):  # else the log says that a run is here
        assert f"ran/{name} is a link" in pnas("run", "--out", ran).complaint
    assert not (tmp_path / "victim").exists()


def test_a_table_that_was_named_by_a_link_is_fitted_in_its_place(
    pnas: Any, bare_table: Path, tmp_path: Path
) -> None:
    real, link = tmp_path / "real.h5", tmp_path / "link.h5"
    real.write_bytes(bare_table.read_bytes())
    link.symlink_to(real)
    assert pnas("table", "fit", link, "--family", "mean", "--worlds", 1, "-q").code == 0
    assert link.is_symlink() and "mean" in read_table(real).surrogates
