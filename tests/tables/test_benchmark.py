from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_sim.errors import BackendError, CellError, SettingError, TableError
from pnas_sim.space import CellSpace
from pnas_tables import Benchmark
from pnas_tables.figures import mean_by_cell
from pnas_tables.forest import ForestSettings
from pnas_tables.format import write_table
from pnas_tables.plans import Plan, Step, list_jobs
from pnas_tables.record import Table
from pnas_tables.surrogate import FitSettings, fit_surrogate
from pnas_tables.testing import build_made_up_table

TEXTS = ["sep3(-1)+id(-2) | max3(1)+id(-1)", "id(-2)+sep3(-1)"]


@pytest.fixture(scope="module")
def path(table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("benchmark") / "fitted.h5"
    settings = FitSettings(worlds=2, shares=(), forest=ForestSettings(forests=2, trees=20))
    write_table(path, fit_surrogate(table, settings=settings))
    return path


def test_three_lines_give_a_frame(path: Path, space: CellSpace) -> None:
    benchmark = Benchmark.load(str(path))
    frame = benchmark.query(TEXTS, seed=3)
    assert list(frame["cell"]) == [space.canonical_text(text) for text in TEXTS]
    assert set(frame["source"]) == {"predicted"} and set(frame["status"]) == {"ok"}
    assert set(frame["seed"]) == {3} and set(frame["epochs"]) == {1.0}
    answers = benchmark.answer(benchmark.read_cells(TEXTS), 3)
    for name in ("valid_accuracy", "expected_valid_accuracy", "test_accuracy", "seconds"):
        assert list(frame[name]) == getattr(answers, name).tolist()
    assert not np.array_equal(frame["valid_accuracy"], benchmark.query(TEXTS, seed=4)["valid_accuracy"])
    early = benchmark.query(TEXTS, seed=3, epochs=benchmark.epochs[0])
    assert (early["valid_accuracy"] < frame["valid_accuracy"]).all()
    assert early["test_accuracy"].isna().all() and frame["test_accuracy"].notna().all()


def test_rows_of_any_width_are_taken_as_texts_are(path: Path, space: CellSpace) -> None:
    benchmark = Benchmark.load(str(path))
    rows = CellSpace(max_blocks=8).parse_many(TEXTS)
    assert benchmark.query(rows).equals(benchmark.query(TEXTS))
    assert benchmark.space == space


def test_a_lone_text_is_one_cell_and_numpy_numbers_are_numbers(path: Path) -> None:
    benchmark = Benchmark.load(str(path))
    alone = benchmark.query(TEXTS[0], seed=np.uint8(3), epochs=np.float32(0.5))
    assert alone.equals(benchmark.query(TEXTS[:1], seed=3, epochs=0.5)) and len(alone) == 1
    whole = benchmark.query(iter(TEXTS), seed=2**63 - 1, epochs=1)
    assert set(whole["seed"]) == {2**63 - 1}
    assert type(benchmark.answer(benchmark.read_cells(TEXTS), np.int64(3)).seed) is int


def test_options_are_the_backends(path: Path) -> None:
    quiet = Benchmark.load(str(path), noise="off").query(TEXTS)
    np.testing.assert_array_equal(quiet["valid_accuracy"], quiet["expected_valid_accuracy"])
    other = Benchmark.load(str(path), noise="off", world=1).query(TEXTS)
    assert (quiet["valid_accuracy"] != other["valid_accuracy"]).all()


def test_what_was_trained_is_found(path: Path, table: Table) -> None:
    benchmark = Benchmark.load(str(path))
    unknown = "sep7(-1)+sep7(-1) | sep7(1)+sep7(1) | sep7(2)+sep7(2)"
    texts = [*table.space.format_many(table.cells[:3]), unknown]
    frame = benchmark.measured(texts)
    means = mean_by_cell(table, table.valid_accuracy)
    assert list(frame["runs"]) == [2, 2, 2, 0]
    np.testing.assert_array_equal(frame["valid_accuracy"], [*means[:3], np.nan])
    rows = benchmark.read_cells(texts)
    assert benchmark.find(rows).tolist() == [0, 1, 2, -1]
    np.testing.assert_array_equal(benchmark.look_up(rows), frame["valid_accuracy"])


def test_trainings_are_all_runs(path: Path, table: Table) -> None:
    frame = Benchmark.load(str(path)).trainings()
    assert len(frame) == len(table.seeds)
    np.testing.assert_array_equal(frame["valid_accuracy"], table.valid_accuracy)
    np.testing.assert_array_equal(frame["valid_accuracy_at_0.5"], table.curves[:, 1])
    assert set(frame.groupby("cell")["seed"].count()) == {2}


def test_a_closed_table_answers_with_what_was_measured(tmp_path: Path) -> None:
    small = CellSpace(operations=("sep3", "max3"), max_blocks=1)
    path = tmp_path / "closed.h5"
    steps = (Step("all", 1, 0, 10), Step("all", 1, 0, 10, seed=4))
    build_made_up_table(list_jobs(Plan("closed", 0, steps), small), small, path, "closed")
    frame = Benchmark.load(str(path), table_mode="measured").query(["sep3(-1)+max3(-2)"], seed=1)
    assert list(frame["source"]) == ["measured"] and list(frame["seed"]) == [4]


@pytest.mark.parametrize(
    ("ask", "error", "complaint"),
    [
        (lambda path: Benchmark.load("none"), TableError, "table 'none' is unknown"),
        (lambda path: Benchmark.load(path, surrogate="gp"), TableError, "surrogate 'gp' is not in table"),
        (lambda path: Benchmark.load(path, world=2), SettingError, "world is 2"),
        (lambda path: Benchmark.load(path, device="cpu"), SettingError, "option 'device'"),
        (lambda path: Benchmark.load(path).query(["fly(-1)+id(-1)"]), CellError, "fly"),
        (lambda path: Benchmark.load(path).query([" | ".join(["id(-1)+id(-1)"] * 4)]), CellError, "4"),
        (lambda path: Benchmark.load(path).query(TEXTS, seed=-1), SettingError, "seed is -1"),
        (lambda path: Benchmark.load(path).query(TEXTS, seed=0.5), SettingError, "seed is 0.5; it must be a"),
        (lambda path: Benchmark.load(path).query(TEXTS, seed=2**63), SettingError, "and below 2**63"),
        (lambda path: Benchmark.load(path).query(TEXTS, seed="1"), SettingError, "seed is '1'"),
        (lambda path: Benchmark.load(path).query(TEXTS, seed=True), SettingError, "seed is True"),
        (lambda path: Benchmark.load(path).query(TEXTS, seed=None), SettingError, "seed is None"),
        (lambda path: Benchmark.load(path).query(TEXTS, seed=np.arange(99)), SettingError, "seed is array(["),
        (
            lambda path: Benchmark.load(path).query(TEXTS, seed=np.int64(-1)),
            SettingError,
            "seed is np.int64(-1)",
        ),
        (lambda path: Benchmark.load(path).query(TEXTS, epochs=0.7), BackendError, "0.7 epochs"),
        (
            lambda path: Benchmark.load(path).query(TEXTS, epochs="1"),
            SettingError,
            "epochs is '1'; it must be",
        ),
        (
            lambda path: Benchmark.load(path).query(TEXTS, epochs=True),
            SettingError,
            "checkpoints 0.25, 0.5, 1",
        ),
        (lambda path: Benchmark.load(path).query("sep3"), CellError, "block 1 is 'sep3'"),
        (lambda path: Benchmark.load(path).query(7), CellError, "cells are 7; give texts"),
    ],
)
def test_wrong_questions_are_named(ask: Any, error: type[Exception], complaint: str, path: Path) -> None:
    with pytest.raises(error) as caught:
        ask(str(path))
    assert complaint in str(caught.value) and "\n" not in str(caught.value)


def test_without_pandas_the_remedy_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = Benchmark.load(str(path))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SettingError, match=r"pip install .pnas-sim\[pandas\]"):
        benchmark.query(TEXTS)


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, pnas_tables; "
        "heavy = ('torch', 'lightgbm', 'matplotlib', 'pandas', 'scipy', 'sklearn'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
