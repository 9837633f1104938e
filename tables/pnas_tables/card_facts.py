"""The figures of a table's card, each a plain function of the table, as JSON values."""

from __future__ import annotations

from typing import Any

import numpy as np

from pnas_sim.evaluate import Status
from pnas_sim.space.arrays import Floats
from pnas_tables.figures import mean_by_cell
from pnas_tables.quality import correlate
from pnas_tables.record import Table
from pnas_tables.sample import GROUPS, Sample, find_group, gather_sample
from pnas_tables.seeds import SeedNoise, fit_deviation
from pnas_tables.surrogate import Surrogate

BEST_SHARE = 0.1  # of the cells of several blocks: "the best" of the operations' frequencies
FEWEST_BEST = 10
QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)
WORLD_CELLS = 2000  # random ones, beside the trained


def gather_facts(table: Table) -> dict[str, Any]:
    """Everything that a card says in figures but the surrogates' held-out ones, which the table holds."""
    sample = gather_sample(table)
    return {
        "cells": _count_cells(table),
        "seconds": _time_children(table),
        "accuracy": _spread_accuracy(sample),
        "seeds": _measure_seeds(table),
        "curves": _follow_curves(table),
        "operations": count_among_best(sample),
        "surrogates": {name: _describe_worlds(table, sample, name) for name in sorted(table.surrogates)},
    }


def _count_cells(table: Table) -> dict[str, Any]:
    """Cells and runs by block count and by group, and by word of origin."""
    sizes = table.space.block_counts(table.cells)
    groups = np.array([find_group(origin) for origin in table.origins])
    runs = np.bincount(table.run_cells, minlength=len(table))
    by_blocks = {}
    for size in sorted(set(sizes.tolist())):
        mine = sizes == size
        counts = {group: int((mine & (groups == group)).sum()) for group in GROUPS}
        several = int((mine & (runs > 1)).sum())
        by_blocks[str(size)] = {"cells": int(mine.sum()), **counts, "several_seeds": several}
    words: dict[str, int] = {}
    for origin in table.origins:
        for word in origin.split("+"):
            words[word] = words.get(word, 0) + 1
    return {"by_blocks": by_blocks, "by_origin": words, "total": len(table), "runs": len(table.seeds)}


def _time_children(table: Table) -> dict[str, Any]:
    """Median seconds of a child by block count."""
    sizes = table.space.block_counts(table.cells)[table.run_cells]
    known = table.seconds > 0
    medians = {
        str(size): float(np.median(table.seconds[known & (sizes == size)]))
        for size in sorted(set(sizes[known].tolist()))
    }
    return {"median_by_blocks": medians, "core_hours": float(np.nansum(table.seconds)) / 3600}


def _spread_accuracy(sample: Sample) -> dict[str, Any]:
    """Quantiles of the cells' mean validation accuracy by block count."""
    rows = {}
    for size in sorted(set(sample.blocks.tolist())):
        values = sample.final[sample.blocks == size]
        quantiles = [float(value) for value in np.quantile(values, QUANTILES)]
        rows[str(size)] = {"cells": len(values), "quantiles": quantiles}
    return {"at": list(QUANTILES), "by_blocks": rows}


def _measure_seeds(table: Table) -> dict[str, Any]:
    """How far one training is from the mean over seeds; None where no cell has two seeds."""
    noise = SeedNoise.measure(table)
    deviation = noise.valid[-1]
    pairs = find_seed_pairs(table)
    between = _between_variance(table, deviation.middle)
    ends = np.array([deviation.lowest, deviation.center, deviation.highest])
    return {
        "freedom": deviation.freedom,
        "cells": len(pairs),
        "deviation": deviation.middle,
        "deviation_at": dict(zip(("lowest", "middle", "highest"), deviation.at(ends).tolist(), strict=True)),
        "accuracy_at": dict(zip(("lowest", "middle", "highest"), ends.tolist(), strict=True)),
        "test_deviation": fit_deviation(table, table.test_accuracy).middle,
        "reliability": None if between is None else between / (between + deviation.middle**2),
        "spearman": correlate(pairs[:, 0], pairs[:, 1], ranks=True),
        "diverged": int((table.status == Status.DIVERGED).sum()),
        "failed": int((table.status == Status.FAILED).sum()),
        "divergence": noise.divergence,
        "divergence_runs": noise.divergence_runs,
    }


def find_seed_pairs(table: Table) -> Floats:
    """Accuracies of the first two seeds of each cell that has two which ended well, `float64[k, 2]`."""
    runs = np.flatnonzero(table.status == Status.OK)
    runs = runs[np.lexsort((table.seeds[runs], table.run_cells[runs]))]
    cells = table.run_cells[runs]
    first = np.flatnonzero(np.concatenate([[True], np.diff(cells) != 0])) if len(runs) else runs
    first = first[first + 1 < len(runs)]
    both = first[cells[first + 1] == cells[first]]
    return np.column_stack([table.valid_accuracy[runs[both]], table.valid_accuracy[runs[both + 1]]])


def _between_variance(table: Table, seeds: float) -> float | None:
    """Variance between cells free of seed noise, among the cells of the largest size with several seeds."""
    sizes = table.space.block_counts(table.cells)
    means, runs = (
        mean_by_cell(table, table.valid_accuracy),
        np.bincount(table.run_cells, minlength=len(table)),
    )
    mine = (sizes == sizes.max()) & ~np.isnan(means) if len(sizes) else np.zeros(0, bool)
    if mine.sum() < FEWEST_BEST or seeds == 0:
        return None
    return max(0.0, float(np.var(means[mine], ddof=1)) - seeds**2 * float((1 / runs[mine]).mean()))


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


def count_among_best(sample: Sample) -> dict[str, Any]:
    """How often each operation stands in the best tenth of the cells of several blocks, and in all of them.

    Only cells drawn of the whole space count: a search's say what it likes, a smaller space's what it has.
    """
    mine = sample.take((sample.blocks > 1) & sample.of_group(GROUPS[0]))
    count = max(FEWEST_BEST, round(BEST_SHARE * len(mine)))
    if len(mine) < 2 * count:
        return {"cells": len(mine), "best": 0, "shares": {}}
    # by accuracy beside the others of its size: larger cells are better, and would be most of the best
    middle = {size: float(np.median(mine.final[mine.blocks == size])) for size in set(mine.blocks.tolist())}
    apart = mine.final - np.array([middle[int(size)] for size in mine.blocks])
    best = np.argsort(-apart, kind="stable")[:count]
    shares = {}
    for name, all_, top in zip(
        sample.space.operations, _share_operations(mine), _share_operations(mine.take(best)), strict=True
    ):
        shares[name] = {"all": all_, "best": top}
    return {"cells": len(mine), "best": count, "shares": shares}


def _share_operations(sample: Sample) -> list[float]:
    tokens = sample.cells.reshape(len(sample), -1, 4)[:, :, 2:]
    counts = np.bincount(tokens[tokens != 255], minlength=len(sample.space.operations))
    return [float(share) for share in counts / counts.sum()]


def _describe_worlds(table: Table, sample: Sample, name: str) -> dict[str, Any]:
    """What is stored of a surrogate beside its quality, and how its world looks beside the trained cells."""
    about = table.surrogates[name].metadata
    kept = {key: about[key] for key in ("kind", "cells", "seed", "settings", "effects", "tuning")}
    return kept | {"beside_trained": compare_world(table, sample, name)}


def compare_world(table: Table, sample: Sample, name: str) -> dict[str, Any] | None:
    """Accuracies of random cells in world 0, each with a seed's noise, beside those of trained random cells.

    Of the largest size; None where too few of it were trained. Where the two differ, searches are compared on
    a landscape that is not the real one.
    """
    size = int(sample.blocks.max())
    trained = sample.final[(sample.blocks == size) & sample.of_group(GROUPS[0])]
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
