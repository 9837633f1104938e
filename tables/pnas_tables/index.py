"""Finds rows among a fixed set of rows, millions a second.

A row's words are folded into 64 bits, the upper bits of which name a slot; the slot holds the number of the
row that lies there, and the row itself decides: a hash is an index, never an identity.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import CellError
from pnas_sim.space.arrays import Rows

Places: TypeAlias = NDArray[np.int64]
Words: TypeAlias = NDArray[np.uint32]

SLOTS_PER_ROW = 64  # so that collisions are few and a second look is seldom needed
ROWS_AT_ONCE = 1 << 14  # keeps the arrays of a step in the processor's cache


class RowIndex:
    """The places of n distinct rows of one width, a multiple of 4."""

    def __init__(self, rows: Rows) -> None:
        """Readies the slots.

        Args:
            rows: `uint8[n, width]`, distinct.
        """
        self._words = _as_words(rows)
        rng = np.random.default_rng(20261124)
        # odd numbers: a product with one loses nothing
        self._factors = rng.integers(0, 2**63, self._words.shape[0], np.uint64) * np.uint64(2) + np.uint64(1)
        bits = max(4, int(np.ceil(np.log2(max(1, len(rows)) * SLOTS_PER_ROW))))
        self._shift = np.uint64(64 - bits)
        self._slots = np.full(1 << bits, -1, np.int32)
        self._mask = np.int64((1 << bits) - 1)
        self.width = rows.shape[1]
        for place, slot in enumerate(self._hash(self._words).tolist()):
            while self._slots[slot] >= 0:
                slot = (slot + 1) & int(self._mask)
            self._slots[slot] = place

    def find(self, rows: Rows) -> Places:
        """The place of each row (`uint8[m, width]`), -1 where it is not among them; `int64[m]`.

        Raises:
            CellError: the rows are of another width.
        """
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise CellError(
                f"rows of shape {rows.shape} asked for; the index holds rows of width {self.width}"
            )
        found = np.empty(len(rows), np.int64)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = rows[start : start + ROWS_AT_ONCE]
            found[start : start + ROWS_AT_ONCE] = self._find(_as_words(part))
        return found

    def _find(self, words: Words) -> Places:
        slots = self._hash(words)
        places = self._slots[slots].astype(np.int64)
        if self._words.shape[1] == 0:
            return places
        unlike = ~self._same(words, places)
        open_ = np.flatnonzero(unlike & (places >= 0))
        places[unlike] = -1
        while len(open_):  # what lies in the slot is another row: the next slots, until one is empty
            slots[open_] = (slots[open_] + 1) & self._mask
            met = self._slots[slots[open_]].astype(np.int64)
            same = self._same(words[:, open_], met)
            places[open_[same]] = met[same]
            open_ = open_[~same & (met >= 0)]
        return places

    def _hash(self, words: Words) -> Places:
        total = np.zeros(words.shape[1], np.uint64)
        for word, factor in zip(words, self._factors, strict=True):
            total += word * factor  # wraps around, as it must
        return (total >> self._shift).astype(np.int64)

    def _same(self, words: Words, places: Places) -> NDArray[np.bool_]:
        same = places >= 0
        for word, own in zip(words, self._words, strict=True):
            same &= own[places] == word
        return same


def _as_words(rows: Rows) -> Words:
    """The rows' bytes as `uint32[width / 4, m]`."""
    return np.ascontiguousarray(rows, np.uint8).view(np.uint32).T.copy()
