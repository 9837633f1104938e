"""Who proposes: searches by ask and tell.

`make_search` makes each by its name, as `list_searches` has them with their options. The classes here are for
those who bring a predictor of their own.
"""

from pnas_sim.search.bananas import Bananas
from pnas_sim.search.base import Diagnosed, Observations, Proposals, SearchRequest, Strategy
from pnas_sim.search.catalogue import SearchInfo, list_searches, make_search
from pnas_sim.search.no_growth import NoGrowth
from pnas_sim.search.pnas import Pnas
from pnas_sim.search.random_search import RandomSearch

__all__ = [
    "Bananas",
    "Diagnosed",
    "NoGrowth",
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
