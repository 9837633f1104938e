from __future__ import annotations

import io

from pnas_sim.report.console import open_console
from pnas_sim.report.predictor_study import print_study, tabulate_briefly


def make_row(predictor: str, blocks: int, value: float, paper: float | None = None) -> dict:
    return {
        "source": "surrogate",
        "fitted": 20,
        "predictor": predictor,
        "blocks": blocks,
        "place": "next",
        "truth": "noisy",
        "circular": predictor == "gbt",
        "spearman_pooled": value if blocks else None,
        "spearman": value,
        "spearman_low": value - 0.1,
        "spearman_high": value + 0.1,
        "difference": 0.05 if predictor == "gbt" else None,
        "difference_low": -0.01 if predictor == "gbt" else None,
        "difference_high": 0.11 if predictor == "gbt" else None,
        "paper": paper,
    }


ROWS = [
    make_row("mlp", 1, 0.2, 0.113),
    make_row("gbt", 1, 0.3),
    make_row("mlp", 2, 0.4, 0.45),
    make_row("gbt", 2, 0.4),
    make_row("mlp", 0, 0.3),
    make_row("gbt", 0, 0.35),
]


def test_the_paper_stands_beside_and_the_circular_are_marked() -> None:
    heads, lines = tabulate_briefly(ROWS)
    assert heads == ["predictor", "2", "3", "mean", "less the first's"]
    assert lines == [
        ["mlp", ".20", ".40", ".30 [.20, .40]", "-"],
        ["  in the paper", ".11", ".45", "", ""],
        ["gbt*", ".30", ".40", ".35 [.25, .45]", ".05 [-.01, .11]"],
    ]


def test_a_whole_study_fits_a_terminal() -> None:
    ceiling = {"source": "surrogate", "blocks": 2, "cells": 10_000, "noise": 0.007, "deviation": 0.02}
    ceiling |= {"spearman": 0.9, "kendall_tau": 0.7, "top5_precision": None}
    search = {"predictor": "gbt", "circular": True, "blocks": 2, "pool": 31_620, "beam": 256}
    search |= {"rank_correlation": 0.1, "rank_correlation_noise_free": None}
    search |= {"recall": 0.2, "recall_noise_free": 0.3, "by_chance": 0.008}
    out = io.StringIO()
    result = {"rows": ROWS, "ceilings": [ceiling], "searches": [search], "trials": 20}
    result["left_out"] = {"trained": 2}
    print_study(result, open_console(out, 80))
    text = out.getvalue()
    expected = (
        "cells answered by the surrogate, 20 trials",
        "gbt*",
        "31,620",
        "circular",
        "10,000",
        "2 cells",
    )
    for words in expected:
        assert words in text
    assert "…" not in text


def test_fewer_cells_than_were_asked_for_are_told() -> None:
    few = {"fitted": 10**6, "fitted_sets": 1, "trials": 2}
    rows = [{**row, **few, "fitted_cells": 50 if row["blocks"] else 0} for row in ROWS]
    out = io.StringIO()
    result = {"rows": rows, "ceilings": [], "searches": [], "trials": 2, "left_out": {}}
    print_study(result, open_console(out, 80))
    text = " ".join(out.getvalue().split())
    assert "fitted on 50 cells answered by the surrogate (1000000 asked for), 2 trials" in text
    assert "fitted on whole, by every trial: 50 of 1 block, 50 of 2 blocks" in text
