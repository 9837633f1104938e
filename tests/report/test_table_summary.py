from __future__ import annotations

import io
from typing import Any

from pnas_sim.report.console import open_console
from pnas_sim.report.table_summary import print_table_facts

FACTS: dict[str, Any] = {
    "name": "small",
    "space": {"operations": ["sep3", "id"], "max_blocks": 2},
    "recipe": {"dataset": "digits", "epochs": 2.0},
    "cells": 60,
    "cells_by_blocks": {"1": 3, "2": 57},
    "runs": 120,
    "seeds_per_cell": {"2": 60},
    "failed": 1,
    "diverged": 2,
    "seed_deviation": 0.0051,
    "checkpoints": [0.5, 1.0],
    "core_hours": 1.25,
    "closed": False,
    "licence": "MIT",
    "checksum": "abc",
    "surrogates": [],
    "surrogate": None,
    "worlds": {},
    "quality": {},
}
FIGURES = {"cells": 57, "spearman": 0.78, "kendall_tau": 0.6, "r2": 0.5, "rmse": 0.01234}


def _print(facts: dict[str, Any]) -> str:
    out = io.StringIO()
    print_table_facts(facts, open_console(out, 80))
    return out.getvalue()


def test_the_facts_are_named() -> None:
    text = _print(FACTS)
    for part in ("up to 2 blocks of sep3, id", "60: 3 of 1, 57 of 2 blocks", "1.25 core hours", "0.0051"):
        assert part in text
    assert "pnas-sim table fit" in text


def test_the_surrogates_figures_stand_by_block_count() -> None:
    unknown = dict.fromkeys(FIGURES)
    quality = {"overall": FIGURES, "by_blocks": {"1": {**unknown, "cells": 3}, "2": FIGURES}}
    quality |= {"by_group": {"sealed": FIGURES}, "by_training_share": {"25": FIGURES}}
    facts = {"surrogate": quality, "surrogates": ["gp", "lightgbm"], "worlds": {"gp": None, "lightgbm": 10}}
    text = _print({**FACTS, **facts, "quality": {"gp": None, "lightgbm": quality}})
    assert "gp (? worlds), lightgbm (10 worlds)" in text
    assert "surrogate lightgbm on held-out cells" in text and "surrogate gp on" not in text
    assert "sealed" in text and "fit on 25%" in text and "2 blocks" in text
    assert text.count("0.78") == 4
    assert text.count("0.0123") == 4
    assert all(len(line) <= 80 for line in text.splitlines())
    assert " all " in text and "random" not in text


def test_figures_of_random_cells_are_called_so_once() -> None:
    quality = {"group": "random", "overall": FIGURES, "by_blocks": {"2": FIGURES}}
    quality |= {"by_group": {"random": FIGURES, "search": FIGURES}}
    facts = {"surrogate": quality, "surrogates": ["gp"], "worlds": {"gp": 10}, "quality": {"gp": quality}}
    text = _print({**FACTS, **facts})
    assert text.count("random") == 1 and " all " not in text and "search" in text
