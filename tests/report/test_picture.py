from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.report.picture import COLUMN, MARGIN, picture_cell
from pnas_sim.space import KNOWN_CELLS, Cell, CellSpace

SPACE = CellSpace(max_blocks=10)
SVG = "{http://www.w3.org/2000/svg}"


def _draw(text: str, space: CellSpace = SPACE) -> ET.Element:
    return ET.fromstring(picture_cell(Cell.parse(text, space)))


def _words(picture: ET.Element) -> list[str]:
    return [str(element.text) for element in picture.iter(f"{SVG}text")]


def test_every_part_of_the_papers_cell_is_there() -> None:
    picture = _draw(KNOWN_CELLS["PNASNet-5"])
    words = _words(picture)
    assert words.count("sep 3x3") == 3
    assert words.count("max 3x3") == 3
    assert words.count("+") == 5
    assert "concatenate" in words
    assert picture.findtext(f"{SVG}title") == KNOWN_CELLS["PNASNet-5"]


def test_an_unread_input_is_led_to_the_concatenation() -> None:
    dashed = [p for p in _draw("id(-1)+sep3(-1)").iter(f"{SVG}path") if p.get("stroke-dasharray")]
    assert len(dashed) == 1
    both = [p for p in _draw("id(-1)+sep3(-2)").iter(f"{SVG}path") if p.get("stroke-dasharray")]
    assert both == []


def test_unknown_operations_keep_their_names() -> None:
    space = CellSpace(operations=("swish", "id"), max_blocks=2)
    assert "swish" in _words(_draw("swish(-1)+id(-2)", space))


@settings(max_examples=40, deadline=None)
@given(blocks=st.integers(1, 10), seed=st.integers(0, 2**32))
def test_every_cell_has_a_sound_picture(blocks: int, seed: int) -> None:
    row = SPACE.sample(1, np.random.default_rng(seed), blocks=blocks)[0]
    cell = Cell.of_row(row, SPACE)
    text = picture_cell(cell)
    assert text == picture_cell(cell)
    picture = ET.fromstring(text)
    paths = list(picture.iter(f"{SVG}path"))
    assert len(paths) == 5 * blocks + len(cell.unused_inputs)
    width, height = float(str(picture.get("width"))), float(str(picture.get("height")))
    for box in picture.iter(f"{SVG}rect"):
        if box.get("x") is not None:
            assert 0 <= float(str(box.get("x"))) <= width - float(str(box.get("width")))
            assert 0 <= float(str(box.get("y"))) <= height - float(str(box.get("height")))
    columns = sorted({float(str(circle.get("cx"))) for circle in picture.iter(f"{SVG}circle")})
    assert len(columns) == blocks  # no two blocks in one column
    assert width >= 2 * MARGIN + COLUMN * blocks
    assert re.search(r"nan|inf", text.replace("concatenate", "")) is None
