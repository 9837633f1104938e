"""The plans of the tables that ship, and the recipe of each.

- `cifar10-16px`: the main table. All cells of one block; then rounds that bring the other sizes up together,
  the first of them with second seeds; 300 cells of five blocks and 150 each of two to four; second seeds of
  100 of those 300 in four strata; the sealed cells, 60 with three seeds; third seeds of the strata; 60 cells
  drawn as raw rows; then 300 each of two to four blocks and 700 of five, 40 more raw ones among them.
- `cifar10-16px-mini`: every cell of up to two blocks over four operations, in an order that makes a uniform
  sample of what there is at any time; the 50 best with three seeds. The same recipe and training seeds, so
  that a cell of both tables is trained once: each takes from the other's parts what it can.
- `fashion-16px`: all cells of one block and 50 of each larger size on Fashion-MNIST.

Cells that searches, audits or people ask for are no part of a plan; they come from `asked`. The 40 sealed
cells of the top region are asked for too, since what is the top region only a fitted table can say.

**Another recipe.** A plan's recipe is the constant in `RECIPES` and nothing else. Parts and tables say which
recipe they are of, and those of another are refused with the settings that differ. So after a change: move
the plan's parts (`data/parts/NAME-*.h5`) and merged table (`data/NAME.h5`) away, and start `make table-more`
as ever; it begins at the plan's first cell. The plan and its streams of cells stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pnas_sim.errors import SettingError
from pnas_sim.space import CellSpace
from pnas_tables.plans import Plan, Step

if TYPE_CHECKING:
    from pnas_backends.training.recipe import Recipe

MINI_SPACE = CellSpace(operations=("sep3", "sep5", "id", "max3"), max_blocks=2)
STRATUM = 25  # cells; four strata make the hundred
SEALED = 60
BEST = 50


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


def _main_steps() -> Iterator[Step]:
    yield Step("all", 1, 0, 136)
    for number, steps in enumerate(_rounds((0, 40), (0, 40), 4)):
        yield from steps
        if number > 0:  # second seeds of ten of the five-block cells already there
            yield Step("uniform", 5, 10 * (number - 1), 10 * number, seed=1)
    for steps in _rounds((40, 150), (40, 300), 11):
        yield from steps
    yield Step("strata", 5, 0, 300, seed=1, count=STRATUM)
    for seed in range(3):
        yield Step("sealed", 5, 0, SEALED, seed)
    yield Step("strata", 5, 0, 300, seed=2, count=STRATUM)
    yield Step("raw", 5, 0, 60)
    for number, steps in enumerate(_rounds((150, 300), (300, 600), 15)):
        yield from steps
        if number < 4:
            yield Step("raw", 5, 60 + 10 * number, 70 + 10 * number)


def _mini_steps() -> Iterator[Step]:
    yield Step("all", 1, 0, MINI_SPACE.count_unique(1))
    yield Step("uniform", 2, 0, MINI_SPACE.count_unique(2))
    for seed in (1, 2):
        yield Step("best", 2, 0, 0, seed, BEST)


def _fashion_steps() -> Iterator[Step]:
    yield Step("all", 1, 0, 136)
    for number, steps in enumerate(_rounds((0, 50), (0, 50), 5)):
        yield from steps
        if number > 0:
            yield Step("uniform", 5, 5 * (number - 1), 5 * number, seed=1)


CIFAR10_16PX = Plan("cifar10-16px", 20261124, tuple(_main_steps()))
CIFAR10_16PX_MINI = Plan("cifar10-16px-mini", 20261125, tuple(_mini_steps()), MINI_SPACE)
FASHION_16PX = Plan("fashion-16px", 20261126, tuple(_fashion_steps()))

PLANS = {plan.name: plan for plan in (CIFAR10_16PX, CIFAR10_16PX_MINI, FASHION_16PX)}
RECIPES = {  # the names of constants of `pnas_backends.training.recipe`
    CIFAR10_16PX.name: "CIFAR10_16PX",
    CIFAR10_16PX_MINI.name: "CIFAR10_16PX",
    FASHION_16PX.name: "FASHION_16PX",
}


def find_plan(name: str) -> Plan:
    """The plan of this name.

    Raises:
        SettingError: there is none.
    """
    if name not in PLANS:
        raise SettingError(f"plan {name!r} is unknown; known are: {', '.join(sorted(PLANS))}")
    return PLANS[name]


def find_recipe(name: str) -> Recipe:
    """The recipe of a plan that ships.

    Raises:
        SettingError: there is none of this name.
    """
    from pnas_backends.training import recipe

    find_plan(name)
    found: Recipe = getattr(recipe, RECIPES[name])
    return found


def find_relatives(name: str) -> tuple[str, ...]:
    """Plans whose children may serve this one: of the same recipe."""
    return tuple(other for other in PLANS if other != name and RECIPES[other] == RECIPES[name])
