"""What may and may not be concluded from a table: sentences that follow from its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import Any

from pnas_sim.space import name_size
from pnas_tables.card_proxy import list_proxy_limits
from pnas_tables.proxy_file import ProxyCheck

AIM = 0.8  # of the ceiling that seed noise sets to Kendall's tau
FEWEST_OF_A_SIZE = 100
FEWEST_FREEDOM = 50
FEWEST_SEALED, FEWEST_SEALED_TOP = 60, 40


def list_limits(
    facts: Mapping[str, Any], quality: Mapping[str, Any], proxy: ProxyCheck | None = None
) -> Iterator[str]:
    """Sentences, the gravest first.

    Args:
        facts: of `pnas_tables.card_facts.gather_facts`.
        quality: held-out figures by surrogate.
        proxy: check of the recipe, if there was one.
    """
    if not quality:
        yield "No surrogate is fitted: the table answers only the cells that were trained."
    for name, figures in quality.items():
        yield from _judge_surrogate(name, figures)
    yield from _judge_samples(facts)
    if quality:
        yield from _judge_held_out(facts["cells"]["by_origin"])
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


def _judge_surrogate(name: str, quality: Mapping[str, Any]) -> Iterator[str]:
    overall = quality["overall"]
    tau, ceiling = overall["kendall_tau"], overall["ceiling_kendall_tau"]
    if tau is None or not ceiling:
        yield f"`{name}`: too few cells to say anything of its order of cells."
        return
    share = tau / ceiling
    verdict = "reaches" if share >= AIM else "misses"
    yield (
        f"`{name}`: Kendall's tau {tau:.2f} of a ceiling of {ceiling:.2f} (n = {overall['cells']}) "
        f"{verdict} the aim of {AIM:g} of the ceiling. It is over cells of all sizes together, most of "
        "which differ much."
    )
    yield from _judge_sizes(name, quality["by_blocks"])
    yield _judge_top(name, overall)


def _judge_sizes(name: str, by_blocks: Mapping[str, Any]) -> Iterator[str]:
    """Names the sizes within which the aim is missed, the ones on which searches end."""
    low = [
        f"{row['kendall_tau']:.2f} of {row['ceiling_kendall_tau']:.2f} at {size} blocks (n = {row['cells']})"
        for size, row in by_blocks.items()
        if row["kendall_tau"] is not None
        and row["ceiling_kendall_tau"]
        and row["kendall_tau"] < AIM * row["ceiling_kendall_tau"]
    ]
    if low:
        yield (
            f"`{name}`: within one size it is weaker: {'; '.join(low)}. Which of two good cells of a size "
            "is better cannot be concluded from it."
        )
    high = [
        f"{row['kendall_tau']:.2f} of {row['ceiling_kendall_tau']:.2f} at {name_size(int(size))}"
        for size, row in by_blocks.items()
        if row["kendall_tau"] is not None
        and row["ceiling_kendall_tau"]
        and round(row["kendall_tau"], 2) > round(row["ceiling_kendall_tau"], 2)
    ]
    if high:
        yield (
            f"`{name}`: tau is above its ceiling, {'; '.join(high)}, which nothing can be: the seed noise is "
            "put too high there, for want of such cells with several seeds, or it is chance."
        )


def _judge_top(name: str, overall: Mapping[str, Any]) -> str:
    tau, cells = overall["kendall_tau_top_tenth"], -(-overall["cells"] // 10)
    if tau is None:
        return f"`{name}`: the top tenth has {cells} cells, too few to judge the order within it."
    error = sqrt(2 * (2 * cells + 5) / (9 * cells * (cells - 1)))  # of tau, if there were no order
    if tau > 1.64 * error:
        return f"`{name}`: in the top tenth tau is {tau:.2f} (n = {cells}), above 0 beyond chance (p < .05)."
    return (
        f"`{name}`: in the top tenth tau is {tau:.2f} (n = {cells}), not above 0 beyond chance. How a "
        "search fares at the very top, speed-ups by top 1 among it, is then a property of the surrogate "
        "and not of the data."
    )


def _judge_samples(facts: Mapping[str, Any]) -> Iterator[str]:
    few = [
        f"{row['cells']} of {size}"
        for size, row in facts["cells"]["by_blocks"].items()
        if int(size) > 1 and row["cells"] < FEWEST_OF_A_SIZE
    ]
    if few:
        yield f"Few cells: {', '.join(few)} blocks; figures by block count are rough there."


def _judge_held_out(by_origin: Mapping[str, int]) -> Iterator[str]:
    sealed, top = by_origin.get("sealed", 0), by_origin.get("sealed-top", 0)
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
    if not by_origin.get("search"):
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
