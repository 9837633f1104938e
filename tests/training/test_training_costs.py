from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from pnas_backends.training.costs import cell_costs
from pnas_backends.training.layout import (
    MOST_CELLS_PER_STAGE,
    MOST_FILTERS,
    MOST_PIXELS,
    PRESETS,
    STEMS,
    NetworkShape,
)
from pnas_backends.training.network import build_network
from pnas_backends.training.operations import OPERATIONS
from pnas_sim.errors import CellError
from pnas_sim.space import CellSpace

SHAPES = st.builds(
    NetworkShape,
    cells_per_stage=st.integers(1, 2),
    filters=st.integers(4, 20),
    image_size=st.integers(4, 40),
    channels=st.sampled_from([1, 3]),
    classes=st.integers(2, 100),
    stem=st.sampled_from(STEMS),
)
SPACES = st.builds(
    CellSpace,
    operations=st.lists(st.sampled_from(list(OPERATIONS)), min_size=1, max_size=8, unique=True).map(tuple),
    max_blocks=st.integers(1, 7),
)


def count_network(row: np.ndarray, space: CellSpace, shape: NetworkShape) -> tuple[int, int]:
    """What torch counts."""
    network = build_network(row, space=space, shape=shape, device="meta").eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, shape.channels, shape.image_size, shape.image_size, device="meta"))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2


@settings(deadline=None, max_examples=20)
@given(space=SPACES, shape=SHAPES, seed=st.integers(0, 2**32 - 1), data=st.data())
def test_costs_are_what_torch_counts(
    space: CellSpace, shape: NetworkShape, seed: int, data: st.DataObject
) -> None:
    blocks = data.draw(st.integers(1, space.max_blocks))
    rows = space.sample(1, np.random.default_rng(seed), blocks=blocks, unique=False)
    parameters, multiply_adds = cell_costs(rows, space, shape)
    assert (parameters[0], multiply_adds[0]) == count_network(rows[0], space, shape)


def test_all_one_block_cells_at_search_size() -> None:
    space = CellSpace()
    rows = space.initial()
    parameters, multiply_adds = cell_costs(rows, space)
    for place in range(0, len(rows), 15):
        assert (parameters[place], multiply_adds[place]) == count_network(rows[place], space, NetworkShape())
    assert parameters.dtype == multiply_adds.dtype == np.int64


def test_rows_do_not_see_each_other() -> None:
    space = CellSpace()
    rng = np.random.default_rng(1)
    rows = np.concatenate([space.sample(20, rng, blocks=blocks) for blocks in (1, 2, 3, 4, 5)])
    together = np.column_stack(cell_costs(rows, space))
    alone = np.concatenate([np.column_stack(cell_costs(row[None], space)) for row in rows])
    assert (together == alone).all()
    together[:] = 0  # what was returned is not what is remembered
    assert (np.column_stack(cell_costs(rows, space)) == alone).all()


def test_large_network_fits_its_integers() -> None:
    space = CellSpace()
    row = space.parse("dil3(-2)+dil3(-2) | dil3(-1)+dil3(-1) | dil3(1)+dil3(1) | dil3(2)+dil3(2)")
    assert cell_costs(row[None], space, PRESETS["imagenet-large"])[1][0] > 2**33


def test_no_rows_have_no_costs() -> None:
    space = CellSpace()
    assert [costs.shape for costs in cell_costs(space.initial()[:0], space)] == [(0,), (0,)]


def test_unknown_operations_are_named() -> None:
    space = CellSpace(operations=("sep3", "swish"), max_blocks=2)
    with pytest.raises(CellError, match="'swish' cannot be trained"):
        cell_costs(space.initial(), space)


def test_counting_needs_no_torch() -> None:
    modules = ", ".join(f"pnas_backends.training.{name}" for name in ("costs", "recipe", "backend"))
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("stem", STEMS)
def test_costs_of_the_largest_network_fit_their_integers(stem: str) -> None:
    space = CellSpace(max_blocks=10)
    cell = space.parse(" | ".join(["conv1x7(-2)+conv1x7(-1)"] * 10))[None]
    shape = NetworkShape(
        cells_per_stage=MOST_CELLS_PER_STAGE,
        filters=MOST_FILTERS,
        image_size=MOST_PIXELS,
        channels=1000,
        classes=100_000,
        stem=stem,
    )
    half = NetworkShape(
        cells_per_stage=MOST_CELLS_PER_STAGE, filters=MOST_FILTERS, image_size=MOST_PIXELS // 2, stem=stem
    )
    whole = cell_costs(cell, space, shape)[1][0]
    assert whole > 3.9 * cell_costs(cell, space, half)[1][0] > 0
