"""Contract suites that any part must pass, third parties' too; each module holds the suite of one seam.

    from pnas_sim.testing import check_evaluator, check_predictor, check_space, check_strategy

They need no test framework: each passes, or raises `AssertionError` with what is broken. Only the suite that
is named is imported, with what it tests.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pnas_sim.testing.evaluators import check_evaluator
    from pnas_sim.testing.predictors import check_predictor
    from pnas_sim.testing.spaces import check_space
    from pnas_sim.testing.strategies import check_strategy

__all__ = ["check_evaluator", "check_predictor", "check_space", "check_strategy"]

_MODULES = {
    "check_evaluator": "evaluators",
    "check_predictor": "predictors",
    "check_space": "spaces",
    "check_strategy": "strategies",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
