"""Options that go to a search: declared once, handed on only where the user gave them.

Which search takes which, and their defaults, stands in `pnas_sim.search.catalogue`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Function = TypeVar("_Function", bound=Callable[..., Any])

SEARCH_DECLARATIONS = (
    click.option("--predictor", help="mlp-ensemble, gp, ..., or module:factory.  [default: mlp-ensemble]"),
    click.option("--refit", help="The predictor: from scratch, or finetune.  [default: scratch]"),
    click.option("--beam", type=int, metavar="K", help="Cells kept on each level.  [default: 256]"),
    click.option("--acquisition", help="How cells are chosen: greedy, ucb, thompson.  [default: greedy]"),
    click.option("--kappa", type=float, metavar="N", help="Deviations that ucb adds.  [default: 1]"),
)
SEARCH_NAMES = ("predictor", "refit", "beam", "acquisition", "kappa")


def search_options(function: _Function) -> _Function:
    """Adds the options of searches."""
    for declare in reversed(SEARCH_DECLARATIONS):
        function = declare(function)
    return function
