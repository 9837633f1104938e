from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from pnas_sim.cli.backend_options import TABLE_NAMES, TRAINING_NAMES, choose_given, parse_pairs
from pnas_sim.cli.run import OWN_NAMES, run
from pnas_sim.cli.searches import SEARCH_NAMES
from pnas_sim.cli.settings import (
    RunSettings,
    join_settings,
    make_settings,
    read_config,
    sort_settings,
)
from pnas_sim.cli.toml import format_toml
from pnas_sim.errors import SettingError
from pnas_sim.search.catalogue import resolve_options


def test_defaults_are_the_papers_search() -> None:
    settings = make_settings({})
    assert (settings.search, settings.blocks, settings.search_options) == ("pnas", 5, {})
    options = resolve_options("pnas", {})
    assert (options["predictor"], options["refit"], options["beam"]) == ("mlp-ensemble", "scratch", 256)


def test_every_setting_is_an_option_of_run() -> None:
    options = {str(p.name) for p in run.params if isinstance(p, click.Option)}
    assert set(RunSettings.model_fields) - {"search_options", "backend_options"} == set(OWN_NAMES)
    assert {*OWN_NAMES, *SEARCH_NAMES, *TRAINING_NAMES, *TABLE_NAMES} <= options


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"blocks": 0}, ["blocks is 0", "at least 1", "at most 10"]),
        ({"blocks": 11}, ["blocks is 11", "at most 10"]),
        ({"seed": -1}, ["seed is -1", "at least 0"]),
        ({"evaluation_seed": 2**63}, ["evaluation_seed", "at most"]),
        ({"epochs": 0}, ["epochs is 0", "above 0"]),
        ({"epochs": float("nan")}, ["epochs is nan"]),
        ({"threads": 0}, ["threads is 0", "at least 1"]),
        ({"blocks": "many"}, ["blocks is 'many'"]),
        ({"budget": "0"}, ["budget is '0'"]),
        ({"bean": 4}, ["unknown setting 'bean'", "beam"]),
    ],
)
def test_values_out_of_range_are_named_with_limits(values: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SettingError) as error:
        make_settings(values)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


def test_config_keys_may_have_hyphens_and_options_of_backends(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('beam = 8\nevaluation-seed = 2\ntable-mode = "measured"\n[backend_options]\nother = 1\n')
    assert read_config(path) == {
        "evaluation_seed": 2,
        "search_options": {"beam": 8},
        "backend_options": {"table_mode": "measured", "other": 1},
    }


def test_a_runs_own_record_is_a_config(tmp_path: Path) -> None:
    settings = make_settings({"search_options": {"beam": 3}, "backend_options": {"noise": "off"}})
    record = {"kind": "run", "schema": 1, "settings": settings.model_dump(exclude_none=True)}
    path = tmp_path / "run.toml"
    path.write_text(format_toml(record))
    assert make_settings(read_config(path)) == settings


@pytest.mark.parametrize("content", ["beam = ", "beam 8", "\xff"])
def test_configs_that_are_not_toml(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(SettingError, match="not TOML"):
        read_config(path)
    with pytest.raises(SettingError, match="No such file"):
        read_config(tmp_path / "absent.toml")


def test_the_command_line_wins() -> None:
    config = {
        "seed": 1,
        "search_options": {"beam": 8, "batch": 4},
        "backend_options": {"noise": "off", "table": "a"},
    }
    joined = join_settings(config, {"search_options": {"beam": 9}, "backend_options": {"table": "b"}})
    assert joined == {
        "seed": 1,
        "search_options": {"beam": 9, "batch": 4},
        "backend_options": {"noise": "off", "table": "b"},
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"seed": 1}, {"seed": 1}),
        ({"seed": 1, "evaluation_seed": 0}, {"seed": 1, "evaluation_seed": 0}),
        ({"blocks": 2}, {"blocks": 2, "seed": 0, "evaluation_seed": 0}),
    ],
)
def test_a_new_seed_is_the_evaluations_too(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """As the option's help says; a run's record has its old one filled in."""
    holders: dict[str, Any] = {"search_options": {}, "backend_options": {}}
    assert join_settings({"seed": 0, "evaluation_seed": 0}, given) == {**expected, **holders}
    chosen = join_settings({"seed": 0, "evaluation_seed": 7}, given)
    assert chosen["evaluation_seed"] == given.get("evaluation_seed", 7)


def test_a_files_options_are_for_the_search_it_names() -> None:
    named = {"search": "pnas", "search_options": {"beam": 8}}
    other = {"search": "random", "search_options": {}}
    assert join_settings(named, other)["search_options"] == {}
    assert join_settings(named, {"search": "pnas"})["search_options"] == {"beam": 8}
    unnamed = {"search_options": {"beam": 8}}
    assert join_settings(unnamed, other)["search_options"] == {"beam": 8}  # to be refused, not forgotten


@pytest.mark.parametrize("name", ["search_options", "backend_options"])
def test_options_must_be_a_table(name: str) -> None:
    with pytest.raises(SettingError, match=f"{name} is 3"):
        sort_settings({name: 3})


def test_only_given_options_are_handed_on() -> None:
    assert choose_given({"filters": 4, "data": None, "beam": 2}, TRAINING_NAMES) == {"filters": 4}


def test_pairs_are_read_as_toml_or_text() -> None:
    pairs = ("a=1", "b-c=0.5", "d=true", "e=text", "f=", 'g="1"', "h=x=y", "i=1\nj = 2")
    assert parse_pairs(pairs) == {
        "a": 1,
        "b_c": 0.5,
        "d": True,
        "e": "text",
        "f": "",
        "g": "1",
        "h": "x=y",
        "i": "1\nj = 2",
    }
    with pytest.raises(click.UsageError, match="--backend-option is 'novalue'; write KEY=VALUE"):
        parse_pairs(("novalue",))
    with pytest.raises(click.UsageError, match="--search-option is '=1'"):
        parse_pairs(("=1",), "--search-option")


def test_the_training_backend_is_told_the_epochs() -> None:
    assert make_settings({"backend": "gpu", "epochs": 2}).options_for_backend() == {"epochs": 2.0}
    assert make_settings({"backend": "table", "epochs": 2}).options_for_backend() == {}
