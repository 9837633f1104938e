"""The part of a table's card on its audits: what searches found on a surrogate, trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pnas_sim.texts import change_texts, escape_markdown
from pnas_tables.markdown import grid, rounded
from pnas_tables.record import Table
from pnas_tables.sample import is_sealed

HEADS = (
    *("round", "of a table of", "cells", "fitted since", "predicted minus measured", "RMSE", "Spearman"),
    *("noise-free minus measured", "Spearman", "told minus measured", "seed deviation"),
)


def describe_audits(
    audits: Sequence[Mapping[str, Any]], table: Table, source: str, searches: Sequence[str]
) -> Iterator[str]:
    """Lines of Markdown: how it was done, the rounds of all audits, the last one's verdict.

    Args:
        audits: what `pnas-sim table audit` wrote to each `audit.json`, the oldest first; at least one.
        table: whose card it is.
        source: how commands name the table.
        searches: names of those that ship.
    """
    yield "## Exploitation audit"
    yield ""
    yield _introduce(audits[-1]["settings"], source, searches)
    yield ""
    yield from grid(HEADS, _list_rounds(audits, table))
    yield ""
    yield from _conclude(audits[-1]["rounds"][-1])
    yield _tell_cover(audits, table.surrogates)


def list_audit_limits(audits: Sequence[Mapping[str, Any]], surrogates: Iterable[str]) -> Iterator[str]:
    """Sentences for the card's known limits; none where nothing was audited.

    Args:
        audits: as for `describe_audits`, or none.
        surrogates: names of those that the table has.
    """
    told = [report for audit in audits for report in audit["rounds"] if report.get("noise_free_verdict")]
    if told:
        yield (
            f"By what searches found and was trained (n = {told[-1]['cells']}), "
            f"{escape_markdown(told[-1]['noise_free_verdict'])}."
        )
    if audits:
        yield _tell_cover(audits, surrogates)


def _tell_cover(audits: Sequence[Mapping[str, Any]], surrogates: Iterable[str]) -> str:
    """What the audits are of, and which of the table's surrogates none is of."""
    rounds = dict.fromkeys(
        _name_round(audit["settings"], report) for audit in audits for report in audit["rounds"]
    )
    audited = {audit["settings"]["surrogate"] for audit in audits}
    never = ", ".join(f"`{name}`" for name in sorted(surrogates) if name not in audited)
    return f"Audited was {'; '.join(rounds)}, and nothing else.{f' Never audited: {never}.' if never else ''}"


def _name_round(settings: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Surrogate, world, seed and budget of a round's searches; each round takes the next world and seed."""
    later = report["round"] - 1
    world = report.get("world", settings["world"] + later)
    return (
        f"`{escape_markdown(settings['surrogate'])}` in world {world} by searches of seed "
        f"{settings['seed'] + later}, {escape_markdown(settings['budget'])} models each"
    )


def _introduce(settings: Mapping[str, Any], source: str, searches: Sequence[str]) -> str:
    missing = [name for name in searches if name not in settings["searches"]]
    settings = change_texts(settings, escape_markdown)
    left_out = f" Not among the searches: {', '.join(missing)}." if missing else ""
    return (
        f"What {', '.join(settings['searches'])} found with {settings['budget']} models each on "
        f"`{settings['surrogate']}` was really trained ({settings['seeds']} seeds a cell), round by round; "
        "what was found is added and the surrogate fitted again before the next. *Predicted* is by the model "
        "that the searches met, without the effects of a world. *Noise-free* is what the benchmark has of a "
        "cell without a seed's noise: the model and the effect that the world drew for the cell; `-` where "
        "the surrogate that the searches met is not at hand. *Told* is what the searches saw, with noise. In "
        "brackets: standard errors. *Fitted since*: of them, cells on which this table's surrogates are "
        f"fitted. `pnas-sim table audit {source} --rounds 1 --most-rounds 1 --out DIR "
        f"--data DIR` does a round.{left_out}"
    )


def _list_rounds(audits: Sequence[Mapping[str, Any]], table: Table) -> Iterator[list[Any]]:
    """A row of the table for each round, counted on from audit to audit."""
    fitted = _list_fitted(table)
    rounds = [(audit, report) for audit in audits for report in audit["rounds"]]
    for number, (audit, report) in enumerate(rounds, start=1):
        since = sum(find["cell"] in fitted for find in report["rows"])
        yield [
            number,
            _edition(audit, report),
            report["cells"],
            since,
            _with_error(report["optimism"], report["standard_error"]),
            rounded(report["rmse"], 4),
            rounded(report["spearman"], 2),
            _with_error(report.get("noise_free_optimism"), report.get("noise_free_standard_error")),
            rounded(report.get("noise_free_spearman"), 2),
            rounded(report["told_too_much"], 4),
            rounded(report["seed_deviation"], 4),
        ]


def _with_error(mean: float | None, error: float | None) -> str:
    if mean is None or error is None:
        return "-" if mean is None else f"{mean:+.4f}"
    return f"{mean:+.4f} ({error:.4f})"


def _conclude(last: Mapping[str, Any]) -> Iterator[str]:
    verdict = f"Verdict of the last round: {escape_markdown(last['verdict'])}."
    if last.get("noise_free_verdict"):
        words = escape_markdown(last["noise_free_verdict"])
        verdict += f" That is of the model; {words}."
    yield verdict
    parts = [
        f"{escape_markdown(name)} {row['optimism']:+.4f} (n = {row['cells']})"
        for name, row in last["by_search"].items()
    ]
    yield f"By search: {', '.join(parts)}."


def _edition(audit: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """What the searches of a round met: the table's cells; those that the audit's rounds before it added."""
    if "cells" not in audit:
        return "-"
    added = sum(row["cells"] for row in audit["rounds"] if row["round"] < report["round"])
    return f"{audit['cells'] + added} cells"


def _list_fitted(table: Table) -> set[str]:
    """Texts of the cells that are not kept from fits."""
    texts = table.space.format_many(table.cells)
    return {text for text, origin in zip(texts, table.origins, strict=True) if not is_sealed(origin)}
