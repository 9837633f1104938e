"""Do conclusions from a surrogate hold on the truth? Asked where the truth is known: on a complete table.

    python bench/licence.py draw --table cifar10-16px-mini --out results/tenth.h5
    pnas-sim table fit results/tenth.h5
    python bench/efficiency.py measured --table cifar10-16px-mini --blocks 2 --out results/mini
    python bench/efficiency.py small --table results/tenth.h5 --blocks 2 --out results/tenth
    python bench/efficiency.py small --table results/tenth.h5 --blocks 2 --surrogate gp --out results/tenth-gp
    python bench/licence.py report results/mini lightgbm=results/tenth gp=results/tenth-gp

`draw` writes a copy of a complete table in which a tenth of the cells may be fitted, all of one block and a
uniform sample of the others, as in the tables that ship; the rest is `sealed`, so `table fit` fits nothing on
it and measures the surrogates there. `report` holds the comparison on measured cells beside those on the
surrogates, as Markdown:

- surrogates against the cells that they have not seen;
- the order of the searches by the observed mean of their best M after equally many models: Kendall's tau,
  and of the pairs that measured cells tell apart (signed ranks, Holm's correction, p below .05) how many the
  surrogate puts the same way, and how many it tells apart the other way;
- speed-ups and accuracies side by side, as in `bench/efficiency.py tables`;
- what the best cell of each run on a surrogate is really worth, beside the best of a run on measured cells.

Like is held against like: what was observed. Measured cells were trained once, most of them, so a training's
luck is in what is read there, and a surrogate's noise-free values have none: beside those, searches that
sample more would look better on measured cells than they are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from efficiency import read_result
from scipy.stats import kendalltau, sem

from pnas_sim.errors import PnasError, SettingError
from pnas_sim.report.comparison_markdown import make_table
from pnas_sim.report.comparison_sides import make_end_table, make_side_table
from pnas_tables.catalogue import find_table
from pnas_tables.figures import mean_by_cell
from pnas_tables.format import read_table, write_table
from pnas_tables.record import Table
from pnas_tables.sample import SEALED, choose_repeats

Result: TypeAlias = Mapping[str, Any]
TOLD_APART = 0.05
KIND = "observed"  # the only one that measured cells have
FIGURES = ("kendall_tau", "kendall_tau_top_half", "kendall_tau_top_tenth", "precision_at_5", "r2")


# ---------------------------------------------------------------------------------------------- the tenth


def draw_share(name: str, share: float, seed: int, out: Path) -> str:
    """Writes a complete table in which only a share of the cells may be fitted; says what it drew."""
    table = load(name)
    if not table.closed:
        raise SettingError(f"table {name!r} is not complete; only there is the truth known")
    blocks = table.space.block_counts(table.cells)
    wanted = round(share * len(table))
    smallest, larger = np.flatnonzero(blocks == 1), np.flatnonzero(blocks > 1)
    if not len(smallest) < wanted < len(table):
        raise SettingError(f"share is {share}; it must hold all {len(smallest)} cells of one block, and more")
    chosen = np.random.default_rng(seed).choice(larger, wanted - len(smallest), replace=False)
    fitted = np.zeros(len(table), bool)
    fitted[smallest] = fitted[chosen] = True
    sizes = np.where(blocks == 1, "all-1", "uniform")
    # sealed cells keep the word of how they were drawn: those trained again were chosen by their first run
    origins = tuple(str(size) if fit else f"{SEALED}+{size}" for size, fit in zip(sizes, fitted, strict=True))
    write_table(out, replace(table, name=f"{table.name}-part", origins=origins, surrogates={}))
    return f"written: {out}: {fitted.sum()} of {len(table)} cells to fit on, the others sealed"


# ---------------------------------------------------------------------------------------------- the report


def write_report(measured: Result, surrogates: Mapping[str, Result]) -> str:
    """Markdown; results of `pnas-sim compare` on measured cells, and by name on surrogates."""
    everything = {"measured": measured, **surrogates}
    for name, result in surrogates.items():
        if mean_accuracies(result, 1).keys() != mean_accuracies(measured, 1).keys():
            raise SettingError(f"comparison {name!r} is of other searches than the measured one")
    sections = {
        "Surrogates against cells that they have not seen": quality_table(surrogates),
        "The order of the searches": order_table(measured, surrogates),
        "What the best cell of a run is really worth": choice_table(measured, surrogates),
    }
    for reference in measured["references"]:
        sections[f"Against {reference}"] = make_side_table(everything, reference, KIND)
    sections["What each search reached"] = make_end_table(everything, measured["tops"], KIND)
    return "\n".join(line for title, lines in sections.items() for line in (f"### {title}", "", *lines, ""))


def quality_table(surrogates: Mapping[str, Result]) -> list[str]:
    """What each surrogate's table says of it on sealed cells, with the ceiling that seed noise sets."""
    rows = []
    for name, result in surrogates.items():
        settings = result["table"]["settings"]
        stored = load(settings["table"]).surrogates[settings.get("surrogate", "lightgbm")]
        found = stored.metadata["quality"]["by_group"]["sealed"]
        values = [(found[figure], found[f"ceiling_{figure}"]) for figure in FIGURES]
        rows.append((name, found["cells"], *(f"{value:.2f} of {ceiling:.2f}" for value, ceiling in values)))
    return make_table(("surrogate", "cells", *(figure.replace("_", " ") for figure in FIGURES)), rows)


def order_table(measured: Result, surrogates: Mapping[str, Result]) -> list[str]:
    """How far each surrogate puts the searches in the order of measured cells."""
    rows = []
    for name, result in surrogates.items():
        for top in measured["tops"]:
            truths, heights = mean_accuracies(measured, top), mean_accuracies(result, top)
            tau = kendalltau(list(truths.values()), [heights[label] for label in truths]).statistic
            true, said = test_pairs(measured, top), test_pairs(result, top)
            apart = [pair for pair, sign in true.items() if sign]
            alike = sum((heights[one] - heights[two]) * true[one, two] > 0 for one, two in apart)
            against = sum(said[pair] == -true[pair] for pair in apart)
            rows.append((name, top, f"{tau:.2f}", f"{len(apart)} of {len(true)}", alike, against))
    told = ("pairs told apart, measured", "of them put the same way", "told apart the other way")
    return make_table(("surrogate", "top", "tau", *told), rows)


def mean_accuracies(result: Result, top: int) -> dict[str, float]:
    """Mean of the best `top` of all visited, after equally many models, by label."""
    wanted = ("symmetrical", KIND, top)
    return {
        search["label"]: final["equal_models"]["value"]
        for search in result["searches"]
        for final in search["final"]
        if (final["counting"], final["kind"], final["top"]) == wanted
    }


def test_pairs(result: Result, top: int) -> dict[tuple[str, str], int]:
    """Of each two labels: 1 where the first is better, -1 where the second is, 0 where no test says so."""
    wanted = (top, "symmetrical", KIND, "equal", "run")
    return {
        (one["first"], one["second"]): (one["p_value_holm"] < TOLD_APART)
        * (1 if one["share_won_by_first"] > 0.5 else -1)
        for one in result["rank_tests"]
        if (one["top"], one["counting"], one["kind"], one["at"], one["unit"]) == wanted
    }


def choice_table(measured: Result, surrogates: Mapping[str, Result]) -> list[str]:
    """Measured accuracies of the best cells of all runs: mean and standard error over them, in per cent.

    Of cells that were trained again since they were the best, without the run that said so: a search on
    measured cells chose them by it, too.
    """
    table = load(measured["table"]["settings"]["table"])
    told = np.where(choose_repeats(table), table.valid_accuracy, np.nan)
    values = mean_by_cell(table, told).tolist()
    truth = dict(zip(table.space.format_many(table.cells), values, strict=True))
    everything = {"measured": measured, **surrogates}
    rows = []
    for search in measured["searches"]:
        chosen = [list_best_cells(result, search["label"]) for result in everything.values()]
        worths = [100 * np.array([truth[cell] for cell in cells]) for cells in chosen]
        rows.append((search["label"], *(f"{one.mean():.2f} ({sem(one):.2f})" for one in worths)))
    best = 100 * max(truth.values())
    rows.append(("the best cell there is", *(f"{best:.2f}" for _ in everything)))
    return make_table(("search", *everything), rows)


def list_best_cells(result: Result, label: str) -> list[str]:
    """The best cell that each run of a search observed."""
    return [
        run["best_cell"]
        for search in result["searches"]
        if search["label"] == label
        for run in search["runs"]
    ]


def load(name: str) -> Table:
    """A table that ships, or of a file."""
    return read_table(find_table(name))


def main() -> int:
    """Draws, or reports."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)
    draw = actions.add_parser("draw")
    draw.add_argument("--table", required=True, help="a complete one")
    draw.add_argument("--share", type=float, default=0.1, help="of its cells, to fit on")
    draw.add_argument("--seed", type=int, default=0)
    draw.add_argument("--out", type=Path, required=True)
    report = actions.add_parser("report")
    report.add_argument("measured", type=Path, help="folder of the comparison on measured cells")
    report.add_argument("surrogates", nargs="+", metavar="NAME=FOLDER")
    options = parser.parse_args()
    try:
        if options.action == "draw":
            print(draw_share(options.table, options.share, options.seed, options.out))
        else:
            named = [one.partition("=") for one in options.surrogates]
            results = {name: read_result(Path(folder)) for name, _, folder in named}
            print(write_report(read_result(options.measured), results))
    except (PnasError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
