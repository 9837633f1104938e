from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_backends.table import MeasuredBackend, SurrogateBackend, create
from pnas_sim.budget import Budget
from pnas_sim.engine import RunResult, run_search
from pnas_sim.errors import BackendError, SettingError, TableError
from pnas_sim.evaluate import Answers, BackendRequest, BulkEvaluator, Evaluation, Source
from pnas_sim.runlog import RunLog
from pnas_sim.search.hyperband import Hyperband
from pnas_sim.space import CellSpace
from pnas_tables.csv_import import import_csv
from pnas_tables.families import FAMILIES
from pnas_tables.figures import mean_by_cell
from pnas_tables.forest import ForestSettings
from pnas_tables.format import read_table, write_table
from pnas_tables.plans import Plan, Step, list_jobs, sample_plan
from pnas_tables.record import checksum
from pnas_tables.surrogate import FitSettings, fit_surrogate
from pnas_tables.testing import CHECKPOINTS, build_made_up_table, made_up_accuracy

QUICK = FitSettings(worlds=3, shares=(), forest=ForestSettings(forests=3, trees=30))


@pytest.fixture(scope="module")
def space() -> CellSpace:
    return CellSpace(max_blocks=3)


@pytest.fixture(scope="module")
def fitted_path(space: CellSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fitted") / "fitted.h5"
    jobs = list_jobs(sample_plan("fitted", 150, (1, 2, 3), seeds=2, seed=3, space=space), space)
    table = build_made_up_table(jobs, space, path, "fitted")
    for family in ("lightgbm", "gp"):
        table = fit_surrogate(table, settings=QUICK, family=family)
    write_table(path, table)
    return path


@pytest.fixture(scope="module")
def closed_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 175 cells of up to two blocks over two operations; the first ten with a second seed, numbered 4."""
    path = tmp_path_factory.mktemp("closed") / "closed.h5"
    small = CellSpace(operations=("sep3", "max3"), max_blocks=2)
    steps = (Step("all", 1, 0, 10), Step("all", 2, 0, 165), Step("all", 1, 0, 10, seed=4))
    build_made_up_table(list_jobs(Plan("closed", 0, steps), small), small, path, "closed")
    return path


def ask(path: Path, blocks: int = 3, **options: Any) -> Any:
    return create(BackendRequest(blocks=blocks, options={"table": str(path), **options}))


@pytest.fixture(scope="module")
def cells(space: CellSpace) -> np.ndarray[Any, np.dtype[np.uint8]]:
    rng = np.random.default_rng(1)
    rows = [space.canonical(space.sample(20, rng, blocks=b)) for b in (1, 2, 3)]
    return np.concatenate(rows)


def same(one: Answers, other: Answers, order: Any = slice(None)) -> bool:
    """Whether two answers are equal to the last bit, the second put in this order first."""
    for field in fields(Answers):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, np.ndarray):
            if not np.array_equal(left, right[order], equal_nan=left.dtype.kind == "f"):
                return False
        elif left != right:
            return False
    return True


# ------------------------------------------------------------------------------------------------- surrogate


def test_it_is_a_bulk_evaluator_that_declares_itself(fitted_path: Path, space: CellSpace) -> None:
    backend = ask(fitted_path)
    assert isinstance(backend, SurrogateBackend) and isinstance(backend, BulkEvaluator)
    spec = backend.spec
    assert (spec.name, spec.space, spec.epochs, spec.fidelities) == ("table", space, 1.0, CHECKPOINTS)
    assert spec.deterministic and spec.train_images == 1000 and spec.chance == 0.1
    assert spec.checksum == checksum(read_table(fitted_path))
    assert spec.settings == {
        "table": str(fitted_path),
        "table_mode": "surrogate",
        "surrogate": "lightgbm",
        "surrogate_kind": FAMILIES["lightgbm"].kind,
        "world": 0,
        "noise": "on",
        "extrapolate": False,
    }
    backend.close()
    backend.close()


def test_bulk_and_single_answers_are_the_same(fitted_path: Path, space: CellSpace, cells: Any) -> None:
    backend = ask(fitted_path)
    answers = backend.evaluate_bulk(cells, 1.0, 7)
    singles = list(backend.evaluate(cells, 1.0, 7))
    assert [single.cell for single in singles] == space.format_many(cells)
    for name in ("valid_accuracy", "expected_valid_accuracy", "test_accuracy", "seconds", "examples"):
        assert [getattr(single, name) for single in singles] == getattr(answers, name).tolist()
    assert {single.source for single in singles} == {answers.source} == {Source.PREDICTED}
    assert {(single.epochs, single.seed, single.extrapolated) for single in singles} == {(1.0, 7, False)}
    for single in singles:
        assert tuple(at for at, _ in single.curve) == CHECKPOINTS
        assert single.curve[-1][1] == single.valid_accuracy


def test_answers_do_not_depend_on_company_or_order(fitted_path: Path, cells: Any) -> None:
    backend = ask(fitted_path)
    together = backend.evaluate_bulk(cells, 1.0, 7)
    order = np.random.default_rng(0).permutation(len(cells))
    assert same(together, backend.evaluate_bulk(cells[np.argsort(order)], 1.0, 7), order)
    for i in range(0, 60, 7):
        alone = backend.evaluate_bulk(cells[i : i + 1], 1.0, 7)
        assert alone.valid_accuracy[0] == together.valid_accuracy[i]
        assert alone.test_accuracy[0] == together.test_accuracy[i]
    assert len(backend.evaluate_bulk(cells[:0], 1.0, 7)) == 0
    assert list(backend.evaluate(cells[:0], 1.0, 7)) == []


def test_answers_do_not_depend_on_the_width_of_rows(fitted_path: Path, cells: Any) -> None:
    wide = ask(fitted_path, blocks=5, extrapolate=True)
    rows = wide.spec.space.fit_width(cells)
    assert same(ask(fitted_path).evaluate_bulk(cells, 1.0, 7), wide.evaluate_bulk(rows, 1.0, 7))


ELSEWHERE = """
import sys, numpy as np
from pnas_backends.table import create
from pnas_sim.evaluate import BackendRequest
from pnas_tables.forest import ForestSettings
from pnas_tables.format import read_table, write_table
from pnas_tables.surrogate import FitSettings, fit_surrogate
table = read_table(sys.argv[1])
settings = FitSettings(worlds=3, shares=(), forest=ForestSettings(forests=3, trees=30))
for name in ("lightgbm", "gp"):
    again = fit_surrogate(table, settings=settings, family=name)
    assert again.surrogates[name] == table.surrogates[name], f"{name} fitted otherwise"
rows = np.frombuffer(bytes.fromhex(sys.argv[2]), np.uint8).reshape(-1, 12)
for name in ("lightgbm", "gp"):
    backend = create(BackendRequest(blocks=3, options={"table": sys.argv[1], "surrogate": name}))
    answers = backend.evaluate_bulk(rows, 1.0, 7)
    print(answers.valid_accuracy.tobytes().hex(), answers.test_accuracy.tobytes().hex())
"""


def test_another_process_of_other_threads_and_hash_seed_fits_and_answers_the_same(
    fitted_path: Path, cells: Any
) -> None:
    command = [sys.executable, "-c", ELSEWHERE, str(fitted_path), cells.tobytes().hex()]
    environment = {**os.environ, "PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    both = [ask(fitted_path, surrogate=name).evaluate_bulk(cells, 1.0, 7) for name in ("lightgbm", "gp")]
    expected = [
        figures.tobytes().hex()
        for answers in both
        for figures in (answers.valid_accuracy, answers.test_accuracy)
    ]
    assert done.stdout.split() == expected


def test_noise_is_keyed_by_cell_epochs_and_seed(fitted_path: Path, cells: Any) -> None:
    noisy, quiet = ask(fitted_path), ask(fitted_path, noise="off")

    def noise(epochs: float, seed: int) -> Any:
        answers = noisy.evaluate_bulk(cells, epochs, seed)
        return answers.valid_accuracy - answers.expected_valid_accuracy

    assert np.array_equal(noise(1.0, 7), noise(1.0, 7))
    assert not np.any(noise(1.0, 7) == noise(1.0, 8))
    assert not np.any(noise(1.0, 7) == noise(0.5, 7))
    answers = quiet.evaluate_bulk(cells, 1.0, 7)
    assert np.array_equal(answers.valid_accuracy, answers.expected_valid_accuracy)
    assert same(replace(answers, seed=8), quiet.evaluate_bulk(cells, 1.0, 8)), (
        "without noise the seed says nothing"
    )
    assert np.array_equal(
        answers.expected_valid_accuracy, noisy.evaluate_bulk(cells, 1.0, 3).expected_valid_accuracy
    )


def test_trained_cells_are_predicted_too(fitted_path: Path) -> None:
    table = read_table(fitted_path)
    answers = ask(fitted_path, noise="off").evaluate_bulk(table.cells, 1.0, 0)
    means = mean_by_cell(table, table.valid_accuracy)
    assert answers.source is Source.PREDICTED
    assert not np.any(answers.valid_accuracy == means)
    assert np.corrcoef(answers.valid_accuracy, means)[0, 1] > 0.7


def test_predictions_follow_the_truth_on_cells_never_seen(
    fitted_path: Path, space: CellSpace, cells: Any
) -> None:
    answers = ask(fitted_path).evaluate_bulk(cells, 1.0, 0)
    assert np.corrcoef(answers.expected_valid_accuracy, made_up_accuracy(space, cells))[0, 1] > 0.7


def test_a_checkpoint_is_a_point_of_the_curve(fitted_path: Path, cells: Any) -> None:
    backend = ask(fitted_path)
    half, full = backend.evaluate_bulk(cells, 0.5, 7), backend.evaluate_bulk(cells, 1.0, 7)
    curves = np.array([[accuracy for _, accuracy in one.curve] for one in backend.evaluate(cells, 1.0, 7)])
    np.testing.assert_array_equal(curves[:, 1], half.valid_accuracy)
    np.testing.assert_allclose(half.seconds, full.seconds / 2)
    assert half.epochs == 0.5 and half.examples.tolist() == [500.0] * len(cells)
    assert half.valid_accuracy.mean() < full.valid_accuracy.mean()
    assert [len(one.curve) for one in backend.evaluate(cells[:2], 0.5, 7)] == [2, 2]


def test_shared_effects_are_another_landscape_and_recorded_as_such(fitted_path: Path, cells: Any) -> None:
    own, same, shared = ask(fitted_path), ask(fitted_path, effects="own"), ask(fitted_path, effects="shared")
    assert own.spec.settings == same.spec.settings  # so that logs from before there was a choice go on
    assert shared.spec.settings == {**own.spec.settings, "effects": "shared"}
    assert isinstance(own, SurrogateBackend) and isinstance(shared, SurrogateBackend)
    np.testing.assert_array_equal(own.predict_mean(cells), shared.predict_mean(cells))
    values = [one.evaluate_bulk(cells, 1.0, 0).expected_valid_accuracy for one in (own, same, shared)]
    np.testing.assert_array_equal(values[0], values[1])
    assert not np.allclose(values[0], values[2])


@pytest.mark.parametrize("noise", ["on", "off"])
def test_predicted_checkpoints_have_no_test_accuracy(fitted_path: Path, cells: Any, noise: str) -> None:
    backend = ask(fitted_path, noise=noise)
    for epochs in CHECKPOINTS[:-1]:
        assert np.isnan(backend.evaluate_bulk(cells, epochs, 7).test_accuracy).all()
        assert all(math.isnan(one.test_accuracy) for one in backend.evaluate(cells[:3], epochs, 7))
    assert not np.isnan(backend.evaluate_bulk(cells, CHECKPOINTS[-1], 7).test_accuracy).any()


@pytest.mark.parametrize("epochs", [2.0, 0.7, 0.0, -1.0, float("nan")])
def test_other_epochs_are_answered_with_the_checkpoints(
    epochs: float, fitted_path: Path, closed_path: Path, cells: Any
) -> None:
    with pytest.raises(BackendError, match=r"checkpoints 0\.25, 0\.5, 1; choose one"):
        ask(fitted_path).evaluate_bulk(cells, epochs, 0)
    measured = ask(closed_path, blocks=1, table_mode="measured")
    with pytest.raises(BackendError, match=r"checkpoints 0\.25, 0\.5, 1; choose one"):
        list(measured.evaluate(measured.spec.space.initial(), epochs, 0))


def test_larger_cells_are_refused_or_marked(fitted_path: Path) -> None:
    with pytest.raises(BackendError, match=r"5 blocks asked for; the table answers up to 3; .*--extrapolate"):
        ask(fitted_path, blocks=5)
    backend = ask(fitted_path, blocks=5, extrapolate=True)
    space = backend.spec.space
    rng = np.random.default_rng(0)
    rows = np.concatenate([space.canonical(space.sample(5, rng, blocks=b)) for b in (3, 4, 5)])
    answers = backend.evaluate_bulk(rows, 1.0, 0)
    assert answers.extrapolated.tolist() == [False] * 5 + [True] * 10
    assert [one.extrapolated for one in backend.evaluate(rows, 1.0, 0)] == answers.extrapolated.tolist()
    assert ((answers.valid_accuracy > 0) & (answers.valid_accuracy < 1)).all()


# -------------------------------------------------------------------------------------------------- measured


def test_measured_answers_are_the_trained_ones(closed_path: Path) -> None:
    backend = ask(closed_path, blocks=2, table_mode="measured")
    assert isinstance(backend, MeasuredBackend) and isinstance(backend, BulkEvaluator)
    table = read_table(closed_path)
    rows = table.cells[::-1]
    answers = backend.evaluate_bulk(rows, 1.0, 0)
    assert answers.source is Source.MEASURED
    first = {int(cell): run for run, cell in reversed(list(enumerate(table.run_cells)))}
    runs = [first[cell] for cell in reversed(range(len(table)))]
    assert answers.valid_accuracy.tolist() == table.valid_accuracy[runs].tolist()
    assert answers.test_accuracy.tolist() == table.test_accuracy[runs].tolist()
    means = mean_by_cell(table, table.valid_accuracy)
    means[np.bincount(table.run_cells) < 2] = np.nan  # one run's luck is no mean over seeds
    assert np.isnan(means).any() and not np.isnan(means).all()
    np.testing.assert_array_equal(answers.expected_valid_accuracy, means[::-1])
    assert answers.parameters.tolist() == table.parameters[::-1].tolist()


def test_the_worth_of_a_cell_is_without_the_run_it_was_trained_again_for(
    closed_path: Path, tmp_path: Path
) -> None:
    """The best of many single trainings was lucky; only the seeds that followed say what it is worth."""
    table = read_table(closed_path)
    values = table.valid_accuracy.copy()
    columns = ("run_cells", "seeds", "status", "valid_accuracy", "test_accuracy", "seconds", "curves")
    values[(table.run_cells == 0) & (table.seeds == 0)] = 0.9
    again = np.flatnonzero((table.run_cells == 0) & (table.seeds > 0))
    more = {name: np.concatenate([getattr(table, name), getattr(table, name)[again]]) for name in columns}
    more["valid_accuracy"] = np.concatenate([values, values[again] + 0.02])
    more["seeds"][-len(again) :] += 10
    errors = (*table.errors, *[""] * len(again))
    path = tmp_path / "again.h5"
    write_table(path, replace(table, errors=errors, **more))
    worth = ask(path, blocks=2, table_mode="measured").evaluate_bulk(table.cells[:1], 1.0, 0)
    assert worth.valid_accuracy[0] == 0.9
    assert worth.expected_valid_accuracy[0] == pytest.approx(values[again].mean() + 0.01)


def test_a_seed_takes_a_trained_seed_and_says_which(closed_path: Path) -> None:
    backend = ask(closed_path, blocks=2, table_mode="measured")
    rows = read_table(closed_path).cells

    def seeds(seed: int, chosen: Any) -> list[int]:
        return [one.seed for one in backend.evaluate(chosen, 1.0, seed)]

    assert seeds(0, rows[:10]) == [0] * 10 and seeds(1, rows[:10]) == [4] * 10
    assert seeds(2, rows[:10]) == [0] * 10 and seeds(3, rows[:10]) == [4] * 10
    assert seeds(3, rows[10:20]) == [0] * 10
    for seed in (0, 1, 2):
        answers = backend.evaluate_bulk(rows, 1.0, seed)
        singles = list(backend.evaluate(rows, 1.0, seed))
        assert [one.valid_accuracy for one in singles] == answers.valid_accuracy.tolist()
        assert {type(one) for one in singles} == {Evaluation}


def test_measured_checkpoints_have_no_test_accuracy(closed_path: Path) -> None:
    backend = ask(closed_path, blocks=2, table_mode="measured")
    table = read_table(closed_path)
    answers = backend.evaluate_bulk(table.cells[10:], 0.5, 0)
    assert answers.valid_accuracy.tolist() == table.curves[table.run_cells >= 10, 1].tolist()
    assert np.isnan(answers.test_accuracy).all()


def test_measured_needs_a_closed_table(fitted_path: Path, closed_path: Path) -> None:
    with pytest.raises(
        TableError, match=r"fitted is not closed: it has 50 of the 136 of 1 block, .* use surrogate"
    ):
        ask(fitted_path, table_mode="measured")
    with pytest.raises(BackendError, match="3 blocks asked for; the table's space has up to 2"):
        ask(closed_path, blocks=3, table_mode="measured")


def test_what_an_open_table_lacks_is_told_with_what_can_be_done(space: CellSpace, tmp_path: Path) -> None:
    """Sizes that are whole are not among what is lacking."""
    path, plan = tmp_path / "one.csv", Plan("one", 0, (Step("all", 1, 0, 136),))
    lines = [f"{text},0,0.5" for text in space.format_many(list_jobs(plan, space).cells)]

    def complain(*more: str) -> str:
        path.write_text("\n".join(["cell,seed,valid_accuracy", *lines, *more]))
        write_table(tmp_path / "one.h5", import_csv(path, "one", space))
        with pytest.raises(TableError) as caught:
            ask(tmp_path / "one.h5", blocks=1, table_mode="measured")
        return str(caught.value)

    told = complain()
    assert "table one is not closed: it has 0 of the " in told and "136" not in told
    assert told.endswith("so import it again with --blocks 1")
    told = complain("id(-1)+id(-2) | id(-1)+id(1),0,0.5")
    assert "it has 1 of the " in told and "import" not in told
    assert told.endswith(f"so fit a surrogate (pnas-sim table fit {tmp_path / 'one.h5'}) and use that")


# -------------------------------------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("options", "error", "complaint"),
    [
        ({"device": "cpu"}, SettingError, "option 'device' is not one of backend table; it has: table, "),
        (
            {"table_mode": "both"},
            SettingError,
            "table_mode is 'both'; it must be one of: surrogate, measured",
        ),
        ({"effects": "all"}, SettingError, "effects is 'all'; it must be one of: own, shared"),
        (
            {"table_mode": "measured", "effects": "own"},
            SettingError,
            "'effects' has no meaning with table_mode",
        ),
        ({"noise": "loud"}, SettingError, "noise is 'loud'; it must be on or off"),
        ({"noise": 3}, SettingError, "noise is 3; it must be on or off"),
        ({"surrogate": "svm"}, TableError, "surrogate 'svm' is not in table fitted; it has: gp, lightgbm"),
        ({"world": 3}, SettingError, "world is 3; the surrogate has the worlds 0 to 2"),
        ({"world": -1}, SettingError, "world is -1; the surrogate has the worlds 0 to 2"),
        ({"world": "first"}, SettingError, "world is 'first'; it must be a whole number from 0"),
        ({"world": True}, SettingError, "world is True; it must be a whole number from 0"),
        ({"table_mode": "measured", "world": 0}, SettingError, "'world' has no meaning with table_mode"),
        ({"table": "cifar1000"}, TableError, "table 'cifar1000' is unknown; tables that ship: "),
        ({"table": "here/x.h5"}, TableError, "here/x.h5: there is no such file"),
        ({"table_mode": "measured", "noise": "off"}, SettingError, "'noise' has no meaning with table_mode"),
    ],
)
def test_wrong_requests_are_named(
    options: dict[str, Any], error: type[Exception], complaint: str, fitted_path: Path
) -> None:
    with pytest.raises(error) as caught:
        ask(fitted_path, **options)
    assert complaint in str(caught.value) and "\n" not in str(caught.value)


def test_a_table_without_surrogate_says_how_to_get_one(closed_path: Path) -> None:
    with pytest.raises(TableError, match="it has: none; `pnas-sim table fit` makes one"):
        ask(closed_path, blocks=2)


@pytest.mark.parametrize("mode", ["surrogate", "measured"])
@pytest.mark.parametrize("seed", [-1, 0.5, 2**63, "1", True, None])
def test_seeds_are_whole_numbers(seed: Any, mode: str, fitted_path: Path, closed_path: Path) -> None:
    backend: Callable[..., Any] = ask(closed_path if mode == "measured" else fitted_path, 2, table_mode=mode)
    cells = backend.spec.space.initial()[:2]  # type: ignore[attr-defined]
    with pytest.raises(SettingError, match=f"evaluation seed is {seed!r}; it must be a whole number"):
        backend.evaluate_bulk(cells, 1.0, seed)  # type: ignore[attr-defined]
    with pytest.raises(SettingError, match=r"epochs is '1'; it must be a number, .* 0\.25, 0\.5, 1$"):
        list(backend.evaluate(cells, "1", 0))  # type: ignore[attr-defined]


def test_cells_of_no_table_are_named(closed_path: Path) -> None:
    backend = ask(closed_path, blocks=2, table_mode="measured")
    row = backend.spec.space.initial()[:1].copy()
    row[0, :4] = [1, 0, 0, 1]  # halves the wrong way round
    with pytest.raises(BackendError, match="is not in the table; ask for canonical cells"):
        backend.evaluate_bulk(row, 1.0, 0)


class OneByOne:
    """A backend that answers no arrays."""

    def __init__(self, backend: SurrogateBackend) -> None:
        self.spec, self.evaluate, self.close = backend.spec, backend.evaluate, backend.close


def halve(evaluator: Any, budget: int, log: RunLog | None = None) -> RunResult:
    search = Hyperband(evaluator.spec.space, evaluator.spec.fidelities, eta=2, seed=1)
    return run_search(search, evaluator, budget=Budget(models=budget), log=log)


def test_halving_pays_for_each_epoch_of_a_training_once(fitted_path: Path, tmp_path: Path) -> None:
    backend = ask(fitted_path)
    result = halve(backend, 200)
    longest: dict[str, float] = {}
    for model in result.evaluations:
        longest[model.cell] = max(longest.get(model.cell, 0.0), model.epochs)
    assert 1.0 in longest.values() and len(longest) < result.models_evaluated
    assert result.examples == pytest.approx(1000 * sum(longest.values()))
    single = halve(OneByOne(backend), 200)
    assert single.examples == pytest.approx(result.examples)
    assert single.child_seconds == pytest.approx(result.child_seconds)
    with RunLog(tmp_path / "log.sqlite") as log:
        halve(backend, 120, log)
    with RunLog(tmp_path / "log.sqlite") as log:
        again = halve(backend, 200, log)
    assert (again.examples, again.child_seconds) == (result.examples, result.child_seconds)
