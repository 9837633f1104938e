from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pnas_sim.errors import SettingError, TableError
from pnas_sim.space import CellSpace
from pnas_tables import asked
from pnas_tables.asked import add_asked, asked_file, draw_top_region, main, read_asked
from pnas_tables.forest import ForestSettings
from pnas_tables.format import read_table, write_table
from pnas_tables.plans import Plan
from pnas_tables.surrogate import FitSettings, Surrogate, fit_surrogate

HEAD = "cell,seeds,origin\n"


def test_jobs_come_seed_by_seed_in_canonical_form(space: CellSpace, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(
        HEAD + "sep5(-1)+sep3(-2),0 2,search\nid(-2)+id(-1),0,sealed\nmax3(-1)+id(-2),2 1,search\n"
    )
    jobs = read_asked(path, space)
    texts = ["sep3(-2)+sep5(-1)", "id(-2)+id(-1)", "id(-2)+max3(-1)"]
    assert space.format_many(jobs.cells) == [texts[i] for i in (0, 1, 2, 0, 2)]
    assert jobs.seeds.tolist() == [0, 0, 1, 2, 2]
    assert jobs.origins == ("search", "sealed", "search", "search", "search")


def test_no_file_asks_for_nothing(space: CellSpace, tmp_path: Path) -> None:
    assert len(read_asked(tmp_path / "x.csv", space)) == 0
    assert asked_file("cifar10-16px").name == "cifar10-16px.csv"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cell,seed\n", "its columns are not cell, seeds, origin"),
        (HEAD + "sep9(-1)+id(-1),0,search\n", "line 2: .*sep9"),
        (HEAD + "id(-1)+id(-1),0,search\nid(-1)+id(-2),x,search\n", "line 3: seeds are 'x'"),
        (HEAD + "id(-1)+id(-1),,search\n", "line 2: seeds are ''"),
        (HEAD + "id(-1)+id(-1),0,\n", "line 2: origin is ''"),
        (HEAD + "id(-1)+id(-1),0,two words\n", "line 2: origin is 'two words'"),
        (HEAD + "id(-1)+id(-1)\n", "line 2: seeds are ''"),
        (HEAD + "id(-1)+id(-1),0,1,search\n", "line 2: it has more fields than cell, seeds, origin"),
        (
            HEAD + f"id(-1)+id(-1),{2**63},search\n",
            r"line 2: seeds are '9223372036854775808'; .*below 2\*\*63",
        ),
        (HEAD + f"id(-1)+id(-1),{10**30},search\n", "line 2: seeds are '1000"),
        (HEAD + "x" * 140_000 + ",0,search\n", "cannot be read as CSV: field larger than"),
    ],
)
def test_a_wrong_line_is_named(text: str, complaint: str, space: CellSpace, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=complaint):
        read_asked(path, space)


def test_adding_keeps_what_is_there_and_adds_no_cell_twice(space: CellSpace, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "x.csv"
    cells = space.sample(6, np.random.default_rng(0), blocks=3)
    assert add_asked(path, cells[:4], (0, 1), "search", space) == 4
    assert add_asked(path, cells[2:], (0, 1, 2), "sealed", space) == 2
    jobs = read_asked(path, space)
    assert len(jobs) == 4 * 2 + 2 * 3
    np.testing.assert_array_equal(jobs.cells[:6], space.canonical(cells))
    assert jobs.origins[:6] == ("search",) * 4 + ("sealed",) * 2
    assert [file.name for file in path.parent.iterdir()] == ["x.csv"]


def test_a_file_that_is_no_text_is_named(space: CellSpace, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(HEAD.encode() + b"id(-1)+id(-1),0,s\xe9ance\n")
    with pytest.raises(TableError, match=r"x\.csv is not UTF-8 text \(byte \d+\)"):
        read_asked(path, space)
    with pytest.raises(TableError, match=r"cannot be read as CSV: .*directory"):
        read_asked(tmp_path, space)


def test_adding_ends_a_last_line_that_was_left_open(space: CellSpace, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(HEAD + "id(-1)+id(-2),0,search")
    assert add_asked(path, space.parse("max3(-1)+id(-2)")[None], (0,), "sealed", space) == 1
    assert read_asked(path, space).origins == ("search", "sealed")


@pytest.fixture(scope="module")
def fitted_path(table_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = FitSettings(worlds=2, shares=(), forest=ForestSettings(forests=2, trees=10))
    path = tmp_path_factory.mktemp("fitted") / "fitted.h5"
    write_table(path, fit_surrogate(read_table(table_path), settings=settings))
    return path


def test_the_top_region_is_the_best_hundredth(
    space: CellSpace, fitted_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "REGION_DRAWS", 1000)
    plan = Plan("made-up", 5, (), space)
    cells = draw_top_region(plan, 6, fitted_path)
    assert len(space.unique(cells)[0]) == 6 and (space.block_counts(cells) == 3).all()
    np.testing.assert_array_equal(cells, draw_top_region(plan, 6, fitted_path))
    surrogate = Surrogate.from_table(read_table(fitted_path))
    others = surrogate.predict_mean(space.sample(300, np.random.default_rng(3), blocks=3))
    assert surrogate.predict_mean(cells).min() > np.quantile(others, 0.95)
    with pytest.raises(SettingError, match="11 cells of the top region asked for; it has 10"):
        draw_top_region(plan, 11, fitted_path)


def test_the_command_answers_wrong_names_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--plan", "moon", "--table", "x", "--top-region", "3"]) == 2
    assert "plan 'moon' is unknown" in capsys.readouterr().err
    assert main(["--plan", "cifar10-16px", "--table", "gone.h5", "--top-region", "3"]) == 2
    assert "gone.h5: there is no such file" in capsys.readouterr().err
