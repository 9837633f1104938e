"""Claims about searches, judged one by one: supported only if they hold on two surrogate families or more.

A surrogate favours whatever thinks as it does. So a claim that holds on one family of surrogates says as much
about that family as about the searches; it is believed when another family, fitted on the same trained cells,
says the same. Families are those of `pnas_sim.study.families`: surrogates that share a model count as one.
Claims rest on noise-free values, and on the end of the interval that is against them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError
from pnas_sim.study.families import find_shared
from pnas_sim.study.resampling import draw_resamples, estimate_mean
from pnas_sim.study.results import describe_estimate

POLICIES = ("reinforce", "ppo")
RANDOMS = ("random", "random-raw")
# a table's name may be a path; its checksum says which it is
FREE_SETTINGS = ("surrogate", "surrogate_kind", "table")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """PNAS against other searches.

    Attributes:
        name: short, of the claim.
        text: what is claimed.
        others: names of the searches that it is about; it must hold against each that was compared.
        figure: of a row of the efficiency table: `speed_up_models`, `speed_up_examples`,
            `difference_at_reference_models` or `difference_at_end`.
        account: who pays for reranking, of examples.
        least: the figure must be at least this...
        sure: ...and the lower end of its interval above this.
        every_top: at each top M; else at one of them.
        below: the other way round: the search is better than PNAS, the higher end below `sure`.
    """

    name: str
    text: str
    others: tuple[str, ...]
    figure: str
    account: str = ""
    least: float = float("-inf")
    sure: float = 0.0
    every_top: bool = True
    below: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EndClaim:
    """Two kinds of searches other than PNAS, by what the one ends above the other, at each top M.

    Attributes:
        name: short, of the claim.
        text: what is claimed.
        better: names of the searches claimed to be better.
        worse: names of the others.
    """

    name: str
    text: str
    better: tuple[str, ...]
    worse: tuple[str, ...]


CLAIMS: tuple[Claim | EndClaim, ...] = (
    Claim(
        name="fewer models than RL",
        text="PNAS reaches its accuracy with fewer models than reinforcement learning needs, at each top M",
        others=POLICIES,
        figure="speed_up_models",
        sure=1.0,
    ),
    Claim(
        name="5 times fewer models",
        text="up to 5 times fewer models than reinforcement learning (section 1 and 5.3 of the paper)",
        others=POLICIES,
        figure="speed_up_models",
        least=5.0,
        sure=1.0,
        every_top=False,
    ),
    Claim(
        name="8 times fewer examples",
        text="up to 8 times fewer examples, if reinforcement learning alone pays for reranking (the paper)",
        others=POLICIES,
        figure="speed_up_examples",
        account="paper",
        least=8.0,
        sure=1.0,
        every_top=False,
    ),
    Claim(
        name="fewer examples if both rerank",
        text="fewer examples than reinforcement learning at each top M even if both pay for reranking",
        others=POLICIES,
        figure="speed_up_examples",
        account="both",
        sure=1.0,
    ),
    Claim(
        name="better than random",
        text="after as many models as PNAS takes, random search is worse at each top M",
        others=RANDOMS,
        figure="difference_at_reference_models",
    ),
    Claim(
        name="better than evolution",
        text="after as many models as PNAS takes, regularised evolution is worse at each top M",
        others=("evolution",),
        figure="difference_at_reference_models",
    ),
    Claim(
        name="better than local search",
        text="after as many models as PNAS takes, local search is worse at each top M",
        others=("local",),
        figure="difference_at_reference_models",
    ),
    Claim(
        name="growth helps",
        text="the same predictor, K and rounds without growth are worse at each top M",
        others=("pnas-no-growth", "pnas-mutations"),
        figure="difference_at_reference_models",
    ),
    Claim(
        name="prediction helps",
        text="growth with K random expansions instead of the best-predicted is worse at each top M",
        others=("pnas-random-beam",),
        figure="difference_at_reference_models",
    ),
    Claim(
        name="better predictors would help",
        text="growth with a predictor that knows all that can be learnt is better than with a fitted one, at "
        "each top M",
        others=("pnas-oracle-model",),
        figure="difference_at_reference_models",
        below=True,
    ),
    EndClaim(
        name="RL better than random",
        text="reinforcement learning ends above random search",
        better=POLICIES,
        worse=RANDOMS,
    ),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one comparison says of a claim.

    Attributes:
        holds: whether; None: it was not measured there.
        figure: that decides: the one that is most against the claim, with `value`, `low` and `high` (None:
            unknown).
        searches: labels that it is about.
        top: M.
    """

    holds: bool | None
    figure: Mapping[str, Any]
    searches: tuple[str, ...] = ()
    top: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim judged.

    Attributes:
        name: of the claim.
        text: of the claim.
        supported: it holds in every comparison, and two of them share no model family.
        reason: in words.
        findings: by name of the comparison.
        symmetrical: as `findings`, by the symmetrical counting; it decides nothing.
    """

    name: str
    text: str
    supported: bool
    reason: str
    findings: Mapping[str, Finding]
    symmetrical: Mapping[str, Finding]


def judge_claims(
    results: Mapping[str, Mapping[str, Any]],
    reference: str = "pnas",
    claims: Sequence[Claim | EndClaim] = CLAIMS,
) -> list[Verdict]:
    """Judges claims by comparisons on several surrogate families.

    Args:
        results: the object of a comparison, by a name for its surrogate.
        reference: label of PNAS in all of them.
        claims: to be judged.

    Raises:
        SettingError: there is no comparison, one has not measured against the reference, or they differ in
            anything but the surrogate, which must differ; a search that one alone has is no difference.
    """
    if not results:
        raise SettingError("no comparison to judge claims by; give at least one, and two for a verdict")
    for family, result in results.items():
        if reference not in result["references"]:
            known = ", ".join(result["references"])
            raise SettingError(f"comparison on {family} has no reference {reference!r}; it has: {known}")
    _demand_families(results)
    shared = find_shared(results.values())
    return [_judge(claim, results, reference, shared) for claim in claims]


def _demand_families(results: Mapping[str, Mapping[str, Any]]) -> None:
    """Checks that comparisons differ in their surrogate, and in nothing else that decides figures."""
    surrogates: dict[str, str] = {}
    for family, result in results.items():
        surrogate = str(result["table"]["settings"].get("surrogate", "none"))
        twin = surrogates.setdefault(surrogate, family)
        if twin != family:
            raise SettingError(
                f"comparisons {twin} and {family} are both of surrogate {surrogate}; a claim is held against "
                "families that differ: give one of another surrogate"
            )
    for first, second in combinations(results, 2):
        for name, (one, other) in _list_facts(results[first], results[second]).items():
            if one != other:
                raise SettingError(
                    f"comparisons {first} and {second} differ in {name}: {one} and {other}; judge claims by "
                    "comparisons that differ in their surrogate alone"
                )


def _list_facts(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What two comparisons of one claim must share, by name; "unset" where only the other has it."""
    shared = _list_labels(one) & _list_labels(other)
    mine, theirs = (_describe(result) | _describe_searches(result, shared) for result in (one, other))
    names = dict.fromkeys([*mine, *theirs])
    return {name: (mine.get(name, "unset"), theirs.get(name, "unset")) for name in names}


def _list_labels(result: Mapping[str, Any]) -> set[str]:
    return {search["label"] for search in result["searches"]}


def _describe(result: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a comparison's figures, by name, but for its searches and its surrogate."""
    table, manifest = result["table"], result["manifest"]
    facts = {"the table's checksum": table["checksum"], "blocks": table["blocks"], "epochs": table["epochs"]}
    facts |= {"budget": result["budget"], "tops": result["tops"]}
    facts |= {name: manifest[name] for name in ("worlds", "seeds", "confidence")}
    settings = {name: value for name, value in table["settings"].items() if name not in FREE_SETTINGS}
    return facts | {f"{name} of the table": value for name, value in settings.items()}


def _describe_searches(result: Mapping[str, Any], labels: set[str]) -> dict[str, Any]:
    """The searches of these labels and each of their options, by name."""
    facts = {}
    for search in result["searches"]:
        label = search["label"]
        if label in labels:
            facts[f"the search of {label}"] = search["search"]
            facts |= {f"{name} of {label}": value for name, value in search["options"].items()}
    return facts


def _judge(
    claim: Claim | EndClaim,
    results: Mapping[str, Mapping[str, Any]],
    reference: str,
    shared: frozenset[str],
) -> Verdict:
    """Judges a claim; `shared` are the model families that make all comparisons one, if any do."""
    found = {
        counting: {family: _find(claim, result, reference, counting) for family, result in results.items()}
        for counting in ("paper", "symmetrical")
    }
    findings = found["paper"]
    supported = len(findings) >= 2 and not shared and all(one.holds for one in findings.values())
    reason = _explain(findings, shared)
    return Verdict(claim.name, claim.text, supported, reason, findings, found["symmetrical"])


def _explain(findings: Mapping[str, Finding], shared: frozenset[str]) -> str:
    missing = [family for family, one in findings.items() if one.holds is None]
    failing = [family for family, one in findings.items() if one.holds is False]
    if failing:
        return f"does not hold on {', '.join(failing)}"
    if missing:
        return f"not measured on {', '.join(missing)}"
    if len(findings) < 2:
        return f"holds on {next(iter(findings))}, the only surrogate family measured"
    listed = f"holds on {' and '.join(findings)}"
    one_family = f", which count as one surrogate family: they share {', '.join(sorted(shared))}"
    return listed + one_family if shared else listed


def _find(claim: Claim | EndClaim, result: Mapping[str, Any], reference: str, counting: str) -> Finding:
    if isinstance(claim, EndClaim):
        return _find_end(claim, result, counting)
    labels = _find_labels(result, claim.others, reference)
    rows = [
        row
        for row in result["efficiency"]
        if row["search"] in labels
        and (row["reference"], row["counting"], row["kind"]) == (reference, counting, "expected")
    ]
    if not rows:
        return Finding(None, {})
    outcomes = [(_holds(claim, row), row) for row in rows]
    if not claim.every_top:
        outcomes = [_find_best_top(claim, label, outcomes) for label in labels]
    weakest = min(outcomes, key=lambda one: (one[0], _measure_margin(claim, one[1])))[1]
    holds = all(holds for holds, _ in outcomes)
    return Finding(holds, _read(claim, weakest), (weakest["search"],), weakest["top"])


def _measure_margin(claim: Claim, row: Mapping[str, Any]) -> float:
    """How far a figure speaks for the claim."""
    value = _read_value(_read(claim, row))
    return -value if claim.below else value


def _find_labels(result: Mapping[str, Any], names: Sequence[str], reference: str) -> list[str]:
    return [
        search["label"]
        for search in result["searches"]
        if search["search"] in names and search["label"] != reference
    ]


def _find_best_top(
    claim: Claim, label: str, outcomes: Sequence[tuple[bool, Mapping[str, Any]]]
) -> tuple[bool, Mapping[str, Any]]:
    """The top M at which a search comes closest to the claim."""
    mine = [(holds, row) for holds, row in outcomes if row["search"] == label]
    return max(mine, key=lambda one: (one[0], _measure_margin(claim, one[1])))


def _read(claim: Claim, row: Mapping[str, Any]) -> Mapping[str, Any]:
    figure: Mapping[str, Any] = row[claim.figure][claim.account] if claim.account else row[claim.figure]
    return figure


def _read_value(figure: Mapping[str, Any]) -> float:
    """The figure; where it was not reached, the bound that it is known to be above."""
    value = figure["value"] if figure["value"] is not None else figure.get("bound")
    return float("-inf") if value is None else float(value)


def _holds(claim: Claim, row: Mapping[str, Any]) -> bool:
    """Whether one figure bears the claim out; without an interval none does."""
    figure = _read(claim, row)
    if figure["low"] is None:
        return False
    if claim.below:
        return figure["high"] is not None and figure["high"] < claim.sure
    return bool(_read_value(figure) >= claim.least and figure["low"] > claim.sure)


def _find_end(claim: EndClaim, result: Mapping[str, Any], counting: str) -> Finding:
    """The interval of what the better search ends above the worse one, runs of one world and seed paired."""
    better, worse = (_list_ends(result, names, counting) for names in (claim.better, claim.worse))
    manifest = result["manifest"]
    count = manifest["resamples"] or 1  # a comparison of one run says 0, and draws none whatever is asked
    resamples = draw_resamples(len(manifest["worlds"]), len(manifest["seeds"]), count, manifest["confidence"])
    found = []
    for (label, top), values in better.items():
        for (other, same), others in worse.items():
            if top == same:
                gain = estimate_mean(values - others, resamples)
                found.append((gain.low > 0, gain.value, gain, (label, other), top))
    if not found:
        return Finding(None, {})
    _, _, gain, searches, top = min(found, key=lambda one: one[:2])
    return Finding(all(holds for holds, *_ in found), describe_estimate(gain), searches, top)


def _list_ends(
    result: Mapping[str, Any], names: Sequence[str], counting: str
) -> dict[tuple[str, int], NDArray[np.float64]]:
    """Noise-free means of the best M of each run at its end, `float64[runs]`, by label and M."""
    labels = _find_labels(result, names, "")
    return {
        (search["label"], final["top"]): np.array(final["in_runs"], np.float64)
        for search in result["searches"]
        if search["label"] in labels
        for final in search["final"]
        if (final["counting"], final["kind"]) == (counting, "expected")
    }
