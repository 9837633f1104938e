"""Verification: which cells of finished searches to train, and what their trainings say of the predictions.

Cells are chosen by what the searches were told; trainings come after, so that no training has a say in what
is trained. A search's top cells are those that it would hand over first: of the last level where it grows
cells by levels, as `pnas_sim.summary.choose_final` says of a run's best.

The object that `describe_verification` returns is `result.json`:

- `kind` "verification", `schema` 1, `folders` (that were verified), `table`, `table_checksum`, `surrogate`,
  `out`
- `recipe` (JSON object of what was trained by), `same_recipe` (whether it is the table's own)
- `epochs`, `seeds` (list), `confidence`, `resamples`
- `all_untrained_before`: no chosen cell was in the table; `left_out_as_trained`: cells that would have been
  chosen but were trained before
- `cells`: list of `cell`, `group` (name of the search whose top cell it is, or "spread"), `rank` (1: the
  one that the group would hand over), `blocks`, `world`, `run`, `trained_before`, `observed` (what the search
  was told, with seed noise), `expected` (free of noise, with the world's drawn effect of the cell; null if
  unknown), `predicted` (by the model alone), `trained` (mean over seeds; null if all failed), `deviation`
  (between its seeds; null for one), `by_seed` (list, null where failed)
- `agreement`: for each of `predicted`, `expected`, `observed`: for each of `all`, `top`, `spread` and each
  group: null, or `cells`, `kendall_tau`, `spearman`, `bias` (predicted minus trained), `rmse`; the first
  three are null or {`value`, `low`, `high`}
- `regret`: by group: null, or the same three; of the group's winner against the best of all that was trained,
  chosen by other seeds than it is measured by
- `winners`: by group: the cell that the search would have handed over, of those trained; of several runs of
  one search (other seeds or worlds) that of the run that was told the highest accuracy
- `seed_deviation`: of one training from its cell's mean, null with one seed
- `verdict` (words), `believed` ("yes", "order only", "no"), `notes` (list of words)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError, WorkError
from pnas_sim.space.arrays import Floats
from pnas_sim.study.agreement import (
    Agreement,
    average_seeds,
    measure_agreement,
    measure_regret,
    measure_seed_deviation,
)
from pnas_sim.study.resampling import Estimate
from pnas_sim.study.results import describe_estimate, known

SCHEMA = 1
SPREAD = "spread"
KINDS = ("predicted", "expected", "observed")
ORDER_AMONG_TOP = {  # in words, by whether order is shown of all cells, and of the top ones
    (True, True): "also among the top",
    (True, False): "but among the top cells this is not shown",
    (False, False): "nor among the top cells",
    (False, True): "but among the top cells it is",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """A cell that a search evaluated in full.

    Attributes:
        cell: canonical text.
        group: name of the search; runs that differ in seeds and world alone share it.
        run: which of its runs, such as "w0-s1" or a folder.
        world: of the surrogate.
        observed: validation accuracy the search was told.
        expected: free of seed noise; NaN if unknown.
        level: the cell's blocks, where its run grew by levels: it hands over cells of the last. Else 0.
    """

    cell: str
    group: str
    run: str
    world: int
    observed: float
    expected: float
    level: int = 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """A cell to train.

    Attributes:
        visit: that it was met in.
        group: of whose top cells it is, or "spread".
        rank: from 1, in the group.
        trained_before: it is in the table.
    """

    visit: Visit
    group: str
    rank: int
    trained_before: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be trained.

    Attributes:
        chosen: n cells, each once.
        winners: by group, the place of the cell that the search would have handed over, of those to train.
        left_out: top cells that were not chosen as they were trained before.
    """

    chosen: Sequence[Chosen]
    winners: Mapping[str, int]
    left_out: int


def choose_cells(
    visits: Sequence[Visit], groups: Sequence[str], top: int, spread: int, known: set[str], again: bool
) -> Choice:
    """The top cells of each group, then a spread of what all visited; every cell once.

    The best of a run that grew by levels are those of its last level, then those of the level before. Several
    runs of a group take turns: the best of each, then the second of each, better ones first. The spread is
    by ranks: of the other cells in order of observed accuracy, those in the middle of `spread` equal parts.

    Args:
        visits: of all groups, in order of evaluation.
        groups: to take top cells of, in order.
        top: cells of each.
        spread: other cells, of all visits.
        known: cells that were trained before.
        again: whether those may be chosen, too.

    Raises:
        SettingError: a number is below 0, or there is nothing to choose.
    """
    for name, number in (("top", top), ("spread", spread)):
        if number < 0:
            raise SettingError(f"{name} is {number}; it must be at least 0")
    chosen: dict[str, Chosen] = {}
    winners: dict[str, str] = {}
    left_out: set[str] = set()
    for group in groups:
        tops = _order_top([visit for visit in visits if visit.group == group])
        fresh = [visit for visit in tops if again or visit.cell not in known]
        own = _take_top(group, fresh, top, known, set(chosen))
        if own or fresh[:top]:
            winners[group] = fresh[0].cell
            last = next((at for at, visit in enumerate(tops) if own and visit is own[-1].visit), 0)
            left_out |= {visit.cell for visit in tops[:last] if visit.cell in known and not again}
        chosen |= {one.visit.cell: one for one in own}
    for one in _take_spread(visits, spread, known, set(chosen), again):
        chosen[one.visit.cell] = one
    if not chosen:
        raise SettingError("no cell is left to train: raise --top or --spread, or give --again")
    places = {cell: place for place, cell in enumerate(chosen)}
    return Choice(
        list(chosen.values()), {group: places[cell] for group, cell in winners.items()}, len(left_out)
    )


def _take_top(
    group: str, ordered: Sequence[Visit], top: int, known: set[str], taken: set[str]
) -> list[Chosen]:
    """The first `top` visits whose cells no other group and no earlier visit took."""
    free = {visit.cell: visit for visit in reversed(ordered) if visit.cell not in taken}
    picked = [visit for visit in ordered if free.get(visit.cell) is visit][:top]
    return [Chosen(visit, group, rank, visit.cell in known) for rank, visit in enumerate(picked, 1)]


def _take_spread(
    visits: Sequence[Visit], count: int, known: set[str], taken: set[str], again: bool
) -> list[Chosen]:
    banned = taken if again else taken | known
    rest = {visit.cell: visit for visit in reversed(visits) if visit.cell not in banned}
    picked = _spread_ranks(list(rest.values()), count)
    return [Chosen(visit, SPREAD, rank, visit.cell in known) for rank, visit in enumerate(picked, 1)]


def _order_top(visits: Sequence[Visit]) -> list[Visit]:
    """A group's visits: what every run would hand over first, then the second best of each.

    Of a run that went level by level all of a level come before smaller cells: one that failed, or has too
    few, is followed by the one before it.
    """
    runs: dict[str, list[Visit]] = {}
    for visit in visits:
        runs.setdefault(visit.run, []).append(visit)
    placed = [
        (place, -visit.observed, visit.cell, visit.run, visit)
        for own in runs.values()
        for place, visit in enumerate(sorted(own, key=lambda one: (-one.level, -one.observed)))
    ]
    return [entry[-1] for entry in sorted(placed, key=lambda entry: entry[:4])]


def _spread_ranks(visits: Sequence[Visit], count: int) -> list[Visit]:
    """Visits in the middle of `count` equal parts of their order by accuracy, all if there are no more."""
    ordered = sorted(visits, key=lambda visit: (visit.observed, visit.cell))
    count = min(count, len(ordered))
    return [ordered[int((part + 0.5) * len(ordered) / count)] for part in range(count)]


@dataclass(frozen=True, slots=True)
class Trained:
    """What came out.

    Attributes:
        choice: n cells.
        predicted: `float64[n]`, by the model alone.
        by_seed: `float64[n, seeds]`, validation accuracy; NaN where it failed.
        seeds: their training seeds.
        same_recipe: it was trained by the table's own recipe.
        confidence: of intervals.
        resamples: of the bootstrap.
    """

    choice: Choice
    predicted: Floats
    by_seed: Floats
    seeds: Sequence[int]
    same_recipe: bool
    confidence: float = 0.95
    resamples: int = 1000


def describe_verification(trained: Trained, about: Mapping[str, Any]) -> dict[str, Any]:
    """The result object; `about` is what is known before: folders, table, recipe.

    Raises:
        WorkError: no chosen cell was trained to an accuracy.
    """
    means = average_seeds(trained.by_seed)
    if np.isnan(means).all():
        raise WorkError(
            "no cell was trained to an accuracy; nothing can be said; see the errors in trained.h5"
        )
    guesses = {
        "predicted": trained.predicted,
        "expected": np.array([one.visit.expected for one in trained.choice.chosen], np.float64),
        "observed": np.array([one.visit.observed for one in trained.choice.chosen], np.float64),
    }
    parts = _list_parts(trained.choice.chosen)
    measured = {kind: _measure(guesses[kind], means, parts, trained) for kind in KINDS}
    deviation = measure_seed_deviation(trained.by_seed)
    winners = trained.choice.winners
    before = any(one.trained_before for one in trained.choice.chosen)
    believed, verdict = judge(measured["predicted"], deviation, trained.same_recipe)
    return {
        "kind": "verification",
        "schema": SCHEMA,
        **about,
        "same_recipe": trained.same_recipe,
        "seeds": list(trained.seeds),
        "confidence": trained.confidence,
        "resamples": trained.resamples,
        "all_untrained_before": not before,
        "left_out_as_trained": trained.choice.left_out,
        "cells": [_describe_cell(trained, place, means) for place in range(len(means))],
        "agreement": {
            kind: {part: _describe(found) for part, found in own.items()} for kind, own in measured.items()
        },
        "regret": {
            group: _describe_estimate(measure_regret(trained.by_seed, at, trained.confidence))
            for group, at in winners.items()
        },
        "winners": {group: trained.choice.chosen[place].visit.cell for group, place in winners.items()},
        "seed_deviation": deviation,
        "believed": believed,
        "verdict": verdict,
        "notes": _list_notes(trained, before, means),
    }


def _list_parts(chosen: Sequence[Chosen]) -> dict[str, NDArray[np.bool_]]:
    groups = np.array([one.group for one in chosen], object)
    parts = {"all": np.ones(len(chosen), np.bool_), "top": groups != SPREAD, SPREAD: groups == SPREAD}
    return parts | {group: groups == group for group in dict.fromkeys(groups) if group not in parts}


def _measure(
    guesses: Floats, means: Floats, parts: Mapping[str, NDArray[np.bool_]], trained: Trained
) -> dict[str, Agreement | None]:
    options = {"resamples": trained.resamples, "confidence": trained.confidence}
    return {
        part: measure_agreement(guesses[mask], means[mask], **options)  # type: ignore[arg-type]
        for part, mask in parts.items()
    }


def judge(
    measured: Mapping[str, Agreement | None], deviation: float | None, same_recipe: bool
) -> tuple[str, str]:
    """Whether the predictions can be believed ("yes", "order only", "no"), and why, in words.

    Order is shown where the interval of Kendall's tau lies above 0. Size counts only for the table's own
    recipe: the top cells' optimism (of the model alone) must not exceed a seed's deviation, or 0 where
    there is but one seed.
    """
    whole, top = measured["all"], measured["top"]
    tau = None if whole is None else whole.kendall_tau
    ordered = tau is not None and tau.low > 0
    if tau is None:
        words = [f"of {0 if whole is None else whole.cells} cells no order can be told"]
    else:
        shown = "orders cells as training does" if ordered else "is not shown to order cells as training does"
        words = [f"the surrogate {shown}: Kendall tau {_write(tau, '.2f')} on {whole.cells} cells"]  # type: ignore[union-attr]
    among = None if top is None else top.kendall_tau
    if among is not None:
        words.append(f"{ORDER_AMONG_TOP[ordered, among.low > 0]} (tau {_write(among, '.2f')})")
    sound = False
    if top is not None and same_recipe:
        sound = top.bias.value <= (deviation or 0.0)
        size = "no more than" if sound else "more than"
        limit = (
            "0, as one seed has no deviation" if deviation is None else f"a seed's deviation, {deviation:.4f}"
        )
        words.append(
            f"predicted minus trained is {_write(top.bias, '+.4f')} for its top cells, {size} {limit}"
        )
    elif top is not None:
        words.append("accuracies are of another recipe than the table's, so only their order is compared")
    return ("yes" if ordered and sound else "order only" if ordered else "no"), "; ".join(words)


def _write(figure: Estimate, form: str) -> str:
    if np.isnan(figure.low):
        return f"{figure.value:{form}}"
    return f"{figure.value:{form}} [{figure.low:{form}}, {figure.high:{form}}]"


def _describe_cell(trained: Trained, place: int, means: Floats) -> dict[str, Any]:
    one, values = trained.choice.chosen[place], trained.by_seed[place]
    deviation = measure_seed_deviation(values[None])
    return {
        "cell": one.visit.cell,
        "group": one.group,
        "rank": one.rank,
        "blocks": one.visit.cell.count("|") + 1,
        "world": one.visit.world,
        "run": one.visit.run,
        "trained_before": one.trained_before,
        "observed": known(one.visit.observed),
        "expected": known(one.visit.expected),
        "predicted": known(trained.predicted[place]),
        "trained": known(means[place]),
        "deviation": deviation,
        "by_seed": [known(value) for value in values],
    }


def _describe(found: Agreement | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "cells": found.cells,
        "kendall_tau": _describe_estimate(found.kendall_tau),
        "spearman": _describe_estimate(found.spearman),
        "bias": _describe_estimate(found.bias),
        "rmse": found.rmse,
    }


def _describe_estimate(figure: Estimate | None) -> dict[str, Any] | None:
    return None if figure is None else describe_estimate(figure)


def _list_notes(trained: Trained, before: bool, means: Floats) -> list[str]:
    notes = []
    if len(trained.seeds) < 2:
        notes.append("one seed each: a lucky one cannot be told from a good cell, and there is no regret")
    failed = int(np.isnan(means).sum())
    if failed:
        notes.append(f"{failed} cells failed with every seed and are left out of all figures")
    partly = int(np.isnan(trained.by_seed).any(axis=1).sum()) - failed
    if partly:
        notes.append(f"{partly} cells failed with some seeds: their means are of fewer trainings")
    left_out = trained.choice.left_out
    if left_out:
        notes.append(f"{left_out} top cells were trained before and were not chosen")
    if before:
        notes.append("some cells were trained before: the surrogate was fitted on them, which flatters it")
    return notes
