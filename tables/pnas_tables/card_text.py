"""A table's card as Markdown: what it is, how good it is, what it is not good for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pnas_sim.space import name_size
from pnas_sim.texts import escape_markdown
from pnas_tables.card_audit import describe_audits
from pnas_tables.card_limits import list_limits
from pnas_tables.card_proxy import describe_proxy
from pnas_tables.check import describe_table
from pnas_tables.families import find_kind
from pnas_tables.figures import mean_by_cell
from pnas_tables.markdown import grid, rounded
from pnas_tables.proxy_file import ProxyCheck
from pnas_tables.record import Table
from pnas_tables.seeds import SeedNoise

GROUP_WORDS = {
    "random": "drawn at random, or all of a size",
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


def write_card(
    table: Table,
    facts: Mapping[str, Any],
    pictures: Mapping[str, str],
    notes: Sequence[str],
    source: str,
    audits: Sequence[Mapping[str, Any]] = (),
    proxy: ProxyCheck | None = None,
    command: str | None = None,
    searches: Sequence[str] = (),
) -> str:
    """The card.

    Args:
        table: whose card it is.
        facts: of `pnas_tables.card_facts.gather_facts`.
        pictures: file names by what they show; those that are missing are left out.
        notes: paragraphs to stand under the heading, such as where the images come from.
        source: how commands name the table: a shipped table's name, or its file's.
        audits: what `pnas-sim table audit` wrote to each `audit.json`, the oldest first.
        proxy: check of the recipe against changed ones, if there was one.
        command: that writes this page, audits and all; by default the plain one.
        searches: names of those that ship; the page tells which of them the last audit left out.
    """
    about = describe_table(table)
    quality = {name: figures for name, figures in about["quality"].items() if figures is not None}
    parts = [
        _head(about, table, notes, source, command or f"pnas-sim table card {source}"),
        _recipe(about),
        _cells(facts),
        _accuracy(facts, pictures),
        _seeds(facts, pictures),
        _curves(facts, pictures),
        _operations(facts, pictures),
        _surrogates(facts, quality, pictures, source),
        *([describe_audits(audits, table, source, searches)] if audits else []),
        *([] if proxy is None else [describe_proxy(proxy)]),
        _limits(facts, quality, proxy),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(
    about: Mapping[str, Any], table: Table, notes: Sequence[str], source: str, command: str
) -> Iterator[str]:
    space = about["space"]
    yield f"# Table {about['name']}"
    yield ""
    yield (
        f"{about['cells']} cells of up to {space['max_blocks']} blocks over "
        f"{', '.join(space['operations'])}, {about['runs']} trainings, {about['core_hours']:.2f} core "
        f"hours. Licence {escape_markdown(about['licence'])}. Checksum `{about['checksum'][:16]}`."
    )
    if table.closed:
        yield ""
        yield _describe_best(table)
    for note in notes:
        yield ""
        yield note
    yield ""
    yield (
        f"This page is written by `{command}`; with `--json` the same command prints every figure below. "
        f"What the file holds: `pnas-sim table info {source}`. Whether it is sound: "
        f"`pnas-sim table check {source}`, and by training some of it again "
        f"`pnas-sim table check {source} --retrain 10 --data DIR`. The surrogates' figures again, by fitting "
        f"anew: `pnas-sim table quality {source} --surrogate NAME`."
    )


def _describe_best(table: Table) -> str:
    """The best cell of a complete table, and that seeds may have had a say in it."""
    means = mean_by_cell(table, table.valid_accuracy)
    best = int(np.nanargmax(means))
    runs = int((table.run_cells == best).sum())
    noise = float(SeedNoise.measure(table).valid[-1].at(means[best])) / np.sqrt(runs)
    return (
        "It is complete: every cell of its space is trained, so `--table-mode measured` runs any search "
        f"without a surrogate, and the best cell is known: `{table.space.format(table.cells[best])}`, "
        f"{means[best]:.4f} as the mean of its trainings ({runs}; seeds leave that mean a deviation of "
        f"{noise:.4f}, so near ones may be as good)."
    )


def _recipe(about: Mapping[str, Any]) -> Iterator[str]:
    yield "## Recipe"
    yield ""
    yield _list_plain(f"{key} {value}" for key, value in about["recipe"].items()) + "."
    machines = sorted({str(entry["machine"]) for entry in about["provenance"] if "machine" in entry})
    if machines:
        yield ""
        yield f"Trained on: {'; '.join(map(escape_markdown, machines))}."


def _list_plain(words: Iterable[str]) -> str:
    """Words of a file, as they stand there."""
    return ", ".join(map(escape_markdown, words))


def _cells(facts: Mapping[str, Any]) -> Iterator[str]:
    cells, seconds = facts["cells"], facts["seconds"]["median_by_blocks"]
    yield "## Cells and cost"
    yield ""
    heads = ["blocks", "cells", *GROUP_WORDS.values(), "with several seeds", "seconds of a child (median)"]
    rows = [
        [
            size,
            row["cells"],
            *(row[group] for group in GROUP_WORDS),
            row["several_seeds"],
            rounded(seconds.get(size), 1),
        ]
        for size, row in cells["by_blocks"].items()
    ]
    yield from grid(heads, rows)
    yield ""
    words = _list_plain(f"{word} {count}" for word, count in sorted(cells["by_origin"].items()))
    yield (
        f"By origin (a cell may have several): {words}. `all-N`: every cell of N blocks; `uniform`: uniform "
        "over unique cells; `raw`: uniform over raw rows; `subspace`: of a smaller space; `search`: asked "
        "for by a search; `verify`: visited by one, trained by `pnas-sim verify`; `sealed`: never "
        "fitted; `sealed-top`: nor these, which a surrogate put among the best hundredth of random cells; "
        "`sealed-search`: nor these, of an audit's last round. Seed noise is measured on sealed cells too."
    )


def _accuracy(facts: Mapping[str, Any], pictures: Mapping[str, str]) -> Iterator[str]:
    yield "## Accuracy by block count"
    yield ""
    names = ["lowest", "10%", "median", "90%", "highest"]
    rows = [
        [size, row["cells"], *(rounded(value, 4) for value in row["quantiles"])]
        for size, row in facts["accuracy"]["by_blocks"].items()
    ]
    yield from grid(["blocks", "cells", *names], rows)
    yield from _picture(pictures, "accuracy", "Validation accuracy of the trained cells by block count")


def _seeds(facts: Mapping[str, Any], pictures: Mapping[str, str]) -> Iterator[str]:
    seeds = facts["seeds"]
    yield "## Seed noise"
    yield ""
    if seeds["freedom"] == 0:
        yield "No cell has two seeds: nothing is known of it."
        return
    at = ", ".join(
        f"{seeds['deviation_at'][place]:.4f} at {seeds['accuracy_at'][place]:.3f}"
        for place in ("lowest", "middle", "highest")
    )
    yield (
        f"Deviation of one training from the mean over seeds: {at} accuracy (validation), "
        f"{seeds['test_deviation']:.4f} (test); {seeds['cells']} cells with several seeds, "
        f"{seeds['freedom']} degrees of freedom. Spearman between the first two seeds: "
        f"{rounded(seeds['spearman'], 2)}. Share of the variance between cells of the largest size that is "
        f"theirs and not the seed's: {rounded(seeds['reliability'], 2)}. Diverged: {seeds['diverged']}, "
        f"failed: {seeds['failed']} of {facts['cells']['runs']} runs; modelled as chance of divergence: "
        f"{seeds['divergence']:.4f} (of {seeds['divergence_runs']} runs of repeated cells)."
    )
    yield from _picture(pictures, "seeds", "One seed against another of the same cell")


def _curves(facts: Mapping[str, Any], pictures: Mapping[str, str]) -> Iterator[str]:
    yield "## Curves"
    yield ""
    rows = [
        [f"{row['epochs']:g}", row["runs"], rounded(row["mean"], 4), rounded(row["spearman"], 2)]
        for row in facts["curves"]
    ]
    yield from grid(["epochs", "runs", "mean validation accuracy", "Spearman with the end"], rows)
    yield from _picture(pictures, "curves", "Validation accuracy along the training")


def _operations(facts: Mapping[str, Any], pictures: Mapping[str, str]) -> Iterator[str]:
    operations = facts["operations"]
    yield "## Operations among the best"
    yield ""
    if not operations["best"]:
        yield f"{operations['cells']} random cells of several blocks are too few to say."
        return
    yield (
        f"Share of each operation in the best {operations['best']} of {operations['cells']} random cells of "
        "several blocks (each beside the median of its size), and in all of them:"
    )
    yield ""
    shares = operations["shares"].items()
    rows = [[name, rounded(row["best"], 3), rounded(row["all"], 3)] for name, row in shares]
    yield from grid(["operation", "among the best", "in all"], rows)
    yield from _picture(pictures, "operations", "Operation frequency among the best")


def _surrogates(
    facts: Mapping[str, Any], quality: Mapping[str, Any], pictures: Mapping[str, str], source: str
) -> Iterator[str]:
    yield "## Surrogates"
    yield ""
    if not quality:
        yield f"None is fitted; `pnas-sim table fit` does it on the file of {source}."
        return
    yield (
        "Held-out figures (five folds by cell; cells that are not fitted by a model of all that are: sealed "
        "ones, and of a smaller space's all beyond as many of a size as there are others), each with the "
        "ceiling that an oracle would reach against measurements as noisy as these, in brackets. Ranks "
        "within the top half and the top tenth are among the cells best as measured."
    )
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
        yield from _picture(
            pictures, f"predicted-{name}", f"Predicted by {name} against measured, cells held out"
        )


def _fitted_by(worlds: Mapping[str, Any]) -> Iterator[str]:
    """How the settings were chosen, what that is worth on other cells, and the command that fits it."""
    tuning, family = worlds["tuning"], find_kind(worlds["kind"]).name
    words = f"--family {family} --worlds {worlds['settings']['worlds']} --seed {worlds['seed']}"
    yield ""
    if tuning is None:
        yield f"Its settings are the defaults: `pnas-sim table fit FILE {words}`."
        return
    chosen = _list_plain(f"{key} {value}" for key, value in tuning["chosen"].items())
    nested = tuning["nested"]
    yield (
        f"Its settings ({chosen}) are the best of {len(tuning['candidates'])} by cross-validation. Chosen so "
        f"on four fifths of the cells and asked of the fifth, tau is {rounded(nested['kendall_tau'], 2)} of "
        f"{rounded(nested['ceiling_kendall_tau'], 2)}: `pnas-sim table fit FILE {words} --tune`."
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
    parts = {"all": quality["overall"]}
    parts |= {name_size(int(size)): row for size, row in quality["by_blocks"].items()}
    parts |= {GROUP_WORDS[group]: row for group, row in quality["by_group"].items()}
    shares = quality["by_training_share"].items()
    parts |= {f"fitted on {escape_markdown(share)}% of the cells": row for share, row in shares}
    for label, row in parts.items():
        figures = [
            f"{rounded(row[key], 2)} ({rounded(row[f'ceiling_{key}'], 2)})" for key in MEASURES.values()
        ]
        yield [label, row["cells"], *figures, rounded(row["rmse"], 4)]


def _limits(facts: Mapping[str, Any], quality: Mapping[str, Any], proxy: ProxyCheck | None) -> Iterator[str]:
    yield "## Known limits"
    yield ""
    yield from (f"- {sentence}" for sentence in list_limits(facts, quality, proxy))


def _picture(pictures: Mapping[str, str], key: str, words: str) -> Iterator[str]:
    if key in pictures:
        yield ""
        yield f"![{words}]({pictures[key]})"
