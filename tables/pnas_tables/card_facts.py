"""The figures of a table's card, each a plain function of the table, as JSON values."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.evaluate import Status
from pnas_sim.space.arrays import Floats
from pnas_tables.card_best import find_best
from pnas_tables.quality import correlate
from pnas_tables.record import Table
from pnas_tables.sample import GROUPS, RANDOM, Sample, choose_repeats, find_group, gather_sample
from pnas_tables.seeds import Deviation, SeedNoise, fit_deviation
from pnas_tables.surrogate import Surrogate

BEST_SHARE = 0.1  # of the cells of several blocks: "the best" of the operations' frequencies
FEWEST_BEST = 10
QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)
WORLD_CELLS = 2000  # random ones, beside the trained


def gather_facts(table: Table) -> dict[str, Any]:
    """Everything that a card says in figures but the surrogates' held-out ones, which the table holds.

    Figures of the space (accuracies, operations, what a world is held against) are of the cells of
    `find_population`.
    """
    sample = gather_sample(table)
    population = find_population(table, sample)
    return {
        "closed": bool(table.closed),
        "best": find_best(table) if table.closed else None,
        "cells": _count_cells(table),
        "seconds": _time_children(table),
        "accuracy": _spread_accuracy(sample, population),
        "seeds": _measure_seeds(table),
        "curves": _follow_curves(table),
        "operations": count_among_best(population),
        "surrogates": {name: _describe_worlds(table, population, name) for name in sorted(table.surrogates)},
    }


def find_population(table: Table, sample: Sample) -> Sample:
    """The cells of a sample that stand for the space: all of a complete table, else those drawn uniformly.

    All of a size stand for it as well. Cells drawn as raw rows do not: cells that many rows write are among
    them more often, and those are better (of the 617 random five-block cells of cifar10-16px, 100 raw ones
    have a mean of .467 and the others one of .458). Nor does what searches found, or is sealed.
    """
    return sample if table.closed else sample.take(sample.of_group(RANDOM))


def _count_cells(table: Table) -> dict[str, Any]:
    """Cells and runs by block count and by group, and by word of origin."""
    sizes = table.space.block_counts(table.cells)
    groups = _list_groups(table)
    runs = np.bincount(table.run_cells, minlength=len(table))
    by_blocks = {}
    for size in sorted(set(sizes.tolist())):
        mine = sizes == size
        counts = {group: int((mine & (groups == group)).sum()) for group in GROUPS}
        several = int((mine & (runs > 1)).sum())
        by_blocks[str(size)] = {"cells": int(mine.sum()), **counts, "several_seeds": several}
    words = Counter(word for origin in table.origins for word in origin.split("+"))
    repeated = Counter(
        origin for origin, count in zip(table.origins, runs.tolist(), strict=True) if count > 1
    )
    return {
        "by_blocks": by_blocks,
        "by_origin": dict(words),
        "several_by_origin": dict(repeated),
        "total": len(table),
        "runs": len(table.seeds),
    }


def _list_groups(table: Table) -> NDArray[np.str_]:
    return np.array([find_group(origin) for origin in table.origins], np.str_)


def _time_children(table: Table) -> dict[str, Any]:
    """Median seconds of a child by block count."""
    sizes = table.space.block_counts(table.cells)[table.run_cells]
    known = table.seconds > 0
    medians = {
        str(size): float(np.median(table.seconds[known & (sizes == size)]))
        for size in sorted(set(sizes[known].tolist()))
    }
    return {"median_by_blocks": medians, "core_hours": float(np.nansum(table.seconds)) / 3600}


def _spread_accuracy(sample: Sample, population: Sample) -> dict[str, Any]:
    """Quantiles of the population's mean validation accuracy by block count, and the highest of any cell's.

    Of a table without a population, such as an imported one, quantiles are of all its cells.
    """
    of = RANDOM if len(population) else None
    population = population if len(population) else sample
    rows = {}
    for size in sorted(set(sample.blocks.tolist())):
        values, every = (one.final[one.blocks == size] for one in (population, sample))
        known = len(values) > 0
        rows[str(size)] = {
            "cells": len(values),
            "quantiles": np.quantile(values, QUANTILES).tolist() if known else [None] * len(QUANTILES),
            "highest": float(every.max()),
        }
    return {"group": of, "at": list(QUANTILES), "by_blocks": rows}


def _measure_seeds(table: Table) -> dict[str, Any]:
    """How far one training is from the mean over seeds; None where no cell has two seeds."""
    noise = SeedNoise.measure(table)
    deviation = noise.valid[-1]
    pairs = find_seed_pairs(table)
    ends = np.array([deviation.lowest, deviation.center, deviation.highest])
    return {
        "freedom": deviation.freedom,
        "cells": len(pairs),
        "deviation": deviation.middle,
        "deviation_at": dict(zip(("lowest", "middle", "highest"), deviation.at(ends).tolist(), strict=True)),
        "accuracy_at": dict(zip(("lowest", "middle", "highest"), ends.tolist(), strict=True)),
        "test_deviation": fit_deviation(table, table.test_accuracy).middle,
        **_measure_reliability(table, deviation),
        "spearman": correlate(pairs[:, 0], pairs[:, 1], ranks=True),
        "diverged": int((table.status == Status.DIVERGED).sum()),
        "failed": int((table.status == Status.FAILED).sum()),
        "divergence": noise.divergence,
        "divergence_runs": noise.divergence_runs,
    }


def find_seed_pairs(table: Table) -> Floats:
    """Accuracies of two seeds of each cell that has two which did not choose it, `float64[k, 2]`.

    The first two of those that `choose_repeats` chooses: the seed by which a cell was found to be among the
    best, or the worst, has luck in it that no other has.
    """
    runs = _order_runs(table, choose_repeats(table))
    cells = table.run_cells[runs]
    first = np.flatnonzero(np.diff(cells, prepend=-1) != 0)
    first = first[first + 1 < len(runs)]
    both = first[cells[first + 1] == cells[first]]
    return np.column_stack([table.valid_accuracy[runs[both]], table.valid_accuracy[runs[both + 1]]])


def _order_runs(table: Table, chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Places of the chosen runs, cell by cell, in each the lowest seed first."""
    runs = np.flatnonzero(chosen)
    return runs[np.lexsort((table.seeds[runs], table.run_cells[runs]))]


def _measure_reliability(table: Table, deviation: Deviation) -> dict[str, Any]:
    """The share of the variance of one training that is the cells' and not the seed's, and of how many cells.

    Of the population's cells of the largest size, by the lowest seed of each that ended well, which all have
    whatever was trained again. None where they are few, or nothing is known of seeds.
    """
    sizes = table.space.block_counts(table.cells)
    mine = np.ones(len(table), np.bool_) if table.closed else _list_groups(table) == RANDOM
    mine &= sizes == sizes.max(initial=0)
    runs = _order_runs(table, (table.status == Status.OK) & mine[table.run_cells])
    values = table.valid_accuracy[runs[np.diff(table.run_cells[runs], prepend=-1) != 0]]
    share = None
    if len(values) >= FEWEST_BEST and deviation.middle > 0 and np.ptp(values) > 0:
        share = max(0.0, 1 - float(np.mean(deviation.at(values) ** 2) / np.var(values, ddof=1)))
    return {"reliability": share, "reliability_cells": len(values)}


def _follow_curves(table: Table) -> list[dict[str, Any]]:
    """For each checkpoint, its mean accuracy and Spearman's correlation with the last one, over runs."""
    ended = table.status == Status.OK
    rows = []
    for place, epochs in enumerate(table.epochs.tolist()):
        last = place == len(table.epochs) - 1
        values = table.valid_accuracy if last else table.curves[:, place]
        known = ended & ~np.isnan(values)
        rho = correlate(values[known], table.valid_accuracy[known], ranks=True)
        mean = float(values[known].mean()) if known.any() else None
        rows.append({"epochs": epochs, "runs": int(known.sum()), "mean": mean, "spearman": rho})
    return rows


def count_among_best(population: Sample) -> dict[str, Any]:
    """How often each operation stands in the best tenth of the cells of several blocks, and in all of them.

    Args:
        population: of `find_population`: a search's cells say what it likes, a smaller space's what it has.
    """
    mine = population.take(population.blocks > 1)
    count = max(FEWEST_BEST, round(BEST_SHARE * len(mine)))
    if len(mine) < 2 * count:
        return {"cells": len(mine), "best": 0, "shares": {}}
    # by accuracy beside the others of its size: larger cells are better, and would be most of the best
    middle = {size: float(np.median(mine.final[mine.blocks == size])) for size in set(mine.blocks.tolist())}
    apart = mine.final - np.array([middle[int(size)] for size in mine.blocks])
    best = np.argsort(-apart, kind="stable")[:count]
    shares = {}
    for name, all_, top in zip(
        mine.space.operations, _share_operations(mine), _share_operations(mine.take(best)), strict=True
    ):
        shares[name] = {"all": all_, "best": top}
    return {"cells": len(mine), "best": count, "shares": shares}


def _share_operations(sample: Sample) -> list[float]:
    tokens = sample.cells.reshape(len(sample), -1, 4)[:, :, 2:]
    counts = np.bincount(tokens[tokens != 255], minlength=len(sample.space.operations))
    return [float(share) for share in counts / counts.sum()]


def _describe_worlds(table: Table, population: Sample, name: str) -> dict[str, Any]:
    """What is stored of a surrogate beside its quality, and how its world looks beside the trained cells."""
    about = table.surrogates[name].metadata
    kept = {key: about[key] for key in ("kind", "cells", "seed", "settings", "effects", "tuning")}
    return kept | {"beside_trained": compare_world(table, population, name)}


def compare_world(table: Table, population: Sample, name: str) -> dict[str, Any] | None:
    """Accuracies of random cells in world 0, each with a seed's noise, beside those of trained ones.

    Of the largest size; None where too few of it were trained. Where the two differ, searches are compared on
    a landscape that is not the real one.
    """
    size = int(population.blocks.max(initial=0))
    trained = population.final[population.blocks == size]
    if len(trained) < FEWEST_BEST:
        return None
    space, surrogate = table.space, Surrogate.from_table(table, name)
    cells = space.canonical(space.sample(WORLD_CELLS, np.random.default_rng(0), blocks=size))
    answer, last = surrogate.predict(cells), len(table.epochs) - 1
    drawn = surrogate.draw_noise(
        answer.keys, last, 0, answer.valid_accuracy, np.nan_to_num(answer.test_accuracy)
    )
    world = answer.valid_accuracy + drawn.valid
    inner = QUANTILES[1:-1]
    return {
        "blocks": size,
        "at": list(inner),
        "trained": {"cells": len(trained), **_spread(trained, inner)},
        "world": {"cells": len(cells), **_spread(world, inner)},
    }


def _spread(values: Floats, at: tuple[float, ...]) -> dict[str, Any]:
    quantiles = [float(value) for value in np.quantile(values, at)]
    return {"quantiles": quantiles, "deviation": float(values.std())}
