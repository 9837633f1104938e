"""The best cell of a complete table, as far as seeds let it be known."""

from __future__ import annotations

from typing import Any

import numpy as np

from pnas_tables.figures import mean_by_cell
from pnas_tables.record import Table
from pnas_tables.sample import choose_repeats
from pnas_tables.seeds import SeedNoise

BEYOND_CHANCE = 1.64  # deviations, on one side: p < .05


def find_best(table: Table) -> dict[str, Any] | None:
    """The cell of the highest mean over the trainings that did not choose it, and how sure that is.

    A cell that was trained again because its first accuracy was high had luck in that one, and by a mean with
    it in, luck would help to say which is best: those of `choose_repeats` count alone.

    Returns:
        JSON values: `cell`; `accuracy`, the mean; `runs` it is of, `left_out` those of the cell that do not
        count; `deviation` that seeds leave the mean, and `as_good`, how many other cells are not below it
        beyond chance (p < .05, each by itself), None where seed noise is unknown. None if no run ended well.
    """
    counted = choose_repeats(table)
    means = mean_by_cell(table, np.where(counted, table.valid_accuracy, np.nan))
    if np.isnan(means).all():
        return None
    runs = np.bincount(table.run_cells[counted], minlength=len(table))
    best = int(np.nanargmax(means))
    found: dict[str, Any] = {
        "cell": table.space.format(table.cells[best]),
        "accuracy": float(means[best]),
        "runs": int(runs[best]),
        "left_out": int((table.run_cells == best).sum()) - int(runs[best]),
        "deviation": None,
        "as_good": None,
    }
    noise = SeedNoise.measure(table).valid[-1]
    if noise.middle > 0:
        spread = noise.at(np.nan_to_num(means)) / np.sqrt(np.maximum(runs, 1))
        apart = BEYOND_CHANCE * np.sqrt(spread**2 + spread[best] ** 2)
        near = means[best] - means < apart  # not where a mean is unknown
        found |= {"deviation": float(spread[best]), "as_good": int(near.sum()) - 1}
    return found
