from __future__ import annotations

import pytest

from pnas_backends.training.costs import cell_costs
from pnas_backends.training.layout import NetworkShape
from pnas_sim.errors import CellError
from pnas_sim.space import KNOWN_CELLS, Cell, CellSpace
from pnas_sim.space.known_cells import find_known_cell

# parameters of the supplement's table 2 networks under its N and F, as counted for this project
COUNTS = {
    "PNASNet-1": (6, 44, 1_556_510),
    "PNASNet-2": (6, 32, 1_728_234),
    "PNASNet-3": (6, 32, 1_791_626),
    "PNASNet-4": (4, 44, 3_008_686),
    "PNASNet-5": (3, 48, 3_189_082),
}


@pytest.mark.parametrize("name", COUNTS)
def test_cells_have_the_published_size(name: str) -> None:
    cells_per_stage, filters, expected = COUNTS[name]
    space = CellSpace()
    row = space.parse(KNOWN_CELLS[name])
    shape = NetworkShape(cells_per_stage=cells_per_stage, filters=filters)
    assert cell_costs(row[None], space, shape)[0].tolist() == [expected]


@pytest.mark.parametrize("name", KNOWN_CELLS)
def test_a_name_is_read_as_its_cell(name: str) -> None:
    space = CellSpace()
    assert Cell.parse(name, space).text == KNOWN_CELLS[name]
    assert space.canonical_text(name) == space.canonical_text(KNOWN_CELLS[name])


def test_a_cell_of_another_space_is_refused() -> None:
    with pytest.raises(CellError, match="a cell of 5 blocks"):
        CellSpace(max_blocks=4).parse("PNASNet-5")
    with pytest.raises(CellError, match="unknown operation 'sep7'"):
        CellSpace(("id", "max3")).parse("PNASNet-1")


def test_names_are_found_in_any_case() -> None:
    assert find_known_cell(" pnasnet-5 ") == KNOWN_CELLS["PNASNet-5"]


@pytest.mark.parametrize("name", ["PNASNet-9", " sep3 "])
def test_a_name_that_is_not_known_is_answered_with_those_that_are(name: str) -> None:
    with pytest.raises(CellError) as caught:
        CellSpace().parse(name)
    assert str(caught.value) == (
        f"unknown cell {name.strip()!r}: one of PNASNet-1, PNASNet-2, PNASNet-3, PNASNet-4, PNASNet-5, or "
        "write operation(input)+operation(input)"
    )


def test_other_texts_stay() -> None:
    assert find_known_cell("id(-1)+id(-2)") == "id(-1)+id(-2)"
