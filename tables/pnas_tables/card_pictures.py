"""The pictures of a table's card, as PNG files; matplotlib is imported late."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Status
from pnas_sim.space import name_size
from pnas_sim.space.arrays import Floats
from pnas_tables.card_facts import find_population, find_seed_pairs
from pnas_tables.families import FitSettings, find_kind
from pnas_tables.fit import predict_held_out, prepare_fit
from pnas_tables.format import write_file
from pnas_tables.record import Table
from pnas_tables.sample import Sample, gather_sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes


SIZE = (6.0, 3.8)  # inches
DOTS = 110  # an inch
MOST_CURVES = 200


def draw_pictures(table: Table, facts: Mapping[str, Any], folder: Path, stem: str) -> dict[str, str]:
    """Draws what the table has data for.

    Args:
        table: whose pictures they are.
        facts: of `pnas_tables.card_facts.gather_facts`.
        folder: to write into, `STEM-WHAT.png` each.
        stem: of their names, and of the card's.

    Returns:
        File names by what they show: `accuracy`, `seeds`, `curves`, `operations`, `predicted-SURROGATE`.

    Raises:
        SettingError: matplotlib is not installed.
        WorkError: a file cannot be written.
    """
    sample = gather_sample(table)
    population = find_population(table, sample)
    draw: dict[str, Callable[[Axes], None]] = {
        "accuracy": lambda axes: _draw_accuracy(axes, sample, population)
    }
    pairs = find_seed_pairs(table)
    if len(pairs) > 1:
        draw["seeds"] = lambda axes: _draw_seeds(axes, pairs)
    if len(table.epochs) > 1:
        draw["curves"] = lambda axes: _draw_curves(axes, table)
    if facts["operations"]["best"]:
        draw["operations"] = lambda axes: _draw_operations(axes, facts["operations"]["shares"])
    files = {what: _save(folder / f"{stem}-{what}.png", work) for what, work in draw.items()}
    for name in sorted(table.surrogates):
        known, predicted = predict_again(table, name)
        what = f"predicted-{name}"
        path = folder / f"{stem}-{what}.png"
        files[what] = _save(path, partial(_draw_predicted, sample=known, predicted=predicted))
    return files


def predict_again(table: Table, name: str) -> tuple[Sample, Floats]:
    """The cells a surrogate was fitted on, and what fits without them predict, `float64[n]`."""
    about = table.surrogates[name].metadata
    family = find_kind(about["kind"]).name
    _, task = prepare_fit(table, family, int(about["seed"]), FitSettings.from_json(about["settings"]))
    return task.sample, predict_held_out(task)


def _save(path: Path, draw: Callable[[Axes], None]) -> str:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SettingError(f"pictures need matplotlib ({error}); install pnas-sim[plot]") from None
    figure = Figure(figsize=SIZE, dpi=DOTS, layout="constrained")
    axes = figure.add_subplot()
    draw(axes)
    axes.spines[["top", "right"]].set_visible(False)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    write_file(path, drawn.getvalue())
    return path.name


def _draw_accuracy(axes: Axes, sample: Sample, population: Sample) -> None:
    """Every cell; the median of those that stand for the space, or of all where none do."""
    middle, kind = (population, "of random ones") if len(population) else (sample, "of all")
    rng = np.random.default_rng(0)
    for size in sorted(set(sample.blocks.tolist())):
        values = sample.final[sample.blocks == size]
        axes.plot(
            size + rng.uniform(-0.25, 0.25, len(values)), values, ".", ms=3, alpha=0.6, color="tab:blue"
        )
        medians = middle.final[middle.blocks == size]
        if len(medians):
            axes.hlines(np.median(medians), size - 0.35, size + 0.35, color="black")
    axes.set(xlabel="blocks", ylabel="validation accuracy")
    axes.set_xticks(sorted(set(sample.blocks.tolist())))
    axes.set_title(f"{len(sample)} trained cells; lines are medians {kind}", fontsize=10)


def _draw_seeds(axes: Axes, pairs: Floats) -> None:
    axes.plot(pairs[:, 0], pairs[:, 1], ".", color="tab:blue")
    _draw_diagonal(axes, pairs)
    axes.set(xlabel="validation accuracy, one seed", ylabel="another seed")
    axes.set_title(f"{len(pairs)} cells trained with two seeds", fontsize=10)


def _draw_curves(axes: Axes, table: Table) -> None:
    runs = np.flatnonzero(table.status == Status.OK)
    chosen = np.sort(np.random.default_rng(0).permutation(runs)[:MOST_CURVES])
    curves = table.curves[chosen].copy()
    curves[:, -1] = table.valid_accuracy[chosen]
    order = np.argsort(np.argsort(curves[:, -1])) / max(1, len(chosen) - 1)
    for curve, place in zip(curves, order, strict=True):
        axes.plot(table.epochs, curve, lw=0.6, alpha=0.6, color=(place, 0.3, 1 - place))
    axes.set(xlabel="epochs", ylabel="validation accuracy")
    axes.set_title(f"{len(chosen)} of {len(runs)} runs; red is better at the end", fontsize=10)


def _draw_operations(axes: Axes, shares: Mapping[str, Mapping[str, float]]) -> None:
    places = np.arange(len(shares))
    axes.bar(places - 0.2, [row["best"] for row in shares.values()], 0.4, label="among the best")
    axes.bar(places + 0.2, [row["all"] for row in shares.values()], 0.4, label="in all", color="lightgrey")
    axes.set_xticks(places, list(shares), rotation=30)
    axes.set_ylabel("share of operations")
    axes.legend(frameon=False, fontsize=9)


def _draw_predicted(axes: Axes, sample: Sample, predicted: Floats) -> None:
    for size in sorted(set(sample.blocks.tolist())):
        mine = sample.blocks == size
        axes.plot(predicted[mine], sample.final[mine], ".", ms=4, alpha=0.7, label=name_size(size))
    _draw_diagonal(axes, np.column_stack([predicted, sample.final]))
    axes.set(xlabel="predicted, cell held out", ylabel="measured validation accuracy")
    axes.set_title(f"{len(sample)} cells, mean over seeds", fontsize=10)
    axes.legend(frameon=False, fontsize=8)


def _draw_diagonal(axes: Axes, values: Floats) -> None:
    ends = [float(values.min()), float(values.max())]
    axes.plot(ends, ends, color="black", lw=0.7)
