from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pnas_backends.training.recipe import DIGITS
from pnas_tables.fit import FitSettings
from pnas_tables.forest import ForestSettings
from pnas_tables.format import read_table, write_table
from pnas_tables.surrogate import fit_surrogate


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


def test_a_table_is_not_audited_on_other_images(pnas: Any, bare_table: Path) -> None:
    bare = replace(read_table(bare_table), recipe=DIGITS.model_dump(mode="json"))
    table = replace(bare, provenance=({"images_checksum": "0" * 32},))
    settings = FitSettings(worlds=1, shares=(), forest=ForestSettings(forests=1, trees=5))
    write_table("x.h5", fit_surrogate(table, settings=settings))
    words = ("--searches", "random", "--budget", 20, "--cells", 2)
    outcome = pnas("table", "audit", "x.h5", "--out", "audit", *words)
    assert outcome.code == 2 and "table bare was trained on other images" in outcome.complaint
    assert not Path("audit").exists()
