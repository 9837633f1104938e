from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def test_searches_that_cannot_be_had_are_told(
    pnas: Any, small_table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not silently missing from what the default promises; the made-up table ends the work."""
    monkeypatch.setattr("pnas_sim.study.audit.find_spec", lambda name: None)
    outcome = pnas("table", "audit", small_table, "--out", "audit")
    assert outcome.code == 2 and "cannot be trained again" in outcome.complaint
    assert "tpe is left out: it needs pnas-sim[optuna]" in outcome.err and "hyperband" not in outcome.err
    assert "left out" not in pnas("table", "audit", small_table, "--out", "audit", "-q").err
    assert "left out" not in pnas("table", "audit", small_table, "--out", "audit", "--searches", "local").err
    assert "without the oracles" in " ".join(pnas("table", "audit", "--help").out.split())
