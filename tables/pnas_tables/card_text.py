"""A table's card as Markdown: what it is, how good it is, what it is not good for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pnas_sim.texts import escape_markdown
from pnas_tables.card_audit import describe_audits
from pnas_tables.card_limits import list_limits
from pnas_tables.card_proxy import describe_proxy
from pnas_tables.card_surrogates import GROUP_WORDS, describe_surrogates
from pnas_tables.check import describe_table
from pnas_tables.costs import find_cost_rule
from pnas_tables.markdown import grid, list_plain, picture, rounded
from pnas_tables.proxy_file import ProxyCheck
from pnas_tables.record import Table


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
        facts: of `pnas_tables.card_facts.gather_facts`; with `shared_features` of `pnas_tables.card_features`
            the page says how many cells a surrogate cannot tell apart.
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
        _head(about, facts, notes, source, command or f"pnas-sim table card {source}"),
        _recipe(about),
        _cells(facts),
        _accuracy(facts, pictures),
        _seeds(facts, pictures),
        _curves(facts, pictures),
        _operations(facts, pictures),
        describe_surrogates(facts, quality, pictures, source),
        *([describe_audits(audits, table, source, searches)] if audits else []),
        *([] if proxy is None else [describe_proxy(proxy)]),
        _limits(list_limits(facts, quality, proxy, audits)),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(
    about: Mapping[str, Any], facts: Mapping[str, Any], notes: Sequence[str], source: str, command: str
) -> Iterator[str]:
    space = about["space"]
    yield f"# Table {about['name']}"
    yield ""
    yield (
        f"{about['cells']} cells of up to {space['max_blocks']} blocks over "
        f"{', '.join(space['operations'])}, {about['runs']} trainings, {about['core_hours']:.2f} core "
        f"hours. Licence {escape_markdown(about['licence'])}. Checksum `{about['checksum'][:16]}`."
    )
    if facts["closed"]:
        yield ""
        yield _describe_best(facts["best"])
    for note in notes:
        yield ""
        yield note
    again = ""
    if find_cost_rule(about["recipe"]) is not None:  # it names a recipe of this project's trainer
        again = f", and by training some of it again `pnas-sim table check {source} --retrain 10 --data DIR`"
    yield ""
    yield (
        f"This page is written by `{command}`; with `--json` the same command prints every figure below. "
        f"What the file holds: `pnas-sim table info {source}`. Whether it is sound: "
        f"`pnas-sim table check {source}`{again}. The surrogates' figures again, by fitting "
        f"anew: `pnas-sim table quality {source} --surrogate NAME`."
    )


def _describe_best(best: Mapping[str, Any] | None) -> str:
    """The best cell of a complete table, and how sure it is that it is the best."""
    whole = (
        "It is complete: every cell of its space is trained, so `--table-mode measured` runs any search "
        "without a surrogate"
    )
    if best is None:
        return f"{whole}."
    of = f"its only training, {best['accuracy']:.4f}"
    if best["runs"] > 1:
        of = f"the mean of {best['runs']} trainings, {best['accuracy']:.4f}"
    if best["left_out"]:
        of += f", without {best['left_out']} that it was chosen by or that did not end well"
    return f"{whole}. The best cell is `{best['cell']}` by {of}. {_word_doubt(best)}"


def _word_doubt(best: Mapping[str, Any]) -> str:
    if best["deviation"] is None:
        return "How sure that is is not known: no cell has two seeds."
    return (
        f"Seeds leave that a deviation of {best['deviation']:.4f}, so {best['as_good']} other cells are not "
        "below it beyond chance (p < .05, each by itself); as the highest of many it is a little too high."
    )


def _recipe(about: Mapping[str, Any]) -> Iterator[str]:
    yield "## Recipe"
    yield ""
    yield list_plain(f"{key} {value}" for key, value in about["recipe"].items()) + "."
    machines = sorted({str(entry["machine"]) for entry in about["provenance"] if "machine" in entry})
    if machines:
        yield ""
        yield f"Trained on: {'; '.join(map(escape_markdown, machines))}."


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
    words = list_plain(f"{word} {count}" for word, count in sorted(cells["by_origin"].items()))
    several = list_plain(f"{origin} {count}" for origin, count in sorted(cells["several_by_origin"].items()))
    yield (
        f"By origin (a cell may have several): {words}. With several seeds: {several or 'none'}. `all-N`: "
        "every cell of N blocks, or the best of these, trained again; `uniform`: uniform over unique "
        "cells; `raw`: uniform over raw rows; `subspace`: of a smaller space; `search`: asked "
        "for by a search; `verify`: visited by one, trained by `pnas-sim verify`; `sealed`: never "
        "fitted; `sealed-top`: nor these, which a surrogate put among the best hundredth of random cells; "
        "`sealed-search`: nor these, of an audit's last round. Seed noise is measured on sealed cells too."
    )


def _accuracy(facts: Mapping[str, Any], pictures: Mapping[str, str]) -> Iterator[str]:
    accuracy = facts["accuracy"]
    yield "## Accuracy by block count"
    yield ""
    yield (
        f"Of {_word_population(facts)}; means over the seeds of a cell. The last column is of all cells, "
        "whyever they were trained."
    )
    yield ""
    names = ["lowest", "10%", "median", "90%", "highest", "highest of all"]
    rows = [
        [size, row["cells"], *(rounded(value, 4) for value in (*row["quantiles"], row["highest"]))]
        for size, row in accuracy["by_blocks"].items()
    ]
    yield from grid(["blocks", "cells", *names], rows)
    yield from picture(pictures, "accuracy", "Validation accuracy of the trained cells by block count")


def _word_population(facts: Mapping[str, Any]) -> str:
    """Which cells figures of the space are of."""
    if facts["closed"]:
        return "all cells, for the table is complete"
    if facts["accuracy"]["group"] is None:
        return "all cells: none is known to be a random draw of the space"
    return (
        "cells drawn uniformly from the space, or all of a size (raw rows give some cells more often than "
        "others, and searches look for good ones)"
    )


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
        f"{seeds['freedom']} degrees of freedom. A seed for which a cell was trained again is left out of "
        "this, and of Spearman's correlation between two seeds of these cells, which are no random "
        f"ones: {rounded(seeds['spearman'], 2)}. Share of the variance between random cells of the largest "
        f"size, trained once, that is theirs and not the seed's: {rounded(seeds['reliability'], 2)} (n = "
        f"{seeds['reliability_cells']}). Diverged: {seeds['diverged']}, "
        f"failed: {seeds['failed']} of {facts['cells']['runs']} runs; modelled as chance of divergence: "
        f"{seeds['divergence']:.4f} (of {seeds['divergence_runs']} runs of repeated cells)."
    )
    yield from picture(pictures, "seeds", "One seed against another of the same cell")


def _curves(facts: Mapping[str, Any], pictures: Mapping[str, str]) -> Iterator[str]:
    yield "## Curves"
    yield ""
    rows = [
        [f"{row['epochs']:g}", row["runs"], rounded(row["mean"], 4), rounded(row["spearman"], 2)]
        for row in facts["curves"]
    ]
    yield from grid(["epochs", "runs", "mean validation accuracy", "Spearman with the end"], rows)
    yield from picture(pictures, "curves", "Validation accuracy along the training")


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
    yield from picture(pictures, "operations", "Operation frequency among the best")


def _limits(sentences: Iterable[str]) -> Iterator[str]:
    yield "## Known limits"
    yield ""
    yield from (f"- {sentence}" for sentence in sentences)
