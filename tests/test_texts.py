from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnas_sim.texts import CONTROL, change_texts, escape_markdown, show_controls


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, in two\nlines: ü → 数", "plain, in two\nlines: ü → 数"),
        ("\x1b]0;mine\x07", "\\u001b]0;mine\\u0007"),
        ("a\rb\tc\x00\x7f", "a\\u000db\\u0009c\\u0000\\u007f"),
        ("\x9b2J\x85", "\\u009b2J\\u0085"),
        ("gpj.\u202eexe\u2066\u200f", "gpj.\\u202eexe\\u2066\\u200f"),
    ],
)
def test_control_characters_are_seen_and_not_obeyed(text: str, shown: str) -> None:
    assert show_controls(text) == shown


@given(st.text())
def test_json_stays_the_same_value(text: str) -> None:
    written = show_controls(json.dumps([text], ensure_ascii=False))
    assert json.loads(written) == [text]
    assert CONTROL.search(written) is None


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("batch_size 100, CC BY-SA 4.0 (x)", "batch_size 100, CC BY-SA 4.0 (x)"),
        ("<script>", "\\<script\\>"),
        ("![t](https://x/y.png)", "\\!\\[t\\](https://x/y.png)"),
        ("a\n# b\r\n\n* c", "a \\# b \\* c"),
        ("`code` _word_ __init__", "\\`code\\` \\_word\\_ \\_\\_init\\_\\_"),
        ("\\<b>", "\\\\\\<b\\>"),
        ("\x1b[31m", "\\\\u001b\\[31m"),
        (0.5, "0.5"),
    ],
)
def test_markdown_shows_a_text_as_it_stands(text: object, escaped: str) -> None:
    assert escape_markdown(text) == escaped


def test_texts_are_changed_wherever_they_stand_but_in_keys() -> None:
    value = {"a": "b", "c": [1, ("d", None)], "e": {"f": "g"}}
    assert change_texts(value, str.upper) == {"a": "B", "c": [1, ["D", None]], "e": {"f": "G"}}
