from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.space import PAD, CellSpace
from pnas_tables import features
from pnas_tables.features import cell_features, feature_names


def relabel(row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same cell with halves swapped and blocks renamed at random."""
    blocks = [row[i : i + 4].astype(int) for i in range(0, len(row), 4) if row[i] != PAD]
    place: dict[int, int] = {}
    order: list[int] = []
    while len(order) < len(blocks):  # any block whose inputs are placed may come next
        ready = [
            b
            for b in range(len(blocks))
            if b not in place and all(i < 2 or int(i) - 2 in place for i in blocks[b][:2])
        ]
        chosen = int(rng.choice(ready))
        place[chosen] = len(order)
        order.append(chosen)
    fresh = np.full_like(row, PAD)
    for new, old in enumerate(order):
        halves = [
            (i if i < 2 else place[int(i) - 2] + 2, o)
            for i, o in zip(blocks[old][:2], blocks[old][2:], strict=True)
        ]
        one, two = rng.permutation(2)
        fresh[4 * new : 4 * new + 4] = (halves[one][0], halves[two][0], halves[one][1], halves[two][1])
    return fresh


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), blocks=st.integers(1, 5))
def test_features_belong_to_the_cell_and_not_to_how_it_is_written(seed: int, blocks: int) -> None:
    space, wide = CellSpace(max_blocks=5), CellSpace(max_blocks=10)
    rng = np.random.default_rng(seed)
    rows = space.sample(3, rng, blocks=blocks)
    expected = cell_features(space, rows)
    renamed = np.array([relabel(row, rng) for row in rows])
    np.testing.assert_array_equal(cell_features(space, renamed), expected)
    np.testing.assert_array_equal(cell_features(space, space.canonical(rows)), expected)
    np.testing.assert_array_equal(cell_features(wide, wide.fit_width(rows)), expected)
    np.testing.assert_array_equal(cell_features(space, rows[1:2]), expected[1:2])


def features_of(text: str) -> dict[str, float]:
    space = CellSpace()
    values = cell_features(space, space.parse(text)[None])
    return dict(zip(feature_names(space.operations), values[0].tolist(), strict=True))


def test_figures_of_the_best_cell_of_the_paper() -> None:
    """Section 5.2's cell, counted by hand."""
    found = features_of(
        "sep5(-2)+max3(-2) | sep7(-1)+max3(-1) | sep5(-1)+sep3(-1) | sep3(3)+max3(-1) | sep3(-2)+id(-1)"
    )
    expected = {
        "sep3 in all": 3, "sep5 in all": 2, "sep7 in all": 1, "max3 in all": 3, "id in all": 1,
        "avg3 in all": 0,
        "sep3 on -2": 1, "sep3 on -1": 1, "sep3 on a block": 1, "max3 on -2": 1, "max3 on -1": 2,
        "longest chain of sep3": 2, "longest chain of sep5": 1, "longest chain of id": 1,
        "blocks": 5, "reads of -2": 3, "reads of -1": 6, "reads of blocks": 1, "-2 unused": 0, "-1 unused": 0,
        "output width": 5, "loose ends": 4, "depth": 2, "mean depth": 1.2,
        "log paths": np.log(11), "share of paths from -2": 3 / 11, "mean sep3 per path": 5 / 11,
        "most layers of a block, largest": 4, "most layers of a block, smallest": 2,
        "fewest layers of a block, largest": 2, "fewest layers of a block, smallest": 0,
        "most reach of a block, largest": 12,
        "sep5 at depth 1": 2, "sep3 at depth 1": 2, "sep3 at depth 2": 1, "max3 at depth 2": 1,
        "sep3 at depth 3 or more": 0,
        "sep5 with max3": 1, "sep7 with max3": 1, "sep3 with sep5": 1, "sep3 with max3": 1, "sep3 with id": 1,
        "sep3 with sep3": 0, "sep5 with sep5": 0,
        "sep5 then sep3": 1, "sep3 then sep3": 1, "sep3 then sep5": 0, "most reads of a block": 1,
        "blocks of two convolutions": 1, "blocks of one convolution": 4, "blocks of none": 0,
        "blocks with identity": 1, "blocks of one operation twice": 0, "blocks of one input twice": 3,
        "different operations": 5,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("operation", "layers", "reach"),
    [
        ("sep3", 2, 4),  # twice a 3x3 window: two pixels across each time
        ("sep5", 2, 8),
        ("sep7", 2, 12),
        ("conv1x7", 2, 6),
        ("dil3", 1, 4),  # one window of 5x5 with holes
        ("id", 0, 0),
        ("avg3", 0, 2),
        ("max3", 0, 2),
    ],
)
def test_layers_and_reach_of_each_operation(operation: str, layers: int, reach: int) -> None:
    found = features_of(f"{operation}(-2)+{operation}(-1)")
    assert found["most layers of a block, largest"] == found["fewest layers of a block, smallest"] == layers
    assert found["most reach of a block, largest"] == reach


def test_edges_and_pairs_are_counted_once_each() -> None:
    """Every half that reads a block follows both of its operations; every block is one pair."""
    space = CellSpace()
    names = feature_names(space.operations)
    values = cell_features(space, space.sample(300, np.random.default_rng(0), blocks=4))

    def total(word: str) -> np.ndarray:
        return values[:, [place for place, name in enumerate(names) if word in name]].sum(axis=1)

    np.testing.assert_array_equal(total(" then "), 2 * values[:, names.index("reads of blocks")])
    np.testing.assert_array_equal(total(" with ") - total("blocks with identity"), np.full(300, 4.0))
    np.testing.assert_array_equal(total(" at depth "), np.full(300, 8.0))
    assert len(names) == values.shape[1] == 201


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    space = CellSpace()
    cells = np.concatenate([space.sample(30, np.random.default_rng(0), blocks=b) for b in (1, 3, 5)])
    whole = cell_features(space, cells)
    monkeypatch.setattr(features, "ROWS_AT_ONCE", 7)
    np.testing.assert_array_equal(cell_features(space, cells), whole)


def test_wiring_alone_changes_features() -> None:
    one = features_of("sep3(-1)+id(-2) | sep3(1)+id(-1)")
    two = features_of("sep3(-1)+id(-2) | sep3(-1)+id(1)")
    assert [one[f"{op} in all"] for op in ("sep3", "id")] == [two[f"{op} in all"] for op in ("sep3", "id")]
    assert one != two


def test_an_unread_input_joins_the_output() -> None:
    found = features_of("sep3(-1)+id(-1)")
    assert (found["-2 unused"], found["-1 unused"], found["output width"]) == (1, 0, 2)


def test_other_operations_have_features_too() -> None:
    space = CellSpace(operations=("swish", "attention"), max_blocks=2)
    names = feature_names(space.operations)
    values = cell_features(space, space.initial())
    assert values.shape == (len(space.initial()), len(names)) and np.isfinite(values).all()
    assert len(np.unique(values, axis=0)) == len(space.initial())


def test_no_cells_have_no_features() -> None:
    space = CellSpace()
    assert cell_features(space, space.initial()[:0]).shape == (0, len(feature_names(space.operations)))


def test_different_small_cells_rarely_share_features() -> None:
    space = CellSpace(max_blocks=5)
    rows = space.sample(500, np.random.default_rng(0), blocks=4)
    cells = len(space.unique(space.canonical(rows))[0])
    assert len(np.unique(cell_features(space, rows), axis=0)) >= 0.98 * cells
