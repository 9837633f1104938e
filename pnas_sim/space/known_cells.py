"""Cells that the paper publishes, by name; a name will do wherever a cell's text is read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# Liu et al., ECCV 2018: PNASNet-5 is the best cell of figure 1; PNASNet-1 to -4 are the best ones found with
# one to four blocks (figure and table 2 of the supplement).
KNOWN_CELLS: Mapping[str, str] = MappingProxyType(
    {
        "PNASNet-1": "sep7(-1)+max3(-1)",
        "PNASNet-2": "sep7(-1)+sep3(-1) | max3(-1)+sep5(-1)",
        "PNASNet-3": "sep5(-1)+max3(-1) | id(-1)+sep3(-1) | conv1x7(-2)+max3(-2)",
        "PNASNet-4": "sep5(-1)+max3(-1) | sep5(-1)+sep3(-1) | id(-1)+sep3(-2) | sep5(-2)+max3(-2)",
        "PNASNet-5": (
            "sep5(-2)+max3(-2) | sep7(-1)+max3(-1) | sep5(-1)+sep3(-1) | sep3(3)+max3(-1) | sep3(-2)+id(-1)"
        ),
    }
)

_BY_LOWER_NAME = {name.lower(): cell for name, cell in KNOWN_CELLS.items()}


def find_known_cell(text: str) -> str:
    """The text of a published cell where `text` names one, in any case; else `text` itself."""
    return _BY_LOWER_NAME.get(text.strip().lower(), text)
