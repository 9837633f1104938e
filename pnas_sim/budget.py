"""When a run ends: a budget of models, examples or children's seconds."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from numbers import Integral

from pnas_sim.errors import SettingError

SECONDS_OF = {"h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0}
_FORM = re.compile(r"([0-9.]+(?:e[+-]?[0-9]+)?)\s*(|ex|h|min|m|s)", re.IGNORECASE | re.ASCII)
_EXAMPLES = "models (6000), examples (1e9ex) or time of children (3h, 90m, 45s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When a run ends, whichever comes first; None: no limit.

    Attributes:
        models: at most so many are evaluated.
        examples: no model is begun that would go past these.
        seconds: of children; no answer is waited for after them.

    Raises:
        SettingError: a limit is not above 0.
    """

    models: int | None = None
    examples: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("models", "examples", "seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SettingError(f"budget of {name} is {value}; it must be above 0")

    @staticmethod
    def of(value: Budget | int) -> Budget:
        """A budget as it is; a whole number means so many models.

        Raises:
            SettingError: it is neither, or not above 0.
        """
        if isinstance(value, Budget):
            return value
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise SettingError(
                f"budget is {value!r}; give a Budget, or a number of models (Budget.parse reads {_EXAMPLES})"
            )
        return Budget(models=int(value))

    @staticmethod
    def parse(text: str) -> Budget:
        """The budget that a text means.

        Args:
            text: `6000` models, `1e9ex` examples, `3h`, `90m` (or `90min`) or `45s` of children.

        Raises:
            SettingError: it is none of these, or not above 0 (for models: not a whole number of at least 1).
        """
        match = _FORM.fullmatch(text.strip())
        number = _read_number(match.group(1)) if match else math.nan
        if match is None or not math.isfinite(number):
            raise SettingError(f"budget is {text!r}; give {_EXAMPLES}")
        unit = match.group(2).lower()
        if not unit and (number < 1 or number != int(number)):
            raise SettingError(f"budget is {text!r}; a number of models must be whole and at least 1")
        if not number > 0:
            raise SettingError(f"budget is {text!r}; it must be above 0: give {_EXAMPLES}")
        if unit == "ex":
            return Budget(examples=number)
        return Budget(seconds=number * SECONDS_OF[unit]) if unit else Budget(models=int(number))


def _read_number(digits: str) -> float:
    """The number, or NaN where digits and points make none."""
    try:
        return float(digits)
    except ValueError:
        return math.nan
