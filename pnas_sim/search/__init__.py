"""Who proposes: searches by ask and tell."""

from pnas_sim.search.base import Diagnosed, Observations, Proposals, SearchRequest, Strategy
from pnas_sim.search.catalogue import SearchInfo, list_searches, make_search
from pnas_sim.search.pnas import Pnas
from pnas_sim.search.random_search import RandomSearch

__all__ = [
    "Diagnosed",
    "Observations",
    "Pnas",
    "Proposals",
    "RandomSearch",
    "SearchInfo",
    "SearchRequest",
    "Strategy",
    "list_searches",
    "make_search",
]
