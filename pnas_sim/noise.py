"""Seed noise that belongs to (cell, epochs, seed) and not to the order of asking.

A cell's key is a 64-bit hash of what its canonical text says: inputs as numbers, operations by name. It does
not see the width of the row, its padding, or the position of an operation in the space's list. Two cells with
one key would share their noise and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.space import PAD
from pnas_sim.space.arrays import Floats, Rows

Keys: TypeAlias = NDArray[np.uint64]


def cell_keys(operations: Sequence[str], cells: Rows) -> Keys:
    """Keys of canonical rows (`uint8[n, width]`), `uint64[n]`."""
    codes = np.zeros(256, np.uint64)
    codes[: len(operations)] = [text_code(name) for name in operations]
    inputs = np.arange(256, dtype=np.uint64)
    keys = np.full(len(cells), text_code("cell"), np.uint64)
    for column in range(cells.shape[1]):
        tokens = cells[:, column]
        values = (inputs if column % 4 < 2 else codes)[tokens]
        keys = np.where(tokens == PAD, keys, mix_keys(keys, values))
    return keys


def standard_noise(keys: Keys, epochs: float, seed: int, what: str) -> Floats:
    """Standard normal deviates `float64[n]`, fixed by (key, epochs, seed, what), after Box and Muller."""
    keys = mix_keys(keys, np.uint64(text_code(f"{what} {float(epochs)!r} {int(seed)}")))
    one, two = (unit_noise(mix_keys(keys, np.uint64(half))) for half in (1, 2))
    return np.asarray(np.sqrt(-2 * np.log(one)) * np.cos(2 * np.pi * two), np.float64)


def text_code(text: str) -> int:
    """A 64-bit number that stands for a text."""
    return int.from_bytes(blake2b(text.encode("utf-8"), digest_size=8).digest(), "little")


def mix_keys(keys: Keys, values: Keys | np.uint64) -> Keys:
    """The finaliser of SplitMix64 over both; products of arrays wrap around, as they must."""
    mixed = keys * np.uint64(0x9E3779B97F4A7C15) + values + np.uint64(1)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def unit_noise(keys: Keys) -> Floats:
    """Numbers in (0, 1) from the upper 52 bits."""
    return ((keys >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
