"""What may and may not be concluded from a table: sentences that follow from its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from typing import Any, TypeAlias

from pnas_sim.space import name_size
from pnas_tables.card_audit import list_audit_limits
from pnas_tables.card_proxy import list_proxy_limits
from pnas_tables.proxy_file import ProxyCheck
from pnas_tables.sample import RANDOM, SEALED, SEALED_SEARCH, SEALED_TOP, SEARCH, VISITED

Figures: TypeAlias = Mapping[str, Any]

AIM = 0.8  # of the ceiling that seed noise sets to Kendall's tau
BEYOND_CHANCE = 1.64  # deviations, on one side: p < .05
FEWEST_OF_A_SIZE = 100
FEWEST_FREEDOM = 50
FEWEST_SEALED, FEWEST_SEALED_TOP = 60, 40
DESIGNS = {RANDOM: "random cells", SEALED: "sealed random cells"}  # the order among cells of these has an aim
REGIONS = {  # where searches end
    SEALED_TOP: "sealed cells{of_size} of the top region",
    SEALED_SEARCH: "sealed cells{of_size} that an audit's searches found",
    SEARCH: "cells{of_size} that searches visited",
}


def list_limits(
    facts: Mapping[str, Any],
    quality: Mapping[str, Any],
    proxy: ProxyCheck | None = None,
    audits: Sequence[Mapping[str, Any]] = (),
) -> Iterator[str]:
    """Sentences, the gravest first.

    Args:
        facts: of `pnas_tables.card_facts.gather_facts`.
        quality: held-out figures by surrogate.
        proxy: check of the recipe, if there was one.
        audits: what `pnas-sim table audit` wrote to each `audit.json`, the oldest first.
    """
    if not quality:
        yield "No surrogate is fitted: the table answers only the cells that were trained."
    for group, words in REGIONS.items():
        yield from _judge_region(
            words, {name: one.get("by_group", {}).get(group) for name, one in quality.items()}
        )
    for name, figures in quality.items():
        yield from _judge_surrogate(name, figures)
    yield from _judge_samples(facts)
    if quality:
        yield from _judge_held_out(facts)
    yield from _judge_seeds(facts["seeds"]["freedom"])
    yield (
        "Accuracies are of short trainings on small images, a proxy: they rank cells under this recipe, "
        "and say nothing of accuracies under another one."
    )
    yield from list_proxy_limits(proxy)
    yield (
        "The best of many noisy values is biased upwards: a winner is to be reported by its noise-free "
        "value, and over several worlds."
    )
    yield from list_audit_limits(audits, quality)


# --------------------------------------------------------------------------------------- where searches end


def _judge_region(words: str, figures: Mapping[str, Figures | None]) -> Iterator[str]:
    """Whether surrogates order the cells of a region, and which conclusions fall where they do not."""
    rows = {name: _largest(row) for name, row in figures.items() if row is not None}
    known = {name: row for name, row in rows.items() if _share(row) is not None}
    if not known:
        return
    first = next(iter(known.values()))
    told = "; ".join(f"`{name}` {_word_order(row)}" for name, row in known.items())
    yield (
        f"On {first['cells']} {words.format(of_size=_of_size(first))}, tau of predicted and measured is: "
        f"{told}. {_conclude(known)}"
    )


def _word_order(row: Figures) -> str:
    tau, ceiling = row["kendall_tau"], row["ceiling_kendall_tau"]
    sure = "above" if _is_beyond_chance(tau, row["cells"]) else "not above"
    return (
        f"{tau:.2f} of a ceiling of {ceiling:.2f} ({100 * tau / ceiling:.0f}%), {sure} 0 beyond chance "
        f"(z = {tau / _find_error(row['cells']):.1f}), R2 {row['r2']:.2f}"
    )


def _conclude(rows: Mapping[str, Figures]) -> str:
    """What may not be concluded of the region, by surrogate."""
    blind = [name for name, row in rows.items() if not _is_beyond_chance(row["kendall_tau"], row["cells"])]
    rough = [name for name, row in rows.items() if name not in blind and (_share(row) or 0.0) < AIM]
    flat = [name for name, row in rows.items() if row["r2"] <= 0]
    sentences = []
    if blind:
        sentences.append(
            f"Of {_list_names(blind)} nothing may be concluded that hangs on the order of such cells: which "
            "of two searches ends higher, regret, how soon the very best is found. It is the surrogate's and "
            "not the data's."
        )
    if rough:
        sentences.append(
            f"By {_list_names(rough)} it is known roughly: which of two such cells is better, and small "
            "differences between where searches end, may not be concluded."
        )
    if flat:
        sentences.append(
            f"The mean of these cells predicts them as well as {_list_names(flat)} does, or better."
        )
    if not sentences:
        sentences.append(f"That is the aim of {AIM:g} of the ceiling, or more.")
    return " ".join(sentences)


# --------------------------------------------------------------------------------------------- random cells


def _judge_surrogate(name: str, quality: Figures) -> Iterator[str]:
    """Whether the aim is reached within the largest size, by design, and where else it is missed."""
    group = quality.get("group")
    sizes = quality["by_blocks"]
    size = max(sizes, key=int, default=None)
    largest = quality["overall"] if size is None else {**sizes[size], "size": size}
    designs = {DESIGNS[RANDOM] if group == RANDOM else "cells": largest}
    if SEALED in quality.get("by_group", {}):
        designs[DESIGNS[SEALED]] = _largest(quality["by_group"][SEALED])
    known = {words: row for words, row in designs.items() if _share(row) is not None}
    if not known:
        yield f"`{name}`: too few cells to say anything of its order of cells."
        return
    missed = any((_share(row) or 0.0) < AIM for row in known.values())
    fallen = " Which of two good cells of this size is better may not be concluded from it." if missed else ""
    yield f"`{name}`: {'; '.join(_word_aim(words, row) for words, row in known.items())}.{fallen}"
    yield from _judge_sizes(name, {one: row for one, row in sizes.items() if one != size})
    yield from _judge_ceilings(name, sizes)
    yield _judge_top(name, next(iter(designs)), largest)


def _word_aim(words: str, row: Figures) -> str:
    verdict = "reaches" if (_share(row) or 0.0) >= AIM else "misses"
    return (
        f"on {row['cells']} {words}{_of_size(row)} Kendall's tau is {row['kendall_tau']:.2f} of a ceiling of "
        f"{row['ceiling_kendall_tau']:.2f}, which {verdict} the aim of {AIM:g} of it"
    )


def _judge_sizes(name: str, by_blocks: Mapping[str, Figures]) -> Iterator[str]:
    """Names the smaller sizes within which the aim is missed."""
    low = [
        f"{row['kendall_tau']:.2f} of {row['ceiling_kendall_tau']:.2f} at {name_size(int(size))} (n = "
        f"{row['cells']})"
        for size, row in by_blocks.items()
        if (_share(row) or AIM) < AIM
    ]
    if low:
        yield f"`{name}`: of smaller sizes it misses the aim within these: {'; '.join(low)}."


def _judge_ceilings(name: str, by_blocks: Mapping[str, Figures]) -> Iterator[str]:
    high = [
        f"{row['kendall_tau']:.2f} of {row['ceiling_kendall_tau']:.2f} at {name_size(int(size))}"
        for size, row in by_blocks.items()
        if _share(row) is not None and round(row["kendall_tau"], 2) > round(row["ceiling_kendall_tau"], 2)
    ]
    if high:
        yield (
            f"`{name}`: tau is above its ceiling, {'; '.join(high)}, which nothing can be: the seed noise is "
            "put too high there, for want of such cells with several seeds, or it is chance."
        )


def _judge_top(name: str, words: str, row: Figures) -> str:
    tau, cells = row["kendall_tau_top_tenth"], -(-row["cells"] // 10)
    of = f"in the top tenth of {words}{_of_size(row)}"
    if tau is None:
        return f"`{name}`: {of} are {cells}, too few to judge the order within it."
    if _is_beyond_chance(tau, cells):
        return f"`{name}`: {of} tau is {tau:.2f} (n = {cells}), above 0 beyond chance (p < .05)."
    return (
        f"`{name}`: {of} tau is {tau:.2f} (n = {cells}), not above 0 beyond chance. How a "
        "search fares at the very top, speed-ups by top 1 among it, is then a property of the surrogate "
        "and not of the data."
    )


def _largest(row: Figures) -> Figures:
    """A group's figures at its largest size that has any; of all its cells if they are of one size."""
    sizes = {size: one for size, one in row.get("by_blocks", {}).items() if one["kendall_tau"] is not None}
    if not sizes:
        return row
    size = max(sizes, key=int)
    return {**sizes[size], "size": size}


def _of_size(row: Figures) -> str:
    return f" of {name_size(int(row['size']))}" if "size" in row else ""


def _share(row: Figures) -> float | None:
    """The share of the ceiling that tau reaches; None where either is not known."""
    tau, ceiling = row["kendall_tau"], row["ceiling_kendall_tau"]
    return None if tau is None or not ceiling else float(tau / ceiling)


def _find_error(cells: int) -> float:
    """Standard error of Kendall's tau, if there were no order."""
    return sqrt(2 * (2 * cells + 5) / (9 * cells * (cells - 1)))


def _is_beyond_chance(tau: float, cells: int) -> bool:
    return tau > BEYOND_CHANCE * _find_error(cells)


def _list_names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# -------------------------------------------------------------------------------- what there is too little of


def _judge_samples(facts: Mapping[str, Any]) -> Iterator[str]:
    few = [
        f"{row['cells']} of {size}"
        for size, row in facts["cells"]["by_blocks"].items()
        if int(size) > 1 and row["cells"] < FEWEST_OF_A_SIZE
    ]
    if few and not facts["closed"]:
        yield f"Few cells: {', '.join(few)} blocks; figures by block count are rough there."


def _judge_held_out(facts: Mapping[str, Any]) -> Iterator[str]:
    if facts["closed"]:
        yield (
            "The table is complete, so nothing is sealed: held-out figures come from cross-validation over "
            "its cells. What a search finds on a surrogate can be looked up among what was trained."
        )
        return
    by_origin = facts["cells"]["by_origin"]
    sealed, top = by_origin.get(SEALED, 0), by_origin.get(SEALED_TOP, 0)
    if sealed < FEWEST_SEALED:
        yield (
            f"The sealed test set has {sealed} random cells (aim: {FEWEST_SEALED}); held-out figures come "
            "from cross-validation alone, on cells drawn as the fitted ones are."
        )
    if top < FEWEST_SEALED_TOP:
        yield (
            f"The sealed test set has {top} cells of the top region (aim: {FEWEST_SEALED_TOP}): held-out "
            "figures say little of the region where searches end."
        )
    if not any(by_origin.get(word) for word in (*VISITED, SEALED_SEARCH)):
        yield (
            "No cell that a search asked for was trained: how far the surrogate errs upwards where "
            "searches end is not known."
        )


def _judge_seeds(freedom: int) -> Iterator[str]:
    if freedom == 0:
        yield "No cell has two seeds: seed noise is unknown, and none is added."
    elif freedom < FEWEST_FREEDOM:
        yield (
            f"Seed noise stands on {freedom} degrees of freedom: its deviation is known to about "
            f"{100 / sqrt(2 * freedom):.0f}%."
        )
