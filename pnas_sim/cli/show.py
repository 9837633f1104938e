"""`pnas-sim show`: one cell as text, picture and network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pnas_sim.cli.lists import split_list
from pnas_sim.cli.options import NEW_FILE, example, json_option, verbose_option
from pnas_sim.cli.output import say, write_json, write_text

if TYPE_CHECKING:
    from pnas_backends.training.layout import NetworkShape
    from pnas_sim.space import Cell, CellSpace

PRESETS = ("search", "cifar10", "imagenet-mobile", "imagenet-large")
MOST_BLOCKS = 10


@click.command(
    epilog=example(
        "pnas-sim show PNASNet-5 --preset imagenet-large",
        "pnas-sim show 'sep7(-1)+max3(-1)' --cells-per-stage 6 --filters 44 --svg cell.svg",
        "pnas-sim show PNASNet-5 --png cell.png",
    )
)
@click.argument("cell")
@click.option("--preset", type=click.Choice(PRESETS), help="The network around the cell.  [default: search]")
@click.option("--cells-per-stage", type=int, help="N: the network has 3N cells.")
@click.option("--filters", type=int, help="F of the first stage.")
@click.option("--image-size", type=int, help="Pixels of an image's side.")
@click.option(
    "--operations", metavar="NAMES", help="The space's operations, commas between, if not the paper's."
)
@click.option("--svg", type=NEW_FILE, metavar="FILE", help="Write the cell's picture there.")
@click.option("--png", type=NEW_FILE, metavar="FILE", help="Write it there as PNG (needs matplotlib).")
@json_option
@verbose_option
def show(
    cell: str,
    preset: str | None,
    cells_per_stage: int | None,
    filters: int | None,
    image_size: int | None,
    operations: str | None,
    svg: Path | None,
    png: Path | None,
    as_json: bool,
) -> None:
    """Show one CELL: text, picture, and what its network costs.

    CELL is a text such as 'sep5(-2)+max3(-2) | id(-1)+sep3(1)' or one of the paper's cells, PNASNet-1 to
    PNASNet-5.
    """
    from pnas_sim.space import Cell

    space = _make_space(operations)
    parsed = Cell.parse(cell, space)
    given: dict[str, int | None] = {
        "cells_per_stage": cells_per_stage,
        "filters": filters,
        "image_size": image_size,
    }
    shape = _make_shape(
        preset or "search", {name: value for name, value in given.items() if value is not None}
    )
    facts = _describe(parsed, space, shape, preset or "search")
    _write_pictures(svg, png, parsed)
    if as_json:
        write_json(facts)
    else:
        _print_facts(parsed, facts)


def _make_space(operations: str | None) -> CellSpace:
    from pnas_sim.space import CellSpace

    if operations is None:
        return CellSpace(max_blocks=MOST_BLOCKS)
    return CellSpace(operations=tuple(split_list(operations)), max_blocks=MOST_BLOCKS)


def _make_shape(preset: str, given: dict[str, Any]) -> NetworkShape:
    from dataclasses import replace

    from pnas_backends.training.layout import PRESETS as SHAPES

    return replace(SHAPES[preset], **given)


def _describe(cell: Cell, space: CellSpace, shape: NetworkShape, preset: str) -> dict[str, Any]:
    """What `--json` says."""
    parameters, multiply_adds = _count_costs(cell, space, shape)
    return {
        "kind": "cell",
        "schema": 1,
        "cell": cell.text,
        "canonical": cell.canonical().text,
        "blocks": len(cell.blocks),
        "unused_inputs": list(cell.unused_inputs),
        "network": {
            "preset": preset,
            "cells_per_stage": shape.cells_per_stage,
            "filters": shape.filters,
            "image_size": shape.image_size,
            "classes": shape.classes,
        },
        "parameters": parameters,
        "multiply_adds": multiply_adds,
    }


def _count_costs(cell: Cell, space: CellSpace, shape: NetworkShape) -> tuple[int | None, int | None]:
    """Parameters and multiply-adds; None where an operation is not one that can be trained."""
    from pnas_backends.training.costs import cell_costs
    from pnas_sim.errors import CellError

    try:
        parameters, multiply_adds = cell_costs(cell.row[None], space, shape)
    except CellError as error:
        say(f"no costs: {error}")
        return None, None
    return int(parameters[0]), int(multiply_adds[0])


def _write_pictures(svg: Path | None, png: Path | None, cell: Cell) -> None:
    """Writes those that are asked for, once all of them are drawn."""
    from pnas_sim.cli.folder import write_whole

    pictures: list[tuple[str, Path, str | bytes]] = []
    if svg is not None:
        from pnas_sim.report.picture import picture_cell

        pictures.append(("--svg", svg, picture_cell(cell)))
    if png is not None:
        from pnas_sim.report.picture_png import render_png

        pictures.append(("--png", png, render_png(cell)))
    for option, path, content in pictures:
        write_whole(path, content, option, then="give the command again")
        say(f"picture: {path}")


def _print_facts(cell: Cell, facts: dict[str, Any]) -> None:
    from pnas_sim.report.drawing import choose_strokes, draw_cell
    from pnas_sim.report.text import format_count, format_large

    unused = ", ".join(map(str, facts["unused_inputs"]))
    network = facts["network"]
    lines = [
        f"as written  {facts['cell']}",
        f"canonical   {facts['canonical']}",
        "",
        *draw_cell(cell, choose_strokes(sys.stdout.encoding)),
        "",
        f"unused      {unused + ' (joins the output)' if unused else 'none: every input is read'}",
        f"network     {network['preset']}: N = {network['cells_per_stage']}, F = {network['filters']}, "
        f"{network['image_size']} x {network['image_size']} pixels, {network['classes']} classes",
        f"parameters  {format_count(facts['parameters'])}",
        f"mult-adds   {format_large(facts['multiply_adds'])} ({format_count(facts['multiply_adds'])})",
    ]
    write_text("\n".join(lines))
