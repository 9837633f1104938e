from __future__ import annotations

from typing import Any

import pytest

from pnas_sim.own_parts import list_own_parts, tell_imports, write_command


@pytest.mark.parametrize(
    ("settings", "own"),
    [
        ({"search": "pnas", "backend": "table"}, []),
        ({"search": "a:b", "backend": "c:d", "search_options": {"predictor": "e:f"}}, ["c:d", "a:b", "e:f"]),
        ({"searches": {"x": {"search": "a:b"}, "y": {"options": {"predictor": "a:b"}}}}, ["a:b"]),
        ({"backend_options": {"device": "cuda:0"}, "search_options": {"refit": "a:b"}}, []),
        ({"searches": 3, "search": 7, "search_options": "a:b"}, []),
        (["a:b"], []),
    ],
)
def test_parts_are_found_wherever_they_are_named(settings: Any, own: list[str]) -> None:
    assert list_own_parts(settings) == own


def test_a_command_has_the_trust_that_it_needs_and_no_other() -> None:
    own = {"searches": {"x": {"search": "a:b"}, "y": {"search": "pnas", "options": {"predictor": "c:d"}}}}
    words = ("compare", "--config", "my runs/compare.toml")
    assert write_command(own, *words) == "pnas-sim compare --trust --config 'my runs/compare.toml'"
    assert tell_imports(own) == " (it imports a:b, c:d)"
    for settings in ({"search": "pnas"}, None):
        assert write_command(settings, *words) == "pnas-sim compare --config 'my runs/compare.toml'"
        assert tell_imports(settings) == ""
