"""The text of a cell: `sep5(-2)+max3(-2) | sep7(-1)+max3(-1) | id(1)+sep3(2)`.

Blocks are separated by `|`, the halves of a block by `+`; a half is an operation and its input: -2 and -1 for
the outputs of the cell before the previous one and of the previous one, k for block k (from 1). White space
means nothing. Published cells have names that are read, too (`pnas_sim.space.known_cells`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import numpy as np

from pnas_sim.errors import CellError
from pnas_sim.space.arrays import Rows
from pnas_sim.space.known_cells import KNOWN_CELLS, find_known_cell
from pnas_sim.space.rows import PAD, TOKENS_PER_BLOCK

_HALF = re.compile(r"\s*([^\s()+|]+)\s*\(\s*([^\s()+|]+)\s*\)\s*", re.ASCII)
_SHAPE = "operation(input)+operation(input)"
_INPUT = re.compile(r"-?[1-9][0-9]{0,8}", re.ASCII)


def parse_cell(text: str, operations: Sequence[str], width: int) -> Rows:
    """The row of a text as it is written, or of a published cell's name, `uint8[width]`.

    Raises:
        CellError: it is no text, or names the piece that is wrong and what may stand there.
    """
    if not isinstance(text, str):
        raise CellError(f"a cell is {type(text).__name__}; give its text, such as {_SHAPE}")
    text = find_known_cell(text)
    if text.strip() and not set("()+|") & set(text):
        known = ", ".join(KNOWN_CELLS)
        raise CellError(f"unknown cell {shorten(text.strip())}: one of {known}, or write {_SHAPE}")
    pieces = text.split("|")
    most = width // TOKENS_PER_BLOCK
    if len(pieces) > most:
        raise CellError(f"a cell of {len(pieces)} blocks in {shorten(text)}; this space holds at most {most}")
    row = np.full(width, PAD, np.uint8)
    for index, piece in enumerate(pieces):
        start = TOKENS_PER_BLOCK * index
        row[start : start + TOKENS_PER_BLOCK] = _parse_block(piece, index + 1, operations, text)
    return row


def format_cells(cells: Rows, operations: tuple[str, ...]) -> list[str]:
    """The text of each valid row (`uint8[n, width]`), as the row is written."""
    blocks = cells.shape[1] // TOKENS_PER_BLOCK
    halves = _list_halves(operations, blocks + 1)
    starts = range(0, cells.shape[1], TOKENS_PER_BLOCK)
    texts = []
    for row in cells.tolist():
        filled = (row[start : start + TOKENS_PER_BLOCK] for start in starts if row[start] != PAD)
        texts.append(" | ".join([f"{halves[o1][i1]}+{halves[o2][i2]}" for i1, i2, o1, o2 in filled]))
    return texts


@cache
def _list_halves(operations: tuple[str, ...], inputs: int) -> list[list[str]]:
    """The text of each half, by operation and then by input."""
    return [[f"{operation}({input_number(token)})" for token in range(inputs)] for operation in operations]


def input_number(token: int) -> int:
    """How an input's token is written: -2, -1, or the number of a block from 1."""
    return token - 2 if token < 2 else token - 1


def input_token(number: int) -> int:
    """The token of an input that is written so."""
    return number + 2 if number < 0 else number + 1


def shorten(text: str) -> str:
    """A text in quotes, cut where it would fill the screen."""
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _parse_block(piece: str, block: int, operations: Sequence[str], text: str) -> list[int]:
    halves = piece.split("+")
    if not piece.strip():
        raise CellError(f"block {block} is empty in {shorten(text)}; write {_SHAPE}")
    if len(halves) != 2:
        raise CellError(f"block {block} is {shorten(piece.strip())}; write {_SHAPE}")
    (input1, op1), (input2, op2) = (_parse_half(half, block, operations, text) for half in halves)
    return [input1, input2, op1, op2]


def _parse_half(half: str, block: int, operations: Sequence[str], text: str) -> tuple[int, int]:
    match = _HALF.fullmatch(half)
    if match is None:
        raise CellError(
            f"cannot read {shorten(half.strip())} in block {block} of {shorten(text)}; write {_SHAPE}"
        )
    operation, number = match.groups()
    if operation not in operations:
        choices = ", ".join(operations)
        raise CellError(f"unknown operation {shorten(operation)} in {shorten(text)}: one of {choices}")
    allowed = [-2, -1, *range(1, block)]
    if _INPUT.fullmatch(number) is None or int(number) not in allowed:
        choices = ", ".join(str(choice) for choice in allowed)
        number = shorten(number)[1:-1]
        raise CellError(f"input {number} of block {block} in {shorten(text)}: one of {choices}")
    return input_token(int(number)), list(operations).index(operation)


def name_size(blocks: int) -> str:
    """`1 block`, `2 blocks`."""
    return f"{blocks} block{'' if blocks == 1 else 's'}"
