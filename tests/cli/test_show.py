from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest


def test_the_papers_cell_in_the_papers_networks(pnas: Any) -> None:
    outcome = pnas("show", "PNASNet-5", "--preset", "cifar10")
    assert outcome.code == 0
    assert outcome.err == ""
    assert "as written  sep5(-2)+max3(-2) | sep7(-1)" in outcome.out
    assert "3,189,082" in outcome.out
    assert "every input is read" in outcome.out


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [
        ("search", 559_090),
        ("cifar10", 3_189_082),
        ("imagenet-mobile", 5_064_487),
        ("imagenet-large", 86_057_668),
    ],
)
def test_json_counts_the_network(pnas: Any, preset: str, parameters: int) -> None:
    facts = pnas("show", "PNASNet-5", "--preset", preset, "--json").json
    assert facts["parameters"] == parameters
    assert facts["network"]["preset"] == preset
    assert facts["unused_inputs"] == []


def test_a_network_of_ones_own(pnas: Any) -> None:
    facts = pnas("show", "PNASNet-1", "--cells-per-stage", "6", "--filters", "44", "--json").json
    assert facts["parameters"] == 1_556_510
    smaller = pnas("show", "PNASNet-1", "--image-size", "16", "--json").json
    assert smaller["network"]["image_size"] == 16


def test_text_is_shown_as_written_and_canonical(pnas: Any) -> None:
    facts = pnas("show", "max3(-1) + sep3(-1)", "--json").json
    assert facts["cell"] == "max3(-1)+sep3(-1)"
    assert facts["canonical"] == "sep3(-1)+max3(-1)"
    assert facts["unused_inputs"] == [-2]
    assert "unused      -2 (joins the output)" in pnas("show", "max3(-1)+sep3(-1)").out


def test_other_operations_have_no_costs(pnas: Any) -> None:
    outcome = pnas("show", "swish(-1)+id(-2)", "--operations", "swish,id", "--json")
    assert outcome.code == 0
    assert outcome.json["parameters"] is None
    assert "no costs" in outcome.err


def test_svg_is_written(pnas: Any, tmp_path: Path) -> None:
    outcome = pnas("show", "PNASNet-5", "--svg", tmp_path / "cell.svg", "--json")
    assert outcome.code == 0
    assert outcome.json["kind"] == "cell"
    assert ET.parse(tmp_path / "cell.svg").getroot().tag.endswith("svg")


def test_png_is_written_beside_it(pnas: Any, tmp_path: Path) -> None:
    files = [tmp_path / "cell.svg", tmp_path / "cell.png"]
    outcome = pnas("show", "PNASNet-5", "--svg", files[0], "--png", files[1])
    assert outcome.code == 0
    assert outcome.err.splitlines() == [f"picture: {path}" for path in files]
    assert files[1].read_bytes().startswith(b"\x89PNG")
    assert sorted(tmp_path.iterdir()) == sorted(files)


@pytest.mark.parametrize("option", ["--svg", "--png"])
def test_a_picture_that_cannot_be_written_is_told(pnas: Any, option: str) -> None:
    outcome = pnas("show", "PNASNet-1", option, "no/folder/cell")
    assert outcome.code == 2
    assert f"no/folder/cell: No such file or directory; give another {option}" in outcome.complaint


def test_png_without_matplotlib_is_told_and_nothing_is_written(
    pnas: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    outcome = pnas("show", "PNASNet-1", "--svg", "cell.svg", "--png", "cell.png")
    assert outcome.code == 2
    assert "pnas-sim[plot]" in outcome.complaint
    assert not list(tmp_path.glob("cell.*"))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["fly(-1)+id(-1)"], "fly"),
        (["id(1)+id(-1)"], "input 1"),
        (["id(-1)"], "id(-1)"),
        ([""], "empty"),
        (["id(-1)+id(-1)", "--filters", "0"], "filters is 0"),
        (["id(-1)+id(-1)", "--image-size", "-3"], "image_size is -3"),
        (["id(-1)+id(-1)", "--preset", "moon"], "moon"),
        (["id(-1)+id(-1)", "--operations", "id,id"], "id"),
        (["id(-1)+id(-1)", "--operations", ""], ""),
        ([" | ".join(["id(-1)+id(-1)"] * 11)], "11 blocks"),
    ],
)
def test_bad_requests_are_one_line(pnas: Any, words: list[str], named: str) -> None:
    outcome = pnas("show", *words)
    assert outcome.code == 2
    assert named in outcome.complaint
