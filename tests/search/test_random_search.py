from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pnas_sim.search import Observations, RandomSearch
from pnas_sim.space import CellSpace

SPACE = CellSpace()


def draw(search: RandomSearch, sizes: list[int]) -> list[list[list[int]]]:
    batches = []
    for n in sizes:
        cells = search.ask(n).cells
        search.tell(Observations.ok(np.zeros(len(cells))))
        batches.append(cells.tolist())
    return batches


def test_draws_canonical_cells_of_one_size() -> None:
    cells = RandomSearch(SPACE, blocks=3, seed=1).ask(200).cells
    assert (SPACE.block_counts(cells) == 3).all()
    assert (SPACE.canonical(cells) == cells).all()


def test_raw_draws_are_written_as_drawn() -> None:
    cells = RandomSearch(SPACE, unique=False).ask(200).cells
    assert (SPACE.block_counts(cells) == 5).all()
    assert (SPACE.canonical(cells) != cells).any()


@pytest.mark.parametrize("unique", [True, False])
def test_replay_draws_nothing_and_goes_on_as_live(unique: bool) -> None:
    live = draw(RandomSearch(SPACE, unique, seed=5), [4, 9, 3])
    search = RandomSearch(SPACE, unique, seed=5)
    for _ in range(2):
        search.replay(search.ask(1), Observations.ok(np.zeros(1)))
    assert draw(search, [3])[0] == live[2]
    assert draw(RandomSearch(SPACE, unique, seed=6), [4])[0] != live[0]


def test_no_torch_and_the_same_in_another_process() -> None:
    program = (
        "import sys\nfrom pnas_sim.search import RandomSearch\nfrom pnas_sim.space import CellSpace\n"
        "assert 'torch' not in sys.modules\nprint(RandomSearch(CellSpace(), seed=2).ask(20).cells.tolist())"
    )
    outs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert outs[0] == outs[1] == f"{RandomSearch(SPACE, seed=2).ask(20).cells.tolist()}\n"
