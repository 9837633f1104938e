from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from pnas_sim.errors import SettingError
from pnas_sim.search import Observations, RandomSearch, random_search
from pnas_sim.space import CellSpace
from pnas_sim.space.distinct import list_cells
from pnas_sim.testing.strategies import check_strategy

SPACE = CellSpace()
SMALL = CellSpace(("sep3", "id"), 2)  # 165 two-block cells
TINY = CellSpace(("id",), 2)  # 15


def draw(search: RandomSearch, sizes: list[int]) -> list[list[list[int]]]:
    batches = []
    for n in sizes:
        cells = search.ask(n).cells
        search.tell(Observations.ok(np.zeros(len(cells))))
        batches.append(cells.tolist())
    return batches


def draw_all(search: RandomSearch, n: int) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    while batch := draw(search, [n])[0]:
        found += [tuple(row) for row in batch]
    return found


@pytest.fixture(params=["listed", "drawn"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small spaces are listed; with this they are also drawn from as large ones are."""
    if request.param == "drawn":
        monkeypatch.setattr(random_search, "MOST_LISTED", 0)
    return str(request.param)


@pytest.mark.parametrize("name", ["random", "random-raw"])
@pytest.mark.parametrize("space", [SPACE, SMALL])
def test_the_contract_is_kept(name: str, space: CellSpace) -> None:
    check_strategy(name, space, n=20, batches=12)  # the small one is finished in the ninth batch


def test_draws_canonical_cells_of_one_size() -> None:
    cells = RandomSearch(SPACE, blocks=3, seed=1).ask(200).cells
    assert (SPACE.block_counts(cells) == 3).all()
    assert (SPACE.canonical(cells) == cells).all()


def test_raw_draws_are_written_as_drawn_and_repeat_cells() -> None:
    cells = RandomSearch(SPACE, unique=False).ask(200).cells
    assert (SPACE.block_counts(cells) == 5).all()
    assert (SPACE.canonical(cells) != cells).any()
    first, second = draw(RandomSearch(TINY, unique=False, seed=3), [100, 100])
    assert len(second) == 100
    assert {tuple(row) for row in first} & {tuple(row) for row in second}


@pytest.mark.parametrize(("operations", "blocks"), [(1, 3), (2, 2), (2, 3), (3, 2), (8, 1), (8, 2)])
def test_all_cells_of_a_size_are_listed_once(operations: int, blocks: int) -> None:
    space = CellSpace(SPACE.operations[:operations], 4)
    cells = list_cells(space, blocks)
    assert len(cells) == space.count_unique(blocks)
    assert (space.canonical(cells) == cells).all()
    assert cells.tolist() == sorted(cells.tolist())
    assert len(space.unique(cells)[0]) == len(cells)


@pytest.mark.parametrize("n", [1, 7, 64, 200])
def test_every_cell_comes_once_and_then_none(either_way: str, n: int) -> None:
    search = RandomSearch(SMALL, seed=2)
    found = draw_all(search, n)
    assert len(found) == len(set(found)) == 165
    assert set(found) == {tuple(row) for row in list_cells(SMALL, 2).tolist()}
    assert len(search.ask(n)) == 0


def test_large_spaces_are_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(space: CellSpace, blocks: int) -> None:
        raise AssertionError("listed")

    monkeypatch.setattr(random_search, "list_cells", refuse)
    space = CellSpace(max_blocks=10)
    found = draw(RandomSearch(space, blocks=10), [5])[0] + draw(RandomSearch(space, blocks=3), [500])[0]
    assert len({tuple(row) for row in found}) == 505


def test_draws_of_a_batch_are_uniform_and_without_replacement(either_way: str) -> None:
    space = CellSpace(("id",), 1)  # three cells
    seen: Counter[tuple[int, ...]] = Counter()
    for seed in range(1500):
        seen[tuple(RandomSearch(space, seed=seed).ask(2).cells.ravel().tolist())] += 1
    assert len(seen) == 3 * 2  # ordered pairs of different cells
    assert chisquare(list(seen.values())).pvalue > 1e-4


def test_a_later_draw_is_uniform_over_what_is_left(either_way: str) -> None:
    last: Counter[tuple[int, ...]] = Counter()
    for seed in range(600):
        batches = draw(RandomSearch(TINY, seed=seed), [9, 1])
        last[tuple(batches[1][0])] += 1
    assert len(last) == 15
    assert chisquare(list(last.values())).pvalue > 1e-4


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8), cut=st.integers(0, 8), seed=st.integers(0, 9)
)
@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("unique", [True, False])
def test_replay_draws_nothing_and_goes_on_as_live(
    unique: bool, sizes: list[int], cut: int, seed: int
) -> None:
    live, resumed = RandomSearch(SMALL, unique, seed=seed), RandomSearch(SMALL, unique, seed=seed)
    for number, n in enumerate(sizes):
        proposals = live.ask(n)
        answers = Observations.ok(np.zeros(len(proposals)))
        live.tell(answers)
        if number < cut:
            if len(proposals):
                resumed.replay(proposals, answers)
        else:
            assert resumed.ask(n).cells.tolist() == proposals.cells.tolist()
            resumed.tell(answers)


def test_another_seed_draws_other_cells() -> None:
    assert draw(RandomSearch(SPACE, seed=6), [4]) != draw(RandomSearch(SPACE, seed=5), [4])


@pytest.mark.parametrize("unique", [True, False])
def test_misuse_is_explained_and_leaves_no_mark(unique: bool) -> None:
    search = RandomSearch(SMALL, unique, seed=4)
    with pytest.raises(SettingError, match="asked for 0 cells"):
        search.ask(0)
    with pytest.raises(SettingError, match="tell without ask"):
        search.tell(Observations.ok(np.zeros(1)))
    cells = search.ask(3).cells
    with pytest.raises(SettingError, match="ask without tell"):
        search.ask(3)
    with pytest.raises(SettingError, match="told 2 answers to a batch of 3 cells"):
        search.tell(Observations.ok(np.zeros(2)))
    search.tell(Observations.ok(np.zeros(3)))
    assert draw(RandomSearch(SMALL, unique, seed=4), [3, 5])[0] == cells.tolist()


@pytest.mark.parametrize(
    ("given_", "words"),
    [({"blocks": 0}, "0 blocks"), ({"blocks": 3}, "3 blocks"), ({"seed": -1}, "seed is -1")],
)
def test_settings_out_of_range_are_named(given_: dict[str, int], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        RandomSearch(SMALL, **given_)


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
