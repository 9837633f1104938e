"""Which cells are trained, with which seeds, in which order: so that a table is useful at every point.

A plan is a list of steps. Cells that are drawn come from endless streams of distinct cells, fixed by the
plan's seed, the block count and the way of drawing: a step names a stretch of such a stream, so a longer plan
goes on where a shorter one stopped, and a second seed is asked for by naming the same stretch again.

Some steps choose by accuracies that are already known (`strata`, `best`). What they choose from is a fixed
stretch too, and they wait until the first seed of all of it is known, so what they choose depends on nothing
but the plan and those accuracies: not on when a sitting stopped, nor on what else has been trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_tables.choices import choose_best, choose_strata

Kind: TypeAlias = Literal["all", "uniform", "raw", "sealed", "strata", "best"]
Results: TypeAlias = Mapping[tuple[bytes, int], float]  # accuracy by a row's bytes and training seed

MOST_SEEDS = 1000  # of a cell; far above any use, and a plan has a step for each
STREAM_CHUNK = 64  # cells drawn from one generator; part of the streams' definition
STREAMS: Mapping[str, tuple[int, ...]] = {"uniform": (), "sealed": (1,), "raw": (2,)}  # ends of their entropy


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of cells to be trained with one seed.

    Attributes:
        kind: `all` cells of that size, in the space's order; `uniform` draws over unique cells; `raw` draws,
            uniform over raw rows; `sealed`: other uniform draws, of cells that are never fitted; `strata`:
            `count` cells a stratum of the stretch of the `uniform` stream (see `choose_strata`); `best`: the
            `count` best of all cells of up to that size.
        blocks: of each cell.
        start: the first of the stretch; counted in the enumeration or the stream.
        stop: one past the last of it.
        seed: the training seed.
        count: of `strata` and `best`.
    """

    kind: Kind
    blocks: int
    start: int
    stop: int
    seed: int = 0
    count: int = 0

    @property
    def origin(self) -> str:
        """The word on why its cells are trained; a repetition is no reason of its own."""
        words = {"all": f"all-{self.blocks}", "strata": "uniform", "best": ""}
        return words.get(self.kind, self.kind)


@dataclass(frozen=True, slots=True)
class Plan:
    """An ordered list of steps.

    Attributes:
        name: of the table it makes.
        seed: of the streams of cells.
        steps: in order.
        space: of the cells.
    """

    name: str
    seed: int
    steps: tuple[Step, ...]
    space: CellSpace = field(default_factory=CellSpace)

    def as_json(self) -> dict[str, Any]:
        """The plan as JSON values; the space is the table's, which says it already."""
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

    @classmethod
    def cross(cls, cells: Rows, seeds: int, origin: str) -> Jobs:
        """All cells with each of the seeds from 0 on, one seed after the other."""
        numbers = np.repeat(np.arange(seeds, dtype=np.int64), len(cells))
        return cls(np.tile(cells, (seeds, 1)), numbers, (origin,) * len(numbers))

    def __len__(self) -> int:
        return len(self.seeds)

    def take(self, places: Sequence[int]) -> Jobs:
        """The jobs at these places, in their order."""
        index = np.asarray(places, np.intp)
        return Jobs(self.cells[index], self.seeds[index], tuple(self.origins[i] for i in index))

    def keys(self) -> list[tuple[bytes, int]]:
        """The row's bytes and the seed of each."""
        return [(row.tobytes(), int(seed)) for row, seed in zip(self.cells, self.seeds, strict=True)]


def join_jobs(several: Sequence[Jobs], space: CellSpace) -> Jobs:
    """One list of jobs after another; of a (cell, seed) that comes again only the first is kept."""
    joined = Jobs(
        np.concatenate([space.initial()[:0], *(jobs.cells for jobs in several)]),
        np.concatenate([np.zeros(0, np.int64), *(jobs.seeds for jobs in several)]),
        tuple(origin for jobs in several for origin in jobs.origins),
    )
    first: dict[tuple[bytes, int], int] = {}
    for place, key in enumerate(joined.keys()):
        first.setdefault(key, place)
    return joined.take(list(first.values()))


def list_jobs(plan: Plan, space: CellSpace, results: Results | None = None, skip: int | None = None) -> Jobs:
    """The plan's children, each (cell, seed) once.

    Args:
        plan: what to train.
        space: of the cells.
        results: what is known so far, for the steps that choose by accuracy.
        skip: the list ends before the step that is the `skip + 1`-th to wait for results; by default all
            steps that wait are left out, and the list goes on behind them.

    Raises:
        SettingError: a step asks for more cells than there are, or larger ones than the space holds.
    """
    sources = _Sources(plan, space, results or {})
    listed, waiting = [], 0
    for step in plan.steps:
        jobs = sources.find(step)
        if jobs is not None:
            listed.append(jobs)
        elif waiting == skip:
            break
        else:
            waiting += 1
    return join_jobs(listed, space)


def count_waiting(plan: Plan, space: CellSpace, results: Results) -> int:
    """How many steps wait for results."""
    sources = _Sources(plan, space, results)
    return sum(sources.find(step) is None for step in plan.steps)


class _Sources:
    """What steps take their cells from."""

    def __init__(self, plan: Plan, space: CellSpace, results: Results) -> None:
        self._plan, self._space, self._results = plan, space, results
        self._needed: dict[tuple[str, int], int] = {}
        for step in plan.steps:
            key = self._stream(step), step.blocks
            self._needed[key] = max(self._needed.get(key, 0), step.stop)

    def find(self, step: Step) -> Jobs | None:
        """The step's jobs; None if it waits for results."""
        if step.kind == "best":
            pool = [self._take("all", blocks) for blocks in range(1, step.blocks + 1)]
            cells = np.concatenate(pool)
            origins = [f"all-{blocks}" for blocks, rows in enumerate(pool, 1) for _ in rows]
        else:
            cells = self._take(self._stream(step), step.blocks)[step.start : step.stop]
            origins = [step.origin] * len(cells)
        jobs = Jobs(cells, np.full(len(cells), step.seed), tuple(origins))
        return self._choose(step, jobs) if step.kind in ("strata", "best") else jobs

    def _choose(self, step: Step, pool: Jobs) -> Jobs | None:
        known = [self._results.get((row.tobytes(), 0)) for row in pool.cells]
        accuracies = np.array([accuracy for accuracy in known if accuracy is not None])
        if len(accuracies) < len(known):
            return None
        if step.kind == "best":
            return pool.take(choose_best(accuracies, step.count))
        rng = np.random.default_rng([self._plan.seed, step.blocks, step.start, step.stop])
        return pool.take(choose_strata(accuracies, step.count, rng))

    def _stream(self, step: Step) -> str:
        return {"strata": "uniform", "best": "all"}.get(step.kind, step.kind)

    def _take(self, stream: str, blocks: int) -> Rows:
        if stream == "all":
            return _enumerate_once(self._space, blocks)
        return _draw_once(self._space, blocks, self._needed[stream, blocks], self._plan.seed, stream)


def draw_cells(space: CellSpace, blocks: int, count: int, seed: int, stream: str = "uniform") -> Rows:
    """The first `count` cells of a stream: independent draws, made canonical, repeats left out.

    Args:
        space: of the cells.
        blocks: of each.
        count: how many.
        seed: of the plan.
        stream: `uniform` or `sealed` over unique cells, `raw` over raw rows.

    Raises:
        SettingError: there are not that many cells.
    """
    if not 1 <= blocks <= space.max_blocks:
        raise SettingError(f"cells of {blocks} blocks asked for; the space has 1 to {space.max_blocks}")
    if count > space.count_unique(blocks):
        there = space.count_unique(blocks)
        raise SettingError(f"{count} cells of {blocks} blocks asked for; there are {there}; ask for fewer")
    found: dict[bytes, Rows] = {}
    for chunk in _chunks(space, blocks, seed, stream):
        if len(found) >= count:
            break
        for row in chunk:
            found.setdefault(row.tobytes(), row)
    return np.array(list(found.values())[:count], np.uint8).reshape(-1, space.width)


def _chunks(space: CellSpace, blocks: int, seed: int, stream: str) -> Iterator[Rows]:
    number = 0
    while True:
        rng = np.random.default_rng(np.random.SeedSequence([seed, blocks, number, *STREAMS[stream]]))
        drawn = space.sample(STREAM_CHUNK, rng, blocks=blocks, unique=stream != "raw")
        yield space.canonical(drawn)
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


@lru_cache(maxsize=32)
def _draw_once(space: CellSpace, blocks: int, count: int, seed: int, stream: str) -> Rows:
    """`draw_cells`, once a process: a build lists its jobs several times."""
    return draw_cells(space, blocks, count, seed, stream)


@lru_cache(maxsize=32)
def _enumerate_once(space: CellSpace, blocks: int) -> Rows:
    return enumerate_cells(space, blocks)


def sample_plan(
    name: str, cells: int, blocks: Sequence[int], seeds: int, seed: int, space: CellSpace
) -> Plan:
    """A plan of `cells` uniform cells shared evenly among block counts, each with `seeds` training seeds.

    Where a size has fewer cells than its share, all of them are taken and the others get what is left over.

    Raises:
        SettingError: a number is out of its range, or there are not that many cells.
    """
    for what, number in (("cells", cells), ("seeds", seeds), *(("blocks", b) for b in blocks)):
        if number < 1:
            raise SettingError(f"{what} is {number}; it must be at least 1")
    if seeds > MOST_SEEDS:
        raise SettingError(f"seeds is {seeds}; it must be at most {MOST_SEEDS}")
    if seed < 0:
        raise SettingError(f"seed is {seed}; it must be at least 0")
    if max(blocks, default=0) > space.max_blocks or not blocks:
        raise SettingError(f"blocks {list(blocks)} asked for; the space has cells of 1 to {space.max_blocks}")
    steps, left = [], cells
    sizes = sorted(set(blocks))
    for place, size in enumerate(sizes):
        share = min(left // (len(sizes) - place), space.count_unique(size))
        kind: Kind = "all" if share == space.count_unique(size) else "uniform"
        steps += [Step(kind, size, 0, share, index) for index in range(seeds)]
        left -= share
    if left:
        raise SettingError(f"{cells} cells asked for; sizes {sizes} have {cells - left}; ask for fewer")
    return Plan(name, seed, tuple(steps), space)
