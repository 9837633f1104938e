"""The part of a table's card on whether its recipe ranks cells, and operations, as longer training does."""

from __future__ import annotations

from collections.abc import Iterator

from pnas_sim.texts import escape_markdown
from pnas_tables.markdown import grid, rounded
from pnas_tables.proxy import DRAWS, FEWEST, Effect, Interval, Part
from pnas_tables.proxy_file import FactorCheck, ProxyCheck

WORDS = {
    "steps-x4": "4 times the steps on all images there are",
    "cells-2": "2 cells a stage",
    "pixels-32": "images of 32 x 32",
}
FACTORS = tuple(WORDS)
BEST = {"upper half": "in the upper half", "top": "among the top cells"}  # parts in which searches end
UNCHECKED = (
    "Whether the recipe ranks cells, and operations, as longer training of larger networks would was not "
    "checked: what is found on this table is found of this recipe."
)


def describe_proxy(check: ProxyCheck) -> Iterator[str]:
    """Lines of Markdown: how it was checked, agreement, effects of operations."""
    yield "## Is the proxy right?"
    yield ""
    yield _introduce(check)
    yield ""
    yield _tell_origin(check)
    trained = [factor for factor in check.factors if factor.trained]
    if trained:
        yield ""
        yield from _tabulate_parts(trained)
    told = [factor for factor in trained if _tells_effects(factor)]
    if told:
        yield ""
        yield _introduce_effects(check)
        yield ""
        yield from _tabulate_effects(check, told)
    for factor in check.factors:
        yield ""
        yield f"{_name(factor)}: {_judge_factor(check, factor)}"


def list_proxy_limits(check: ProxyCheck | None) -> Iterator[str]:
    """Sentences for the card's known limits; None where nothing was checked."""
    trained = [] if check is None else [factor for factor in check.factors if factor.trained]
    if check is None or not trained:
        yield UNCHECKED
        return
    for factor in trained:
        yield from _judge_ranks(factor)
    for factor in trained:
        differing = [effect for effect in _find_differing(factor) if effect.differs or effect.beyond_chance]
        if differing:
            yield (
                f"With {_words(factor)} (n = {factor.trained}) effects of operations are others: "
                f"{_list_effects(differing)}. What is found here for or against these operations is found of "
                "this recipe."
            )
        elif not _tells_effects(factor):
            yield f"With {_words(factor)} {factor.trained} cells are trained, too few to say anything."
    missing = [_words(factor) for factor in check.factors if not factor.trained]
    if missing:
        yield f"Not checked: whether cells rank the same with {'; with '.join(missing)}."


def _introduce(check: ProxyCheck) -> str:
    text = (
        f"{check.cells} cells of {check.blocks} blocks were trained again with one thing of the recipe "
        f"changed: {check.cells - check.top} are the first of the plan's uniform stream, {check.top} were "
        f"drawn from the best {100 * check.share:g}% of {check.pool} uniform cells by their first seed. A "
        "cell's value in the table is the mean over its seeds; of a top cell the seed that it was chosen by "
        "is left out. "
    )
    if check.unfair:
        text += (
            f"That is not possible for {check.unfair} of the {check.top} top cells, which have no other "
            "seed: their values in the table are biased upwards, and what holds of all cells is to be read "
            "with the uniform ones beside it. "
        )
    return text + (
        f"In brackets: 95% intervals of {DRAWS} bootstrap draws of cells within both kinds. The ceiling is "
        "what a changed training without noise of its own would reach if both recipes ranked alike, by the "
        f"deviation between the table's seeds. Nothing is said of fewer than {FEWEST} cells."
    )


def _tell_origin(check: ProxyCheck) -> str:
    """Which edition the cells are of, and the commands that find all of this again."""
    return (
        f"The cells were chosen on the edition of checksum {escape_markdown(check.checksum[:16])}. In a "
        f"checkout, `python bench/proxy_check.py train --table {check.table} --data DIR` trains what is "
        f"missing, `python bench/proxy_check.py report --table {check.table} --write FILE.json` finds the "
        f"figures, and `pnas-sim table card {check.table} --proxy FILE.json` writes them here."
    )


def _tabulate_parts(factors: list[FactorCheck]) -> Iterator[str]:
    means = ["mean in the table", "mean changed"]
    heads = ["changed", "cells", "of them", *means, "Spearman", "ceiling", "Kendall", "ceiling", "s a child"]
    rows = [
        [_name(factor), *_describe_part(part), rounded(factor.seconds, 1)]
        for factor in factors
        for part in factor.parts
    ]
    yield from grid(heads, rows)


def _describe_part(part: Part) -> list[str]:
    return [
        escape_markdown(part.name),
        str(part.cells),
        rounded(part.table_mean, 4),
        rounded(part.changed_mean, 4),
        _with_interval(part.spearman, ".2f"),
        rounded(part.ceiling_spearman, 2),
        _with_interval(part.kendall, ".2f"),
        rounded(part.ceiling_kendall, 2),
    ]


def _introduce_effects(check: ProxyCheck) -> str:
    """What the columns of effects are, and what each may tell."""
    text = (
        "Effect of an operation: slope of accuracy on how often it stands in the cell, each operation by "
        "itself. "
    )
    if check.random_cells:
        text += (
            f"*In the table*: on all {check.random_cells} cells of {check.blocks} blocks that it has now and "
            "that were drawn of the whole space, over cells or over rows. "
        )
    return text + (
        f"*On these {check.cells}*: under the table's recipe and under the changed one; {check.top} of them "
        "were chosen for being best, so these slopes are not the table's. Only their difference tells of the "
        "recipe: an effect is another one where its interval excludes 0. A sign is that of the changed slope "
        "held against the table's; it is another one beyond chance where the intervals of both exclude 0. "
        "Intervals are a little narrow for so few cells, and of eight operations one often differs by chance."
    )


def _tabulate_effects(check: ProxyCheck, factors: list[FactorCheck]) -> Iterator[str]:
    rows = [
        [_name(factor), effect.operation, *_list_slopes(effect), _judge_signs(effect)]
        for factor in factors
        for effect in factor.effects
    ]
    these = f"on these {check.cells}"
    heads = ["in the table", these, f"{these}, changed", "difference on them", "signs"]
    yield from grid(["changed", "operation", *heads], rows)


def _list_slopes(effect: Effect) -> list[str]:
    slopes = (effect.everywhere, effect.table, effect.changed, effect.difference)
    return [_with_interval(slope, "+.4f") for slope in slopes]


def _judge_signs(effect: Effect) -> str:
    if effect.reference is None or effect.changed is None:
        return "-"
    if not effect.signs_differ:
        return "same"
    return "differ beyond chance" if effect.beyond_chance else "differ, within chance"


def _judge_factor(check: ProxyCheck, factor: FactorCheck) -> str:
    if not factor.trained:
        return "not trained yet."
    so_far = "" if factor.trained == check.cells else f"{factor.trained} of {check.cells} cells so far. "
    diverged = f"{factor.diverged} diverged. " if factor.diverged else ""
    if not _tells_effects(factor):
        return f"{so_far}{diverged}Too few cells for the effects of operations."
    differing = _find_differing(factor)
    if not differing:
        return f"{so_far}{diverged}No operation's effect is another one, or of another sign."
    return f"{so_far}{diverged}Effects, or signs, differ: {_list_effects(differing)}."


def _judge_ranks(factor: FactorCheck) -> Iterator[str]:
    """Says so where the order of good cells is not told from chance."""
    lost = [
        f"{_with_interval(part.spearman, '.2f')}{_word_ceiling(part)} {BEST[part.name]} (n = {part.cells})"
        for part in factor.parts
        if part.name in BEST and part.spearman is not None and not part.spearman.excludes_zero
    ]
    if lost:
        yield (
            f"With {_words(factor)}, good cells are not known to rank as in the table: Spearman is "
            f"{'; '.join(lost)}. That one of two good cells is better under this recipe does not show that "
            "it is under that one."
        )


def _word_ceiling(part: Part) -> str:
    return "" if part.ceiling_spearman is None else f" of a ceiling of {part.ceiling_spearman:.2f}"


def _tells_effects(factor: FactorCheck) -> bool:
    """Whether enough cells are trained for the effect of any operation."""
    return any(effect.table is not None and effect.changed is not None for effect in factor.effects)


def _find_differing(factor: FactorCheck) -> list[Effect]:
    """Effects that differ, or whose signs do."""
    return [effect for effect in factor.effects if effect.differs or effect.signs_differ]


def _list_effects(effects: list[Effect]) -> str:
    return "; ".join(
        f"`{effect.operation}` {_place_slope(effect)} and {effect.changed.value:+.4f} changed "
        f"({_word_difference(effect)})"
        for effect in effects
        if effect.table is not None and effect.changed is not None
    )


def _place_slope(effect: Effect) -> str:
    """The slope under the table's recipe: the table's, and that on the cells trained under both."""
    here = "" if effect.table is None else f"{effect.table.value:+.4f}"
    if effect.everywhere is None:
        return f"{here} on these cells"
    return f"{effect.everywhere.value:+.4f} in the table, {here} on these cells"


def _word_difference(effect: Effect) -> str:
    """What of an effect differs, and how surely."""
    if not effect.signs_differ:
        return "of one sign, but another effect beyond chance"
    if effect.beyond_chance:
        return "another sign beyond chance"
    return (
        "another effect beyond chance, its sign within" if effect.differs else "another sign, within chance"
    )


def _words(factor: FactorCheck) -> str:
    return WORDS.get(factor.name) or escape_markdown(factor.name)


def _name(factor: FactorCheck) -> str:
    words = _words(factor)
    return words[0].upper() + words[1:]


def _with_interval(figure: Interval | None, form: str) -> str:
    if figure is None:
        return "-"
    low, high = format(figure.low, form), format(figure.high, form)
    return f"{format(figure.value, form)} ({low} to {high})"
