"""How right surrogates and their worlds are where searches end. Run: `python bench/top_region.py`.

Sealed cells were never fitted: 60 are uniform draws, 40 are draws from the hundredth of random cells that a
surrogate put highest, and each was trained three times. For either group and each surrogate of a table:

- what it predicts (the model alone) and what training gave, means; measured less predicted with its standard
  error, so a negative figure is optimism;
- the deviation of these differences over cells, free of seed noise: the cells' *own* effects, which the model
  does not know; beside it the deviation of the effects that world 0 draws for the same cells. A world whose
  effects are larger is rougher than the truth, and kinder to searches that try many cells near good ones;
- Kendall's tau of predicted and measured, and the reliability of the means (1 would be free of seed noise).

The table's sealed cells are taken from the parts of its plan, so cells count that were trained after the
table was fitted.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from pnas_sim.evaluate import Status
from pnas_tables.catalogue import DEFAULT_TABLE, data_folder, find_table
from pnas_tables.extras import within_variance
from pnas_tables.figures import mean_by_cell
from pnas_tables.format import read_table
from pnas_tables.parts import gather_table
from pnas_tables.record import Table
from pnas_tables.sample import SEALED, SEALED_TOP, find_group
from pnas_tables.shipped_plans import find_plan, find_relatives
from pnas_tables.surrogate import Surrogate

Floats = NDArray[np.float64]


def measure_cells(table: Table, places: NDArray[np.intp]) -> tuple[Floats, float]:
    """Means over seeds of some cells, `float64[n]`, and the variance that seeds leave in them."""
    well = np.where(table.status == Status.OK, table.valid_accuracy, np.nan)
    means = mean_by_cell(table, well)[places]
    mine = np.isin(table.run_cells, places)
    runs = (mine & ~np.isnan(well)).sum() / len(places)
    return means, (within_variance(table, np.where(mine, well, np.nan)) or 0.0) / float(runs)


def describe(fitted: Table, trained: Table, group: str) -> None:
    """Prints a group's lines."""
    places = np.flatnonzero([find_group(origin) == group for origin in trained.origins])
    if len(places) < 2:
        print(f"{group}: {len(places)} cells, too few")
        return
    means, noise = measure_cells(trained, places)
    reliability = 1 - noise / means.var(ddof=1)
    print(f"{group}: {len(places)} cells, trained {means.mean():.4f}, reliability {reliability:.2f}")
    cells = trained.cells[places]
    for name in sorted(fitted.surrogates):
        surrogate = Surrogate.from_table(fitted, name)
        predicted = surrogate.predict_mean(cells)
        drawn = (surrogate.predict_accuracy(cells) - predicted).std(ddof=1)
        apart = means - predicted
        own = np.sqrt(max(0.0, apart.var(ddof=1) - noise))
        tau = kendalltau(predicted, means).statistic
        print(
            f"  {name}: predicted {predicted.mean():.4f}, measured less predicted {apart.mean():+.4f} "
            f"({apart.std(ddof=1) / np.sqrt(len(apart)):.4f}); own effects {own:.4f}, drawn {drawn:.4f}; "
            f"tau {tau:.2f}"
        )


def main() -> None:
    """Prints both groups."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", default=DEFAULT_TABLE, help="one that ships")
    options = parser.parse_args()
    fitted, plan = read_table(find_table(options.table)), find_plan(options.table)
    trained = gather_table(plan, data_folder() / "parts", find_relatives(plan.name))
    for group in (SEALED, SEALED_TOP):
        describe(fitted, trained, group)


if __name__ == "__main__":
    main()
