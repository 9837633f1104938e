from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_tables.card_limits import list_limits

FACTS: dict[str, Any] = {
    "closed": False,
    "cells": {"by_blocks": {"2": {"cells": 20}, "5": {"cells": 500}}, "by_origin": {}},
    "seeds": {"freedom": 60},
}
FIGURES = {
    "cells": 500,
    "kendall_tau": 0.7,
    "ceiling_kendall_tau": 0.8,
    "kendall_tau_top_tenth": 0.4,
    "r2": 0.5,
}


def describe(facts: dict[str, Any] = FACTS, sizes: dict[str, Any] | None = None, **groups: Any) -> str:
    """The limits of a table with a surrogate whose random cells have these figures by size."""
    sizes = sizes or {"5": FIGURES}
    quality = {"group": "random", "overall": FIGURES, "by_blocks": sizes}
    return "\n".join(list_limits(facts, {"gp": {**quality, "by_group": groups}}))


def judge(**changes: Any) -> str:
    """The limits where the figures of the largest size are changed so."""
    return describe(sizes={"5": {**FIGURES, **changes}})


# ---------------------------------------------------------------------------------------------- random cells


def test_limits_follow_from_figures() -> None:
    strong, weak = judge(), judge(kendall_tau=0.5)
    assert (
        "on 500 random cells of 5 blocks Kendall's tau is 0.70 of a ceiling of 0.80, which reaches" in strong
    )
    assert "0.50 of a ceiling of 0.80, which misses the aim of 0.8 of it" in weak
    assert "above its ceiling" not in weak
    assert "Which of two good cells" in weak and "Which of two good cells" not in strong
    assert "tau is above its ceiling, 0.85 of 0.80 at 5 blocks" in judge(kendall_tau=0.85)
    assert (
        "in the top tenth of random cells of 5 blocks tau is 0.40 (n = 50), above 0 beyond chance" in strong
    )
    assert "not above 0 beyond chance" in judge(kendall_tau_top_tenth=0.1)
    assert "too few to judge" in judge(kendall_tau_top_tenth=None)
    assert "too few cells to say" in judge(kendall_tau=None)


def test_the_aim_is_judged_at_the_largest_size_and_not_on_a_mixture() -> None:
    """Between sizes there is order that says nothing of two cells of one size."""
    sizes = {"2": {**FIGURES, "kendall_tau": 0.3, "cells": 20}, "5": {**FIGURES, "cells": 400}, "10": FIGURES}
    text = describe(sizes={**sizes, "10": {**FIGURES, "kendall_tau": 0.6, "kendall_tau_top_tenth": 0.0}})
    assert "on 500 random cells of 10 blocks Kendall's tau is 0.60 of a ceiling of 0.80, which misses" in text
    assert "misses the aim within these: 0.30 of 0.80 at 2 blocks (n = 20)." in text
    assert "of random cells of 10 blocks tau is 0.00 (n = 50), not above 0 beyond chance" in text


def test_sealed_random_cells_are_judged_beside_those_fitted() -> None:
    sealed = {**FIGURES, "cells": 60, "kendall_tau": 0.4}
    text = describe(sealed={**sealed, "by_blocks": {"5": sealed}})
    assert (
        "on 60 sealed random cells of 5 blocks Kendall's tau is 0.40 of a ceiling of 0.80, which misses"
        in text
    )


def test_figures_of_all_that_are_fitted_are_not_called_random() -> None:
    quality = {"group": None, "overall": FIGURES, "by_blocks": {"5": FIGURES}, "by_group": {}}
    text = "\n".join(list_limits(FACTS, {"gp": quality}))
    assert "on 500 cells of 5 blocks Kendall's" in text and "random cells of" not in text


@settings(deadline=None, max_examples=50)
@given(tau=st.floats(-1, 1), cells=st.integers(80, 5000))
def test_the_top_tenth_is_judged_by_its_own_number(tau: float, cells: int) -> None:
    """What is beyond chance for some cells is so for more of them."""
    few, more = (judge(cells=n, kendall_tau_top_tenth=tau) for n in (cells, 2 * cells))
    assert ("not above 0" in few) or ("not above 0" not in more)


# ---------------------------------------------------------------------------------------- where searches end

TOP = {"cells": 40, "kendall_tau": 0.13, "ceiling_kendall_tau": 0.58, "r2": -0.27}


def test_order_in_the_top_region_that_may_be_chance_is_named_first() -> None:
    """As the gravest there is: searches end there."""
    text = describe(**{"sealed-top": {**TOP, "by_blocks": {"5": TOP}}})
    first = text.splitlines()[0]
    assert first.startswith(
        "On 40 sealed cells of 5 blocks of the top region, tau of predicted and measured is: `gp` "
    )
    assert "0.13 of a ceiling of 0.58 (22%), not above 0 beyond chance (z = 1.2), R2 -0.27." in first
    assert "Of `gp` nothing may be concluded that hangs on the order of such cells" in first
    assert "The mean of these cells predicts them as well as `gp` does, or better." in first


def test_each_surrogate_is_told_by_name_what_may_not_be_concluded_of_it() -> None:
    rows = {
        "blind": TOP,
        "rough": {**TOP, "kendall_tau": 0.3, "r2": 0.1},
        "right": {**TOP, "kendall_tau": 0.55, "r2": 0.4},
    }
    quality = {
        name: {
            "group": "random",
            "overall": FIGURES,
            "by_blocks": {"5": FIGURES},
            "by_group": {"sealed-top": row},
        }
        for name, row in rows.items()
    }
    first = next(iter(list_limits(FACTS, quality)))
    assert "`rough` 0.30 of a ceiling of 0.58 (52%), above 0 beyond chance (z = 2.7), R2 0.10" in first
    assert "Of `blind` nothing" in first and "By `rough` it is known roughly" in first
    assert "as well as `blind` does" in first
    only = next(iter(list_limits(FACTS, {"right": quality["right"]})))
    assert only.endswith("That is the aim of 0.8 of the ceiling, or more.")


def test_what_searches_visited_is_judged_at_its_largest_size() -> None:
    row = {"cells": 97, "kendall_tau": 0.25, "ceiling_kendall_tau": 0.58, "r2": 0.2}
    few = {**row, "kendall_tau": None, "cells": 3}
    found = {
        **row,
        "cells": 112,
        "kendall_tau": 0.5,
        "by_blocks": {"4": row, "5": {**row, "cells": 97}, "6": few},
    }
    text = describe(search=found)
    assert (
        "On 97 cells of 5 blocks that searches visited, tau" in text
        and "0.25 of a ceiling of 0.58 (43%)" in text
    )
    assert "searches visited" not in describe(search={**few, "by_blocks": {"5": few}})


# ------------------------------------------------------------------------------- what there is too little of


def test_small_samples_are_named() -> None:
    text = describe()
    assert "Few cells: 20 of 2 blocks" in text
    assert "sealed test set has 0 random cells" in text
    assert "No cell that a search asked for" in text
    assert "has 0 cells of the top region" in text
    origin = {"sealed": 60, "sealed-top": 40, "search": 40}
    rich = {**FACTS, "cells": {"by_blocks": {"5": {"cells": 500}}, "by_origin": origin}}
    rich["seeds"] = {"freedom": 8}
    text = describe(rich)
    assert "Few cells" not in text and "sealed test set" not in text and "No cell that" not in text
    assert "8 degrees of freedom: its deviation is known to about 25%" in text
    rich["seeds"] = {"freedom": 0}
    assert "No cell has two seeds" in describe(rich)
    bare = "\n".join(list_limits(FACTS, {}))
    assert "No surrogate is fitted" in bare and "sealed" not in bare
    visited = {**FACTS, "cells": {"by_blocks": {}, "by_origin": {"verify": 3}}}
    assert "No cell that a search" not in describe(visited), "`verify` trains what a search visited"


def test_a_complete_table_lacks_no_cells() -> None:
    """Every cell that a search asks for is trained, and there is nothing to seal."""
    text = describe({**FACTS, "closed": True})
    assert "The table is complete, so nothing is sealed" in text
    for lack in ("sealed test set", "No cell that", "Few cells"):
        assert lack not in text
