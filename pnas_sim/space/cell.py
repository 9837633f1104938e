"""One cell as a person or a picture sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pnas_sim.space.rows import TOKENS_PER_BLOCK, Rows, count_blocks
from pnas_sim.space.text import format_cells, input_number

if TYPE_CHECKING:
    from pnas_sim.space.cell_space import CellSpace


@dataclass(frozen=True, slots=True)
class Block:
    """op1(input1) + op2(input2), inputs as in the text: -2, -1, or the number of a block from 1."""

    input1: int
    input2: int
    op1: str
    op2: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of a space, as it is written.

    Attributes:
        space: the space it is of.
        tokens: I1, I2, O1, O2 of each block, without padding.
    """

    space: CellSpace
    tokens: tuple[int, ...]

    @staticmethod
    def parse(text: str, space: CellSpace) -> Cell:
        """The cell of a text.

        Raises:
            CellError: the text is not a cell of the space.
        """
        return Cell.of_row(space.parse(text), space)

    @staticmethod
    def of_row(row: Rows, space: CellSpace) -> Cell:
        """The cell of a valid row (`uint8[width]`)."""
        size = TOKENS_PER_BLOCK * int(count_blocks(row[None])[0])
        return Cell(space, tuple(row[:size].tolist()))

    @property
    def row(self) -> Rows:
        """Its row, `uint8[width]`."""
        row: Rows = self.space.fit_width(np.array([self.tokens], np.uint8))[0]
        return row

    @property
    def text(self) -> str:
        """Its text, as it is written."""
        return format_cells(self.row[None], self.space.operations)[0]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Its blocks, in order."""
        operations = self.space.operations
        rows = zip(*(iter(self.tokens),) * TOKENS_PER_BLOCK, strict=True)
        return tuple(
            Block(input_number(input1), input_number(input2), operations[op1], operations[op2])
            for input1, input2, op1, op2 in rows
        )

    @property
    def unused_inputs(self) -> tuple[int, ...]:
        """Which of -2 and -1 no block reads; these join the cell's output, as in the published networks."""
        return tuple(number for number in (-2, -1) if self.count_uses(number) == 0)

    def count_uses(self, number: int) -> int:
        """How many halves read this input or block (-2, -1, or a block's number)."""
        return sum((block.input1 == number) + (block.input2 == number) for block in self.blocks)

    def canonical(self) -> Cell:
        """The same cell in its canonical form."""
        return Cell.of_row(self.space.canonical(self.row[None])[0], self.space)
