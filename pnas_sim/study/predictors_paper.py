"""The paper's figures on its predictors (table 1), to stand beside one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

FITTED, UNSEEN, NEXT = "fitted", "unseen", "next"
TRIALS = 20


@dataclass(frozen=True, slots=True)
class PaperRow:
    """Spearman's correlations pooled over trials, for b = 1 to 4.

    Attributes:
        fitted: rho-hat of b, on the cells fitted.
        beyond: rho-tilde of b + 1, on cells one block larger.
    """

    fitted: tuple[float, float, float, float]
    beyond: tuple[float, float, float, float]


TABLE_1: Mapping[str, PaperRow] = MappingProxyType(
    {
        "mlp": PaperRow((0.938, 0.857, 0.714, 0.641), (0.113, 0.450, 0.469, 0.444)),
        "rnn": PaperRow((0.970, 0.996, 0.693, 0.787), (0.198, 0.424, 0.401, 0.413)),
        "mlp-ensemble": PaperRow((0.975, 0.786, 0.634, 0.645), (0.164, 0.532, 0.504, 0.468)),
        "rnn-ensemble": PaperRow((0.972, 0.906, 0.801, 0.579), (0.164, 0.418, 0.465, 0.424)),
    }
)


def find_paper_value(predictor: str, place: str, blocks: int) -> float | None:
    """The paper's correlation of a predictor fitted on cells of `blocks` blocks; None where it has none."""
    row = TABLE_1.get(predictor)
    if row is None or not 1 <= blocks <= len(row.fitted) or place == UNSEEN:
        return None
    return (row.fitted if place == FITTED else row.beyond)[blocks - 1]
