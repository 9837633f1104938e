"""A cell as an SVG drawing like the paper's figure 1: inputs below, blocks above, concatenation on top."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from xml.sax.saxutils import escape

from pnas_sim.space import Block, Cell

BOX_WIDTH, BOX_HEIGHT, GAP = 84, 30, 10
COLUMN = 2 * BOX_WIDTH + GAP + 34  # from one block to the next
ROW = 132  # from one depth to the next
MARGIN = 28
ADD_RADIUS, ADD_HEIGHT = 12, 22  # of the sum's circle, and how far it stands above the boxes
INPUT_WIDTH = 120
INPUT_RISE = 72  # from an input to the boxes of blocks that read nothing but inputs
BLOCK_RISE = ROW - BOX_HEIGHT - ADD_HEIGHT - ADD_RADIUS  # from a sum to the boxes one deeper
SWEEPS = 4  # of the ordering of columns

INK, PALE, PAPER = "#1f2933", "#8b98a5", "#ffffff"
FONT = "Helvetica, Arial, DejaVu Sans, sans-serif"

FAMILIES: Mapping[str, tuple[str, str]] = MappingProxyType(  # beginning of a name: fill and edge
    {
        "sep": ("#dbe9fb", "#3f7fca"),
        "dil": ("#fde8cf", "#d98324"),
        "conv": ("#e8dff7", "#7d56c2"),
        "avg": ("#dcf3e4", "#3d9a63"),
        "max": ("#dcf3e4", "#3d9a63"),
        "id": ("#eceff2", "#77838f"),
    }
)
OTHER = ("#f7e1e6", "#c05574")
LABELS: Mapping[str, str] = MappingProxyType(
    {
        "sep3": "sep 3x3",
        "sep5": "sep 5x5",
        "sep7": "sep 7x7",
        "conv1x7": "1x7 - 7x1",
        "id": "identity",
        "avg3": "avg 3x3",
        "max3": "max 3x3",
        "dil3": "dilated 3x3",
    }
)
INPUT_LABELS = {-2: "cell before (-2)", -1: "last cell (-1)"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands, in pixels; y grows downwards.

    Attributes:
        width: of the drawing.
        height: of the drawing.
        centres: of each block's two boxes together, at the height of the boxes' tops.
        inputs: of the two inputs' boxes, at the height of their tops.
        top: the lower edge of the concatenation.
    """

    width: int
    height: int
    centres: Mapping[int, tuple[float, float]]
    inputs: Mapping[int, tuple[float, float]]
    top: float


def picture_cell(cell: Cell) -> str:
    """The SVG text of a cell's drawing; the same cell as written gives the same text."""
    layout = _lay_out(cell)
    parts = [*_draw_edges(cell, layout), *_draw_inputs(layout), *_draw_blocks(cell, layout)]
    parts += _draw_concatenation(layout)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{layout.width}" height="{layout.height}" '
        f'viewBox="0 0 {layout.width} {layout.height}" role="img" font-family="{FONT}" font-size="13">'
    )
    title = f"<title>{escape(cell.text)}</title>"
    paper = f'<rect width="100%" height="100%" rx="10" fill="{PAPER}"/>'
    return "\n".join([head, title, paper, *parts, "</svg>", ""])


# --------------------------------------------------------------------------------------------------- layout


def _lay_out(cell: Cell) -> Layout:
    blocks = cell.blocks
    depths = _measure_depths(blocks)
    order = _order_columns(blocks)
    width = 2 * MARGIN + COLUMN * max(2, len(blocks))
    left = (width - COLUMN * len(blocks)) / 2
    deepest = max(depths.values())
    top = MARGIN + 34.0
    height = int(top + 40 + ROW * deepest + BOX_HEIGHT + MARGIN + 14)
    bottom = height - MARGIN - BOX_HEIGHT
    centres = {
        number: (left + COLUMN * (place + 0.5), bottom - ROW * depths[number] + ROW - INPUT_RISE - BOX_HEIGHT)
        for place, number in enumerate(order)
    }
    inputs = {-2: (width * 0.33, float(bottom)), -1: (width * 0.67, float(bottom))}
    return Layout(width, height, centres, inputs, top)


def _measure_depths(blocks: tuple[Block, ...]) -> dict[int, int]:
    """Of each block (from 1), the longest way from an input, in blocks."""
    depths: dict[int, int] = {}
    for number, block in enumerate(blocks, 1):
        depths[number] = 1 + max(depths.get(source, 0) for source in (block.input1, block.input2))
    return depths


def _order_columns(blocks: tuple[Block, ...]) -> list[int]:
    """Blocks from left to right: each drawn towards what it reads and what reads it."""
    numbers = list(range(1, len(blocks) + 1))
    at = {-2: -0.25, -1: 1.25} | {number: number / (len(blocks) + 1) for number in numbers}
    for _ in range(SWEEPS):
        pulls = {number: _neighbours(blocks, number) for number in numbers}
        wanted = {number: sum(at[n] for n in pulls[number]) / len(pulls[number]) for number in numbers}
        ranked = sorted(numbers, key=lambda number: (round(wanted[number], 9), number))
        at |= {number: (rank + 1) / (len(blocks) + 1) for rank, number in enumerate(ranked)}
    return sorted(numbers, key=lambda number: at[number])


def _neighbours(blocks: tuple[Block, ...], number: int) -> list[int]:
    block = blocks[number - 1]
    readers = [place for place, other in enumerate(blocks, 1) if number in (other.input1, other.input2)]
    return [block.input1, block.input2, *readers]


def _halves(block: Block, layout: Layout) -> list[tuple[int, str]]:
    """Input and operation of the left and of the right box: the input further left comes to the left."""
    places = {**layout.inputs, **layout.centres}
    pairs = [(block.input1, block.op1), (block.input2, block.op2)]
    return sorted(pairs, key=lambda pair: places[pair[0]][0])


# -------------------------------------------------------------------------------------------------- drawing


def _draw_edges(cell: Cell, layout: Layout) -> Iterator[str]:
    for number, block in enumerate(cell.blocks, 1):
        x, y = layout.centres[number]
        for side, (source, _) in zip((-1, 1), _halves(block, layout), strict=True):
            box = x + side * (BOX_WIDTH + GAP) / 2
            corridor = _output_of(source, layout)[1] - (INPUT_RISE if source < 0 else BLOCK_RISE)
            yield _curve(_output_of(source, layout), (box, corridor), INK, straight_to=y + BOX_HEIGHT)
            yield _curve((box, y), (x + side * 4, y - ADD_HEIGHT + ADD_RADIUS / 2), INK)
        yield _curve(_output_of(number, layout), (x, layout.top), PALE)
    for number in cell.unused_inputs:
        x, y = layout.inputs[number]
        edge = MARGIN / 2 if number == -2 else layout.width - MARGIN / 2
        target = edge + (24 if number == -2 else -24)
        rise = f"C{edge:.1f} {y - 60:.1f} {edge:.1f} {y - 40:.1f} {edge:.1f} {y - 110:.1f}"
        end = f"Q{edge:.1f} {layout.top + 10:.1f} {target:.1f} {layout.top:.1f}"
        path = f"M{x:.1f} {y:.1f} {rise} V{layout.top + 40:.1f} {end}"
        yield f'<path d="{path}" fill="none" stroke="{PALE}" stroke-width="1.6" stroke-dasharray="5 4"/>'


def _output_of(source: int, layout: Layout) -> tuple[float, float]:
    if source in layout.inputs:
        return layout.inputs[source]
    x, y = layout.centres[source]
    return x, y - ADD_HEIGHT - ADD_RADIUS


def _curve(
    start: tuple[float, float], end: tuple[float, float], colour: str, straight_to: float | None = None
) -> str:
    """A curve, then a straight line up its own column, so that it passes behind no other block's boxes."""
    (x1, y1), (x2, y2) = start, end
    bend = (y1 - y2) * 0.5
    line = "" if straight_to is None else f" V{straight_to:.1f}"
    path = f"M{x1:.1f} {y1:.1f} C{x1:.1f} {y1 - bend:.1f} {x2:.1f} {y2 + bend:.1f} {x2:.1f} {y2:.1f}{line}"
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'


def _draw_inputs(layout: Layout) -> Iterator[str]:
    for number, (x, y) in layout.inputs.items():
        yield _box(x - INPUT_WIDTH / 2, y, INPUT_WIDTH, INPUT_LABELS[number], INK, INK, PAPER)


def _draw_blocks(cell: Cell, layout: Layout) -> Iterator[str]:
    for number, block in enumerate(cell.blocks, 1):
        x, y = layout.centres[number]
        for side, (_, operation) in zip((-1, 1), _halves(block, layout), strict=True):
            left = x + side * (BOX_WIDTH + GAP) / 2 - BOX_WIDTH / 2
            fill, edge = _colours(operation)
            yield _box(left, y, BOX_WIDTH, LABELS.get(operation, operation), fill, edge, INK)
        yield (
            f'<circle cx="{x:.1f}" cy="{y - ADD_HEIGHT:.1f}" r="{ADD_RADIUS}" fill="{PAPER}" stroke="{INK}" '
            f'stroke-width="1.4"/>'
        )
        yield _words(x, y - ADD_HEIGHT, "+", INK)
        at = f'x="{x + 18:.1f}" y="{y - ADD_HEIGHT - 4:.1f}"'
        yield f'<text {at} fill="{PALE}" font-size="11">{number}</text>'


def _draw_concatenation(layout: Layout) -> Iterator[str]:
    yield _box(MARGIN, layout.top - BOX_HEIGHT, layout.width - 2 * MARGIN, "concatenate", INK, INK, PAPER)


def _box(left: float, top: float, width: float, label: str, fill: str, edge: str, ink: str) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{BOX_HEIGHT}" rx="7" fill="{fill}" '
        f'stroke="{edge}" stroke-width="1.2"/>' + _words(left + width / 2, top + BOX_HEIGHT / 2, label, ink)
    )


def _words(x: float, y: float, text: str, ink: str) -> str:
    return f'<text x="{x:.1f}" y="{y + 4.5:.1f}" text-anchor="middle" fill="{ink}">{escape(text)}</text>'


def _colours(operation: str) -> tuple[str, str]:
    """Fill and edge of an operation's family."""
    matching = (colours for start, colours in FAMILIES.items() if operation.startswith(start))
    return next(matching, OTHER)
