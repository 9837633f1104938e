"""Evaluators that ship: the precomputed table and the training backend, and the networks that it trains.

    from pnas_backends import PRESETS, NetworkShape, build_network, cell_costs

`build_network` alone imports torch, when it is first asked for; `docs/python.md` trains what it builds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pnas_sim.lazy import export_lazily

if TYPE_CHECKING:
    from pnas_backends.training.costs import cell_costs
    from pnas_backends.training.layout import PRESETS, NetworkShape
    from pnas_backends.training.network import build_network

__all__ = ["PRESETS", "NetworkShape", "build_network", "cell_costs"]

_MODULES = {
    "PRESETS": "training.layout",
    "NetworkShape": "training.layout",
    "build_network": "training.network",
    "cell_costs": "training.costs",
}

__getattr__, __dir__ = export_lazily(__name__, _MODULES, globals())
