from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pnas_sim.cli.verify_groups import FoundSearch, describe_search, name_groups


def run(folder: str, search: str = "pnas", seed: int = 0, **settings: Any) -> FoundSearch:
    backend = {"table": "t", "world": seed, "noise": settings.pop("noise", "on")}
    options = {"predictor": settings.pop("predictor", "mlp"), "beam": settings.pop("beam", 8)}
    given = {"search": search, "seed": seed, "evaluation_seed": seed, "threads": 1 + seed, "blocks": 5}
    return describe_search(
        Path(folder), {**given, "search_options": options, "backend_options": backend, **settings}
    )


def compared(folder: str, label: str, **options: Any) -> FoundSearch:
    settings = {"searches": {label: {"search": "pnas", "options": options, "tuning": 0}}, "blocks": 5}
    return describe_search(Path(folder), {**settings, "seeds": [len(folder)]}, label)


@pytest.mark.parametrize(
    ("found", "names"),
    [
        ([run("a"), run("b", seed=1), run("c", "random")], ["pnas", "pnas", "random"]),
        (
            [run("a"), run("b", predictor="rnn"), run("c", seed=1), run("d", "evolution")],
            ["pnas (mlp)", "pnas (rnn)", "pnas (mlp)", "evolution"],
        ),
        ([run("in/a"), run("in/b", beam=9), run("in/c", seed=1)], ["pnas (a)", "pnas (b)", "pnas (a)"]),
        (
            [run("in/a"), run("in/b", predictor="rnn"), run("in/c", blocks=3)],
            ["pnas (a)", "pnas (b)", "pnas (c)"],
        ),
        ([run("a"), run("b", budget="99"), run("c", noise="off")], ["pnas (a)", "pnas (b)", "pnas (c)"]),
        ([run("one/a"), run("two/a", beam=9)], ["pnas (one/a)", "pnas (two/a)"]),
        ([run("."), run("b", beam=9)], ["pnas (.)", "pnas (b)"]),
        ([compared("a", "pnas"), compared("bb", "pnas")], ["pnas", "pnas"]),
        ([compared("a", "x", beam=1), compared("b", "x", beam=2)], ["x (a)", "x (b)"]),
        (
            [compared("a", "all"), run("b", "spread"), run("c", "top", 3)],
            ["all (search)", "spread (search)", "top (search)"],
        ),
        (
            [run("a"), run("b", predictor="rnn"), compared("c", "pnas (rnn)")],
            ["pnas (a)", "pnas (b)", "pnas (rnn)"],
        ),
    ],
)
def test_searches_of_one_label_are_apart_where_more_than_seeds_differs(
    found: list[FoundSearch], names: list[str]
) -> None:
    assert name_groups(found) == names
