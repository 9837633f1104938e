from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_sim.engine import Budget, run_search
from pnas_sim.errors import BackendError, CellError, SettingError, TableError
from pnas_sim.evaluate import BulkEvaluator
from pnas_sim.search import RandomSearch
from pnas_sim.space import Cell, CellSpace
from pnas_tables import Benchmark
from pnas_tables.features import cell_features, feature_names
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


@pytest.fixture(scope="module")
def closed_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All ten cells of one block over two operations, each with the training seeds 0 and 4; no surrogate."""
    small = CellSpace(operations=("sep3", "max3"), max_blocks=1)
    path = tmp_path_factory.mktemp("closed") / "closed.h5"
    steps = (Step("all", 1, 0, 10), Step("all", 1, 0, 10, seed=4))
    build_made_up_table(list_jobs(Plan("closed", 0, steps), small), small, path, "closed")
    return path


def test_three_lines_give_a_frame(path: Path, space: CellSpace) -> None:
    benchmark = Benchmark.load(path)
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
    benchmark = Benchmark.load(path)
    rows = CellSpace(max_blocks=8).parse_many(TEXTS)
    assert benchmark.query(rows).equals(benchmark.query(TEXTS))
    assert benchmark.space == space


def test_a_lone_text_is_one_cell_and_numpy_numbers_are_numbers(path: Path) -> None:
    benchmark = Benchmark.load(path)
    alone = benchmark.query(TEXTS[0], seed=np.uint8(3), epochs=np.float32(0.5))
    assert alone.equals(benchmark.query(TEXTS[:1], seed=3, epochs=0.5)) and len(alone) == 1
    whole = benchmark.query(iter(TEXTS), seed=2**63 - 1, epochs=1)
    assert set(whole["seed"]) == {2**63 - 1}
    assert type(benchmark.answer(benchmark.read_cells(TEXTS), np.int64(3)).seed) is int


def test_a_cell_of_another_space_means_the_same_cell(path: Path) -> None:
    benchmark = Benchmark.load(path)
    other = CellSpace(operations=("max3", "id", "sep3"))
    assert benchmark.query([Cell.parse(text, other) for text in TEXTS]).equals(benchmark.query(TEXTS))
    assert benchmark.measured(Cell.parse(TEXTS[0], other)).equals(benchmark.measured(TEXTS[0]))


@pytest.mark.parametrize("seeds", [[5, 0, 3], (5, 0, 3), np.array([5, 0, 3]), iter([5, 0, 3])])
def test_several_seeds_stand_one_after_another(seeds: Any, path: Path) -> None:
    benchmark = Benchmark.load(path)
    frame = benchmark.query(TEXTS, seed=seeds)
    assert frame["seed"].tolist() == [5, 5, 0, 0, 3, 3] and len(frame) == 6
    for place, seed in enumerate((5, 0, 3)):
        own = frame[2 * place : 2 * place + 2].reset_index(drop=True)
        assert own.equals(benchmark.query(TEXTS, seed=seed))


def test_options_are_the_backends(path: Path) -> None:
    quiet = Benchmark.load(path, noise=False).query(TEXTS)
    np.testing.assert_array_equal(quiet["valid_accuracy"], quiet["expected_valid_accuracy"])
    other = Benchmark.load(path, noise=False, world=1).query(TEXTS)
    assert (quiet["valid_accuracy"] != other["valid_accuracy"]).all()


def test_it_says_what_it_is(path: Path, closed_path: Path) -> None:
    benchmark = Benchmark.load(path, world=1)
    assert (benchmark.surrogates, benchmark.surrogate) == (("lightgbm",), "lightgbm")
    assert (benchmark.worlds, benchmark.world) == (2, 1)
    has = "made-up: 60 cells, 120 trainings; up to 3 blocks"
    assert repr(benchmark) == f"Benchmark({has}; surrogate lightgbm, world 1)"
    for mode, by in (("measured", "measured"), ("surrogate", "no surrogate")):
        other = Benchmark.load(closed_path, table_mode=mode)
        assert (other.surrogates, other.surrogate, other.worlds, other.world) == ((), None, 0, None)
        assert repr(other) == f"Benchmark(closed: 10 cells, 20 trainings; up to 1 block; {by})"


# ------------------------------------------------------------------------------------------------ evaluators


def test_a_search_runs_on_its_evaluator(path: Path) -> None:
    benchmark = Benchmark.load(path)
    assert isinstance(benchmark.evaluator, BulkEvaluator) and benchmark.evaluator is benchmark.evaluator
    search, budget = RandomSearch(benchmark.space, seed=0), Budget(models=20)
    result = run_search(search, benchmark.evaluator, budget=budget, evaluation_seed=3)
    assert result.models_evaluated == 20
    found = benchmark.query([one.cell for one in result.evaluations], seed=3)
    assert found["valid_accuracy"].tolist() == [one.valid_accuracy for one in result.evaluations]


@pytest.mark.parametrize("asked_before", [False, True])
def test_a_pickled_one_answers_the_same(asked_before: bool, path: Path) -> None:
    benchmark = Benchmark.load(path, world=1)
    expected = Benchmark.load(path, world=1).query(TEXTS, seed=3)
    if asked_before:
        benchmark.query(TEXTS)
    copy = pickle.loads(pickle.dumps(benchmark))
    assert copy.query(TEXTS, seed=3).equals(expected)
    assert copy.measured(TEXTS).equals(benchmark.measured(TEXTS)) and repr(copy) == repr(benchmark)


def test_one_of_a_table_that_ships_can_be_pickled() -> None:
    benchmark = Benchmark.load()
    expected = benchmark.query("PNASNet-5")
    assert pickle.loads(pickle.dumps(benchmark)).query("PNASNet-5").equals(expected)
    assert expected["parameters"].item() > 0


def test_effects_may_be_shared_with_near_cells(path: Path) -> None:
    own, shared = Benchmark.load(path), Benchmark.load(path, effects="shared")
    assert repr(shared) == repr(own)[:-1] + ", shared effects)"
    cells = own.space.format_many(own.table.cells[:20])
    values = [one.query(cells)["expected_valid_accuracy"] for one in (own, shared)]
    assert not np.allclose(*values)


def test_larger_cells_are_extrapolated(path: Path) -> None:
    texts = [TEXTS[0], " | ".join(["id(-1)+id(-1)"] * 7)]
    for options, largest in (({}, 10), ({"blocks": 7}, 7)):
        benchmark = Benchmark.load(path, extrapolate=True, **options)
        assert benchmark.space == CellSpace(max_blocks=largest) == benchmark.evaluator.spec.space
        frame = benchmark.query(texts)
        assert frame["extrapolated"].tolist() == [False, True]
        assert frame[:1].equals(Benchmark.load(path).query(texts[0]))
        assert benchmark.measured(texts)["runs"].tolist() == [0, 0]


def test_what_was_trained_is_found_whatever_the_largest_cells_asked_for(path: Path, table: Table) -> None:
    text = table.space.format(table.cells[0])
    expected = Benchmark.load(path).measured(text)
    assert expected["runs"].tolist() == [2]
    for options in ({"blocks": 2}, {"blocks": 7, "extrapolate": True}):
        assert Benchmark.load(path, **options).measured(text).equals(expected)


def test_a_table_without_surrogate_tells_what_was_trained(table_path: Path, table: Table) -> None:
    benchmark = Benchmark.load(table_path)
    texts = table.space.format_many(table.cells)
    assert benchmark.measured(texts)["runs"].tolist() == [2] * 60 and len(benchmark.trainings()) == 120
    assert len(benchmark.features(texts)) == 60 and benchmark.surrogate is None
    with pytest.raises(TableError, match="it has: none; `pnas-sim table fit` makes one"):
        benchmark.query(texts)


def test_features_are_named_columns(path: Path) -> None:
    benchmark = Benchmark.load(path)
    frame = benchmark.features(TEXTS)
    assert list(frame.columns) == feature_names(benchmark.space.operations)
    np.testing.assert_array_equal(frame, cell_features(benchmark.space, benchmark.read_cells(TEXTS)))
    assert frame["max3 in all"].tolist() == [1, 0] and frame["blocks"].tolist() == [2, 1]


# ----------------------------------------------------------------------------------------- what was trained


def test_what_was_trained_is_found(path: Path, table: Table) -> None:
    benchmark = Benchmark.load(path)
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
    frame = Benchmark.load(path).trainings()
    assert len(frame) == len(table.seeds) and not frame["sealed"].any()
    np.testing.assert_array_equal(frame["valid_accuracy"], table.valid_accuracy)
    np.testing.assert_array_equal(frame["valid_accuracy_at_0.5"], table.curves[:, 1])
    assert set(frame.groupby("cell")["seed"].count()) == {2}


def test_trainings_of_sealed_cells_are_left_out_unless_asked_for(table: Table, tmp_path: Path) -> None:
    write_table(tmp_path / "sealed.h5", replace(table, origins=("sealed",) * 5 + table.origins[5:]))
    benchmark = Benchmark.load(tmp_path / "sealed.h5")
    sealed = table.space.format_many(table.cells[:5])
    frame, whole = benchmark.trainings(), benchmark.trainings(sealed=True)
    assert not set(frame["cell"]) & set(sealed) and frame.index.tolist() == list(range(110))
    assert set(whole[whole["sealed"]]["cell"]) == set(sealed) and len(whole) == 120
    assert whole[~whole["sealed"]].reset_index(drop=True).equals(frame)
    assert benchmark.measured(sealed)["sealed"].all()


def test_a_closed_table_answers_with_what_was_measured(closed_path: Path) -> None:
    benchmark = Benchmark.load(closed_path, table_mode="measured")
    frame = benchmark.query(["sep3(-1)+max3(-2)"], seed=[0, 1])
    assert list(frame["source"]) == ["measured"] * 2 and list(frame["seed"]) == [0, 4]


@pytest.mark.parametrize(
    ("ask", "error", "complaint"),
    [
        (lambda path: Benchmark.load("none"), TableError, "table 'none' is unknown"),
        (lambda path: Benchmark.load(path, surrogate="gp"), TableError, "surrogate 'gp' is not in table"),
        (lambda path: Benchmark.load(path, world=2), SettingError, "world is 2"),
        (lambda path: Benchmark.load(path, noise="loud"), SettingError, "noise is 'loud'"),
        (lambda path: Benchmark.load(path, table_mode="both"), SettingError, "table_mode is 'both'"),
        (lambda path: Benchmark.load(path, table_mode="measured"), TableError, "made-up is not closed"),
        (
            lambda path: Benchmark.load(path, table_mode="measured", world=1),
            SettingError,
            "'world' has no meaning with table_mode measured",
        ),
        (lambda path: Benchmark.load(path, blocks=4), BackendError, "the table answers up to 3"),
        (lambda path: Benchmark.load(path, blocks=0), SettingError, "max_blocks is 0"),
        (lambda path: Benchmark.load(path, blocks=11, extrapolate=True), SettingError, "max_blocks is 11"),
        (lambda path: Benchmark.load(path).query(["fly(-1)+id(-1)"]), CellError, "fly"),
        (lambda path: Benchmark.load(path).query([" | ".join(["id(-1)+id(-1)"] * 4)]), CellError, "4"),
        (lambda path: Benchmark.load(path).query(TEXTS, seed=-1), SettingError, "seed is -1"),
        (lambda path: Benchmark.load(path).query(TEXTS, seed=0.5), SettingError, "seed is 0.5; it must be a"),
        (lambda path: Benchmark.load(path).query(TEXTS, seed=2**63), SettingError, "and below 2**63"),
        (lambda path: Benchmark.load(path).query(TEXTS, seed="1"), SettingError, "seed is '1'"),
        (lambda path: Benchmark.load(path).query(TEXTS, seed=True), SettingError, "seed is True"),
        (lambda path: Benchmark.load(path).query(TEXTS, seed=None), SettingError, "seed is None"),
        (lambda path: Benchmark.load(path).query(TEXTS, seed=[]), SettingError, "seed is an empty list"),
        (lambda path: Benchmark.load(path).query(TEXTS, seed=[0, -1]), SettingError, "seed is -1"),
        (
            lambda path: Benchmark.load(path).query(TEXTS, seed=np.eye(2, dtype=int)),
            SettingError,
            "is [1, 0]",
        ),
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
        (lambda path: Benchmark.load(path).query("sep3"), CellError, "unknown cell 'sep3'"),
        (lambda path: Benchmark.load(path).query(7), CellError, "cells are 7; give texts"),
    ],
)
def test_wrong_questions_are_named(ask: Any, error: type[Exception], complaint: str, path: Path) -> None:
    with pytest.raises(error) as caught:
        ask(path)
    assert complaint in str(caught.value) and "\n" not in str(caught.value)


def test_without_pandas_the_remedy_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = Benchmark.load(path)
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
