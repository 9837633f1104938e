"""One cell as a person or a picture sees it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pnas_sim.errors import CellError
from pnas_sim.space.arrays import Rows
from pnas_sim.space.genotype import Genotype, list_concatenated, read_pairs, write_genotype
from pnas_sim.space.rows import TOKENS_PER_BLOCK, count_blocks
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

    def __str__(self) -> str:
        return f"{self.op1}({self.input1})+{self.op2}({self.input2})"


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of a space, as it is written; `print` gives its text, a notebook shows its picture.

    Attributes:
        space: the space it is of.
        tokens: I1, I2, O1, O2 of each block, without padding.
    """

    space: CellSpace
    tokens: tuple[int, ...]

    @staticmethod
    def parse(text: str, space: CellSpace) -> Cell:
        """The cell of a text, or of a published cell's name: `Cell.parse("PNASNet-5", CellSpace())`.

        Raises:
            CellError: the text is not a cell of the space.
        """
        if isinstance(space, str):
            raise CellError("Cell.parse was given a text as its space; give the text first, then the space")
        return Cell.of_row(space.parse(text), space)

    @staticmethod
    def from_blocks(blocks: Iterable[Block | tuple[int, int, str, str]], space: CellSpace) -> Cell:
        """The cell of some blocks: `Block`, or plain (input1, input2, op1, op2).

        Raises:
            CellError: they are no cell of the space.
        """
        try:
            given = [block if isinstance(block, Block) else Block(*block) for block in blocks]
        except TypeError:
            raise CellError(f"blocks are {blocks!r}; give (input1, input2, op1, op2) for each") from None
        return Cell.parse(" | ".join(map(str, given)), space)

    @staticmethod
    def from_genotype(genotype: Genotype, space: CellSpace) -> Cell:
        """The cell of a genotype (`pnas_sim.space.genotype`), which may come from other code.

        Args:
            genotype: any object with the four attributes of `Genotype`; operations by their names there or
                in the space.
            space: that the cell is of.

        Raises:
            CellError: it is no cell of the space, its normal and reduction cells differ, or it concatenates
                something else than all blocks and the inputs that no block reads, in any order.
        """
        cell = Cell.from_blocks(read_pairs(genotype, space.operations), space)
        joined, wanted = sorted(genotype.normal_concat), list_concatenated(cell)
        if joined != sorted(wanted):
            raise CellError(
                f"the genotype concatenates {joined}; cells here join every block and the inputs that none "
                f"reads: {wanted}"
            )
        return cell

    @staticmethod
    def of_row(row: Rows, space: CellSpace) -> Cell:
        """The cell of a valid row (`uint8[width]`)."""
        size = TOKENS_PER_BLOCK * int(count_blocks(row[None])[0])
        return Cell(space, tuple(row[:size].tolist()))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Cell({self.text!r})"

    def _repr_svg_(self) -> str:
        """Its picture, by which notebooks show it."""
        # late and against the arrows: nothing of a space needs pictures but this word to a notebook
        from pnas_sim.report.picture import picture_cell

        return picture_cell(self)

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

    def to_genotype(self) -> Genotype:
        """Its blocks and halves as they are written, in DARTS's notation; `from_genotype` gives it back."""
        return write_genotype(self)
