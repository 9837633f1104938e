from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pnas_sim.space import CellSpace
from pnas_tables import surrogate
from pnas_tables.build import build_table
from pnas_tables.fit import FitSettings
from pnas_tables.forest import ForestSettings
from pnas_tables.format import read_table, write_table
from pnas_tables.plans import list_jobs, sample_plan
from pnas_tables.record import Table
from pnas_tables.testing import MadeUpTrainer, made_up_head

FIT = ("--family", "lightgbm", "--worlds", 1, "-q")
SETTINGS = FitSettings(worlds=1, shares=(), forest=ForestSettings(forests=1, trees=5))
Meanwhile = Callable[[Callable[[], None]], None]


@pytest.fixture
def mine(bare_table: Path, tmp_path: Path) -> Path:
    """A table of one's own."""
    path = tmp_path / "mine.h5"
    path.write_bytes(bare_table.read_bytes())
    return path


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Has something done while a surrogate is fitted, a small one."""
    fit = surrogate.fit_surrogate

    def choose(act: Callable[[], None]) -> None:
        def fit_slowly(table: Table, name: str | None, seed: int, *rest: object) -> Table:
            act()
            return fit(table, name, seed, SETTINGS)

        monkeypatch.setattr(surrogate, "fit_surrogate", fit_slowly)

    return choose


def go_on(path: Path) -> None:
    """A build that trains more of the table's cells."""
    space = CellSpace(max_blocks=3)
    jobs = list_jobs(sample_plan("bare", 66, (1, 2, 3), seeds=2, seed=3, space=space), space)
    build_table(jobs, made_up_head(space, "bare"), path, MadeUpTrainer(space), provenance={})


def test_trainings_that_came_meanwhile_are_not_written_over(
    pnas: Any, mine: Path, meanwhile: Meanwhile, tmp_path: Path
) -> None:
    meanwhile(lambda: go_on(mine))
    outcome = pnas("table", "fit", mine, *FIT)
    assert outcome.code == 2
    assert f"table {mine} has changed since it was read: it had 120 runs then and has" in outcome.complaint
    table = read_table(mine)
    assert len(table.seeds) > 120 and not table.surrogates
    assert [path.name for path in tmp_path.iterdir()] == ["mine.h5"]
    assert pnas("table", "fit", mine, *FIT).code == 0 and read_table(mine).surrogates


@pytest.mark.parametrize(
    "words", [("link.h5",), ("mine.h5", "--out", "link.h5"), ("mine.h5", "--out", "./mine.h5")]
)
def test_the_table_is_the_same_by_any_name(
    pnas: Any, mine: Path, meanwhile: Meanwhile, words: tuple[str, ...]
) -> None:
    Path("link.h5").symlink_to(mine)
    meanwhile(lambda: go_on(mine))
    assert pnas("table", "fit", *words, *FIT).code == 2
    assert len(read_table(mine).seeds) > 120 and Path("link.h5").is_symlink()


def test_another_file_gets_what_was_read(pnas: Any, mine: Path, meanwhile: Meanwhile, tmp_path: Path) -> None:
    """Nothing is lost by that: the table itself is left alone."""
    meanwhile(lambda: go_on(mine))
    assert pnas("table", "fit", mine, "--out", "other.h5", *FIT).code == 0
    assert len(read_table("other.h5").seeds) == 120 and read_table("other.h5").surrogates
    assert len(read_table(mine).seeds) > 120 and not read_table(mine).surrogates


def test_surrogates_that_came_meanwhile_stay(pnas: Any, mine: Path, meanwhile: Meanwhile) -> None:
    """Those of other names; of one name the last fit stands."""
    table = read_table(mine)
    old, new = (surrogate.fit_surrogate(table, "other", seed, SETTINGS).surrogates for seed in (1, 2))
    write_table(mine, replace(table, surrogates={**old, "lightgbm": old["other"]}))
    meanwhile(lambda: write_table(mine, replace(table, surrogates={**new, "lightgbm": new["other"]})))
    assert pnas("table", "fit", mine, *FIT).code == 0
    found = read_table(mine).surrogates
    assert found["other"] == new["other"] and found["lightgbm"].metadata["seed"] == 0
