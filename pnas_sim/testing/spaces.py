"""The contract of a space of cells: `check_space(factory)` passes, or says what is broken.

It needs no test framework; call it in a test of any:

    def test_my_space_keeps_the_contract() -> None:
        check_space("my_package.space:MySpace", max_blocks=3)
        check_space(lambda: CellSpace(operations=("sep3", "id"), max_blocks=3))

Rows are token rows as `pnas_sim.space` has them: I1, I2, O1, O2 of each block, then padding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import CellError, SettingError
from pnas_sim.space import PAD, Expansion
from pnas_sim.space.arrays import Rows
from pnas_sim.testing.checks import (
    call_in_second_process,
    find_factory,
    find_path,
    other_global_randomness,
    require,
    require_refusal,
)

MOST_ROWS = 60_000  # expanded to hold a whole level against its count
MOST_DRAWS = 20_000  # to hold the frequencies of unique cells against each other
PER_SIZE = 12  # cells drawn of each size


class Space(Protocol):
    """What a search needs of a space; all as in `pnas_sim.space.CellSpace`."""

    @property
    def operations(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def max_blocks(self) -> int: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    def initial(self) -> Rows: ...  # noqa: D102
    def expand(self, parents: Rows) -> Expansion: ...  # noqa: D102
    def expansion_blocks(self, blocks: int) -> Rows: ...  # noqa: D102
    def sample(  # noqa: D102
        self, n: int, rng: np.random.Generator, blocks: int | None = None, unique: bool = True
    ) -> Rows: ...
    def mutate(self, cells: Rows, rng: np.random.Generator) -> Rows: ...  # noqa: D102
    def canonical(self, cells: Rows) -> Rows: ...  # noqa: D102
    def unique(self, cells: Rows) -> tuple[NDArray[np.intp], NDArray[np.intp]]: ...  # noqa: D102
    def block_counts(self, cells: Rows) -> NDArray[np.int64]: ...  # noqa: D102
    def count_unique(self, blocks: int) -> int: ...  # noqa: D102
    def validate(self, cells: Rows) -> None: ...  # noqa: D102
    def parse(self, cell: str) -> Rows: ...  # noqa: D102
    def parse_many(self, cells: Iterable[str]) -> Rows: ...  # noqa: D102
    def format(self, row: Rows) -> str: ...  # noqa: D102
    def format_many(self, cells: Rows) -> list[str]: ...  # noqa: D102
    def canonical_text(self, cell: str) -> str: ...  # noqa: D102


def check_space(factory: str | Callable[..., Space], *, seed: int = 0, **options: Any) -> None:
    """Checks that a space does what design and `pnas_sim.space.CellSpace` promise.

    The canonical form is one for all ways to write a cell (halves of blocks swapped, blocks renamed) and
    another for every other cell; expansion reaches every cell; draws are of the size asked for, unique ones
    uniform; mutation changes a cell; text and rows are inverse; what is outside is refused; and all of it is
    the same for the same generator, in another process too.

    Args:
        factory: called as `factory(**options)`: `module:factory`, or a function or class. Only what can be
            imported can be made in a second process: for a lambda that check is left out.
        seed: of the cells drawn.
        options: given to the factory; JSON values.

    Raises:
        AssertionError: the contract is broken; the message says where.
    """
    found = find_factory(factory) if isinstance(factory, str) else factory
    space: Space = found(**options)
    with other_global_randomness(1, "the space"):
        cells = _draw_cells(space, seed)
    _check_initial(space)
    for size in range(1, space.max_blocks + 1):
        _check_draws(space, size, seed)
    _check_canonical(space, cells, seed)
    _check_unique(space, cells)
    _check_expansion(space, seed)
    _check_levels(space)
    _check_mutation(space, cells, seed)
    _check_text(space, cells)
    _check_refusals(space)
    path = factory if isinstance(factory, str) else find_path(factory)
    with other_global_randomness(2, "the space"):
        require(_digest(space, seed) == _digest(found(**options), seed), "the same seed draws other cells")
    if path:
        there = call_in_second_process(
            "pnas_sim.testing.spaces:digest_elsewhere", path=path, seed=seed, options=options
        )
        require(there == _digest(space, seed), "the same seed draws other cells in another process")


def _draw_cells(space: Space, seed: int) -> Rows:
    """Raw rows of every size, as drawn: most of them not canonical."""
    rng = np.random.default_rng(seed)
    sizes = range(1, space.max_blocks + 1)
    return np.concatenate([space.sample(PER_SIZE, rng, blocks=size, unique=False) for size in sizes])


def _is_legal(space: Space, cells: Rows) -> bool:
    if cells.dtype != np.uint8 or cells.ndim != 2 or cells.shape[1] != space.width:
        return False
    try:
        space.validate(cells)
    except CellError:
        return False
    return True


def _is_canonical(space: Space, cells: Rows) -> bool:
    return bool(np.array_equal(space.canonical(cells), cells))


def _check_initial(space: Space) -> None:
    first = space.initial()
    require(space.width == 4 * space.max_blocks, f"its width is {space.width}, not {4 * space.max_blocks}")
    require(_is_legal(space, first), f"initial is not uint8[n, {space.width}] of its cells")
    require(bool((space.block_counts(first) == 1).all()), "an initial cell has not one block")
    require(_is_canonical(space, first), "an initial cell is not canonical")
    count = len(space.unique(first)[0])
    require(count == len(first), "initial holds a cell twice")
    require(
        count == space.count_unique(1), f"{count} initial cells; count_unique says {space.count_unique(1)}"
    )


def _check_draws(space: Space, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for unique in (True, False):
        drawn = space.sample(PER_SIZE, rng, blocks=size, unique=unique)
        require(len(drawn) == PER_SIZE, f"{len(drawn)} cells are drawn where {PER_SIZE} were asked for")
        require(_is_legal(space, drawn), f"a cell drawn of {size} blocks lies outside the space")
        right = bool((space.block_counts(drawn) == size).all())
        require(right, f"a cell drawn of {size} blocks has another size")
        require(not unique or _is_canonical(space, drawn), "a unique cell that is drawn is not canonical")
    require(len(space.sample(0, rng)) == 0, "no cells cannot be drawn")
    last = space.block_counts(space.sample(2, rng))
    require(bool((last == space.max_blocks).all()), "cells are not of the largest size by default")
    count = space.count_unique(size)
    draws = 20 * count
    if count > 1 and draws <= MOST_DRAWS:
        _, inverse = space.unique(space.sample(draws, rng, blocks=size))
        times = np.bincount(inverse, minlength=count)
        excess = (((times - 20) ** 2 / 20).sum() - (count - 1)) / np.sqrt(2 * (count - 1))
        uniform = len(times) == count and abs(excess) < 8  # deviations of chi squared: never by chance
        require(bool(uniform), f"unique cells of {size} blocks are not drawn uniformly")


def _check_canonical(space: Space, cells: Rows, seed: int) -> None:
    rng = np.random.default_rng(seed)
    forms = space.canonical(cells)
    require(_is_legal(space, forms), "a canonical form lies outside the space")
    require(_is_canonical(space, forms), "the canonical form of a canonical form is another")
    sizes = np.array_equal(space.block_counts(forms), space.block_counts(cells))
    require(bool(sizes), "a canonical form has another number of blocks")
    for _ in range(5):
        rewritten = np.array([_rewrite(row, rng) for row in cells])
        same = np.array_equal(space.canonical(rewritten), forms)
        require(bool(same), "a cell with halves swapped and blocks renamed has another canonical form")


def _rewrite(row: Rows, rng: np.random.Generator) -> Rows:
    """The same cell written otherwise: its blocks in another order that respects inputs, halves swapped."""
    blocks = [tuple(map(int, block)) for block in row.reshape(-1, 4) if block[0] != PAD]
    left, order = list(range(len(blocks))), list[int]()
    while left:
        ready = [at for at in left if all(i < 2 or i - 2 in order for i in blocks[at][:2])]
        order.append(ready[int(rng.integers(len(ready)))])
        left.remove(order[-1])
    number = {0: 0, 1: 1, **{old + 2: new + 2 for new, old in enumerate(order)}}
    other = np.full_like(row, PAD)
    for new, old in enumerate(order):
        first, second, one, two = blocks[old]
        block = (number[first], number[second], one, two)
        swapped = (block[1], block[0], block[3], block[2])
        other[4 * new : 4 * new + 4] = swapped if rng.random() < 0.5 else block
    return other


def _check_unique(space: Space, cells: Rows) -> None:
    twice = np.concatenate([cells, cells[::-1]])
    first, inverse = space.unique(twice)
    require(bool((np.diff(first) > 0).all()), "unique is not in the order of first occurrence")
    require(np.array_equal(twice[first][inverse], twice), "unique rows do not give the rows again")
    count = len({row.tobytes() for row in twice})
    require(len(first) == count, f"unique finds {len(first)} distinct rows; there are {count}")


def _check_expansion(space: Space, seed: int) -> None:
    """Children are parents and a block; a cell is among the children of what precedes its last block."""
    rng = np.random.default_rng(seed)
    for size in range(1, space.max_blocks):
        targets = space.sample(3, rng, blocks=size + 1)
        parents = targets.copy()
        parents[:, 4 * size :] = PAD
        expansion = space.expand(parents)
        children, blocks = expansion.cells, space.expansion_blocks(size)
        require(_is_legal(space, children), f"a child of {size + 1} blocks lies outside the space")
        count = len(parents) * len(blocks)
        require(len(children) == count, f"{len(children)} children of {len(parents)} parents, not {count}")
        expected = np.repeat(np.arange(len(parents)), len(blocks))
        require(np.array_equal(expansion.parents, expected), "children are not in the order of their parents")
        kept = np.array_equal(children[:, : 4 * size], parents[expected][:, : 4 * size])
        added = np.array_equal(children[:, 4 * size : 4 * size + 4], np.tile(blocks, (len(parents), 1)))
        require(kept and added, "a child is not its parent with one of expansion_blocks")
        forms = space.canonical(children)
        for at, target in enumerate(targets):
            reached = bool((forms[expected == at] == target).all(axis=1).any())
            require(reached, f"{space.format(target)} is not among its parent's children")


def _check_levels(space: Space) -> None:
    """Expanding all of a small level gives all of the next, each cell counted once."""
    level = space.initial()
    for size in range(1, space.max_blocks):
        if len(level) * len(space.expansion_blocks(size)) > MOST_ROWS:
            return
        forms = space.canonical(space.expand(level).cells)
        level = forms[space.unique(forms)[0]]
        count = space.count_unique(size + 1)
        require(
            len(level) == count,
            f"expansion reaches {len(level)} unique cells of {size + 1} blocks; there are {count}",
        )


def _check_mutation(space: Space, cells: Rows, seed: int) -> None:
    if space.count_unique(1) == 1:
        return
    forms = space.canonical(cells)
    given = forms.copy()
    mutants = space.mutate(given, np.random.default_rng(seed))
    require(np.array_equal(given, forms), "mutate changes the rows it was given")
    require(_is_legal(space, mutants), "a mutated cell lies outside the space")
    require(_is_canonical(space, mutants), "a mutated cell is not canonical")
    changed = (mutants != forms).any(axis=1)
    require(bool(changed.all()), "a mutated cell is the cell it came from")
    sizes = np.array_equal(space.block_counts(mutants), space.block_counts(forms))
    require(bool(sizes), "a mutated cell has another number of blocks")


def _check_text(space: Space, cells: Rows) -> None:
    texts = space.format_many(cells)
    require(np.array_equal(space.parse_many(texts), cells), "parsing a cell's text gives another row")
    require([space.format(row) for row in cells] == texts, "format and format_many differ")
    forms = space.format_many(space.canonical(cells))
    require([space.canonical_text(text) for text in texts] == forms, "canonical_text is another text")
    different = len(set(texts)) == len(space.unique(cells)[0])
    require(different, "two rows have one text")


def _check_refusals(space: Space) -> None:
    first = space.initial()[:1]
    outside, ahead = first.copy(), first.copy()
    outside[0, 2] = len(space.operations)
    ahead[0, 0] = 2
    for what, rows in (
        ("an operation outside the space", outside),
        ("an input of a later block", ahead),
        ("rows of another width", first[:, :-1]),
        ("a cell without blocks", np.full_like(first, PAD)),
    ):
        require_refusal(what, partial(space.validate, rows), CellError)
    for text in ("", "no_such_operation(-1)+no_such_operation(-2)", f"{space.format(first[0])} | "):
        require_refusal(f"the text {text!r}", partial(space.parse, text), CellError)
    rng = np.random.default_rng(0)
    for size in (0, space.max_blocks + 1):
        require_refusal(f"drawing {size} blocks", partial(space.sample, 1, rng, size), SettingError)


def digest_elsewhere(path: str, seed: int, options: dict[str, Any]) -> str:
    """What `check_space` compares of a space made in another process."""
    return _digest(find_factory(path)(**options), seed)


def _digest(space: Space, seed: int) -> str:
    """Of draws, canonical forms, mutations, an expansion and texts."""
    rng = np.random.default_rng(seed)
    drawn = np.concatenate([space.sample(8, rng), space.sample(8, rng, unique=False)])
    parts = [drawn, space.canonical(drawn), space.initial()]
    if space.max_blocks > 1:
        parts.append(space.expand(space.initial()[:2]).cells)
    if space.count_unique(1) > 1:
        parts.append(space.mutate(space.canonical(drawn), rng))
    content = b"".join(part.tobytes() for part in parts) + "".join(space.format_many(drawn)).encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest()
