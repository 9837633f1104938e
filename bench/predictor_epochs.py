"""How a predictor's settings change its rank correlation: where the defaults of `catalogue` come from.

Run: `python bench/predictor_epochs.py mlp-ensemble epochs=5,10,20,40,80 batch_size=16,32,64`; every
combination is measured. With `--table FILE...` (tables or their parts) the cells and accuracies are measured
ones; with `--surrogate TABLE` the cells are drawn anew for each trial, as many of each size as a search fits
on, and a table's surrogate answers them, each trial in a world of its own and with seed noise; else both are
of a made-up landscape with operation effects, pairs that suit each other, depth, width and seed noise.
Defaults are chosen on the table fashion-16px and reported on cifar10-16px.

A trial fits after each level b as a search does, on cells of 1 to b blocks, and correlates (Spearman)
prediction and answer on other cells of b blocks and on cells of b + 1. Of a table, four fifths of the cells
of each size are fitted, drawn anew for each trial; all cells of b + 1 are asked about. Printed: mean over
trials, standard deviation of one trial, processor seconds of the fit.

With `--json FILE` the figures are added to that file (those of the same predictor, settings and cells are
replaced), each trial by itself, so that settings can be compared trial by trial. What stands in
`bench/predictor_epochs.json` was measured so, by the commands that it names.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from pnas_sim.predict import Predictor, make_predictor
from pnas_sim.space import CellSpace

Rows = NDArray[np.uint8]
Floats = NDArray[np.float64]
FITTED = {1: 100, 2: 256, 3: 256, 4: 256}  # cells of each size, of a landscape or surrogate
HELD_OUT = 500  # cells of each size; 36 of one block
NOISE = 0.006  # deviation between training seeds
TABLE_SHARE = 0.8  # of a table's cells of each size, fitted


@dataclass(frozen=True, slots=True)
class Split:
    """Cells by block count: to fit on, others of the same sizes, and those to ask about one level up."""

    fitted: dict[int, tuple[Rows, Floats]]
    held_out: dict[int, tuple[Rows, Floats]]
    beyond: dict[int, tuple[Rows, Floats]]


def make_drawn_split(
    space: CellSpace, rng: np.random.Generator, answer: Callable[[Rows], Floats] | None = None
) -> Split:
    """Draws cells, and asks for their accuracies; without `answer`, draws a landscape as well."""
    cells = [rng.permutation(space.initial())]
    for size in range(2, space.max_blocks + 1):
        drawn = space.sample(FITTED.get(size, 0) + HELD_OUT, rng, blocks=size)
        cells.append(drawn[space.unique(drawn)[0]])
    rows = np.concatenate(cells)
    answers = answer(rows) if answer else invent_accuracies(space, rows, rng)
    split, start = Split({}, {}, {}), 0
    for size, rows in enumerate(cells, start=1):
        got, cut = answers[start : start + len(rows)], FITTED.get(size, 0)
        split.held_out[size] = split.beyond[size] = (rows[cut:], got[cut:])
        if cut:
            split.fitted[size] = (rows[:cut], got[:cut])
        start += len(rows)
    return split


def invent_accuracies(space: CellSpace, cells: Rows, rng: np.random.Generator) -> Floats:
    """Returns made-up accuracies about .45, deviation about .03, one landscape a call: `float64[n]`."""
    count = len(space.operations)
    effect, pair = rng.normal(0, 1, count), np.triu(rng.normal(0, 0.5, (count, count)))
    pair = pair + pair.T
    previous, chained = rng.normal(0, 0.5, count), rng.normal(0, 0.5, count)
    score, depth = np.zeros(len(cells)), np.zeros((len(cells), space.max_blocks + 2))
    used = np.zeros((len(cells), space.max_blocks + 2))
    sizes, every = space.block_counts(cells), np.arange(len(cells))
    for block in range(space.max_blocks):
        here = every[sizes > block]
        first, second, one, other = cells[here, 4 * block : 4 * block + 4].astype(int).T
        gain = effect[one] + effect[other] + pair[one, other]
        for read, operation in ((first, one), (second, other)):
            gain += np.where(read == 0, previous[operation], 0) + np.where(read > 1, chained[operation], 0)
            used[here, read] += 1
        score[here] += gain / sizes[here] ** 0.7
        depth[here, block + 2] = 1 + np.maximum(depth[here, first], depth[here, second])
    loose = (used[:, 2:] == 0)[:, : space.max_blocks] & (np.arange(space.max_blocks) < sizes[:, None])
    score += rng.normal(0, 0.5) * depth.max(axis=1) + rng.normal(0.3, 0.3) * loose.sum(axis=1)
    score += 0.5 * (used[:, 0] > 0) + 0.5 * (used[:, 1] > 0)
    spread = (score - score.mean()) / score.std()
    return np.clip(0.45 + 0.05 * np.tanh(0.7 * spread) + rng.normal(0, NOISE, len(cells)), 0, 1)


def make_table_split(tables: list[str], rng: np.random.Generator) -> tuple[CellSpace, Split]:
    """Splits the cells of tables at random; a cell of several seeds has their mean."""
    from pnas_tables.format import read_table

    read = [read_table(table) for table in tables]
    space = read[0].space
    rows = np.concatenate([table.cells[table.run_cells] for table in read])
    answers = np.concatenate([table.valid_accuracy for table in read])
    known = np.isfinite(answers)
    first, inverse = space.unique(rows[known])
    cells = rows[known][first]
    means = np.bincount(inverse, answers[known]) / np.bincount(inverse)
    order, sizes = rng.permutation(len(cells)), space.block_counts(cells)
    split = Split({}, {}, {})
    for size in np.unique(sizes).tolist():
        chosen = order[sizes[order] == size]
        cut = round(TABLE_SHARE * len(chosen))
        split.fitted[size] = (cells[chosen[:cut]], means[chosen[:cut]])
        split.held_out[size] = (cells[chosen[cut:]], means[chosen[cut:]])
        split.beyond[size] = (cells[chosen], means[chosen])
    return space, split


def make_surrogate_split(table: str, trial: int, rng: np.random.Generator) -> tuple[CellSpace, Split]:
    """Draws cells that a table's surrogate answers in the world of the trial's number, noise included."""
    from pnas_tables import Benchmark

    benchmark = Benchmark.load(table, world=trial)
    space = benchmark.space

    def answer(rows: Rows) -> Floats:
        return np.asarray(benchmark.answer(space.canonical(rows), seed=trial).valid_accuracy, np.float64)

    return space, make_drawn_split(space, rng, answer)


def name_cells(tables: list[str], surrogate: str | None) -> str:
    """Where the cells are from, and how many: a table grows, and its editions must not be mixed."""
    from pnas_tables.catalogue import find_table
    from pnas_tables.format import read_table

    if surrogate:
        read = read_table(find_table(surrogate))
        return f"surrogate of {Path(surrogate).stem}, {len(read.cells)} cells"
    named = [f"{Path(table).stem}, {len(read_table(table).cells)} cells" for table in tables]
    return "; ".join(named) or "made-up landscapes"


def run_trial(
    predictor: Predictor, split: Split, levels_fitted: list[int], seed: int
) -> Iterator[tuple[int, float, float, float]]:
    """Yields (b, correlation at b, correlation at b + 1, seconds of the fit); NaN for want of cells."""
    for size in levels_fitted:
        levels = [split.fitted[level] for level in sorted(split.fitted) if level <= size]
        start = time.process_time()
        predictor.fit(
            np.concatenate([rows for rows, _ in levels]), np.concatenate([got for _, got in levels]), seed
        )
        seconds = time.process_time() - start
        same, beyond = split.held_out[size], split.beyond[size + 1]
        yield size, correlate(predictor, *same), correlate(predictor, *beyond), seconds


def correlate(predictor: Predictor, rows: Rows, answers: Floats) -> float:
    """Returns Spearman's correlation on some cells, NaN if there are fewer than 5."""
    if len(rows) < 5:
        return float("nan")
    predicted = predictor.predict(rows).mean
    return 0.0 if np.ptp(predicted) == 0 else float(spearmanr(predicted, answers).statistic)


def list_settings(options: list[str]) -> Iterator[dict[str, Any]]:
    """Yields every combination of options given as `name=value,value`."""
    names = [option.partition("=")[0] for option in options]
    values = [option.partition("=")[2].split(",") for option in options]
    for chosen in product(*values):
        yield {name: read_value(value) for name, value in zip(names, chosen, strict=True)}


def read_value(value: str) -> Any:
    """Reads a whole number, a number, or a word."""
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def measure(options: argparse.Namespace, settings: dict[str, Any]) -> NDArray[np.float64]:
    """Returns the figures of `run_trial`, `[trials, levels, 4]`."""
    measured = []
    for trial in range(options.trials):
        rng = np.random.default_rng([20, trial])
        if options.table:
            space, split = make_table_split(options.table, rng)
        elif options.surrogate:
            space, split = make_surrogate_split(options.surrogate, trial, rng)
        else:
            space = CellSpace()
            split = make_drawn_split(space, rng)
        predictor = make_predictor(options.predictor, space, **settings)
        measured.append(list(run_trial(predictor, split, options.levels, trial)))
    return np.array(measured)


def describe(
    options: argparse.Namespace, settings: dict[str, Any], figures: NDArray[np.float64]
) -> dict[str, Any]:
    """One combination's record: means over trials and levels, and what each trial gave."""
    trials = figures[:, :, 1:3].mean(axis=1)  # over levels
    return {
        "predictor": options.predictor,
        "settings": settings,
        "cells": options.source,
        "trials": options.trials,
        "levels": options.levels,
        "rho_same_size": summarise(trials[:, 0]),
        "rho_next_size": summarise(trials[:, 1]),
        "rho_next_size_by_blocks": {
            str(int(level[0, 0])): summarise(level[:, 2]) for level in figures.transpose(1, 0, 2)
        },
        "rho_next_size_of_trials": [round(value, 4) for value in trials[:, 1].tolist()],
        "fit_seconds": round(float(figures[:, :, 3].sum(axis=1).mean()), 2),  # of all levels, one thread
        "command": " ".join(
            ["python bench/predictor_epochs.py", *(Path(word).name for word in sys.argv[1:])]
        ),
    }


def summarise(values: Floats) -> dict[str, float]:
    return {"mean": round(float(values.mean()), 4), "deviation": round(float(values.std(ddof=1)), 4)}


def keep(path: Path, record: dict[str, Any]) -> None:
    """Adds a record to a file, or puts it in the place of an older one of the same."""
    records = json.loads(path.read_text())["records"] if path.exists() else []
    key = ("predictor", "settings", "cells", "levels")
    others = [one for one in records if any(one[name] != record[name] for name in key)]
    path.write_text(json.dumps({"records": [*others, record]}, indent=1) + "\n")


def print_levels(settings: dict[str, Any], figures: NDArray[np.float64]) -> None:
    for level in figures.transpose(1, 0, 2):
        (size, here, beyond, seconds), spread = level.mean(axis=0), level.std(axis=0, ddof=1)
        means = f"{here:.3f} {spread[1]:.3f}  {beyond:.3f} {spread[2]:.3f}  {seconds:.2f}"
        print(f"{size:.0f}  {means}  {settings}", flush=True)


def main() -> None:
    """Prints a line for each combination and level."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("predictor", help="a name of pnas_sim.predict.list_predictors, or module:factory")
    parser.add_argument("options", nargs="*", metavar="NAME=VALUE,VALUE", help="options of make_predictor")
    parser.add_argument("--trials", type=int, default=5)
    truth = parser.add_mutually_exclusive_group()
    truth.add_argument("--table", nargs="+", default=[])
    truth.add_argument("--surrogate", metavar="TABLE", help="a file, or the name of a table that ships")
    parser.add_argument("--levels", type=int, nargs="+", default=[1, 2, 3, 4], help="b of the fits")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.source = name_cells(options.table, options.surrogate)
    print(f"{options.predictor}, {options.trials} trials: b, rho(b) sd, rho(b+1) sd, fit seconds; settings")
    for settings in list_settings(options.options):
        figures = measure(options, settings)
        print_levels(settings, figures)
        if options.json:
            keep(options.json, describe(options, settings, figures))


if __name__ == "__main__":
    main()
