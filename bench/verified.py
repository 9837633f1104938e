"""What the groups of a verification trained to, and how far two of them lie apart.

    python bench/verified.py docs/verification/comparison-result.json pnas evolution spread

The file is the `result.json` of `pnas-sim verify`. Printed, for each group named: means of what its search
observed, of the world's value, of the model's, and of what training gave, with the deviation among cells;
then the difference in training of the first group from each other one, in points, with Welch's 95% interval
and p. A cell counts once, with the mean of its seeds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ttest_ind

COLUMNS = ("observed", "expected", "predicted", "trained")


def read_group(cells: list[dict[str, float]], group: str) -> NDArray[np.float64]:
    """Reads a group's columns, `float64[n, 4]`; a failed child is left out."""
    mine = [[cell[name] for name in COLUMNS] for cell in cells if cell["group"] == group]
    return np.array([line for line in mine if None not in line], np.float64).reshape(-1, len(COLUMNS))


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("groups", nargs="+")
    options = parser.parse_args()
    cells = json.loads(options.result.read_text(encoding="utf-8"))["cells"]
    groups = {name: read_group(cells, name) for name in options.groups}
    few = [name for name, values in groups.items() if len(values) < 2]
    if few:
        parser.error(f"group {few[0]!r} has fewer than 2 trained cells; there are: {list_groups(cells)}")
    for name, values in groups.items():
        means = ", ".join(f"{what} {mean:.4f}" for what, mean in zip(COLUMNS, values.mean(0), strict=True))
        print(f"{name}: {len(values)} cells, {means} (deviation {values[:, -1].std(ddof=1):.4f})")
    first, *others = options.groups
    for other in others:
        test = ttest_ind(100 * groups[first][:, -1], 100 * groups[other][:, -1], equal_var=False)
        apart = 100 * (groups[first][:, -1].mean() - groups[other][:, -1].mean())
        low, high = test.confidence_interval()
        print(f"{first} less {other}: {apart:+.2f} points ({low:+.2f} to {high:+.2f}), p {test.pvalue:.3f}")


def list_groups(cells: list[dict[str, float]]) -> str:
    return ", ".join(sorted({str(cell["group"]) for cell in cells}))


if __name__ == "__main__":
    main()
