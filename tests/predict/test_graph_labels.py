from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.predict.graph_labels import ABSENT, count_same, label_graphs
from pnas_sim.space import CellSpace

SPACE = CellSpace()
SMALL = CellSpace(operations=("sep3", "id"), max_blocks=3)


def plain_labels(space: CellSpace, row: np.ndarray, levels: int) -> list[Counter]:
    """The definition word for word, with nested tuples for labels: one multiset a level."""
    tokens = row[row != 255].reshape(-1, 4).tolist()
    operations = {
        (b, half): space.operations[block[2 + half]] for b, block in enumerate(tokens) for half in (0, 1)
    }
    sums = dict.fromkeys(range(len(tokens)), "sum")
    found = []
    for _ in range(levels):
        found.append(Counter([*operations.values(), *sums.values()]))
        inputs = {0: "before", 1: "previous", **{b + 2: label for b, label in sums.items()}}
        new = {(b, half): (label, inputs[tokens[b][half]]) for (b, half), label in operations.items()}
        halves = {b: sorted((operations[b, 0], operations[b, 1]), key=repr) for b in sums}
        sums = {b: (label, *halves[b]) for b, label in sums.items()}
        operations = new
    return found


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 3))
def test_labels_agree_with_the_definition(seed: int, blocks: int, other: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [SMALL.sample(1, rng, blocks=size, unique=False)[0] for size in (blocks, other)]
    labels = label_graphs(SMALL, np.stack(rows), 4)
    plain = [plain_labels(SMALL, row, 4) for row in rows]
    for level in range(4):
        one, two = (Counter(nodes[nodes != ABSENT].tolist()) for nodes in labels[level])
        assert sum((one & two).values()) == sum((plain[0][level] & plain[1][level]).values())
        assert sorted(one.values()) == sorted(plain[0][level].values())
        norms = count_same(labels[level])
        assert norms.tolist() == [sum(n * n for n in graph[level].values()) for graph in plain]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 5))
def test_every_row_of_a_cell_has_the_same_labels(seed: int, blocks: int) -> None:
    raw = SPACE.sample(5, np.random.default_rng(seed), blocks=blocks, unique=False)
    one, other = (np.sort(label_graphs(SPACE, rows, 4), axis=2) for rows in (raw, SPACE.canonical(raw)))
    assert np.array_equal(one, other)


def test_rows_of_wider_spaces_have_the_same_labels() -> None:
    wide = CellSpace(max_blocks=7)
    cells = SPACE.sample(10, np.random.default_rng(0), blocks=3)
    narrow, padded = label_graphs(SPACE, cells, 3), label_graphs(wide, wide.fit_width(cells), 3)
    assert np.array_equal(np.sort(narrow, axis=2)[:, :, -9:], np.sort(padded, axis=2)[:, :, -9:])


def test_deeper_labels_see_further() -> None:
    # the same operations on the same kinds of input; they differ in what the block read is made of
    texts = [
        "sep3(-2)+id(-2) | id(-1)+id(-1) | max3(1)+max3(1)",
        "sep3(-2)+id(-2) | id(-1)+id(-1) | max3(2)+max3(2)",
    ]
    labels = np.sort(label_graphs(SPACE, SPACE.parse_many(texts), 3), axis=2)
    assert [bool((level[0] == level[1]).all()) for level in labels] == [True, True, False]
