"""What is searched: cells as token rows, their expansion, canonical form, sampling, text and counts.

`CellSpace` is the way in. Section 3 of the paper.
"""

from pnas_sim.space.cell import Block, Cell
from pnas_sim.space.cell_space import PAPER_OPERATIONS, CellSpace
from pnas_sim.space.expansion import Expansion
from pnas_sim.space.genotype import DARTS_NAMES, Genotype
from pnas_sim.space.known_cells import KNOWN_CELLS
from pnas_sim.space.rows import INPUT_BEFORE_PREVIOUS, INPUT_PREVIOUS, PAD
from pnas_sim.space.text import name_size

__all__ = [
    "DARTS_NAMES",
    "INPUT_BEFORE_PREVIOUS",
    "INPUT_PREVIOUS",
    "KNOWN_CELLS",
    "PAD",
    "PAPER_OPERATIONS",
    "Block",
    "Cell",
    "CellSpace",
    "Expansion",
    "Genotype",
    "name_size",
]
