"""Cells in the notation of DARTS and its descendants (Liu et al., ICLR 2019), which give NASNet-A in it, too.

A cell is a list of pairs (operation, input index), two for each block, in order: the pairs 2k - 2 and 2k - 1
are the halves of block k, which are added. Index 0 is the output of the cell before the previous one (-2 in
this project's text), 1 that of the previous one (-1), k + 1 that of block k. Beside it stand the indices of
what is concatenated into the cell's output. Operations have their names there (`DARTS_NAMES`), others their
own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pnas_sim.errors import CellError
from pnas_sim.space.text import input_number, input_token

if TYPE_CHECKING:
    from pnas_sim.space.cell import Cell

Pairs: TypeAlias = list[tuple[str, int]]

DARTS_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "sep3": "sep_conv_3x3",
        "sep5": "sep_conv_5x5",
        "sep7": "sep_conv_7x7",
        "conv1x7": "conv_7x1_1x7",
        "id": "skip_connect",
        "avg3": "avg_pool_3x3",
        "max3": "max_pool_3x3",
        "dil3": "dil_conv_3x3",
    }
)
_OWN_NAMES = {darts: own for own, darts in DARTS_NAMES.items()}


class Genotype(NamedTuple):
    """A cell as DARTS writes one; `reduce` says the same as `normal`, for the paper has one cell type.

    Attributes:
        normal: two pairs (operation, input index) for each block.
        normal_concat: indices of what is concatenated, in the order of the output's channels: every block,
            then each of the two inputs that no block reads.
        reduce: of the cells with stride 2.
        reduce_concat: likewise.
    """

    normal: Pairs
    normal_concat: list[int]
    reduce: Pairs
    reduce_concat: list[int]


def write_genotype(cell: Cell) -> Genotype:
    """The genotype of a cell, its blocks and halves as they are written."""
    known = cell.space.operations
    pairs: Pairs = []
    for block in cell.blocks:
        for operation, number in ((block.op1, block.input1), (block.op2, block.input2)):
            darts = DARTS_NAMES.get(operation, operation)  # unless the space has another operation named so
            pairs.append((operation if darts in known else darts, input_token(number)))
    concat = list_concatenated(cell)
    return Genotype(pairs, concat, list(pairs), list(concat))


def list_concatenated(cell: Cell) -> list[int]:
    """Indices of what a cell's output is joined from: its blocks, then the inputs that no block reads."""
    return [*range(2, len(cell.blocks) + 2), *map(input_token, cell.unused_inputs)]


def read_pairs(genotype: Any, operations: Sequence[str]) -> list[tuple[int, int, str, str]]:
    """The blocks of a genotype: two inputs, as the text numbers them, and two operations.

    Args:
        genotype: `Genotype`, or any object with its four attributes.
        operations: of the space; names of DARTS and the space's own will do.

    Raises:
        CellError: it has not the four attributes, normal and reduction cells differ, or it is no list of two
            pairs a block.
    """
    try:
        one = list(genotype.normal), sorted(genotype.normal_concat)
        other = list(genotype.reduce), sorted(genotype.reduce_concat)
        halves = [(str(operation), input_number(index(source))) for operation, source in one[0]]
    except (AttributeError, TypeError, ValueError):
        raise CellError(
            f"genotype is {type(genotype).__name__}; give normal, normal_concat, reduce, reduce_concat, with "
            "pairs (operation, input index)"
        ) from None
    if one != other:
        raise CellError("the genotype's normal and reduction cells differ; this space has one cell type")
    if len(halves) % 2 or not halves:
        raise CellError(f"a genotype of {len(halves)} pairs; give two for each block")
    names = [name if name in operations else _OWN_NAMES.get(name, name) for name, _ in halves]
    inputs = [number for _, number in halves]
    return list(zip(inputs[::2], inputs[1::2], names[::2], names[1::2], strict=True))
