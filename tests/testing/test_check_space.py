from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_sim.space import CellSpace, Expansion
from pnas_sim.testing.spaces import check_space


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_blocks": 10},
        {"operations": ["sep3", "id", "max3"], "max_blocks": 3},
        {"operations": ["id"], "max_blocks": 3},
        {"operations": ["id"], "max_blocks": 1},
        {"operations": [f"op{number}" for number in range(20)], "max_blocks": 2},
    ],
)
def test_spaces_keep_the_contract(options: dict[str, Any]) -> None:
    check_space("pnas_sim.space:CellSpace", **options)


class Broken:
    """A sound space with one thing done wrong."""

    def __init__(self, fault: str) -> None:
        self.space = CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)
        self.fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self.space, name)

    def initial(self) -> np.ndarray:
        first = self.space.initial()
        changes = {
            "begins with too few": first[:-1],
            "begins with one twice": np.concatenate([first[:-1], first[:1]]),
            "begins with raw cells": first[:, [1, 0, 3, 2, *range(4, 12)]],
            "begins with larger cells": self.space.canonical(self.space.expand(first).cells)[:21],
            "begins with integers": first.astype(np.int64),
        }
        return changes.get(self.fault, first)

    def expansion_blocks(self, blocks: int) -> np.ndarray:
        found = self.space.expansion_blocks(blocks)
        return found[:-3] if self.fault == "leaves blocks out everywhere" else found

    def expand(self, parents: np.ndarray) -> Expansion:
        whole = self.space.expand(parents)
        blocks = int(self.space.block_counts(parents[:1])[0])
        if self.fault == "leaves blocks out everywhere":
            kept = np.ones(len(whole.cells), np.bool_).reshape(len(parents), -1)
            kept[:, -3:] = False
            return Expansion(whole.cells[kept.ravel()], whole.parents[kept.ravel()])
        if self.fault == "leaves a child out":
            return Expansion(whole.cells[:-1], whole.parents[:-1])
        if self.fault == "names other parents":
            return replace(whole, parents=whole.parents[::-1].copy())
        if self.fault == "adds the wrong block":
            whole.cells[:, 4 * blocks : 4 * blocks + 4] = whole.cells[:1, 4 * blocks : 4 * blocks + 4]
        return whole

    def canonical(self, cells: np.ndarray) -> np.ndarray:
        forms = self.space.canonical(cells)
        if self.fault == "takes rows as they are":
            return cells.copy()
        if self.fault == "takes two cells as one":
            return np.where((forms == 2) & (np.arange(12) % 4 > 1), 1, forms).astype(np.uint8)
        if self.fault == "never settles":
            return cells.reshape(len(cells), -1, 4)[:, :, [1, 0, 3, 2]].reshape(len(cells), -1)
        if self.fault == "sees the order of blocks":
            halves = cells.reshape(len(cells), -1, 4).copy()
            later = (halves[:, :, 0] > halves[:, :, 1]) | (
                (halves[:, :, 0] == halves[:, :, 1]) & (halves[:, :, 2] > halves[:, :, 3])
            )
            halves[later] = halves[later][:, [1, 0, 3, 2]]
            return halves.reshape(len(cells), -1)
        return forms

    def sample(
        self, n: int, rng: np.random.Generator, blocks: int | None = None, unique: bool = True
    ) -> np.ndarray:
        if self.fault == "draws from the global NumPy":
            rng = np.random.default_rng(np.random.randint(99))  # noqa: NPY002
        if self.fault == "draws without a seed":
            rng = np.random.default_rng()
        if self.fault == "draws smaller cells" and blocks:
            return self.space.sample(n, rng, max(1, blocks - 1), unique)
        if self.fault == "draws raw cells":
            return self.space.sample(n, rng, blocks, unique=False)
        if self.fault == "draws raw cells and tidies them":
            return self.space.canonical(self.space.sample(n, rng, blocks, unique=False))
        if self.fault == "draws one too many":
            n += 1
        if self.fault == "draws any size" and blocks is not None:
            blocks = min(max(blocks, 1), 3)
        return self.space.sample(n, rng, blocks, unique)

    def mutate(self, cells: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        mutants = self.space.mutate(cells, rng)
        if self.fault == "mutates in place":
            cells[:] = mutants
        if self.fault == "mutates some to themselves":
            mutants[::7] = cells[::7]
        if self.fault == "mutates to raw rows":
            return mutants.reshape(len(cells), -1, 4)[:, :, [1, 0, 3, 2]].reshape(len(cells), -1)
        if self.fault == "mutates to one block":
            return np.repeat(self.space.initial()[:1], len(cells), axis=0)
        return mutants

    def unique(self, cells: np.ndarray) -> Any:
        first, inverse = self.space.unique(cells)
        if self.fault == "sorts unique rows":
            order = np.lexsort(cells[first].T[::-1])
            rank = np.argsort(order)
            return first[order], rank[inverse]
        return first, inverse

    def count_unique(self, blocks: int) -> int:
        return self.space.count_unique(blocks) + (self.fault == "miscounts" and blocks == 2)

    def validate(self, cells: np.ndarray) -> None:
        if self.fault != "validates anything":
            self.space.validate(cells)

    def parse(self, cell: str) -> np.ndarray:
        return self.space.parse(
            cell if self.fault != "parses anything" or cell[:3] == "sep" else "id(-1)+id(-1)"
        )

    def parse_many(self, cells: list[str]) -> np.ndarray:
        rows = self.space.parse_many(cells)
        return self.space.canonical(rows) if self.fault == "parses to canonical rows" else rows

    def format(self, row: np.ndarray) -> str:
        text = self.space.format(row)
        return text.replace("+", " + ") if self.fault == "formats in two ways" else text

    def canonical_text(self, cell: str) -> str:
        return cell if self.fault == "takes text as it is" else self.space.canonical_text(cell)


FAULTS = {
    "begins with too few": "20 initial cells; count_unique says 21",
    "begins with one twice": "initial holds a cell twice",
    "begins with raw cells": "an initial cell is not canonical",
    "begins with larger cells": "an initial cell has not one block",
    "begins with integers": "initial is not uint8",
    "leaves blocks out everywhere": "is not among its parent's children|expansion reaches",
    "leaves a child out": "children of 3 parents, not",
    "names other parents": "not in the order of their parents",
    "adds the wrong block": "is not its parent with one of expansion_blocks",
    "takes rows as they are": "has another canonical form",
    "takes two cells as one": "an initial cell is not canonical",
    "never settles": "is not canonical|the canonical form of a canonical form",
    "sees the order of blocks": "has another canonical form",
    "draws from the global NumPy": "uses the global generator of numpy",
    "draws without a seed": "the same seed draws other cells",
    "draws smaller cells": "a cell drawn of 2 blocks has another size",
    "draws raw cells": "a unique cell that is drawn is not canonical",
    "draws raw cells and tidies them": "unique cells of 2 blocks are not drawn uniformly",
    "draws one too many": "13 cells are drawn where 12 were asked for",
    "draws any size": "drawing 0 blocks is not refused",
    "mutates in place": "mutate changes the rows it was given",
    "mutates some to themselves": "a mutated cell is the cell it came from",
    "mutates to raw rows": "a mutated cell is not canonical",
    "mutates to one block": "a mutated cell has another number of blocks|is the cell it came from",
    "sorts unique rows": "unique is not in the order of first occurrence",
    "miscounts": "expansion reaches 735 unique cells of 2 blocks; there are 736|not drawn uniformly",
    "validates anything": "an operation outside the space is not refused",
    "parses anything": "is not refused",
    "parses to canonical rows": "parsing a cell's text gives another row",
    "formats in two ways": "format and format_many differ",
    "takes text as it is": "canonical_text is another text",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault: str) -> None:
    with pytest.raises(AssertionError, match=FAULTS[fault]):
        check_space(lambda: Broken(fault))


def test_a_sound_space_without_a_name_passes() -> None:
    check_space(lambda: Broken("none"))


SOURCE = """
import os
import numpy as np
from pnas_sim.space import CellSpace

class Hashing:
    def __init__(self, max_blocks):
        self.space = CellSpace(max_blocks=max_blocks)
    def __getattr__(self, name):
        return getattr(self.space, name)
    def sample(self, n, rng, blocks=None, unique=True):
        return np.roll(self.space.sample(n, rng, blocks, unique), int(os.environ["PYTHONHASHSEED"]), axis=0)
"""


def test_a_space_that_differs_between_processes_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "2")  # of the second process: 1
    (tmp_path / "hashing_space_fixture.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    for factory in ("hashing_space_fixture:Hashing", __import__("hashing_space_fixture").Hashing):
        with pytest.raises(AssertionError, match="in another process"):
            check_space(factory, max_blocks=2)


def test_suites_are_exported_and_naming_none_imports_none() -> None:
    code = (
        "import sys, pnas_sim.testing as t\n"
        "print(sorted(t.__all__), {'numpy', 'torch', 'sklearn'} & set(sys.modules))\n"
        "from pnas_sim.testing import check_evaluator, check_space, check_strategy\n"
        "print('torch' in sys.modules, [callable(getattr(t, name)) for name in t.__all__])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first == "['check_evaluator', 'check_predictor', 'check_space', 'check_strategy'] set()"
    assert second == "False [True, True, True, True]"
