"""The part of a table's card on its surrogates: how they were fitted, and how right they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pnas_sim.space import name_size
from pnas_sim.texts import escape_markdown
from pnas_tables.families import find_kind
from pnas_tables.markdown import grid, list_plain, picture, rounded
from pnas_tables.tune import SCALE_MARGIN

GROUP_WORDS = {
    "random": "drawn at random, or all of a size",
    "raw": "drawn as raw rows",
    "subspace": "of a smaller space",
    "other": "imported",
    "search": "found by a search",
    "sealed": "sealed",
    "sealed-top": "sealed, of the top region",
    "sealed-search": "sealed, of an audit",
}
MEASURES = {
    "tau": "kendall_tau",
    "top half": "kendall_tau_top_half",
    "top tenth": "kendall_tau_top_tenth",
    "precision at 5%": "precision_at_5",
    "Spearman": "spearman",
    "R2": "r2",
}


def describe_surrogates(
    facts: Mapping[str, Any], quality: Mapping[str, Any], pictures: Mapping[str, str], source: str
) -> Iterator[str]:
    """Lines of Markdown: how each was fitted, how its world looks, how good it is on cells held out.

    Args:
        facts: of `pnas_tables.card_facts.gather_facts`.
        quality: held-out figures by surrogate.
        pictures: file names by what they show.
        source: how commands name the table.
    """
    yield "## Surrogates"
    yield ""
    if not quality:
        yield f"None is fitted; `pnas-sim table fit` does it on the file of {source}."
        return
    yield (
        "Held-out figures (five folds by cell; cells that are not fitted by a model of all that are: sealed "
        "ones, and of a smaller space's all beyond as many of a size as there are others), each with the "
        "ceiling that an oracle would reach against measurements as noisy as these, in brackets. Ranks "
        "within the top half and the top tenth are among the cells best as measured. A row is of cells that "
        "were trained for one reason: mixed, the difference between the kinds would pass for order within "
        "them, as that between sizes does where a row has several. Fitted are cells of all kinds but sealed "
        "ones, so more than a row has."
    )
    yield from _shared_features(facts.get("shared_features"))
    for name, figures in quality.items():
        worlds = facts["surrogates"][name]
        scale = worlds["settings"]["scale"]
        effects = ", ".join(f"{value:.2f} ({size})" for size, value in worlds["effects"].items())
        yield ""
        yield f"### `{name}`"
        yield ""
        yield (
            f"Kind {worlds['kind']}, fitted on {worlds['cells']} cells, scale {escape_markdown(scale)}, "
            f"{worlds['settings']['worlds']} worlds. Deviation of a cell's own effect in scores (by block "
            f"count): {effects}."
        )
        yield from _fitted_by(worlds)
        yield from _beside_trained(worlds["beside_trained"])
        yield ""
        yield from grid(["", "cells", *MEASURES, "RMSE"], list(_quality_rows(figures)))
        yield from picture(
            pictures, f"predicted-{name}", f"Predicted by {name} against measured, cells held out"
        )


def _shared_features(found: Mapping[str, Any] | None) -> Iterator[str]:
    """How many cells no surrogate can tell from each other."""
    if found is None:
        return
    yield ""
    yield (
        f"Of {found['cells']} distinct random cells of {name_size(found['blocks'])}, {found['shared']} share "
        "all their features with another one: what such cells differ in is hidden from `lightgbm`, however "
        "many are trained."
    )


def _fitted_by(worlds: Mapping[str, Any]) -> Iterator[str]:
    """How the settings were chosen, what that is worth on other cells, and the command that fits it."""
    tuning, family = worlds["tuning"], find_kind(worlds["kind"]).name
    words = f"--family {family} --worlds {worlds['settings']['worlds']} --seed {worlds['seed']}"
    yield ""
    if tuning is None:
        yield f"Its settings are the defaults: `pnas-sim table fit FILE {words}`."
        return
    nested = tuning["nested"]
    yield (
        f"{_word_choice(tuning)} Chosen so on four fifths of the cells and asked of the fifth, tau is "
        f"{rounded(nested['kendall_tau'], 2)} of {rounded(nested['ceiling_kendall_tau'], 2)}, over all "
        f"{nested['cells']} cells that are fitted, of every kind and size: `pnas-sim table fit FILE {words} "
        "--tune`."
    )


def _word_choice(tuning: Mapping[str, Any]) -> str:
    """By what the settings were chosen: the highest tau, or the highest on a scale that keeps its place."""
    tried, chosen = tuning["candidates"], tuning["chosen"]
    first = max(tried, key=lambda one: float(one["kendall_tau"]))
    own = next((one for one in tried if all(one.get(key) == chosen[key] for key in chosen)), first)
    words, tau = list_plain(f"{key} {value}" for key, value in chosen.items()), own["kendall_tau"]
    if tau >= first["kendall_tau"]:
        return f"Its settings ({words}) have the highest tau of {len(tried)} by cross-validation, {tau:.4f}."
    better = list_plain(f"{key} {first[key]}" for key in chosen)
    return (
        f"Its settings ({words}) have the highest tau on their scale, {tau:.4f}, of {len(tried)} by "
        f"cross-validation. The highest of all has {better}, {first['kendall_tau']:.4f}: too little ahead. "
        f"Another scale than the default must be so by more than {SCALE_MARGIN:g}, for by less other folds "
        "would prefer another one."
    )


def _beside_trained(found: Mapping[str, Any] | None) -> Iterator[str]:
    """How world 0 looks beside the trained cells of its largest size."""
    if found is None:
        return
    rows = {which: found[which] for which in ("trained", "world")}
    spans = {
        which: ", ".join(f"{value:.4f}" for value in row["quantiles"])
        + f" (deviation {row['deviation']:.4f})"
        for which, row in rows.items()
    }
    at = ", ".join(f"{100 * share:g}%" for share in found["at"])
    yield ""
    yield (
        f"Random cells of {found['blocks']} blocks, accuracy at {at}: trained {spans['trained']}, n = "
        f"{rows['trained']['cells']}; in world 0 with one seed's noise {spans['world']}, n = "
        f"{rows['world']['cells']}."
    )


def _quality_rows(quality: Mapping[str, Any]) -> Iterator[list[Any]]:
    """A row for each part that there are figures of, the design that has most of them first."""
    first = quality.get("group")
    label = GROUP_WORDS[first] if first else "all" if "group" in quality else "of several kinds"
    parts = {label: quality["overall"]} | _split(label, quality["by_blocks"])
    for group, row in quality["by_group"].items():
        if group != first and row["rmse"] is not None:
            parts[GROUP_WORDS[group]] = row
            sizes = row.get("by_blocks", {})
            known = {size: one for size, one in sizes.items() if one["rmse"] is not None}
            parts |= _split(GROUP_WORDS[group], known if len(sizes) > 1 else {})
    for share, row in quality["by_training_share"].items():
        parts[f"{label}; fitted on {escape_markdown(share)}% of the cells"] = row
    for label, row in parts.items():
        figures = [
            f"{rounded(row[key], 2)} ({rounded(row[f'ceiling_{key}'], 2)})" for key in MEASURES.values()
        ]
        yield [label, row["cells"], *figures, rounded(row["rmse"], 4)]


def _split(label: str, by_blocks: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{label}; {name_size(int(size))}": row for size, row in by_blocks.items()}
