"""A cell as a small drawing of characters, for terminals.

Every input and block has a lane; a block's mark stands in the lanes it reads, and all blocks end in the
concatenation, as do inputs that no block reads (section 3.2 of the paper):

     -2 -1  1  2
      ◉  │        1 = sep5(-2) + max3(-2)
         ●  ●     2 = id(-1) + sep3(1)
            ╰──┴  concatenated: the output
"""

from __future__ import annotations

from dataclasses import dataclass

from pnas_sim.space import Block, Cell

LANE = 3  # characters of a lane


@dataclass(frozen=True, slots=True)
class Strokes:
    """The characters a drawing is made of."""

    once: str
    twice: str
    lane: str
    corner: str
    join: str
    across: str


UNICODE = Strokes("●", "◉", "│", "╰", "┴", "─")
ASCII = Strokes("o", "O", "|", "`", "+", "-")


def draw_cell(cell: Cell, strokes: Strokes = UNICODE) -> list[str]:
    """The lines of a cell's drawing: a heading, one for each block, the concatenation."""
    blocks = cell.blocks
    numbers = [-2, -1, *range(1, len(blocks) + 1)]
    ends = {number: _last_reader(cell, number) for number in numbers}
    heading = "".join(f"{number:>{LANE}}" for number in numbers)
    rows = [
        "".join(f"{_mark(number, place, block, ends[number], strokes):>{LANE}}" for number in numbers)
        + f"  {place} = {block.op1}({block.input1}) + {block.op2}({block.input2})"
        for place, block in enumerate(blocks, 1)
    ]
    return [heading, *rows, _draw_output(cell, numbers, strokes)]


def choose_strokes(encoding: str | None) -> Strokes:
    """Lines and dots where a terminal or pipe of this encoding can show them, else plain ASCII."""
    try:
        "".join((UNICODE.once, UNICODE.twice, UNICODE.lane, UNICODE.corner)).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def _last_reader(cell: Cell, number: int) -> int:
    """The last row a lane reaches: for what is concatenated one past the last block."""
    if number > 0 or number in cell.unused_inputs:
        return len(cell.blocks) + 1
    return max(place for place, block in enumerate(cell.blocks, 1) if number in (block.input1, block.input2))


def _mark(number: int, place: int, block: Block, end: int, strokes: Strokes) -> str:
    """What stands in lane `number` on the row of block `place`."""
    reads = (block.input1 == number) + (block.input2 == number)
    if reads:
        return strokes.twice if reads == 2 else strokes.once
    return strokes.lane if number < place <= end else ""


def _draw_output(cell: Cell, numbers: list[int], strokes: Strokes) -> str:
    joined = [number for number in numbers if number > 0 or number in cell.unused_inputs]
    line = ""
    for number in numbers:
        if number < joined[0]:
            line += " " * LANE
        elif number == joined[0]:
            line += f"{strokes.corner:>{LANE}}"
        else:
            line += strokes.across * (LANE - 1) + (strokes.join if number in joined else strokes.across)
    return f"{line}  concatenated: the output"
