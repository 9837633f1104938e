"""What the lines of `recipe_study.jsonl` say: agreement with the reference, reliability, cost, breakage.

All figures are of cells that both the candidate and the reference have. The upper half is the half that the
reference puts higher. Intervals are 95% percentile intervals of 2,000 bootstrap draws of cells.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

Floats = NDArray[np.float64]
Runs = dict[str, dict[int, float]]  # accuracy by cell and seed

DRAWS = 2_000
FEWEST_CELLS = 6  # for a figure with an interval
BREAK = 0.05  # accuracy gained at a third of the rate from which the rate counts as breaking a cell
SIGNALS = (  # key, the figure it is of, its power, head
    ("information", "agreement", 2, "r2/(1-r2)/cost"),
    ("information_upper_half", "agreement_upper_half", 2, "upper half"),
    ("steadiness", "reliability", 1, "R/(1-R)/cost"),
    ("steadiness_upper_half", "reliability_upper_half", 1, "upper half"),
)


def summarise(lines: Sequence[Mapping[str, Any]], thirds: Mapping[str, str]) -> dict[str, Any]:
    """All figures of both phases, as JSON values; None where nothing is measured yet."""
    return {
        phase: _summarise_phase([line for line in lines if line["phase"] == phase], thirds)
        for phase in ("choose", "confirm")
    }


def _summarise_phase(lines: Sequence[Mapping[str, Any]], thirds: Mapping[str, str]) -> dict[str, Any]:
    runs: dict[str, Runs] = defaultdict(lambda: defaultdict(dict))
    seconds: dict[str, dict[str, float]] = defaultdict(dict)
    for line in sorted(lines, key=lambda line: line["source"], reverse=True):  # the study's own come last
        runs[line["candidate"]][line["cell"]][line["seed"]] = line["valid_accuracy"]
        if line["source"] == "study" and line["seed"] == 0:
            seconds[line["candidate"]][line["cell"]] = line["seconds"]
    reference = {cell: float(np.mean(list(seeds.values()))) for cell, seeds in runs["reference"].items()}
    summary = {}
    for name, found in [(name, found) for name, found in runs.items() if found]:
        third = runs.get(f"{name} at a third") or runs.get(thirds.get(name, ""), {})
        figures = _summarise_candidate(found, reference, third)
        cost = measure_cost(seconds[name], seconds["base"])
        signals = {key: signal(figures[of], cost["cost"], power) for key, of, power, _ in SIGNALS}
        lead = None if name in ("base", "reference") else measure_lead(found, runs["base"], reference)
        summary[name] = {**figures, "lead": lead, **cost, **signals}
    return summary


def _summarise_candidate(found: Runs, reference: Mapping[str, float], third: Runs) -> dict[str, Any]:
    cells = sorted(set(found) & set(reference))
    first = np.array([found[cell].get(0, np.nan) for cell in cells])
    second = np.array([found[cell].get(1, np.nan) for cell in cells])
    truth = np.array([reference[cell] for cell in cells])
    every = np.array([[seeds.get(0, np.nan), seeds.get(1, np.nan)] for seeds in found.values()])
    upper = truth >= np.median(truth) if len(cells) else np.zeros(0, bool)
    both = np.stack([first, second], 1).reshape(-1, 2)
    paired = ~np.isnan(every).any(axis=1)
    return {
        "cells": len(found),
        "cells_with_reference": len(cells),
        "cells_with_two_seeds": int(paired.sum()),
        "mean_accuracy": float(np.nanmean(every)),
        "lowest_accuracy": float(np.nanmin(every)),
        "agreement_by_seed": [agree_once(accuracies, truth) for accuracies in both.T],
        "agreement": interval(agreement, both, truth),
        "agreement_upper_half": interval(agreement, both[upper], truth[upper]),
        "reliability": interval(reliability, every[paired]),
        "reliability_upper_half": interval(reliability, every[paired][upper_half(every[paired])]),
        "seed_deviation": seed_deviation(every[paired]),
        "broken": broken_share(found, third),
    }


# ------------------------------------------------------------------------------------------------ statistics


def agreement(runs: Floats, truth: Floats) -> float:
    """Spearman of one training with the reference: the mean over seeds, by how many cells each has.

    Args:
        runs: `float64[n, 2]`, accuracy by seed; NaN where there is none.
        truth: `float64[n]`, the reference.
    """
    found = [agree_once(accuracies, truth) for accuracies in runs.T]
    counts = [int((~np.isnan(accuracies)).sum()) for accuracies in runs.T]
    known = [(value, count) for value, count in zip(found, counts, strict=True) if not np.isnan(value)]
    values, weights = zip(*known, strict=True) if known else ((np.nan,), (1,))
    return float(np.average(values, weights=weights))


def agree_once(accuracies: Floats, truth: Floats) -> float:
    """Spearman of one seed's accuracies with the reference; NaN of fewer than three cells or equal ones."""
    known = ~np.isnan(accuracies)
    if known.sum() < 3 or len(set(accuracies[known])) < 2 or len(set(truth[known])) < 2:
        return np.nan
    return float(spearmanr(accuracies[known], truth[known]).statistic)


def measure_lead(found: Runs, base: Runs, reference: Mapping[str, float]) -> dict[str, float] | None:
    """Agreement less the base's, on the cells that both have."""
    cells = sorted(set(found) & set(base) & set(reference))
    own, others = (
        np.array([[runs[cell].get(seed, np.nan) for seed in (0, 1)] for cell in cells]).reshape(-1, 2)
        for runs in (found, base)
    )
    truth = np.array([reference[cell] for cell in cells])
    return interval(lambda a, b, t: agreement(a, t) - agreement(b, t), own, others, truth)


def reliability(runs: Floats) -> float:
    """Between-cell variance / (between + seed variance) of `float64[n, 2]`; below 0 counts as 0."""
    if len(runs) < 3:
        return np.nan
    seed = float(((runs[:, 0] - runs[:, 1]) ** 2).mean()) / 2
    between = max(0.0, float(runs.mean(axis=1).var(ddof=1)) - seed / 2)
    return between / (between + seed) if between + seed > 0 else np.nan


def upper_half(runs: Floats) -> NDArray[np.bool_]:
    """The half with the higher mean."""
    means = runs.mean(axis=1)
    return np.asarray(means >= np.median(means)) if len(runs) else np.zeros(0, bool)


def seed_deviation(runs: Floats) -> float | None:
    """Between two seeds of one cell."""
    return float(np.sqrt(((runs[:, 0] - runs[:, 1]) ** 2).mean() / 2)) if len(runs) else None


def broken_share(found: Runs, third: Runs) -> dict[str, Any] | None:
    """Share of cells that gain more than `BREAK` at a third of the rate, at the first seed."""
    cells = [cell for cell in third if 0 in third[cell] and 0 in found.get(cell, {})]
    if not cells:
        return None
    gains = np.array([third[cell][0] - found[cell][0] for cell in cells])
    return {"share": float((gains > BREAK).mean()), "cells": len(cells), "largest_gain": float(gains.max())}


def measure_cost(seconds: Mapping[str, float], base: Mapping[str, float]) -> dict[str, Any]:
    """Core-seconds of a child, and as a multiple of the base's on the same cells."""
    same = sorted(set(seconds) & set(base))
    return {
        "seconds": float(np.mean(list(seconds.values()))) if seconds else None,
        "cost": float(np.sum([seconds[c] for c in same]) / np.sum([base[c] for c in same])) if same else None,
        "timed_cells": len(same),
    }


def interval(statistic: Callable[..., float], *arrays: Floats) -> dict[str, float] | None:
    """A statistic of cells with its interval; None where there are too few cells."""
    count = len(arrays[0])
    if count < FEWEST_CELLS or np.isnan(value := statistic(*arrays)):
        return None
    rng = np.random.default_rng(0)
    draws = rng.integers(0, count, (DRAWS, count))
    values = np.array([statistic(*(array[places] for array in arrays)) for places in draws])
    low, high = np.nanquantile(values, (0.025, 0.975))
    return {"value": value, "low": float(low), "high": float(high), "cells": count}


def signal(found: Mapping[str, float] | None, cost: float | None, power: int) -> float | None:
    """Signal to noise of one training, for the base's cost.

    Args:
        found: an agreement or a reliability; below 0 counts as 0.
        cost: as a multiple of the base's.
        power: that makes a share of variance of it: 2 of an agreement, 1 of a reliability.
    """
    if found is None or cost is None or found["value"] > 0.999:
        return None
    share = max(0.0, found["value"]) ** power
    return float(share / (1 - share) / cost)


# --------------------------------------------------------------------------------------------------- printing

COLUMNS = (
    ("agreement", "agreement"),
    ("lead", "less the base's"),
    ("agreement_upper_half", "upper half"),
    ("reliability", "reliability"),
    ("reliability_upper_half", "upper half"),
)


def format_report(figures: Mapping[str, Any]) -> str:
    """A Markdown table for each phase that has lines."""
    heads = ["candidate", "cells", "mean", "lowest", "seed 0, seed 1", *(head for _, head in COLUMNS)]
    heads += ["seed deviation", "s a child", "cost", *(head for *_, head in SIGNALS), "broken"]
    texts = []
    for phase, candidates in figures.items():
        rows = [f"| {' | '.join(_cells(name, found))} |" for name, found in candidates.items()]
        head = f"| {' | '.join(heads)} |\n|{'--|' * len(heads)}"
        texts.append(
            "\n".join([f"Phase `{phase}`:\n", head, *rows]) if rows else f"Phase `{phase}`: no line yet."
        )
    return "\n\n".join(texts)


def _cells(name: str, found: Mapping[str, Any]) -> list[str]:
    broken = found["broken"]
    return [
        name,
        f"{found['cells']}, {found['cells_with_reference']}, {found['cells_with_two_seeds']}",
        f"{found['mean_accuracy']:.3f}",
        f"{found['lowest_accuracy']:.3f}",
        ", ".join(
            _number(None if np.isnan(one) else one, ".2f") or "-" for one in found["agreement_by_seed"]
        ),
        *(_with_interval(found[key]) for key, _ in COLUMNS),
        _number(found["seed_deviation"], ".4f"),
        _number(found["seconds"], ".1f"),
        _number(found["cost"], ".2f"),
        *(_number(found[key], ".2f") for key, *_ in SIGNALS),
        "" if broken is None else f"{broken['share']:.0%} of {broken['cells']}",
    ]


def _with_interval(figure: Mapping[str, float] | None) -> str:
    if figure is None:
        return ""
    return f"{figure['value']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
