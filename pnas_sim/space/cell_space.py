"""A space of cells, made of a list of operations and a largest number of blocks, and its whole API."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import CellError, SettingError
from pnas_sim.space import canonical, counting, expansion, rows, sampling, text
from pnas_sim.space import distinct as without_repeats
from pnas_sim.space.arrays import Rows
from pnas_sim.space.cell import Cell
from pnas_sim.space.expansion import Expansion
from pnas_sim.space.rows import MOST_BLOCKS, MOST_OPERATIONS, TOKENS_PER_BLOCK

# The paper's eight operations (section 3.1), in this order; `id` is the identity.
PAPER_OPERATIONS = ("sep3", "sep5", "sep7", "conv1x7", "id", "avg3", "max3", "dil3")

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


@dataclass(frozen=True)
class CellSpace:
    """All cells of up to `max_blocks` blocks over some operations (section 3 of the paper).

    Cells are token rows, see `pnas_sim.space.rows`; what a canonical row is, see `pnas_sim.space.canonical`.
    Rows given to any method are `uint8[n, width]`. `validate`, `canonical`, `format` and `format_many` check
    every token; the other methods take rows to be valid. Randomness comes from a NumPy generator or from a
    seed, a whole number of at least 0.

    Attributes:
        operations: their names; an operation's token is its position here.
        max_blocks: 1 to 10.

    Raises:
        SettingError: names that are no identifiers or not distinct, none at all, or a size out of range.
    """

    operations: tuple[str, ...] = PAPER_OPERATIONS
    max_blocks: int = 5

    def __post_init__(self) -> None:
        if isinstance(self.operations, str):
            raise SettingError(f"operations is the text {self.operations!r}; give a list of names")
        object.__setattr__(self, "operations", tuple(self.operations))
        _check_operations(self.operations)
        if not isinstance(self.max_blocks, int) or not 1 <= self.max_blocks <= MOST_BLOCKS:
            raise SettingError(f"max_blocks is {self.max_blocks}; it must be from 1 to {MOST_BLOCKS}")

    @property
    def width(self) -> int:
        """Columns of a row: four tokens for each of `max_blocks` blocks."""
        return TOKENS_PER_BLOCK * self.max_blocks

    # Cells of the space

    def initial(self) -> Rows:
        """All canonical one-block cells, ascending: `uint8[136, width]` in the paper's space."""
        return expansion.list_one_block_cells(self.width, len(self.operations))

    def expansion_blocks(self, blocks: int) -> Rows:
        """The half-ordered blocks that a cell of `blocks` blocks is expanded by, read-only `uint8[k, 4]`.

        Ascending by I1, then I2, O1, O2. `expand` gives every parent these, in this order.

        Raises:
            SettingError: no cell of this space with so many blocks can be expanded.
        """
        if not 0 <= blocks < self.max_blocks:
            raise SettingError(
                f"cells of {blocks} blocks cannot be expanded: from 0 to {self.max_blocks - 1} in this space"
            )
        return expansion.list_half_ordered_blocks(blocks + 2, len(self.operations))

    def expand(self, parents: Rows) -> Expansion:
        """Every parent with every block of `expansion_blocks`, parent by parent; duplicates stay.

        Raises:
            CellError: parents of several sizes, or of `max_blocks` blocks already.
        """
        return expansion.expand_cells(self._rows(parents), len(self.operations))

    def sample(
        self,
        n: int,
        rng: np.random.Generator | int,
        blocks: int | None = None,
        unique: bool = True,
        distinct: bool = False,
    ) -> Rows:
        """Cells drawn at random, `uint8[n, width]`; independently, so that one may come twice, by default.

        Args:
            n: how many.
            rng: where the randomness comes from; the same state, or seed, gives the same cells.
            blocks: of each cell; None for `max_blocks`.
            unique: uniform over unique cells, as canonical rows; else uniform over raw rows, as drawn (the
                paper's random search).
            distinct: no cell twice, as if drawn without replacement; of unique cells alone.

        Raises:
            SettingError: `n` is negative, `blocks` or the seed is out of range, or there are not so many
                distinct cells.
        """
        if not rows.is_whole(n) or n < 0:
            raise SettingError(f"cannot draw {n!r} cells; n must be a whole number of at least 0")
        size, stream = self.max_blocks if blocks is None else blocks, sampling.read_stream(rng)
        self._check_blocks(size)
        if distinct:
            self._check_distinct(n, size, unique)
            return without_repeats.draw_distinct(self, n, size, stream)
        draw = sampling.sample_unique if unique else sampling.sample_raw
        return draw(n, size, self.width, len(self.operations), stream)

    def mutate(self, cells: Rows, rng: np.random.Generator | int) -> Rows:
        """Canonical rows of cells with one input or operation changed; every one differs from its cell."""
        return sampling.mutate_cells(self._rows(cells), len(self.operations), sampling.read_stream(rng))

    # Rows

    def canonical(self, cells: Rows) -> Rows:
        """The canonical row of each cell, `uint8[n, width]`; raises as `validate`."""
        return canonical.find_canonical(self._cells(cells), len(self.operations))

    def unique(self, cells: Rows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Exactly the distinct rows, in order of first occurrence; takes canonical rows to tell cells apart.

        Returns:
            first (`intp[u]`, ascending) and inverse (`intp[n]`): `cells[first][inverse]` is `cells`.
        """
        checked = self._rows(cells)
        return rows.find_distinct(checked, rows.hash_rows(checked))

    def hash_rows(self, cells: Rows) -> NDArray[np.uint64]:
        """A stable hash of each row's tokens, `uint64[n]`: an index, never an identity."""
        return rows.hash_rows(self._rows(cells))

    def list_keys(self, cells: Rows) -> list[bytes]:
        """Each row as bytes: what tells canonical rows apart in sets and dictionaries."""
        return rows.list_keys(self._rows(cells))

    def block_counts(self, cells: Rows) -> NDArray[np.int64]:
        """Blocks of each cell, `int64[n]`."""
        return rows.count_blocks(self._rows(cells))

    def validate(self, cells: Rows) -> None:
        """Checks that rows are cells of this space.

        Raises:
            CellError: names the row, the token and its limit.
        """
        self._cells(cells)

    def fit_width(self, cells: Rows) -> Rows:
        """Rows of a narrower or wider space of the same operations as rows of this one, `uint8[n, width]`.

        Raises:
            CellError: a cell has more blocks than this space.
        """
        given = np.asarray(cells)
        if given.ndim != 2 or given.shape[1] % TOKENS_PER_BLOCK:
            raise CellError(f"cells of shape {given.shape}; rows have {TOKENS_PER_BLOCK} tokens a block")
        return rows.resize_rows(rows.as_bytes(given), self.width)

    # Text

    def parse(self, cell: str) -> Rows:
        """The row of a cell's text as it is written, or of a published cell's name: `uint8[width]`.

        Raises:
            CellError: names the piece that is wrong and what may stand there.
        """
        return text.parse_cell(cell, self.operations, self.width)

    def parse_many(self, cells: Iterable[str]) -> Rows:
        """Rows of texts, `uint8[n, width]`; raises as `parse`."""
        parsed = [self.parse(cell) for cell in cells]
        return np.array(parsed, np.uint8).reshape(-1, self.width)

    def format(self, row: Rows) -> str:
        """The text of one row (`uint8[width]`), as it is written; raises as `validate`."""
        return self.format_many(np.asarray(row)[None])[0]

    def format_many(self, cells: Rows) -> list[str]:
        """The text of each row; raises as `validate`."""
        return text.format_cells(self._cells(cells), self.operations)

    def canonical_text(self, cell: str) -> str:
        """The canonical text of a cell's text; raises as `parse`."""
        return self.format(self.canonical(self.parse(cell)[None])[0])

    def cell(self, row: Rows) -> Cell:
        """The friendly face of one row (`uint8[width]`); raises as `validate`."""
        return Cell.of_row(self._cells(np.asarray(row)[None])[0], self)

    # Counts

    def count_raw(self, blocks: int) -> int:
        """Raw rows of `blocks` blocks: every token by itself."""
        return counting.count_raw(self._check_blocks(blocks), len(self.operations))

    def count_half_ordered(self, blocks: int) -> int:
        """Rows of `blocks` half-ordered blocks."""
        return counting.count_half_ordered(self._check_blocks(blocks), len(self.operations))

    def count_unique(self, blocks: int) -> int:
        """Unique cells of `blocks` blocks."""
        return counting.count_unique(self._check_blocks(blocks), len(self.operations))

    def _rows(self, cells: Rows) -> Rows:
        return rows.as_rows(cells, self.width)

    def _cells(self, cells: Rows) -> Rows:
        """Rows whose tokens are checked."""
        given = self._rows(cells)
        rows.check_rows(given, len(self.operations))
        return given

    def _check_distinct(self, n: int, blocks: int, unique: bool) -> None:
        if not unique:
            raise SettingError("distinct is True with unique False; distinct cells are unique ones")
        there = self.count_unique(blocks)
        if n > there:
            raise SettingError(
                f"cannot draw {n} distinct cells of {text.name_size(blocks)}; there are {there:,}"
            )

    def _check_blocks(self, blocks: int) -> int:
        if not rows.is_whole(blocks) or not 1 <= blocks <= self.max_blocks:
            raise SettingError(f"cells of {blocks} blocks; this space holds those of 1 to {self.max_blocks}")
        return blocks


def _check_operations(operations: tuple[str, ...]) -> None:
    if not 1 <= len(operations) <= MOST_OPERATIONS:
        raise SettingError(f"{len(operations)} operations; a space has from 1 to {MOST_OPERATIONS}")
    for index, name in enumerate(operations):
        if not isinstance(name, str) or _IDENTIFIER.fullmatch(name) is None:
            raise SettingError(f"operation {name!r} is no name; use a-z, 0-9 and _, a letter first")
        if name in operations[:index]:
            raise SettingError(f"operation {name!r} is listed twice; names must be distinct")
