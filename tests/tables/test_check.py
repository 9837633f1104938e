from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_sim.errors import SettingError, TableError
from pnas_sim.evaluate import Evaluation, EvaluatorSpec, Status
from pnas_sim.space.arrays import Rows
from pnas_tables.check import (
    Retrained,
    Verdict,
    check_table,
    describe_table,
    judge_runs,
    retrain,
    worst_verdict,
)
from pnas_tables.forest import ForestSettings
from pnas_tables.format import write_table
from pnas_tables.record import StoredSurrogate, Table, checksum
from pnas_tables.surrogate import FitSettings, fit_surrogate
from pnas_tables.testing import NOISE, MadeUpTrainer


@dataclass
class Elsewhere:
    """A trainer on a machine that rounds otherwise: as another seed does, or all off by so much."""

    inner: MadeUpTrainer
    off: float
    seeds: int = 0  # added to each
    closed: list[bool] = field(default_factory=list)

    @property
    def spec(self) -> EvaluatorSpec:
        return self.inner.spec

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        for answer in self.inner.evaluate(cells, epochs, seed + self.seeds):
            yield replace(answer, seed=seed, valid_accuracy=answer.valid_accuracy + self.off)

    def close(self) -> None:
        self.closed.append(True)


@dataclass
class Changed:
    """A trainer whose answers are changed."""

    inner: MadeUpTrainer | Elsewhere
    changes: dict[str, Any]

    @property
    def spec(self) -> EvaluatorSpec:
        return self.inner.spec

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        for answer in self.inner.evaluate(cells, epochs, seed):
            yield replace(answer, **self.changes)

    def close(self) -> None:
        pass


def verdicts(table: Table, off: float, count: int = 10) -> set[Verdict]:
    trainer = Elsewhere(MadeUpTrainer(table.space), off)
    results = retrain(table, count, 0, lambda _: trainer)
    assert trainer.closed == [True] and len(results) == count
    return {result.verdict for result in results}


def test_a_sound_table_is_read(table_path: Path, table: Table) -> None:
    assert checksum(check_table(table_path)) == checksum(table)


def test_the_same_machine_finds_the_same(table: Table) -> None:
    assert verdicts(table, 0.0) == {Verdict.IDENTICAL}


def test_another_machine_differs_as_another_seed_does(table: Table) -> None:
    assert verdicts(table, NOISE) == {Verdict.WITHIN_NOISE}


def test_made_up_rows_are_found(table: Table) -> None:
    assert verdicts(table, 10 * NOISE) == {Verdict.DIFFERS}
    forged = replace(table, valid_accuracy=np.clip(table.valid_accuracy + 0.1, 0, 1))
    assert verdicts(forged, 0.0) == {Verdict.DIFFERS}


@pytest.mark.parametrize("column", ["test_accuracy", "curves"])
def test_what_is_forged_beside_the_validation_accuracy_is_found(column: str, table: Table) -> None:
    """All test accuracies, or the earliest checkpoint of all runs; on the same machine and on another."""
    values = getattr(table, column).copy()
    if column == "test_accuracy":
        values[:] = 0.999
    else:
        values[:, 0] = np.clip(values[:, 0] + 10 * NOISE, 0, 1)
    forged = replace(table, **{column: values})
    assert verdicts(forged, 0.0) == verdicts(forged, NOISE) == {Verdict.DIFFERS}


def test_one_forged_checkpoint_is_found_among_the_runs(table: Table) -> None:
    """Here the last: the table contradicts itself there, and the figure is compared by itself."""
    curves = table.curves.copy()
    curves[7, -1] += 0.2
    results = retrain(replace(table, curves=curves), 120, 0, lambda _: MadeUpTrainer(table.space))
    wrong = [result for result in results if result.verdict is not Verdict.IDENTICAL]
    assert [(one.cell, one.seed) for one in wrong] == [
        (table.space.format(table.cells[table.run_cells[7]]), table.seeds[7])
    ]
    assert judge_runs(results).verdict is wrong[0].verdict is Verdict.DIFFERS
    assert "validation accuracy at epoch 1.0 " in wrong[0].line()


def test_interchanged_test_accuracies_are_found_together(table: Table) -> None:
    """Each may well be within noise where cells are near each other."""
    rng = np.random.default_rng(0)
    cells = np.argsort(table.valid_accuracy[::2]).reshape(-1, 3)  # of 60 cells, always three near each other
    mixed = table.test_accuracy.reshape(-1, 2).copy()
    for three in cells:
        mixed[three] = mixed[np.roll(three, rng.integers(1, 3))]
    forged = replace(table, test_accuracy=mixed.ravel())
    results = retrain(forged, 60, 0, lambda _: MadeUpTrainer(table.space))
    found = judge_runs(results)
    assert found.verdict is Verdict.DIFFERS
    assert [test.figure for test in found.tests if test.squares > test.limits.squares] == ["test accuracy"]


def test_an_accuracy_that_the_recipe_does_not_give_was_made_up(table: Table) -> None:
    """While what the table does not know is not compared."""
    unknown = replace(
        table,
        test_accuracy=np.full_like(table.test_accuracy, np.nan),
        curves=np.full_like(table.curves, np.nan),
    )
    assert verdicts(unknown, 0.0) == {Verdict.IDENTICAL}
    for lost in ({"test_accuracy": float("nan")}, {"curve": ((0.25, 0.5),)}):
        results = retrain(table, 5, 0, lambda _, lost=lost: Changed(MadeUpTrainer(table.space), lost))
        assert {result.verdict for result in results} == {Verdict.DIFFERS}


def test_a_run_that_comes_to_another_end_with_the_same_accuracies_differs(table: Table) -> None:
    """Its end follows from them; with other accuracies it may be another, as elsewhere."""
    diverged = {"status": Status.DIVERGED}
    results = retrain(table, 5, 0, lambda _: Changed(MadeUpTrainer(table.space), diverged))
    assert {result.verdict for result in results} == {Verdict.DIFFERS}
    assert results[0].status == "ok, now diverged" and judge_runs(results).verdict is Verdict.DIFFERS
    elsewhere = Elsewhere(MadeUpTrainer(table.space), NOISE)
    results = retrain(table, 5, 0, lambda _: Changed(elsewhere, diverged))
    assert {result.verdict for result in results} == {Verdict.WITHIN_NOISE}


def verdicts_elsewhere(table: Table, checks: int) -> list[Verdict]:
    """Of checks of ten runs, each on another machine."""
    machines = [Elsewhere(MadeUpTrainer(table.space), 0.0, 100 * (one + 1)) for one in range(checks)]
    return [worst_verdict(retrain(table, 10, one, lambda _, at=at: at)) for one, at in enumerate(machines)]


def test_honest_checks_elsewhere_pass(table: Table) -> None:
    found = verdicts_elsewhere(table, 100)
    assert found.count(Verdict.WITHIN_NOISE) >= 94


def test_rows_interchanged_among_cells_of_a_size_are_found(table: Table) -> None:
    rng, runs = np.random.default_rng(0), np.arange(len(table.seeds)).reshape(-1, 2)
    sizes = table.space.block_counts(table.cells)
    for size in (1, 2, 3):
        runs[sizes == size] = rng.permutation(runs[sizes == size])
    forged = replace(table, valid_accuracy=table.valid_accuracy[runs.ravel()])
    assert verdicts_elsewhere(forged, 40).count(Verdict.DIFFERS) >= 36


def test_runs_each_within_noise_may_differ_together(table: Table) -> None:
    results = retrain(table, 10, 0, lambda _: Elsewhere(MadeUpTrainer(table.space), 2.7 * NOISE))
    assert {result.verdict for result in results} == {Verdict.WITHIN_NOISE}
    assert judge_runs(results).verdict is worst_verdict(results) is Verdict.DIFFERS


def test_a_run_that_fails_elsewhere_differs(table: Table) -> None:
    results = retrain(table, 3, 0, lambda _: Elsewhere(MadeUpTrainer(table.space), float("nan")))
    assert {result.verdict for result in results} == {Verdict.DIFFERS}
    assert all(np.isinf(result.score) for result in results)


def test_without_second_seeds_only_the_same_will_do(table: Table) -> None:
    first = np.flatnonzero(table.seeds == 0)
    columns = ("run_cells", "seeds", "status", "valid_accuracy", "test_accuracy", "seconds", "curves")
    single = replace(
        table, **{name: getattr(table, name)[first] for name in columns}, errors=("",) * len(first)
    )
    assert verdicts(single, NOISE / 10) == {Verdict.DIFFERS}
    assert verdicts(single, 0.0) == {Verdict.IDENTICAL}


def test_runs_are_chosen_by_seed_and_all_at_most(table: Table) -> None:
    def chosen(count: int, seed: int) -> list[tuple[str, int]]:
        results = retrain(table, count, seed, lambda _: MadeUpTrainer(table.space))
        return [(result.cell, result.seed) for result in results]

    assert chosen(8, 1) == chosen(8, 1) != chosen(8, 2)
    assert len(set(chosen(1000, 0))) == 120
    with pytest.raises(SettingError, match="0 runs asked for"):
        chosen(0, 0)


def test_progress_is_told_run_by_run(table: Table) -> None:
    told: list[Retrained] = []
    assert retrain(table, 5, 0, lambda _: MadeUpTrainer(table.space), told.append) == told


def test_failed_runs_cannot_be_trained_again(table: Table) -> None:
    failed = replace(
        table,
        status=np.full_like(table.status, Status.FAILED),
        valid_accuracy=np.full_like(table.valid_accuracy, np.nan),
    )
    with pytest.raises(TableError, match="no run that could be trained again"):
        retrain(failed, 1, 0, lambda _: MadeUpTrainer(table.space))


def test_a_description_is_json(table: Table) -> None:
    about = json.loads(json.dumps(describe_table(table), allow_nan=False))
    assert about["cells_by_blocks"] == {"1": 20, "2": 20, "3": 20}
    assert about["seeds_per_cell"] == {"2": 60} and about["origins"] == {"uniform": 60}
    assert about["core_hours"] == pytest.approx(2 * (20 * 2 + 20 * 4 + 20 * 6) / 3600)
    assert about["seed_deviation"] == pytest.approx(NOISE, rel=0.3)
    assert about["checksum"] == checksum(table) and about["surrogate"] is None


def test_whatever_a_damaged_surrogate_raises_is_told_in_a_line(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = replace(table, surrogates={"x": StoredSurrogate({}, {})})
    monkeypatch.setattr("pnas_tables.check.read_table", lambda path: damaged)
    for error in (ZeroDivisionError("of two"), MemoryError(), KeyError("trees"), RuntimeError("lost")):

        def fail(*given: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("pnas_tables.check.Surrogate.from_table", fail)
        told = f"surrogate 'x' is damaged \\({type(error).__name__}: .*\\); fit it again"
        with pytest.raises(TableError, match=told):
            check_table(tmp_path)


def test_a_surrogate_that_cannot_answer_is_found(table: Table, tmp_path: Path) -> None:
    settings = FitSettings(worlds=2, shares=(), forest=ForestSettings(forests=1, trees=5))
    fitted = fit_surrogate(table, settings=settings)
    path = tmp_path / "fitted.h5"
    write_table(path, fitted)
    check_table(path)
    stored = fitted.surrogates["lightgbm"]
    for change, complaint in (
        ({"world-1-leaves": stored.arrays["world-1-leaves"] * np.nan}, "world 1 answers .* no accuracies"),
        ({"world-1-features": stored.arrays["world-1-features"] + 1000}, "trees are damaged"),
    ):
        broken = replace(stored, arrays={**stored.arrays, **change})
        write_table(path, replace(fitted, surrogates={"lightgbm": broken}))
        with pytest.raises(TableError, match=f"surrogate 'lightgbm': .*{complaint}"):
            check_table(path)
