from __future__ import annotations

from dataclasses import replace

import pytest

from pnas_tables.card_facts import gather_facts
from pnas_tables.card_proxy import FACTORS, UNCHECKED, describe_proxy, list_proxy_limits
from pnas_tables.card_text import write_card
from pnas_tables.proxy import Effect, Interval, Part
from pnas_tables.proxy_file import FactorCheck, ProxyCheck
from pnas_tables.record import Table

SURE = Effect(
    "id", Interval(-0.002, -0.003, -0.001), Interval(0.003, 0.001, 0.005), Interval(0.005, 0.003, 0.007)
)
UNSURE = Effect(
    "max3", Interval(0.001, -0.01, 0.01), Interval(-0.001, -0.01, 0.01), Interval(-0.002, -0.02, 0.02)
)
SAME = Effect(
    "sep3", Interval(0.002, 0.001, 0.003), Interval(0.003, 0.001, 0.005), Interval(0.001, -0.01, 0.01)
)
UNKNOWN = Effect("sep3", None, None, None)


SHIFTED = Effect(
    "dil3",
    Interval(0.01, 0.004, 0.016),
    Interval(0.002, -0.009, 0.006),
    Interval(-0.008, -0.018, -0.003),
    everywhere=Interval(-0.001, -0.003, 0.001),
)


def make_factor(name: str, *effects: Effect, trained: int = 24) -> FactorCheck:
    rho = Interval(0.69, 0.4, 0.82) if trained else None
    part = Part("all", trained, 0.45 if trained else None, 0.6 if trained else None, rho, rho, 0.93, 0.85)
    seconds = 94.8 if trained else None
    return FactorCheck(name, {"epochs": 2.0} if trained else {}, trained, 0, seconds, (part,), effects)


def make_check(*factors: FactorCheck, unfair: int = 0) -> ProxyCheck:
    return ProxyCheck("made-up", "0" * 64, {"epochs": 1.0}, 5, 24, 12, 300, 0.1, unfair, factors)


def test_the_section_has_every_figure() -> None:
    check = make_check(make_factor("steps-x4", SURE, UNSURE, SAME), make_factor("cells-2", trained=0))
    text = "\n".join(describe_proxy(check))
    assert text.startswith("## Is the proxy right?\n\n24 cells of 5 blocks")
    assert "12 were drawn from the best 10% of 300 uniform cells" in text
    assert (
        "| all | 24 | 0.4500 | 0.6000 | 0.69 (0.40 to 0.82) | 0.93 | 0.69 (0.40 to 0.82) | 0.85 | 94.8 |"
        in text
    )
    assert "| -0.0020 (-0.0030 to -0.0010) | +0.0030 (+0.0010 to +0.0050) |" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)
    assert [row.split("|")[-2].strip() for row in rows[-3:]] == [
        "differ beyond chance",
        "differ, within chance",
        "same",
    ]
    assert "`id` -0.0020 on these cells and +0.0030 changed (another sign beyond chance)" in text
    assert "2 cells a stage: not trained yet." in text
    assert "biased upwards" not in text


def test_the_slope_of_the_whole_table_stands_beside_that_on_chosen_cells() -> None:
    """Half of the cells were chosen for being best: their slopes say little of the table."""
    check = replace(make_check(make_factor("steps-x4", SHIFTED, SAME)), random_cells=617)
    text = "\n".join(describe_proxy(check))
    assert "| in the table | on these 24 | on these 24, changed | difference on them | signs |" in text
    slopes = "-0.0010 (-0.0030 to +0.0010) | +0.0100 (+0.0040 to +0.0160) | +0.0020 (-0.0090 to +0.0060)"
    assert f"| dil3 | {slopes} | -0.0080 (-0.0180 to -0.0030) | differ, within chance |" in text
    assert "| sep3 | - | +0.0020 (+0.0010 to +0.0030) |" in text
    assert "on all 617 cells of 5 blocks that it has now" in text and "12 of them were chosen for" in text
    words = "`dil3` -0.0010 in the table, +0.0100 on these cells and +0.0020 changed (another effect beyond"
    assert words in text and words in "\n".join(list_proxy_limits(check))


def test_a_sign_that_differs_within_chance_is_no_limit() -> None:
    check = make_check(make_factor("steps-x4", UNSURE))
    assert "`max3` +0.0010 on these cells and -0.0010 changed (another sign, within chance)" in "\n".join(
        describe_proxy(check)
    )
    assert not any("`max3`" in sentence for sentence in list_proxy_limits(check))


def test_limits_name_first_where_good_cells_do_not_rank_alike() -> None:
    lost, kept = Interval(-0.04, -0.59, 0.59), Interval(0.79, 0.4, 0.96)
    factor = make_factor("steps-x4", SURE)
    (every,) = factor.parts
    parts = [
        every,
        replace(every, name="upper half", cells=12, spearman=lost, ceiling_spearman=0.88),
        replace(every, name="uniform", cells=12, spearman=lost),
        replace(every, name="top", cells=11, spearman=Interval(-0.25, -0.76, 0.44), ceiling_spearman=None),
    ]
    sentences = list(list_proxy_limits(make_check(replace(factor, parts=tuple(parts)))))
    assert "-0.04 (-0.59 to 0.59) of a ceiling of 0.88 in the upper half (n = 12); " in sentences[0]
    assert "-0.25 (-0.76 to 0.44) among the top cells (n = 11). That" in sentences[0]
    assert "`id`" in sentences[1], "effects come after"
    sure = tuple(replace(part, spearman=kept) for part in parts)
    unknown = tuple(replace(part, spearman=None) for part in parts)
    for others in (sure, unknown):
        text = " ".join(list_proxy_limits(make_check(replace(factor, parts=others))))
        assert "good cells are not known" not in text


def test_the_section_names_the_edition_and_the_commands() -> None:
    text = "\n".join(describe_proxy(make_check(make_factor("cells-2", SAME))))
    assert "chosen on the edition of checksum 0000000000000000." in text
    for words in ("train --table made-up --data DIR`", "report --table made-up --write FILE.json`"):
        assert f"`python bench/proxy_check.py {words}" in text
    assert "`pnas-sim table card made-up --proxy FILE.json`" in text


def test_names_of_a_file_stand_there_as_they_are() -> None:
    text = "\n".join(describe_proxy(make_check(make_factor("<b>", SAME))))
    assert "| \\<b\\> | all |" in text and "\n\n\\<b\\>: No operation" in text


def test_values_that_are_biased_are_counted() -> None:
    text = "\n".join(describe_proxy(make_check(make_factor("cells-2", SAME), unfair=5)))
    assert "not possible for 5 of the 12 top cells" in text and "biased upwards" in text
    assert "No operation's effect is another one, or of another sign." in text


def test_what_is_unfinished_says_so() -> None:
    text = "\n".join(describe_proxy(make_check(make_factor("cells-2", UNKNOWN, trained=4))))
    assert "4 of 24 cells so far. Too few cells for the effects" in text
    assert "| all | 4 |" in text and "Effect of an operation" not in text
    nothing = "\n".join(describe_proxy(make_check(*(make_factor(name, trained=0) for name in FACTORS))))
    assert nothing.count("not trained yet.") == 3 and "|" not in nothing
    diverged = replace(make_factor("cells-2", SAME), diverged=2)
    assert "2 diverged. No operation's" in "\n".join(describe_proxy(make_check(diverged)))


def test_limits_name_signs_that_differ_and_what_was_not_checked() -> None:
    assert list(list_proxy_limits(None)) == [UNCHECKED]
    assert list(list_proxy_limits(make_check(make_factor("cells-2", trained=0)))) == [UNCHECKED]
    found = list(
        list_proxy_limits(
            make_check(
                make_factor("steps-x4", SURE, SAME),
                make_factor("cells-2", SAME),
                make_factor("pixels-32", trained=0),
            )
        )
    )
    assert len(found) == 2
    assert "With 4 times the steps" in found[0] and "`id`" in found[0] and "`sep3`" not in found[0]
    assert "Not checked" in found[1] and "32 x 32" in found[1]
    few = list(list_proxy_limits(make_check(make_factor("cells-2", UNKNOWN, trained=4))))
    assert few == ["With 2 cells a stage 4 cells are trained, too few to say anything."]
    assert list(list_proxy_limits(make_check(make_factor("cells-2", SAME)))) == []


@pytest.mark.parametrize("checked", [True, False])
def test_the_card_has_the_section_only_where_it_was_checked(table: Table, checked: bool) -> None:
    check = make_check(make_factor("steps-x4", SURE)) if checked else None
    text = write_card(table, gather_facts(table), {}, [], "made-up", proxy=check)
    assert ("## Is the proxy right?" in text) is checked
    before, _, limits = text.partition("## Known limits")
    assert (f"- {UNCHECKED}" in limits) is not checked
    assert ("- With 4 times the steps" in limits) is checked
    assert UNCHECKED not in before
