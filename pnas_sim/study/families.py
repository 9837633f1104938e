"""Which model families comparisons rest on: claims are believed where two that share none say the same.

A surrogate's name says little: two of one kind may have two names, and the mean of several models is of the
family of each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from pnas_sim.predict.catalogue import SURROGATE_FAMILIES, list_model_families


def list_families(result: Mapping[str, Any]) -> frozenset[str]:
    """Model families of the surrogate that answered a comparison, one at least.

    A kind that is not known is a family of its own; without a kind, as of users' own backends, the name
    counts.

    Args:
        result: the object of a comparison.
    """
    settings = result["table"]["settings"]
    name, kind = str(settings.get("surrogate", "none")), str(settings.get("surrogate_kind") or "")
    return list_model_families(kind) or frozenset({kind or SURROGATE_FAMILIES.get(name, name)})


def find_shared(results: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The model families that make several comparisons count as one; empty: two of them share none.

    Args:
        results: objects of comparisons.
    """
    pairs = [one & other for one, other in combinations(map(list_families, results), 2)]
    return frozenset().union(*pairs) if all(pairs) else frozenset()
