"""Options that go to a search: declared once, handed on only where the user gave them.

Which search takes which, and their defaults, stands in `pnas_sim.search.catalogue`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pnas_sim.cli.options import Wishes, declare, wish

_Function = TypeVar("_Function", bound=Callable[..., Any])

SEARCH: Wishes = {
    "predictor": wish(help="mlp-ensemble, gp, ..., or module:factory.  [default: mlp-ensemble]"),
    "refit": wish(help="The predictor: from scratch, or finetune.  [default: scratch]"),
    "beam": wish(type=int, metavar="K", help="Cells kept on each level.  [default: 256]"),
    "acquisition": wish(help="How cells are chosen: greedy, ucb, thompson.  [default: greedy]"),
    "kappa": wish(type=float, metavar="N", help="Deviations that ucb adds.  [default: 1]"),
}
SEARCH_NAMES = tuple(SEARCH)


def search_options(function: _Function) -> _Function:
    """Adds the options of searches."""
    return declare(SEARCH, function)
