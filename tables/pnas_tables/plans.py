"""Which cells are trained, with which seeds, in which order: so that a table is useful at every point.

A plan is a list of steps. All its uniform draws of one block count come from one endless stream of distinct
cells, fixed by the plan's seed: a step names a stretch of that stream, so a longer plan goes on where a
shorter one stopped, and a second seed is asked for by naming the same stretch again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError
from pnas_sim.space import CellSpace

Rows: TypeAlias = NDArray[np.uint8]

STREAM_CHUNK = 64  # cells drawn from one generator; part of the stream's definition


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of cells to be trained with one seed.

    Attributes:
        kind: `all` cells of that size, in the space's order, or `uniform` draws over unique cells.
        blocks: of each cell.
        start: the first of the stretch; counted in the enumeration or the stream.
        stop: one past the last of it.
        seed: the training seed.
    """

    kind: Literal["all", "uniform"]
    blocks: int
    start: int
    stop: int
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """An ordered list of steps.

    Attributes:
        name: of the table it makes.
        seed: of the stream of uniform cells.
        steps: in order.
    """

    name: str
    seed: int
    steps: tuple[Step, ...]

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {"name": self.name, "seed": self.seed, "steps": [asdict(step) for step in self.steps]}


@dataclass(frozen=True, slots=True)
class Jobs:
    """Children to train, in order.

    Attributes:
        cells: `uint8[k, width]`, canonical.
        seeds: `int64[k]`, training seeds.
        origins: k words on why the cell was chosen.
    """

    cells: Rows
    seeds: NDArray[np.int64]
    origins: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.seeds)

    def take(self, places: Sequence[int]) -> Jobs:
        """The jobs at these places, in their order."""
        index = np.asarray(places, np.intp)
        return Jobs(self.cells[index], self.seeds[index], tuple(self.origins[i] for i in index))


def list_jobs(plan: Plan, space: CellSpace) -> Jobs:
    """The plan's children, each (cell, seed) once.

    Raises:
        SettingError: a step asks for more cells than there are, or larger ones than the space holds.
    """
    cells, seeds, origins = [space.initial()[:0]], [], []
    needed = {step.blocks: 0 for step in plan.steps}
    for step in plan.steps:
        needed[step.blocks] = max(needed[step.blocks], step.stop if step.kind == "uniform" else 0)
    streams = {blocks: draw_cells(space, blocks, count, plan.seed) for blocks, count in needed.items()}
    for step in plan.steps:
        source = streams[step.blocks] if step.kind == "uniform" else enumerate_cells(space, step.blocks)
        stretch = source[step.start : step.stop]
        cells.append(stretch)
        seeds += [step.seed] * len(stretch)
        origins += [f"all-{step.blocks}" if step.kind == "all" else "uniform"] * len(stretch)
    return _without_repeats(Jobs(np.concatenate(cells), np.array(seeds, np.int64), tuple(origins)))


def _without_repeats(jobs: Jobs) -> Jobs:
    seen: set[tuple[bytes, int]] = set()
    kept = []
    for place, (row, seed) in enumerate(zip(jobs.cells, jobs.seeds, strict=True)):
        key = (row.tobytes(), int(seed))
        if key not in seen:
            seen.add(key)
            kept.append(place)
    return jobs.take(kept)


def draw_cells(space: CellSpace, blocks: int, count: int, seed: int) -> Rows:
    """The first `count` cells of the stream: independent uniform draws over unique cells, repeats left out.

    Raises:
        SettingError: there are not that many cells.
    """
    if not 1 <= blocks <= space.max_blocks:
        raise SettingError(f"cells of {blocks} blocks asked for; the space has 1 to {space.max_blocks}")
    if count > space.count_unique(blocks):
        there = space.count_unique(blocks)
        raise SettingError(f"{count} cells of {blocks} blocks asked for; there are {there}; ask for fewer")
    found: dict[bytes, Rows] = {}
    for chunk in _chunks(space, blocks, seed):
        if len(found) >= count:
            break
        for row in chunk:
            found.setdefault(row.tobytes(), row)
    return np.array(list(found.values())[:count], np.uint8).reshape(-1, space.width)


def _chunks(space: CellSpace, blocks: int, seed: int) -> Iterator[Rows]:
    number = 0
    while True:
        rng = np.random.default_rng(np.random.SeedSequence([seed, blocks, number]))
        yield space.canonical(space.sample(STREAM_CHUNK, rng, blocks=blocks, unique=True))
        number += 1


def enumerate_cells(space: CellSpace, blocks: int) -> Rows:
    """All unique cells of one size, in the order of expansion.

    Raises:
        SettingError: there are too many to train.
    """
    count = space.count_unique(blocks)
    if count > 1_000_000:
        raise SettingError(f"all {count} cells of {blocks} blocks asked for; at most 1000000 can be listed")
    cells: Rows = space.initial()
    for _ in range(blocks - 1):
        grown = space.canonical(space.expand(cells).cells)
        cells = grown[space.unique(grown)[0]]
    return cells


def sample_plan(
    name: str, cells: int, blocks: Sequence[int], seeds: int, seed: int, space: CellSpace
) -> Plan:
    """A plan of `cells` uniform cells shared evenly among block counts, each with `seeds` training seeds.

    Where a size has fewer cells than its share, all of them are taken and the others get what is left over.

    Raises:
        SettingError: a number is below 1, or there are not that many cells.
    """
    for what, number in (("cells", cells), ("seeds", seeds), *(("blocks", b) for b in blocks)):
        if number < 1:
            raise SettingError(f"{what} is {number}; it must be at least 1")
    if max(blocks, default=0) > space.max_blocks or not blocks:
        raise SettingError(f"blocks {list(blocks)} asked for; the space has cells of 1 to {space.max_blocks}")
    steps, left = [], cells
    sizes = sorted(set(blocks))
    for place, size in enumerate(sizes):
        share = min(left // (len(sizes) - place), space.count_unique(size))
        kind: Literal["all", "uniform"] = "all" if share == space.count_unique(size) else "uniform"
        steps += [Step(kind, size, 0, share, index) for index in range(seeds)]
        left -= share
    if left:
        raise SettingError(f"{cells} cells asked for; sizes {sizes} have {cells - left}; ask for fewer")
    return Plan(name, seed, tuple(steps))


# ------------------------------------------------------------------------------------------ the shipped plan


def _rounds(smaller: tuple[int, int], five: tuple[int, int], rounds: int) -> list[list[Step]]:
    """Rounds that bring sizes 2 to 4 and size 5 from one number of cells to another together, fives first."""
    fives = np.linspace(*five, rounds + 1).astype(int).tolist()
    others = np.linspace(*smaller, rounds + 1).astype(int).tolist()
    return [
        [
            Step("uniform", 5, fives[r], fives[r + 1]),
            *(Step("uniform", blocks, others[r], others[r + 1]) for blocks in (2, 3, 4)),
        ]
        for r in range(rounds)
    ]


def _shipped_steps() -> Iterator[Step]:
    yield Step("all", 1, 0, 136)
    first = _rounds((0, 40), (0, 40), 4)
    for number, steps in enumerate(first):
        yield from steps
        if number > 0:  # second seeds of ten of the five-block cells already there
            yield Step("uniform", 5, 10 * (number - 1), 10 * number, seed=1)
    for steps in (*_rounds((40, 150), (40, 300), 11), *_rounds((150, 300), (300, 700), 15)):
        yield from steps


CIFAR10_16PX = Plan("cifar10-16px", 20261124, tuple(_shipped_steps()))

PLANS = {CIFAR10_16PX.name: CIFAR10_16PX}


def find_plan(name: str) -> Plan:
    """The plan of this name.

    Raises:
        SettingError: there is none.
    """
    if name not in PLANS:
        raise SettingError(f"plan {name!r} is unknown; known are: {', '.join(sorted(PLANS))}")
    return PLANS[name]
