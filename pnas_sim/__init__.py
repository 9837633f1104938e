"""Progressive neural architecture search (Liu et al., ECCV 2018): the engine, its searches and predictors.

    from pnas_sim import Budget, CellSpace, FunctionEvaluator, Pnas, make_predictor, run_search

The names below are what most programs need, each from the module that explains it; `docs/python.md` shows
them at work. A name's module is imported when the name is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnas_sim.lazy import export_lazily

if TYPE_CHECKING:
    from pnas_sim.budget import Budget
    from pnas_sim.engine import run_search
    from pnas_sim.evaluate import BackendRequest
    from pnas_sim.function_evaluator import FunctionEvaluator
    from pnas_sim.logged import read_log
    from pnas_sim.predict import Prediction, list_predictors, make_predictor
    from pnas_sim.registry import list_backends, make_backend
    from pnas_sim.runlog import RunLog
    from pnas_sim.search import Observations, Pnas, SearchRequest, list_searches, make_search
    from pnas_sim.space import KNOWN_CELLS, Cell, CellSpace

__version__ = "0.1.0"

__all__ = [
    "KNOWN_CELLS",
    "BackendRequest",
    "Budget",
    "Cell",
    "CellSpace",
    "FunctionEvaluator",
    "Observations",
    "Pnas",
    "Prediction",
    "RunLog",
    "SearchRequest",
    "list_backends",
    "list_predictors",
    "list_searches",
    "make_backend",
    "make_predictor",
    "make_search",
    "read_log",
    "run_search",
]

_MODULES = {
    "KNOWN_CELLS": "space",
    "BackendRequest": "evaluate",
    "Budget": "budget",
    "Cell": "space",
    "CellSpace": "space",
    "FunctionEvaluator": "function_evaluator",
    "Observations": "search",
    "Pnas": "search",
    "Prediction": "predict",
    "RunLog": "runlog",
    "SearchRequest": "search",
    "list_backends": "registry",
    "list_predictors": "predict",
    "list_searches": "search",
    "make_backend": "registry",
    "make_predictor": "predict",
    "make_search": "search",
    "read_log": "logged",
    "run_search": "engine",
}

__getattr__, __dir__ = export_lazily(__name__, _MODULES, globals())
