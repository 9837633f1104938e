"""What a reader of a comparison has to know before believing its figures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Source
from pnas_sim.predict import describe_predictor
from pnas_sim.search.catalogue import count_first_cells, describe_search
from pnas_sim.study.compare import Comparison
from pnas_sim.summary import grows_by_levels


def list_notes(comparison: Comparison) -> list[str]:
    """What a reader has to know before believing the figures."""
    analysis, grid = comparison.analysis, comparison.grid
    notes = []
    if analysis.resamples == 0:
        notes.append("one seed in one world: no intervals and no tests are possible; raise --seeds")
    elif len(grid.worlds) == 1 and _is_predicted(comparison):
        notes.append(
            "one world: intervals are over seeds only, and say nothing of another landscape; raise --worlds"
        )
    notes.extend(_list_narrow_levels(comparison))
    notes.extend(_list_favoured(comparison))
    notes.extend(_list_cut_short(comparison))
    notes.extend(_list_unlearnt(comparison))
    notes.extend(_list_early_ends(comparison))
    notes.extend(_list_own_notes(comparison))
    if len(analysis.kinds) == 1:
        notes.append("the backend knows no noise-free values: figures are observed ones, which flatter")
    notes.extend(_list_unequal_tuning(comparison))
    return notes


def _is_predicted(comparison: Comparison) -> bool:
    """Whether accuracies are a surrogate's, which may have other worlds."""
    return any(run.facts.source == Source.PREDICTED for runs in comparison.grid.runs.values() for run in runs)


def _list_narrow_levels(comparison: Comparison) -> Iterator[str]:
    """Searches whose last level has fewer cells than a top M: the paper's counting cannot be had of it."""
    for label, runs in comparison.grid.runs.items():
        if not any(grows_by_levels(run.blocks) for run in runs):
            continue
        last = min(int((run.blocks == run.blocks[-1]).sum()) for run in runs)
        too_many = [str(top) for top in comparison.prepared.settings.tops if top > last]
        if too_many:
            yield (
                f"the last level of {label} has {last} cells: by the paper's counting, its top "
                f"{', '.join(too_many)} is of an earlier level; read the symmetrical counting"
            )


def _list_cut_short(comparison: Comparison) -> Iterator[str]:
    """Searches that grow cells and did not grow them to the end: what they hand over is of a smaller size."""
    blocks = comparison.prepared.settings.blocks
    for label, runs in comparison.grid.runs.items():
        cut = [
            run
            for run in runs
            if grows_by_levels(run.blocks) and run.facts.stopped == "budget" and run.blocks[-1] < blocks
        ]
        if cut:
            least = min(int(run.blocks[-1]) for run in cut)
            yield (
                f"{len(cut)} of {len(runs)} runs of {label} were cut off by the budget at cells of {least} "
                f"blocks of {blocks}: the accuracy it is judged by is of those; raise --budget"
            )


def _list_unlearnt(comparison: Comparison) -> Iterator[str]:
    """Searches that are compared before they learnt anything: there they are random search."""
    settings, space = comparison.prepared.settings, comparison.prepared.spec.space
    labels = comparison.analysis.references
    reference = min(labels, key=lambda label: _count_models(comparison, label))
    models = _count_models(comparison, reference)
    for label, choice in settings.searches.items():
        options = comparison.prepared.options[label]
        first = count_first_cells(choice.search, options, space, settings.blocks)
        longest = max(len(run) for run in comparison.grid.runs[label])
        if first >= longest:
            yield f"{label} learns from its first {first:,} cells, and had no more: raise --budget"
        elif first >= models and label != reference:
            yield (
                f"{label} learns from its first {first:,} cells: at the {models:,.0f} models of {reference} "
                "it has learnt nothing yet"
            )


def _count_models(comparison: Comparison, label: str) -> float:
    return float(np.mean([len(run) for run in comparison.grid.runs[label]]))


def _list_unequal_tuning(comparison: Comparison) -> Iterator[str]:
    """How often each search was tuned, where some were more often; those without options cannot be."""
    prepared = comparison.prepared
    trials = {
        label: choice.tuning
        for label, choice in prepared.settings.searches.items()
        if prepared.options[label] or choice.tuning
    }
    if len(set(trials.values())) > 1:
        told = ", ".join(f"{label} {count}" for label, count in trials.items())
        yield f"tuned unequally, trials of each: {told}"


def _list_early_ends(comparison: Comparison) -> Iterator[str]:
    """Searches that ran out of new cells, not of budget: what they did not reach they would not have."""
    for label, runs in comparison.grid.runs.items():
        early = [len(run) for run in runs if run.facts.stopped in ("stalled", "proposals")]
        if early:
            yield (
                f"{len(early)} of {len(runs)} runs of {label} ended by proposing little but repeats, after "
                f"{min(early):,} to {max(early):,} models"
            )


def _list_own_notes(comparison: Comparison) -> Iterator[str]:
    """What the catalogue of searches says of the figures of one."""
    for label, choice in comparison.prepared.settings.searches.items():
        if note := describe_search(choice.search).note:
            yield f"{label} {note}"


def _list_favoured(comparison: Comparison) -> Iterator[str]:
    """Searches whose predictor is the surrogate's own kind of model, which the benchmark favours."""
    prepared = comparison.prepared
    facts = prepared.spec.settings
    surrogate, kind = facts.get("surrogate"), str(facts.get("surrogate_kind", ""))
    for label, options in prepared.options.items():
        if _is_favoured(options.get("predictor"), kind):
            yield f"{label} predicts by the surrogate's own kind of model ({surrogate}), which favours it"


def _is_favoured(predictor: object, kind: str) -> bool:
    try:
        return isinstance(predictor, str) and describe_predictor(predictor).is_favoured(kind)
    except SettingError:  # a search of another package may mean something else by the word
        return False
