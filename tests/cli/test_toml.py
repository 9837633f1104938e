from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.cli.toml import format_toml

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_python_reads_what_is_written(document: dict[str, Any]) -> None:
    assert tomllib.loads(format_toml(document)) == document


def test_none_is_left_out() -> None:
    assert format_toml({"a": None, "b": 1, "c": {"d": None}}) == "b = 1\n\n[c]\n"


def test_tables_follow_plain_values() -> None:
    assert format_toml({"t": {"x": 1}, "a": "b"}) == 'a = "b"\n\n[t]\nx = 1\n'
