"""The paper's own figures of efficiency (section 5.3, its table 2), to stand beside what is measured here."""

from __future__ import annotations

from dataclasses import dataclass

TOPS = (1, 5, 25)
PAPER_MODELS = 1160  # of PNAS: 136 + 4 x 256
PAPER_BUDGET = 6000  # of reinforcement learning and of random search


@dataclass(frozen=True, slots=True)
class PaperRow:
    """A row of the paper's table.

    Attributes:
        predictor: of PNAS.
        top: M, the cells whose mean accuracy is compared.
        accuracy: that mean, in [0, 1].
        pnas_models: trained by PNAS.
        rl_models: trained by reinforcement learning until it was as good.
        speed_up_models: as printed.
        speed_up_examples: as printed.
    """

    predictor: str
    top: int
    accuracy: float
    pnas_models: int
    rl_models: int
    speed_up_models: float
    speed_up_examples: float


PAPER_ROWS = (
    PaperRow("mlp-ensemble", 1, 0.9183, PAPER_MODELS, 5808, 5.0, 8.2),
    PaperRow("mlp-ensemble", 5, 0.9161, PAPER_MODELS, 4100, 3.5, 6.8),
    PaperRow("mlp-ensemble", 25, 0.9136, PAPER_MODELS, 3654, 3.2, 6.4),
    PaperRow("rnn-ensemble", 1, 0.9161, PAPER_MODELS, 2222, 1.9, 5.1),
    PaperRow("rnn-ensemble", 5, 0.9148, PAPER_MODELS, 2489, 2.1, 5.4),
    PaperRow("rnn-ensemble", 25, 0.9128, PAPER_MODELS, 2886, 2.5, 5.7),
)
