"""How many cells of a smaller space should a surrogate be fitted on? `python bench/subspace_cells.py FILE`.

FILE is a table with many of them: `python -m pnas_tables.build --plan cifar10-16px --gather FILE`. For each
family and each number of such cells (none, as many of a size as there are others, all) a line for each size:
Kendall's tau and RMSE of the space's own cells held out in five folds, by the settings that the table's
surrogate has, or the defaults.

With 1,976 two-block cells of four operations beside 1,633 others, five-block cells held out (n = 657) had tau
.680, .689, .666 by gp and .688, .692, .684 by lightgbm, RMSE .0110, .0106, .0112 and .0109, .0108, .0111:
some help, all hurt. One draw of folds, and other folds in each; that alone moves tau by about .01.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from pnas_tables.families import FitSettings
from pnas_tables.fit import FitTask, choose_fitted, predict_held_out, prepare_fit
from pnas_tables.format import read_table
from pnas_tables.record import Table
from pnas_tables.sample import SUBSPACE, gather_sample


def list_choices(table: Table) -> dict[str, NDArray[np.bool_]]:
    """Which cells are fitted, `bool[n]`, by a word for it."""
    whole = gather_sample(table)
    return {
        "none": ~whole.sealed & ~whole.of_group(SUBSPACE),
        "as many": choose_fitted(whole, 0),
        "all": ~whole.sealed,
    }


def find_settings(table: Table, family: str) -> FitSettings:
    """Those of the table's surrogate of this name, in one world; the defaults where it has none."""
    stored = table.surrogates.get(family)
    settings = FitSettings() if stored is None else FitSettings.from_json(stored.metadata["settings"])
    return replace(settings, worlds=1)


def report(task: FitTask, word: str) -> None:
    """Prints a line for each size of the space's own cells."""
    sample, held = task.sample, predict_held_out(task)
    own = ~sample.of_group(SUBSPACE)
    for size in np.unique(sample.blocks):
        mine = own & (sample.blocks == size)
        tau = kendalltau(held[mine], sample.final[mine])[0]
        rmse = np.sqrt(np.mean((held[mine] - sample.final[mine]) ** 2))
        fitted = f"{task.family.name:8} {word:8} {len(sample)} cells"
        print(f"{fitted}, {size} blocks: tau {tau:.3f}, RMSE {rmse:.4f}", flush=True)


def main() -> None:
    """Fits and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", metavar="FILE")
    parser.add_argument("--families", default="gp,lightgbm")
    options = parser.parse_args()
    table = read_table(options.table)
    whole = gather_sample(table)
    for family in options.families.split(","):
        _, task = prepare_fit(table, family, 0, find_settings(table, family))
        for word, chosen in list_choices(table).items():
            report(replace(task, sample=whole.take(chosen)), word)


if __name__ == "__main__":
    main()
