from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pnas_tables.index as index
from pnas_sim.errors import CellError
from pnas_sim.space import CellSpace
from pnas_tables.index import RowIndex


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 60), width=st.sampled_from([4, 8, 20]))
def test_it_answers_as_a_dictionary_does(seed: int, count: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.unique(rng.integers(0, 4, (count, width), np.uint8), axis=0)
    rows = rng.permutation(rows)
    place = {row.tobytes(): number for number, row in enumerate(rows)}
    asked = np.concatenate([rows, rng.integers(0, 4, (50, width), np.uint8)])
    expected = [place.get(row.tobytes(), -1) for row in asked]
    assert RowIndex(rows).find(asked).tolist() == expected


def test_collisions_are_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no room to spare every slot is taken or shared, and the rows still decide."""
    monkeypatch.setattr(index, "SLOTS_PER_ROW", 1.05)
    space = CellSpace(max_blocks=3)
    rows = space.canonical(space.sample(3000, np.random.default_rng(0), blocks=3))
    rows = rows[space.unique(rows)[0]]
    known, unknown = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    found = RowIndex(known)
    assert found.find(known).tolist() == list(range(len(known)))
    assert set(found.find(unknown).tolist()) == {-1}


def test_parts_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    space = CellSpace()
    rows = space.initial()
    asked = rows[np.random.default_rng(0).integers(0, len(rows), 500)]
    whole = RowIndex(rows).find(asked)
    monkeypatch.setattr(index, "ROWS_AT_ONCE", 7)
    np.testing.assert_array_equal(RowIndex(rows).find(asked), whole)
    np.testing.assert_array_equal(RowIndex(rows).find(asked[::2]), whole[::2])


def test_other_widths_are_refused() -> None:
    with pytest.raises(CellError, match="holds rows of width 20"):
        RowIndex(CellSpace().initial()).find(CellSpace(max_blocks=4).initial())
