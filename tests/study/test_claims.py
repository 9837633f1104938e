from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.report.comparison_claims import format_finding, make_claim_table
from pnas_sim.study.claims import CLAIMS, Claim, EndClaim, Verdict, judge_claims

FEWER = Claim(name="fewer", text="fewer models", others=("ppo",), figure="speed_up_models", sure=1.0)
FIVE = Claim(
    name="five",
    text="5 times",
    others=("ppo",),
    figure="speed_up_models",
    least=5.0,
    sure=1.0,
    every_top=False,
)
BETTER = Claim(name="better", text="better", others=("ppo",), figure="difference_at_reference_models")
ORACLE = Claim(
    name="oracle", text="room", others=("ppo",), figure="difference_at_reference_models", below=True
)
ENDS = EndClaim(name="ends", text="RL above random", better=("ppo",), worse=("random",))


def censored(value: float | None, low: float | None, bound: float = 5.17) -> dict[str, Any]:
    return {"value": value, "low": low, "high": value, "reached": 1.0, "bound": bound}


def make_result(
    speed_ups: dict[int, tuple[float | None, float | None]],
    difference: tuple[float, float | None, float | None] = (0.01, 0.005, 0.02),
    gains: Sequence[float] = (0.01, 0.012, 0.009, 0.011),
    others: tuple[str, ...] = ("ppo",),
) -> dict[str, Any]:
    """A comparison of PNAS with others whose figures are all the same."""
    rows = [
        {
            "reference": "pnas",
            "search": other,
            "top": top,
            "counting": counting,
            "kind": kind,
            "speed_up_models": censored(*figure) if kind == "expected" else censored(99.0, 99.0),
            "difference_at_reference_models": dict(zip(("value", "low", "high"), difference, strict=True)),
        }
        for other in others
        for top, figure in speed_ups.items()
        for counting in ("paper", "symmetrical")
        for kind in ("expected", "observed")
    ]
    ends = {"random": np.array([0.4, 0.5, 0.45, 0.48])}
    ends["ppo"] = ends["random"] + gains
    searches = [
        {"label": name, "search": name, "options": {}, "final": list_finals(ends.get(name, ends["random"]))}
        for name in ("pnas", "random", *others)
    ]
    found = {"references": ["pnas"], "searches": searches, "efficiency": rows}
    return stamp(found, "lightgbm")


def list_finals(values: np.ndarray) -> list[dict[str, Any]]:
    """The means at the end of each run, the same for each top M."""
    return [
        {"top": top, "counting": counting, "kind": kind, "in_runs": values.tolist()}
        for top in (1, 5)
        for counting in ("paper", "symmetrical")
        for kind in ("expected", "observed")
    ]


def stamp(result: dict[str, Any], surrogate: str, **table: Any) -> dict[str, Any]:
    """The same comparison as if by another surrogate or on another table."""
    settings = {"table": f"{surrogate}.h5", "surrogate": surrogate, "noise": "on"}
    facts = {"checksum": "abc", "blocks": 5, "epochs": 1.0, "settings": settings}
    manifest = {"worlds": [0, 1], "seeds": [0, 1], "confidence": 0.95, "resamples": 200}
    return {"budget": "6000", "tops": [1, 5], "manifest": manifest, **result, "table": facts | table}


def change(part: str = "", **values: Any) -> dict[str, Any]:
    """A comparison by another surrogate, of which a part, or the whole, has other values."""
    result = stamp(make_result(GOOD), "gp")
    return {**result, part: {**result[part], **values}} if part else {**result, **values}


def choose(label: str, search: str, **options: Any) -> dict[str, Any]:
    """A comparison by another surrogate with another choice of this label's search."""
    result = stamp(make_result(GOOD), "gp")
    kept = [one for one in result["searches"] if one["label"] != label]
    return {**result, "searches": [*kept, {"label": label, "search": search, "options": options}]}


GOOD = {1: (5.0, 1.5), 5: (3.0, 1.2)}


def judge(claim: Claim | EndClaim, *results: dict[str, Any]) -> Verdict:
    families = zip(("trees", "graphs"), results, strict=False)
    (verdict,) = judge_claims({name: stamp(one, name) for name, one in families}, claims=[claim])
    return verdict


def test_supported_needs_both_families() -> None:
    good, bad = make_result(GOOD), make_result({1: (5.0, 0.9), 5: (3.0, 1.2)})
    assert judge(FEWER, good, good).supported
    assert judge(FEWER, good, good).reason == "holds on trees and graphs"
    alone = judge(FEWER, good)
    assert not alone.supported
    assert "the only surrogate family" in alone.reason
    mixed = judge(FEWER, good, bad)
    assert not mixed.supported
    assert mixed.reason == "does not hold on graphs"
    assert [one.holds for one in mixed.findings.values()] == [True, False]


def test_claim_of_each_top_fails_where_one_fails_and_shows_it() -> None:
    found = judge(FEWER, make_result({1: (5.0, 1.5), 5: (3.0, 1.0)})).findings["trees"]
    assert found.holds is False
    assert (found.top, found.searches, found.figure["value"]) == (5, ("ppo",), 3.0)


def test_claim_of_some_top_needs_one() -> None:
    assert judge(FIVE, make_result({1: (5.0, 1.5), 5: (3.0, 0.5)})).findings["trees"].holds
    assert not judge(FIVE, make_result({1: (4.9, 1.5), 5: (3.0, 1.5)})).findings["trees"].holds


def test_claim_must_hold_against_each_search() -> None:
    claim = Claim(name="x", text="x", others=("ppo", "tpe"), figure="speed_up_models", sure=1.0)
    result = make_result(GOOD, others=("ppo", "tpe"))
    assert judge(claim, result).findings["trees"].holds
    for row in result["efficiency"]:
        if row["search"] == "tpe":
            row["speed_up_models"] = censored(0.5, 0.4)
    found = judge(claim, result).findings["trees"]
    assert (found.holds, found.searches) == (False, ("tpe",))


def test_not_reached_counts_as_its_bound() -> None:
    assert judge(FIVE, make_result({1: (None, 2.0)})).findings["trees"].holds  # more than 5.17 times
    assert not judge(FIVE, make_result({1: (None, 0.9)})).findings["trees"].holds


def test_without_an_interval_nothing_holds() -> None:
    assert judge(BETTER, make_result(GOOD, (0.01, None, None))).findings["trees"].holds is False
    assert judge(FEWER, make_result({1: (5.0, None)})).findings["trees"].holds is False


def test_differences_and_their_reverse() -> None:
    ahead, behind = make_result(GOOD, (0.01, 0.002, 0.02)), make_result(GOOD, (-0.01, -0.02, -0.002))
    unclear = make_result(GOOD, (0.01, -0.001, 0.02))
    assert [judge(BETTER, one).findings["trees"].holds for one in (ahead, behind, unclear)] == [
        True,
        False,
        False,
    ]
    assert [judge(ORACLE, one).findings["trees"].holds for one in (ahead, behind, unclear)] == [
        False,
        True,
        False,
    ]


def test_what_is_most_against_a_claim_is_shown() -> None:
    result = make_result(GOOD)
    for row in result["efficiency"]:
        row["difference_at_reference_models"] = {"value": 0.01 * row["top"], "low": -0.1, "high": 0.1}
    found = {claim.name: judge(claim, result).findings["trees"] for claim in (BETTER, ORACLE)}
    assert [one.holds for one in found.values()] == [False, False]
    assert (found["better"].top, found["oracle"].top) == (1, 5)


def test_the_papers_counting_decides_and_the_symmetrical_stands_beside_it() -> None:
    result = make_result(GOOD)
    for row in result["efficiency"]:
        if row["counting"] == "symmetrical":
            row["speed_up_models"] = censored(0.5, 0.4)
    verdict = judge(FEWER, result, result)
    assert verdict.supported
    assert [one.holds for one in verdict.symmetrical.values()] == [False, False]


def test_a_reference_of_the_same_search_is_not_held_against_itself() -> None:
    """PPO with other settings as the reference, measured against PPO as it ships."""
    result = make_result(GOOD)
    result["searches"].append({"label": "own", "search": "ppo", "options": {}, "final": []})
    result["references"].append("own")
    for row in [row for row in result["efficiency"] if row["reference"] == "pnas"]:
        result["efficiency"].append({**row, "reference": "own"})
    (verdict,) = judge_claims({"trees": result}, "own", claims=[FIVE])
    assert (verdict.findings["trees"].holds, verdict.findings["trees"].searches) == (True, ("ppo",))


def test_claims_of_ends_rest_on_the_interval_of_paired_differences() -> None:
    """However much the runs differ among themselves."""
    found = judge(ENDS, make_result(GOOD)).findings["trees"]
    assert found.holds and found.searches == ("ppo", "random")
    assert found.figure["value"] == pytest.approx(0.0105)
    assert 0.0089 < found.figure["low"] < 0.0105 < found.figure["high"] < 0.0121
    unsure = judge(ENDS, make_result(GOOD, gains=(0.05, 0.03, -0.01, -0.02))).findings["trees"]
    assert not unsure.holds and unsure.figure["value"] > 0 > unsure.figure["low"]
    assert not judge(ENDS, make_result(GOOD, gains=(-0.01,) * 4)).findings["trees"].holds


def test_claims_of_ends_hold_at_each_top() -> None:
    result = make_result(GOOD)
    (ppo,) = (search for search in result["searches"] if search["label"] == "ppo")
    for final in ppo["final"]:
        if final["top"] == 5:
            final["in_runs"] = [value - 0.02 for value in final["in_runs"]]
    found = judge(ENDS, result).findings["trees"]
    assert (found.holds, found.top) == (False, 5)
    assert found.figure["value"] == pytest.approx(-0.0095)


def test_what_was_not_compared_is_not_measured() -> None:
    verdict = judge(FEWER, make_result(GOOD), make_result(GOOD, others=()))
    assert verdict.findings["graphs"].holds is None
    assert verdict.reason == "not measured on graphs"
    assert not verdict.supported


def test_all_claims_are_judged_and_written() -> None:
    searches = tuple(
        {name for claim in CLAIMS if isinstance(claim, Claim) for name in claim.others} - {"random"}
    )
    result = make_result(GOOD, others=searches)
    for row in result["efficiency"]:
        row["speed_up_examples"] = {account: censored(9.0, 2.0) for account in ("paper", "none", "both")}
    verdicts = judge_claims({"trees": result, "graphs": stamp(result, "gp")})
    assert [verdict.name for verdict in verdicts] == [claim.name for claim in CLAIMS]
    assert not any(one.holds is None for verdict in verdicts for one in verdict.findings.values())
    table = make_claim_table(verdicts)
    assert len(table) == 2 + len(CLAIMS)
    assert sum("**supported**" in line for line in table) == sum(verdict.supported for verdict in verdicts)
    assert len({line.count("|") for line in table}) == 1


def test_findings_in_words() -> None:
    found = judge(FEWER, make_result(GOOD)).findings["trees"]
    assert format_finding(found) == "holds: 3.0 (1.2 to 3.0) times against ppo, top 5"
    ranked = judge(ENDS, make_result(GOOD)).findings["trees"]
    assert format_finding(ranked) == "holds: +1.05 (+0.95 to +1.20) points ppo against random, top 1"
    assert format_finding(judge(FEWER, make_result(GOOD, others=())).findings["trees"]) == "-"


def test_comparisons_without_the_reference_are_refused() -> None:
    with pytest.raises(SettingError, match="no comparison"):
        judge_claims({})
    with pytest.raises(SettingError, match="comparison on trees has no reference 'k8'; it has: pnas"):
        judge_claims({"trees": make_result(GOOD)}, "k8")


NOISE_FREE = {"surrogate": "gp", "noise": "off"}


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        (stamp(make_result(GOOD), "lightgbm"), "trees and graphs are both of surrogate lightgbm"),
        (change("table", checksum="xyz"), "differ in the table's checksum: abc and xyz;"),
        (change("table", blocks=2), "differ in blocks: 5 and 2;"),
        (change("table", epochs=0.5), "differ in epochs: 1.0 and 0.5;"),
        (change("table", settings=NOISE_FREE), "differ in noise of the table: on and off;"),
        (change("table", settings={"surrogate": "gp"}), "differ in noise of the table: on and unset;"),
        (change(budget="300"), "differ in budget: 6000 and 300;"),
        (change(tops=[1]), "differ in tops: [1, 5] and [1];"),
        (change("manifest", worlds=[0]), "differ in worlds: [0, 1] and [0];"),
        (change("manifest", seeds=[2, 3]), "differ in seeds: [0, 1] and [2, 3];"),
        (change("manifest", confidence=0.5), "differ in confidence: 0.95 and 0.5;"),
        (choose("pnas", "pnas-oracle"), "differ in the search of pnas: pnas and pnas-oracle;"),
        (choose("ppo", "ppo", clip=0.3), "differ in clip of ppo: unset and 0.3;"),
    ],
)
def test_comparisons_that_differ_in_more_or_less_than_their_surrogate_are_refused(
    other: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(SettingError, match=re.escape(complaint)):
        judge_claims({"trees": make_result(GOOD), "graphs": other})


def test_every_pair_of_comparisons_must_agree() -> None:
    """The last two share a search that the first has not."""
    second, third = choose("own", "ppo", clip=0.2), choose("own", "ppo", clip=0.3)
    third["table"]["settings"]["surrogate"] = "mean"
    results = {"trees": make_result(GOOD), "graphs": second, "means": third}
    with pytest.raises(SettingError, match=r"graphs and means differ in clip of own: 0\.2 and 0\.3"):
        judge_claims(results)


TREES, PROCESS, MEAN = "lightgbm-bagged-2", "gp-structural-1", "mean-of-lightgbm-and-gp-1"


def judge_kinds(**kinds: str) -> Verdict:
    """A claim that holds in every comparison, each by a surrogate of a name and a kind."""
    results = {}
    for name, kind in kinds.items():
        results[name] = stamp(make_result(GOOD), name)
        results[name]["table"]["settings"]["surrogate_kind"] = kind
    return judge_claims(results, claims=[FEWER])[0]


@pytest.mark.parametrize(
    ("kinds", "shared"),
    [
        ({"a": TREES, "b": TREES}, "regression trees"),
        ({"lightgbm": TREES, "mean": MEAN}, "regression trees"),
        ({"gp": PROCESS, "mean": MEAN}, "Gaussian process"),
    ],
)
def test_comparisons_that_share_a_model_family_count_as_one(kinds: dict[str, str], shared: str) -> None:
    verdict = judge_kinds(**kinds)
    assert not verdict.supported
    assert all(one.holds for one in verdict.findings.values())
    listed = " and ".join(kinds)
    assert verdict.reason == f"holds on {listed}, which count as one surrogate family: they share {shared}"


def test_two_families_are_two_with_the_mean_of_both_beside_them() -> None:
    verdict = judge_kinds(lightgbm=TREES, gp=PROCESS, mean=MEAN)
    assert verdict.supported
    assert verdict.reason == "holds on lightgbm and gp and mean"


def test_searches_that_one_comparison_alone_has_are_no_difference() -> None:
    (verdict,) = judge_claims({"trees": make_result(GOOD), "graphs": choose("own", "tpe")}, claims=[FEWER])
    assert verdict.supported


def test_comparisons_of_one_run_bear_no_claim_out() -> None:
    """They have no resamples, so no interval."""
    result = make_result(GOOD)
    for search in result["searches"]:
        search["final"] = [{**final, "in_runs": final["in_runs"][:1]} for final in search["final"]]
    result["manifest"] |= {"worlds": [0], "seeds": [0], "resamples": 0}
    finding = judge_claims({"trees": result}, claims=[ENDS])[0].findings["trees"]
    assert finding.holds is False
    assert finding.figure["value"] is not None and finding.figure["low"] is None
