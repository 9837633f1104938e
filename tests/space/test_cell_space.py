"""The space itself: its settings, and the same answers in any process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.space import INPUT_BEFORE_PREVIOUS, INPUT_PREVIOUS, PAPER_OPERATIONS, CellSpace

DIGEST_OF_EVERYTHING = """
import hashlib
import numpy as np
from pnas_sim.space import CellSpace
space = CellSpace(max_blocks=6)
random = np.random.default_rng(5)
cells = space.sample(300, random, blocks=4)
children = space.canonical(space.expand(cells[:9]).cells)
mutated = space.mutate(cells, random)
first, inverse = space.unique(children)
hashes = space.hash_rows(mutated)
parts = [cells, children, mutated, first.astype("<i8"), inverse.astype("<i8"), hashes.astype("<u8")]
print(hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest())
"""


def test_defaults_are_the_papers() -> None:
    space = CellSpace()
    assert space.operations == PAPER_OPERATIONS
    assert (space.max_blocks, space.width) == (5, 20)
    row = space.parse("id(-2)+id(-1)")
    assert row[:2].tolist() == [INPUT_BEFORE_PREVIOUS, INPUT_PREVIOUS]


def test_spaces_are_values() -> None:
    listed = CellSpace(list(PAPER_OPERATIONS), max_blocks=5)  # type: ignore[arg-type]
    assert listed == CellSpace()
    assert hash(listed) == hash(CellSpace())
    assert listed != CellSpace(max_blocks=6)
    assert listed != CellSpace(PAPER_OPERATIONS[::-1])
    assert pickle.loads(pickle.dumps(listed)) == listed


@pytest.mark.parametrize("blocks", [0, 4, -1])
def test_cells_of_other_sizes_than_it_holds_are_refused(blocks: int) -> None:
    space, rng = CellSpace(max_blocks=3), np.random.default_rng(0)
    with pytest.raises(SettingError, match=f"cells of {blocks} blocks; this space holds those of 1 to 3"):
        space.sample(2, rng, blocks=blocks)
    for count in (space.count_raw, space.count_half_ordered, space.count_unique):
        with pytest.raises(SettingError, match=f"cells of {blocks} blocks"):
            count(blocks)


@pytest.mark.parametrize("blocks", [-1, 3, 4])
def test_the_largest_cells_are_not_expanded(blocks: int) -> None:
    with pytest.raises(SettingError, match=f"cells of {blocks} blocks cannot be expanded: from 0 to 2"):
        CellSpace(max_blocks=3).expansion_blocks(blocks)
    assert len(CellSpace(max_blocks=3).expansion_blocks(2)) == 32 * 33 // 2


def test_raw_draws_are_as_written_and_unique_ones_canonical() -> None:
    space = CellSpace(max_blocks=2)
    raw, unique = (space.sample(50, np.random.default_rng(0), unique=kind) for kind in (False, True))
    assert (space.canonical(raw) != raw).any()
    assert (space.canonical(unique) == unique).all()
    assert set(space.block_counts(raw)) == set(space.block_counts(unique)) == {2}


@pytest.mark.parametrize("blocks", [0, 11, -1, 2.5, "5"])
def test_sizes_out_of_range_are_refused(blocks: object) -> None:
    with pytest.raises(SettingError, match="it must be from 1 to 10"):
        CellSpace(max_blocks=blocks)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ((), "0 operations; a space has from 1 to 254"),
        (tuple(f"o{i}" for i in range(255)), "255 operations"),
        (("id", "Sep3"), "operation 'Sep3' is no name"),
        (("3x3",), "operation '3x3' is no name"),
        (("id ",), "operation 'id ' is no name"),
        (("id\n",), "is no name"),
        ((3,), "operation 3 is no name"),
        (("id", "max3", "id"), "operation 'id' is listed twice"),
        ("id", "operations is the text 'id'; give a list of names"),
    ],
)
def test_wrong_operations_are_refused(operations: tuple[str, ...], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        CellSpace(operations)


def test_the_most_operations_and_blocks_work_together() -> None:
    space = CellSpace(tuple(f"o{i}" for i in range(254)), max_blocks=10)
    cells = space.sample(300, np.random.default_rng(0), unique=False)
    found = space.canonical(cells)
    space.validate(found)
    np.testing.assert_array_equal(space.canonical(found), found)
    np.testing.assert_array_equal(space.parse_many(space.format_many(found)), found)


def run_python(code: str, hash_seed: str = "0") -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_processes_with_other_hash_seeds_agree() -> None:
    one, other = (run_python(DIGEST_OF_EVERYTHING, seed) for seed in ("1", "77"))
    assert len(one) == 64
    assert one == other


def test_importing_the_space_loads_nothing_heavy() -> None:
    heavy = {"torch", "scipy", "h5py", "lightgbm", "matplotlib", "pandas", "click", "rich"}
    code = f"import sys, pnas_sim.space; print(*sorted({heavy!r} & set(sys.modules)))"
    assert run_python(code) == ""
