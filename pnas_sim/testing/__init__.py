"""Contract suites that any part must pass, third parties' too; each module holds the suite of one seam.

    from pnas_sim.testing import check_evaluator, check_predictor, check_space, check_strategy

They need no test framework: each passes, or raises `AssertionError` with what is broken. Only the suite that
is named is imported, with what it tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnas_sim.lazy import export_lazily

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

__getattr__, __dir__ = export_lazily(__name__, _MODULES, globals())
