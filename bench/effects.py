"""Is the shape of a world's fixed effects right? Run: `python bench/effects.py --table FILE --repeats 5`.

A world gives each cell an effect of its own, on the scale that the surrogate is fitted on: spread as
residuals are (`pnas_tables.effects`), as large whatever is predicted, independent from cell to cell. Here
are those residuals: of cells held out in five folds, on that scale, divided by their root mean square for
each block count. Printed, for each surrogate of the table: skewness and excess kurtosis, with the standard
errors of Gaussian residuals; root mean square by quarters of the predicted score; correlation between cells
of one size that differ in so many tokens and were held out together (so that neither had a say in the
other's prediction), means over repeats of the folds, with its deviation where residuals are shuffled among
cells of a size. Then, of `--candidates` children of the best random cells one block smaller, how far
effects lift the best.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kurtosis, skew

from pnas_sim.space import CellSpace
from pnas_tables.catalogue import find_table
from pnas_tables.effects import find_score_noise
from pnas_tables.families import FitSettings, find_kind
from pnas_tables.fit import FOLDS, FitTask, predict_from, prepare_fit
from pnas_tables.format import read_table
from pnas_tables.record import Table
from pnas_tables.scale import fit_scale
from pnas_tables.seeds import SeedNoise
from pnas_tables.surrogate import Surrogate

Floats = NDArray[np.float64]
Held = tuple[Floats, Floats, NDArray[np.int64]]  # predicted scores, standardised residuals, folds; `[n]` each
PARENTS = 256
SHUFFLES = 200
DRAWN = 3_000  # random cells, of which the parents are the best
SWAPPED = np.array([1, 0, 3, 2])  # a block's halves the other way round


def hold_out(task: FitTask, repeat: int) -> Held:
    """Predicted scores, standardised residuals and fold of every cell, `[n]` each."""
    sample, rng = task.sample, np.random.default_rng([repeat, 1])
    fold = rng.permutation(len(sample)) % FOLDS
    held = np.empty(len(sample))
    for number in range(FOLDS):
        asked = fold == number
        held[asked] = predict_from(replace(task, seed=repeat), sample.take(~asked), sample.take(asked))
    scale = fit_scale(task.settings.scale, sample.final, task.chance)
    predicted = scale.to_scores(held)
    residuals = scale.to_scores(sample.final) - predicted
    for size in np.unique(sample.blocks):
        mine = sample.blocks == size
        residuals[mine] /= np.sqrt((residuals[mine] ** 2).mean())
    return predicted, residuals, fold


def count_apart(cells: NDArray[np.uint8], blocks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tokens by which canonical rows differ, halves either way; -1 between different sizes: `[n, n]`."""
    rows = cells.reshape(len(cells), -1, 4).astype(np.int64)
    apart = np.zeros((len(cells), len(cells)), np.int64)
    for block in range(rows.shape[1]):
        here = rows[:, block]
        ways = [(here[:, None] != other[None]).sum(axis=2) for other in (here, here[:, SWAPPED])]
        apart += np.minimum(*ways)
    return np.where(blocks[:, None] == blocks, apart, -1)


def describe(table: Table, name: str, repeats: int) -> None:
    """Prints what one surrogate's residuals look like, and how those of near cells go together."""
    about = table.surrogates[name].metadata
    family = find_kind(about["kind"]).name
    _, task = prepare_fit(table, family, 0, FitSettings.from_json(about["settings"]))
    found = [hold_out(task, repeat) for repeat in range(repeats)]
    effects = np.array([about["effects"][str(size)] for size in task.sample.blocks])
    scale = fit_scale(task.settings.scale, task.sample.final, task.chance)
    noise = find_score_noise(task.sample, scale, SeedNoise.measure(table).valid[-1])
    seeds = float((noise**2).mean())
    share = seeds / (seeds + (effects**2).mean())
    print(f"{name}: {len(task.sample)} cells; share of seeds in the residuals' variance {share:.2f}")
    print_shape(found)
    print_near(task, found)


def print_shape(found: list[Held]) -> None:
    count = len(found[0][1])
    shapes = np.array([(skew(own), kurtosis(own), own.min(), own.max()) for _, own, _ in found]).mean(axis=0)
    print(
        f"  skewness {shapes[0]:+.2f} (+-{np.sqrt(6 / count):.2f}), excess kurtosis {shapes[1]:+.2f} "
        f"(+-{np.sqrt(24 / count):.2f}), from {shapes[2]:.2f} to {shapes[3]:+.2f}"
    )
    spread = [
        [np.sqrt((own[part] ** 2).mean()) for part in np.array_split(np.argsort(predicted), 4)]
        for predicted, own, _ in found
    ]
    quarters = ", ".join(f"{value:.2f}" for value in np.mean(spread, axis=0))
    print(f"  root mean square by quarters of the predicted score: {quarters}")


def print_near(task: FitTask, found: list[Held]) -> None:
    sample, rng = task.sample, np.random.default_rng(0)
    apart = count_apart(sample.cells, sample.blocks)
    upper = np.triu(np.ones_like(apart, dtype=bool), 1)
    orders = [shuffle_within(sample.blocks, rng) for _ in range(SHUFFLES)]
    for tokens in (1, 2, 3):
        pairs = (apart == tokens) & upper
        together = [np.nonzero(pairs & (fold[:, None] == fold)) for _, _, fold in found]
        if min(len(one) for one, _ in together) == 0:
            continue
        shuffled = [correlate_pairs([own[order] for _, own, _ in found], together) for order in orders]
        mean = correlate_pairs([own for _, own, _ in found], together)
        beside = f"(shuffled +-{np.std(shuffled):.2f})"
        print(f"  {tokens} apart: {pairs.sum()} pairs, correlation {mean:+.2f} {beside}")


def shuffle_within(blocks: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """An order that puts each cell in the place of one of its size."""
    order = np.arange(len(blocks))
    for size in np.unique(blocks):
        order[blocks == size] = rng.permutation(order[blocks == size])
    return order


def correlate_pairs(residuals: list[Floats], together: list[tuple[NDArray[np.intp], ...]]) -> float:
    """Mean product of standardised residuals of pairs, over repeats."""
    products = [(own[one] * own[other]).mean() for own, (one, other) in zip(residuals, together, strict=True)]
    return float(np.mean(products))


def lift(table: Table, name: str, candidates: int) -> None:
    """Prints the best of many candidates by the model alone and in world 0."""
    surrogate = Surrogate.from_table(table, name)
    space, rng = CellSpace(table.space.operations, table.space.max_blocks), np.random.default_rng(0)
    smaller = space.canonical(space.sample(DRAWN, rng, blocks=space.max_blocks - 1))
    parents = smaller[np.argsort(-surrogate.predict_accuracy(smaller))[:PARENTS]]
    pool = space.canonical(space.expand(parents).cells)
    pool = rng.permutation(pool[space.unique(pool)[0]])[:candidates]
    mean, world = surrogate.predict_mean(pool), surrogate.predict_accuracy(pool)
    count = min(PARENTS, len(pool))
    best, known = np.argsort(-world)[:count], np.argsort(-mean)[:count]
    print(
        f"  {len(pool)} candidates: best by the model {mean.max():.4f}, in the world {world.max():.4f}, "
        f"best trained cell {np.nanmax(table.valid_accuracy):.4f}\n"
        f"  the world's {count} best: {world[best].mean():.4f}, by the model {mean[best].mean():.4f}; the "
        f"model's own {count} best hold {np.isin(known, best).mean():.3f} of them"
    )


def main() -> None:
    """Prints all of it for every surrogate of a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", default="cifar10-16px")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--candidates", type=int, default=100_000)
    options = parser.parse_args()
    table = read_table(find_table(options.table))
    for name in sorted(table.surrogates):
        describe(table, name, options.repeats)
        lift(table, name, options.candidates)


if __name__ == "__main__":
    main()
