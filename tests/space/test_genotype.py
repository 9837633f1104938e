"""Genotypes: the notation as documented, and there and back again."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.errors import CellError
from pnas_sim.space import DARTS_NAMES, PAPER_OPERATIONS, Cell, CellSpace, Genotype

SPACE = CellSpace()
# as DARTS's code base declares it, and its CNN search spaces' operations (genotypes.py)
Theirs = namedtuple("Genotype", "normal normal_concat reduce reduce_concat")
THEIR_OPERATIONS = {
    "none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7",
    "dil_conv_3x3", "dil_conv_5x5", "conv_7x1_1x7",
}  # fmt: skip
PAIRS = [
    ("sep_conv_5x5", 0), ("max_pool_3x3", 0), ("sep_conv_7x7", 1), ("max_pool_3x3", 1), ("sep_conv_5x5", 1),
    ("sep_conv_3x3", 1), ("sep_conv_3x3", 4), ("max_pool_3x3", 1), ("sep_conv_3x3", 0), ("skip_connect", 1),
]  # fmt: skip


def test_the_papers_best_cell_is_written_as_in_darts() -> None:
    genotype = Cell.parse("PNASNet-5", SPACE).to_genotype()
    assert genotype == (PAIRS, [2, 3, 4, 5, 6], PAIRS, [2, 3, 4, 5, 6])
    assert genotype.normal is not genotype.reduce


def test_every_operation_has_its_name_there() -> None:
    assert tuple(DARTS_NAMES) == PAPER_OPERATIONS
    assert set(DARTS_NAMES.values()) < THEIR_OPERATIONS


def test_inputs_that_no_block_reads_are_concatenated_last() -> None:
    assert Cell.parse("id(-1)+id(-1) | id(1)+id(-1)", SPACE).to_genotype().normal_concat == [2, 3, 0]
    assert Cell.parse("id(-2)+id(-2)", SPACE).to_genotype().normal_concat == [2, 1]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), blocks=st.integers(1, 10), operations=st.integers(1, 10))
def test_there_and_back_is_the_same_cell(seed: int, blocks: int, operations: int) -> None:
    names = ("skip_connect", "own", *PAPER_OPERATIONS)  # one that DARTS calls so is another than `id` here
    space = CellSpace(names[-operations:], max_blocks=10)
    for row in space.sample(5, seed, blocks, unique=False):
        cell = space.cell(row)
        assert Cell.from_genotype(cell.to_genotype(), space) == cell


def test_others_genotypes_are_read() -> None:
    theirs = Theirs(PAIRS, range(2, 7), PAIRS, range(2, 7))
    assert Cell.from_genotype(theirs, SPACE) == Cell.parse("PNASNet-5", SPACE)
    own_names = [("id", np.int64(1)), ("sep3", 0)]
    assert Cell.from_genotype(Theirs(own_names, [2], own_names, [2]), SPACE).text == "id(-1)+sep3(-2)"


@pytest.mark.parametrize(
    ("genotype", "message"),
    [
        ("sep3", "genotype is str; give normal, normal_concat, reduce, reduce_concat"),
        (Genotype([("id", 0)], [2], [("id", 0)], [2]), "1 pairs; give two for each block"),
        (Genotype([], [], [], []), "0 pairs"),
        (Genotype(PAIRS, [2], PAIRS[:2], [2]), "normal and reduction cells differ"),
        (Genotype(PAIRS, [2, 3], PAIRS, [2, 4]), "normal and reduction cells differ"),
        (Genotype(PAIRS, [5, 6], PAIRS, [5, 6]), r"concatenates \[5, 6\]; .*: \[2, 3, 4, 5, 6\]"),
        (Genotype([("id", 0)] * 2, [2], [("id", 0)] * 2, [2]), r"concatenates \[2\]; .*: \[2, 1\]"),
        (Genotype([("none", 0)] * 2, [2], [("none", 0)] * 2, [2]), "unknown operation 'none'"),
        (Genotype([("id", 2)] * 2, [2], [("id", 2)] * 2, [2]), "input 1 of block 1"),
        (Genotype([("id", -1)] * 2, [2], [("id", -1)] * 2, [2]), "input -3 of block 1"),
        (Genotype([("id", 0.5)] * 2, [2], [("id", 0.5)] * 2, [2]), "pairs"),  # type: ignore[list-item]
        (Genotype([3], [2], [3], [2]), "pairs"),  # type: ignore[list-item]
    ],
)
def test_what_is_no_cell_of_the_space_is_refused(genotype: Genotype, message: str) -> None:
    with pytest.raises(CellError, match=message):
        Cell.from_genotype(genotype, SPACE)
