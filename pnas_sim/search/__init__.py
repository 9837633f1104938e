"""Who proposes: searches by ask and tell."""

from pnas_sim.search.base import Observations, Proposals, Strategy
from pnas_sim.search.pnas import Pnas
from pnas_sim.search.random_search import RandomSearch

__all__ = ["Observations", "Pnas", "Proposals", "RandomSearch", "Strategy"]
