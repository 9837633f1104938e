"""Parameters and multiply-adds of cells: counted, where a table's recipe says what network they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pnas_sim.errors import SettingError
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Integers, Rows
from pnas_tables.features import cell_features

if TYPE_CHECKING:
    from pnas_backends.training.layout import NetworkShape


@dataclass(frozen=True, slots=True)
class CostRule:
    """Counts what cells cost as networks of one shape. A value, so that what holds one can be pickled.

    Attributes:
        shape: of the networks.
    """

    shape: NetworkShape

    def __call__(self, operations: Sequence[str], cells: Rows) -> tuple[Integers, Integers]:
        """Parameters and multiply-adds, `int64[n]` each, of rows `uint8[n, width]` over these operations.

        Raises:
            CellError: there is an operation that cannot be trained.
        """
        from pnas_backends.training.costs import cell_costs

        if len(cells) == 0:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        space = CellSpace(operations=tuple(operations), max_blocks=cells.shape[1] // 4)
        return cell_costs(cells, space, self.shape)


def find_cost_rule(recipe: Mapping[str, Any]) -> CostRule | None:
    """What counts the costs of cells trained by this recipe; None if it is of another trainer."""
    from pnas_backends.training.recipe import make_recipe

    try:
        return CostRule(make_recipe(recipe).shape)
    except SettingError:
        return None


def describe_cells(space: CellSpace, rule: CostRule | None, cells: Rows) -> tuple[Floats, Integers, Integers]:
    """Features `float64[n, f]` of cells, with logs of their costs where there is a rule; and the costs."""
    features = cell_features(space, cells)
    if rule is None:
        unknown = np.full(len(cells), -1, np.int64)
        return features, unknown, unknown
    parameters, multiply_adds = rule(space.operations, cells)
    return np.column_stack([features, np.log(parameters), np.log(multiply_adds)]), parameters, multiply_adds
