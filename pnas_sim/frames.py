"""Figures as a pandas frame, for who has pandas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pnas_sim.errors import SettingError

if TYPE_CHECKING:
    import pandas as pd


def make_frame(columns: Mapping[str, Any]) -> pd.DataFrame:
    """A frame of columns by name, all of one length.

    Raises:
        SettingError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise SettingError(
            'a frame needs pandas, which is not installed: pip install "pnas-sim[pandas]"'
        ) from None
    return pd.DataFrame(dict(columns))
