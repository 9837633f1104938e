"""Kinds of arrays, as signatures name them; docstrings say their shapes."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Rows: TypeAlias = NDArray[np.uint8]  # token rows of cells, `[n, width]`
