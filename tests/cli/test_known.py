from __future__ import annotations

from typing import Any

from pnas_sim.cli.known import WIDTH, write_lines
from pnas_sim.predict.catalogue import list_predictors
from pnas_sim.search.catalogue import list_searches


def test_every_search_is_listed_with_its_defaults(pnas: Any) -> None:
    listed = {entry["name"]: entry for entry in pnas("searches", "--json").json["searches"]}
    assert {name: entry["options"] for name, entry in listed.items()} == {
        search.name: dict(search.options) for search in list_searches()
    }
    assert "Real et al. 2019" in listed["evolution"]["source"]


def test_every_predictor_is_listed(pnas: Any) -> None:
    listed = pnas("searches", "--json").json["predictors"]
    assert [entry["name"] for entry in listed] == [predictor.name for predictor in list_predictors()]
    assert all(entry["does"] for entry in listed)


def test_the_text_fits_a_terminal_and_says_how_options_are_given(pnas: Any) -> None:
    outcome = pnas("searches")
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= WIDTH
    assert "population=100, sample=25, batch=20" in outcome.out
    assert "--search-option KEY=VALUE" in outcome.out


def test_what_is_listed_is_what_run_takes(pnas: Any, small_table: Any, tmp_path: Any) -> None:
    listed = {entry["name"]: entry["options"] for entry in pnas("searches", "--json").json["searches"]}
    words = [f"--search-option={option}={value}" for option, value in listed["evolution"].items()]
    place = ["--table", str(small_table), "--blocks", "1", "--budget", "120", "--out", str(tmp_path / "run")]
    assert pnas("run", "--search", "evolution", *words, *place).code == 0


def test_one_of_another_package_says_whose_it_is() -> None:
    own = {"name": "mine", "does": "a search of my-package 1.0", "options": {}, "source": "", "package": "p"}
    lines = list(write_lines([own], []))
    assert lines[1] == "  mine               a search of my-package 1.0"
    assert lines[2] == ""
