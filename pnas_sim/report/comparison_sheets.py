"""The tables of a comparison in words and figures, for whatever shows them: a Markdown document, a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pnas_sim.report.comparison_table import (
    choose_duels,
    format_bounded,
    format_factor,
    format_needed,
    format_points,
    write_models,
)
from pnas_sim.report.text import UNKNOWN, format_accuracy, format_correlation, format_count, format_duration
from pnas_sim.study.claims import POLICIES
from pnas_sim.study.paper import PAPER_ROWS

ACCOUNTS = {"paper": "RL alone", "none": "nobody", "both": "both"}
COUNTINGS = {
    "paper": "top M of the last level for searches that grow, of all visited for others",
    "symmetrical": "top M of all visited, of any size, for all",
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table whose fields are texts.

    Attributes:
        heads: of its columns.
        rows: as many fields each.
    """

    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]


COLUMNS = (
    "Models needed: until the mean curve is first as high as the reference's at its end; for good: until it "
    "is never lower again; own first crossing: when the reference itself was first so high."
)


@dataclass(frozen=True, slots=True)
class Topic:
    """A table and what it is about.

    Attributes:
        heading: of it.
        text: that explains it; may be empty.
        sheet: the table.
        reference: label of the search that others are measured against in it; empty: it is about all.
    """

    heading: str
    text: str
    sheet: Sheet
    reference: str = ""


def list_topics(result: Mapping[str, Any]) -> Iterator[Topic]:
    """Every table of a comparison that has rows: of each reference, then those about all searches.

    Args:
        result: the object of a comparison.
    """
    for reference in result["references"]:
        yield from (topic for topic in _list_own(result, reference) if topic.sheet.rows)
    yield from (topic for topic in _list_shared(result) if topic.sheet.rows)


def _list_own(result: Mapping[str, Any], reference: str) -> Iterator[Topic]:
    """How others do against a reference."""
    best, rerun = result["kinds"][-1], result["manifest"]["reranking"]
    for counting, meaning in COUNTINGS.items():
        for kind in reversed(result["kinds"]):
            heading = f"Efficiency of {reference}, {kind}, {counting} counting"
            text = (
                f"{meaning[0].upper()}{meaning[1:]}. In brackets: {_confidence(result)} intervals. {COLUMNS}"
            )
            sheet = make_efficiency_table(result, reference, counting, kind)
            yield Topic(heading, text, sheet, reference)
    yield Topic(
        f"Who pays for reranking: {reference}, {best}, paper counting",
        "Speed-up in training examples, M1 E1 + M2 E2: the models, and for who pays for reranking up to "
        f"{rerun['models']} of them again at {rerun['factor']:g} times the examples.",
        make_account_table(result, reference, best),
        reference,
    )
    heading = f"The paper's figures beside those of {reference}"
    yield Topic(heading, _explain_paper(), make_paper_table(result, reference), reference)
    yield Topic(
        f"Log-efficiency of {reference}",
        "Vizier's score of whole curves, symmetrical counting, a natural logarithm: at the median height of "
        "the curves the other search needs about exp(score) times as many models. Below 0 the reference "
        "needs more, as one does that first trains all cells of one block.",
        make_score_table(result, reference),
        reference,
    )


def _list_shared(result: Mapping[str, Any]) -> Iterator[Topic]:
    """What is told of every search."""
    yield Topic(
        "What each search reached",
        "Flattery: what was observed of the best cells less what they are worth.",
        make_final_table(result),
    )
    yield Topic("Models to fixed targets", _explain_targets(result), make_target_table(result))
    yield Topic("Regret", _explain_regret(result), make_regret_table(result))
    yield Topic("The best known of each world", "", make_best_table(result))
    yield Topic("Paired rank tests", _explain_tests(result), make_test_table(result))
    yield Topic("What was run", "", make_manifest_table(result))


def _fill(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Sheet:
    return Sheet(tuple(heads), [tuple(map(str, row)) for row in rows])


def _confidence(result: Mapping[str, Any]) -> str:
    return f"{100 * result['manifest']['confidence']:g}%"


def make_efficiency_table(result: Mapping[str, Any], reference: str, counting: str, kind: str) -> Sheet:
    """The paper's table with intervals, by one counting and kind."""
    headings = ("against", "top", "accuracy", "models", "models needed", "for good", "speed-up in models")
    more = ("in examples", "runs that reached it", "own first crossing", "better at equal models, points")
    return _fill(
        (*headings, *more),
        (
            (
                row["search"],
                row["top"],
                format_accuracy(row["accuracy"]["value"]),
                format_count(row["reference_models"]),
                format_needed(row["models_needed"]),
                format_bounded(row["models_needed_for_good"], write_models),
                format_factor(row["speed_up_models"]),
                format_factor(row["speed_up_examples"]["paper"]),
                format_share(row["share_of_runs_reached"]),
                format_count(row["reference_first_crossing"]["value"]),
                format_points(row["difference_at_reference_models"]),
            )
            for row in choose_duels(result, reference, counting, kind)
        ),
    )


def make_account_table(result: Mapping[str, Any], reference: str, kind: str) -> Sheet:
    """The three accounts of examples side by side."""
    headings = [f"{who} pay" if who == "both" else f"{who} pays" for who in ACCOUNTS.values()]
    return _fill(
        ("against", "top", *headings),
        (
            (
                row["search"],
                row["top"],
                *(format_factor(row["speed_up_examples"][account]) for account in ACCOUNTS),
            )
            for row in choose_duels(result, reference, "paper", kind)
        ),
    )


def _explain_paper() -> str:
    return (
        "Models that reinforcement learning needs to be as good, and speed-ups, as the paper has them in its "
        "section 5.3, and as found here: noise-free, by the paper's counting and account. Accuracies are of "
        "another recipe and are not to be compared."
    )


def make_paper_table(result: Mapping[str, Any], reference: str) -> Sheet:
    """The paper's table beside this one; without rows where reference or rival is none of the paper's."""
    options = next(one["options"] for one in result["searches"] if one["label"] == reference)
    paper = {row.top: row for row in PAPER_ROWS if row.predictor == options.get("predictor")}
    policies = {one["label"] for one in result["searches"] if one["search"] in POLICIES}
    rows = [
        (
            row["search"],
            row["top"],
            format_count(paper[row["top"]].rl_models),
            format_needed(row["models_needed"]),
            f"{paper[row['top']].speed_up_models:.1f}",
            format_factor(row["speed_up_models"]),
            f"{paper[row['top']].speed_up_examples:.1f}",
            format_factor(row["speed_up_examples"]["paper"]),
        )
        for row in choose_duels(result, reference, "paper", result["kinds"][-1])
        if row["search"] in policies and row["top"] in paper
    ]
    pairs = ("models", "speed-up in models", "in examples")
    headings = [f"{figure}, {where}" for figure in pairs for where in ("paper", "here")]
    return _fill(("against", "top", *headings), rows)


def make_score_table(result: Mapping[str, Any], reference: str) -> Sheet:
    """Log-efficiency, a row a search and kind."""
    scores = {
        (row["search"], row["kind"], row["top"]): row["log_efficiency"]
        for row in result["log_efficiency"]
        if row["reference"] == reference
    }
    others = [one["label"] for one in result["searches"] if one["label"] != reference]
    return _fill(
        ("against", "values", *(f"top {top}" for top in result["tops"])),
        (
            (label, kind, *(format_correlation(scores.get((label, kind, top))) for top in result["tops"]))
            for label in others
            for kind in reversed(result["kinds"])
        ),
    )


def make_final_table(result: Mapping[str, Any]) -> Sheet:
    """Accuracies by the symmetrical counting, and how much the best of noisy values flatters."""
    rows = []
    for search in result["searches"]:
        ends = {
            (final["top"], final["kind"]): final
            for final in search["final"]
            if final["counting"] == "symmetrical"
        }
        for top in result["tops"]:
            observed, best = ends[top, "observed"], ends[top, result["kinds"][-1]]
            figures = (best["end"], best["equal_models"], observed["end"])
            flattery = observed["end"]["value"] - best["end"]["value"]
            rows.append((search["label"], top, *map(format_percent, figures), f"{100 * flattery:+.2f}"))
    kind = result["kinds"][-1]
    headings = (f"{kind}, at the end", f"{kind}, at equal models", "observed, at the end")
    return _fill(("search", "top", *headings, "flattery, points"), rows)


def format_percent(estimate: Mapping[str, Any]) -> str:
    """An accuracy with its interval: `49.21% (48.90% to 49.51%)`."""
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    head = format_accuracy(value)
    if low is None or high is None:
        return head
    return f"{head} ({format_accuracy(low)} to {format_accuracy(high)})"


def format_share(share: float | None) -> str:
    """A share as whole per cent."""
    return UNKNOWN if share is None else f"{100 * share:.0f}%"


def _explain_targets(result: Mapping[str, Any]) -> str:
    marks = result["table"]["landmarks"]
    sample = format_count(marks[0]["sample"]) if marks else "no"
    return f"Targets are quantiles of {sample} random cells of the largest size in each world; median run."


def make_target_table(result: Mapping[str, Any]) -> Sheet:
    """Models until the best cell is among the best 1% and 0.1% of random cells."""
    return _fill(
        ("search", "target", "values", "accuracy", "models, median run", "runs that reached it"),
        (
            (
                row["search"],
                row["target"],
                row["kind"],
                format_accuracy(row["threshold"]),
                format_needed(row["models_median_run"]),
                format_share(row["share_of_runs_reached"]),
            )
            for row in result["targets"]
        ),
    )


def _explain_regret(result: Mapping[str, Any]) -> str:
    most = max((mark["local_evaluations"] for mark in result["table"]["landmarks"]), default=0)
    long = f"a noise-free local search of up to {format_count(most)} cells" if most else "a random sample"
    whose = "Points that the cell a search observed best, of any size, lies below the best"
    if result["kinds"] == ["observed"]:
        return (
            f"{whose} value known: no noise-free ones are. Better cells may exist, and the best of many "
            "noisy values is too high."
        )
    return (
        f"{whose} noise-free value known in the world: the highest that any search here or {long} found. "
        "Better cells may exist. Observed: the cell's value with its seed noise less that noise-free best, "
        "which is smaller than the regret and may be below 0."
    )


def make_regret_table(result: Mapping[str, Any]) -> Sheet:
    """Regret of the cell that each search observed best of all it visited, PNAS too, whatever its size."""
    return _fill(
        ("search", "values", "at", "regret, points"),
        ((row["search"], row["kind"], row["at"], format_points(row["regret"])) for row in result["regret"]),
    )


def make_best_table(result: Mapping[str, Any]) -> Sheet:
    """What regret is counted from."""
    return _fill(
        ("world", "accuracy", "found by", "cell"),
        (
            (row["world"], format_accuracy(row["accuracy"]), row["found_by"], row["cell"])
            for row in result["best_known"]
        ),
    )


def _explain_tests(result: Mapping[str, Any]) -> str:
    worlds, searches = len(result["manifest"]["worlds"]), len(result["searches"])
    least = min(1.0, searches * (searches - 1) / 2**worlds)  # of all pairs the smallest p, 2 / 2^worlds
    return (
        f"Wilcoxon's signed ranks on {result['kinds'][-1]} values, symmetrical counting, at the first "
        "reference's number of models; p with Holm's correction over all pairs of searches. Pairs are runs "
        "in one world with one seed, which share its landscape; means of worlds, which share nothing, are "
        f"paired beside them: with {worlds} worlds and {searches} searches no p of worlds can be below "
        f"{format_p_value(least)} unless fewer pairs are left to correct for."
    )


def make_test_table(result: Mapping[str, Any]) -> Sheet:
    """Every pair of searches, at equal models, on the values that conclusions rest on."""
    kind = result["kinds"][-1]
    chosen = [
        row
        for row in result["rank_tests"]
        if (row["kind"], row["counting"], row["at"]) == (kind, "symmetrical", "equal")
    ]
    worlds = {
        (row["first"], row["second"], row["top"]): row["p_value_holm"]
        for row in chosen
        if row["unit"] == "world"
    }
    rows = [row for row in chosen if row["unit"] == "run"]
    return _fill(
        ("first", "second", "top", "first wins", "median difference, points", "pairs", "p", "p of worlds"),
        (
            (
                row["first"],
                row["second"],
                row["top"],
                format_share(row["share_won_by_first"]),
                _write_difference(row["median_difference"]),
                row["pairs"],
                format_p_value(row["p_value_holm"]),
                format_p_value(worlds.get((row["first"], row["second"], row["top"]))),
            )
            for row in rows
        ),
    )


def _write_difference(value: float | None) -> str:
    return UNKNOWN if value is None else f"{100 * value:+.2f}"


def format_p_value(value: float | None) -> str:
    """A p-value to two figures; very small ones as below a thousandth."""
    if value is None:
        return UNKNOWN
    return "< .001" if value < 0.001 else f"{value:.2g}"


def make_manifest_table(result: Mapping[str, Any]) -> Sheet:
    """What each search is, how it was tuned, what it cost, and what became of its policy, if it has one."""
    headings = ("search", "is", "options", "tuning trials", "runs", "models", "repeats", "failed", "ended")
    rows = []
    for search in result["searches"]:
        runs = search["runs"]
        options = ", ".join(f"{name} {value}" for name, value in search["options"].items())
        totals = {name: sum(run[name] for run in runs) for name in ("models_evaluated", "failed", "seconds")}
        repeats = sum(run["repeats"] for run in runs) / max(sum(run["proposals"] for run in runs), 1)
        rows.append(
            (
                *(search["label"], search["search"], options or UNKNOWN, search["tuning"], len(runs)),
                *(format_count(totals["models_evaluated"]), format_share(repeats)),
                *(format_count(totals["failed"]), _count_ends(runs)),
                *(_format_entropy(runs), format_duration(totals["seconds"])),
            )
        )
    return _fill((*headings, "policy entropy, nats", "time here"), rows)


def _count_ends(runs: Sequence[Mapping[str, Any]]) -> str:
    """Why runs ended: `2 budget, 1 stalled`."""
    ends = [run["stopped"] for run in runs]
    return ", ".join(f"{ends.count(end)} {end}" for end in sorted(set(ends)))


def _format_entropy(runs: Sequence[Mapping[str, Any]]) -> str:
    """Of a policy at the beginning and at the end, means over runs: `20.1 to 3.4`."""
    courses = [run["policy_entropy"] for run in runs if run.get("policy_entropy")]
    if not courses:
        return UNKNOWN
    first, last = (sum(course[at] for course in courses) / len(courses) for at in (0, 1))
    return f"{first:.1f} to {last:.1f}"
