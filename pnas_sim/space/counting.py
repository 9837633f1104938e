"""How many cells there are, exactly (section 3.1 of the paper gives 5.6e14 raw and about 10^12 unique ones).

Unique cells are counted by Burnside's lemma: the mean, over all permutations of the blocks, of the number of
acyclic assignments of definitions to blocks that the permutation leaves as they are. That number depends only
on the lengths of the permutation's cycles; blocks of one cycle cannot read each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from math import comb, factorial, prod
from typing import TypeAlias

Cycles: TypeAlias = tuple[int, ...]  # lengths, ascending


def count_raw(blocks: int, operations: int) -> int:
    """Rows of some blocks, every token by itself."""
    return prod(((block + 1) * operations) ** 2 for block in range(1, blocks + 1))


def count_half_ordered(blocks: int, operations: int) -> int:
    """Rows whose blocks have (I1, O1) <= (I2, O2)."""
    return prod(_count_pairs((block + 1) * operations) for block in range(1, blocks + 1))


@lru_cache(maxsize=256)
def count_unique(blocks: int, operations: int) -> int:
    """Cells of some blocks, equal up to swaps within blocks and names of blocks."""
    fixed = sum(
        _count_permutations(cycles) * _count_fixed(cycles, operations)
        for cycles in _list_partitions(blocks, 1)
    )
    return fixed // factorial(blocks)


def _count_pairs(halves: int) -> int:
    """Unordered pairs of halves, equal ones included."""
    return halves * (halves + 1) // 2


def _list_partitions(total: int, smallest: int) -> Iterator[Cycles]:
    """Ways to write a number as an ascending sum of parts of at least `smallest`."""
    if total == 0:
        yield ()
    for part in range(smallest, total + 1):
        for rest in _list_partitions(total - part, part):
            yield (part, *rest)


def _count_permutations(cycles: Cycles) -> int:
    """Permutations whose cycles have these lengths."""
    symmetries: int = prod(length**times * factorial(times) for length, times in Counter(cycles).items())
    return factorial(sum(cycles)) // symmetries


@lru_cache(maxsize=4096)
def _count_fixed(cycles: Cycles, operations: int) -> int:
    """Acyclic assignments that a permutation with these cycles leaves as they are.

    Inclusion and exclusion over the cycles that no block reads, as Robinson (1973) counts labelled acyclic
    digraphs: there is at least one such cycle, and each of them reads only the others.
    """
    if not cycles:
        return 1
    total = 0
    lengths = Counter(cycles)
    for unread in product(*(range(times + 1) for times in lengths.values())):
        if not any(unread):
            continue
        chosen = dict(zip(lengths, unread, strict=True))
        others = tuple((lengths - Counter(chosen)).elements())
        ways = prod(
            comb(lengths[length], times) * _count_definitions(length, others, operations) ** times
            for length, times in chosen.items()
        )
        sign = 1 if sum(unread) % 2 else -1
        total += sign * ways * _count_fixed(others, operations)
    return total


def _count_definitions(length: int, others: Cycles, operations: int) -> int:
    """Definitions of a block in a cycle of this length that come back to themselves once round the cycle.

    Once round, a half stays if its block's cycle length divides this one (the cell inputs always stay), and
    trades places with one other if its block's cycle length divides twice this one only.
    """
    staying = operations * (2 + sum(other for other in others if length % other == 0))
    trading = operations * sum(other for other in others if length % other and 2 * length % other == 0)
    return _count_pairs(staying) + trading // 2
