"""What is searched: cells as token rows, their expansion, canonical form, sampling, text and counts.

`CellSpace` is the way in. Section 3 of the paper.
"""

from pnas_sim.space.cell import Block, Cell
from pnas_sim.space.cell_space import PAPER_OPERATIONS, CellSpace
from pnas_sim.space.expansion import Expansion
from pnas_sim.space.rows import INPUT_BEFORE_PREVIOUS, INPUT_PREVIOUS, PAD
from pnas_sim.space.text import name_size

__all__ = [
    "INPUT_BEFORE_PREVIOUS",
    "INPUT_PREVIOUS",
    "PAD",
    "PAPER_OPERATIONS",
    "Block",
    "Cell",
    "CellSpace",
    "Expansion",
    "name_size",
]
