from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SHIPPED = Path(__file__).parents[2] / "docs" / "verification"
WRONG = {
    "empty.json": "{}",
    "number.json": '{"settings": [], "rounds": 5}',
    "round.json": '{"settings": {}, "rounds": [{}]}',
    "text.json": "no",
}


def test_a_wrong_audit_is_one_line_and_writes_nothing(pnas: Any, bare_table: Path, tmp_path: Path) -> None:
    for name, content in WRONG.items():
        (tmp_path / name).write_text(content)
    for name in (*WRONG, "absent.json"):
        outcome = pnas("table", "card", bare_table, "--out", "cards", "--no-pictures", "--audit", name)
        assert outcome.code == 2 and name in outcome.complaint
    assert not (tmp_path / "cards").exists()


@pytest.mark.parametrize("name", ["audit.json", "audit-2.json"])
def test_an_audit_of_another_table_is_refused(pnas: Any, bare_table: Path, tmp_path: Path, name: str) -> None:
    """Its rounds would stand on this table's card as if they told something of it."""
    words = ("table", "card", bare_table, "--out", "cards", "--no-pictures", "--audit", SHIPPED / name)
    outcome = pnas(*words)
    assert outcome.code == 2
    assert "is an audit of table cifar10-16px, not of bare" in outcome.complaint
    assert not (tmp_path / "cards").exists()
