"""Every block of Python in `docs/python.md` runs by itself and prints what the comments beside say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pnas_backends
import pnas_sim
import pnas_tables

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text()
SECTIONS = dict(section.split("\n", 1) for section in PAGE.split("\n## ")[1:])
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
BLOCKS = {title: BLOCK.findall(section) for title, section in SECTIONS.items()}
PRINTED = re.compile(r"^print\(.*\)  # (.*)$", re.MULTILINE)


def test_every_section_has_one_block() -> None:
    assert {title: len(blocks) for title, blocks in BLOCKS.items()} == dict.fromkeys(SECTIONS, 1)
    assert PAGE.count("```python") == len(SECTIONS)


@pytest.mark.parametrize("title", SECTIONS)
def test_a_block_prints_what_stands_beside(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = BLOCKS[title]
    exec(compile(code, title, "exec"), {"__name__": "docs"})
    assert capsys.readouterr().out.splitlines() == PRINTED.findall(code) != []


def test_every_exported_name_is_on_the_page() -> None:
    names = {*pnas_sim.__all__, *pnas_backends.__all__, *pnas_tables.__all__}
    assert names <= set(re.findall(r"\w+", PAGE))
