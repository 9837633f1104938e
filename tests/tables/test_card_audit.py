from __future__ import annotations

from dataclasses import replace
from typing import Any

from pnas_tables.card_audit import describe_audits, list_audit_limits
from pnas_tables.card_facts import gather_facts
from pnas_tables.card_text import write_card
from pnas_tables.record import StoredSurrogate, Table

NOISE_FREE = {
    "world": 0,
    "noise_free_optimism": 0.0076,
    "noise_free_standard_error": 0.0016,
    "noise_free_spearman": 0.474,
    "noise_free_verdict": "a winner's noise-free value is <too high>",
}


def make_audit(**figures: Any) -> dict[str, Any]:
    """An audit of one round; noise-free figures only where they are given."""
    names = ("optimism", "standard_error", "seed_deviation", "rmse", "told_too_much")
    report = {**dict.fromkeys(names, 0.25), "cells": 3, "spearman": None, "rows": [], "verdict": "<b>"}
    report |= {"round": 1, "by_search": {"<i>|": {"optimism": 0.5, "cells": 3}}, **figures}
    settings = {"searches": ["<i>|"], "surrogate": "gp", "budget": "_6_", "seeds": 2, "world": 0, "seed": 4}
    return {"settings": settings, "rounds": [report]}


def describe(table: Table, *audits: dict[str, Any]) -> str:
    return "\n".join(describe_audits(audits, table, "made-up", ["pnas"]))


def test_words_of_an_audit_stand_there_as_they_are(table: Table) -> None:
    text = describe(table, make_audit())
    assert "What \\<i\\>| found with \\_6\\_ models" in text and "Not among the searches: pnas." in text
    assert "Verdict of the last round: \\<b\\>.\nBy search: \\<i\\>| +0.5000 (n = 3)." in text


def test_noise_free_values_stand_beside_the_model(table: Table) -> None:
    """What a winner is told as is not what the model predicts."""
    text = describe(table, make_audit(), make_audit(**NOISE_FREE))
    heads, _, old, new = [line.split(" | ") for line in text.splitlines() if line.startswith("|")]
    place = heads.index("noise-free minus measured")
    assert heads[place + 1] == "Spearman"
    assert new[place : place + 2] == ["+0.0076 (0.0016)", "0.47"]
    assert old[place : place + 2] == ["-", "-"], "an older file has none"
    assert heads[4] == "predicted minus measured" and new[4] == "+0.2500 (0.2500)"
    assert "That is of the model; a winner's noise-free value is \\<too high\\>." in text
    assert describe(table, make_audit(**NOISE_FREE, standard_error=None)).count("| +0.2500 |") == 1


def test_the_card_says_what_was_audited_and_what_was_not(table: Table) -> None:
    """A verdict on one surrogate in one world passes easily for one on the benchmark."""
    fitted = replace(table, surrogates={"gp": StoredSurrogate({}, {})})
    text = describe(fitted, make_audit(), make_audit())
    assert "Audited was `gp` in world 0 by searches of seed 4, \\_6\\_ models each, and nothing else." in text
    assert "Never audited" not in text
    second = make_audit(round=2)
    second["settings"] |= {"surrogate": "lightgbm", "budget": 1160}
    text = describe(fitted, second, make_audit(round=2, world=0))
    assert (
        "Audited was `lightgbm` in world 1 by searches of seed 5, 1160 models each; `gp` in world 0" in text
    )
    second["settings"]["surrogate"] = "mean"
    assert "nothing else. Never audited: `gp`." in describe(fitted, second)


def test_limits_say_that_a_noise_free_value_is_too_high(table: Table) -> None:
    """For they advise to report a winner by it."""
    audits = [make_audit(), make_audit(**NOISE_FREE)]
    text = write_card(table, gather_facts(table), {}, [], "made-up", audits)
    limits = text.partition("## Known limits")[2]
    assert "a winner is to be reported by its noise-free value" in limits
    assert "- By what searches found and was trained (n = 3), a winner's noise-free value is \\<too" in limits
    assert "- Audited was `gp` in world 0 by searches of seed 4" in limits
    (cover,) = list_audit_limits(audits[:1], ["mean", "gp"])
    assert cover.endswith("and nothing else. Never audited: `mean`.")
    assert list(list_audit_limits([], ["gp"])) == []
