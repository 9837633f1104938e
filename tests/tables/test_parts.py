from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path

import numpy as np
import pytest

from pnas_sim.errors import TableError
from pnas_sim.evaluate import Evaluation, EvaluatorSpec, Status
from pnas_sim.space import CellSpace
from pnas_tables.build import BuildProgress, main
from pnas_tables.format import read_table
from pnas_tables.journal import Journal
from pnas_tables.merge import merge_tables
from pnas_tables.parts import build_plan, collect_results, gather_table, read_parts
from pnas_tables.plans import Jobs, Plan, Step, list_jobs
from pnas_tables.record import checksum
from pnas_tables.testing import MadeUpTrainer, made_up_head

PROVENANCE = {"command": "test"}

PLAN = Plan(
    "made-up", 4, (Step("all", 1, 0, 20), Step("uniform", 3, 0, 10), Step("uniform", 3, 0, 5, seed=1))
)


def build_part(space: CellSpace, parts: Path, **options: object) -> Path:
    evaluator = options.pop("evaluator", MadeUpTrainer(space))
    return build_plan(PLAN, made_up_head(space), parts, evaluator, provenance=PROVENANCE, **options)  # type: ignore


def test_each_sitting_makes_a_part_and_trains_nothing_twice(space: CellSpace, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    written = [build_part(space, parts, children=15).name for _ in range(3)]
    assert written == ["made-up-001.h5", "made-up-002.h5", "made-up-003.h5"]
    tables = read_parts("made-up", parts)
    assert [len(table.seeds) for table in tables] == [15, 15, 5]
    assert not build_part(space, parts).exists(), "nothing is left, so nothing is written"
    assert sorted(path.name for path in parts.iterdir()) == written
    merged = merge_tables(tables, "made-up")
    whole = build_part(space, tmp_path / "at once")
    assert checksum(merged) == checksum(read_table(whole))


def test_what_the_shipped_table_holds_is_not_trained_again(space: CellSpace, tmp_path: Path) -> None:
    first = build_part(space, tmp_path / "parts", children=30)
    second = build_part(space, tmp_path / "more", shipped=first)
    assert len(read_table(second).seeds) == 5


def test_a_killed_part_is_gone_on_with(space: CellSpace, tmp_path: Path) -> None:
    build_part(space, tmp_path, children=5)
    journal = Journal(tmp_path / "made-up-002.h5.journal.sqlite", made_up_head(space), PROVENANCE)
    jobs = list_jobs(PLAN, space)
    for answer in MadeUpTrainer(space).evaluate(jobs.cells[5:9], 1.0, 0):
        journal.add(answer, "all-1")
    journal._database.close()
    assert build_part(space, tmp_path, children=1).name == "made-up-002.h5"
    assert len(read_table(tmp_path / "made-up-002.h5").seeds) == 5


def test_parts_of_another_recipe_are_refused(space: CellSpace, tmp_path: Path) -> None:
    build_part(space, tmp_path, children=2)
    head = replace(made_up_head(space), recipe={"trainer": "made-up", "epochs": 2.0})
    with pytest.raises(TableError, match="differ in their recipe: epochs"):
        build_plan(PLAN, head, tmp_path, MadeUpTrainer(space), provenance=PROVENANCE)


def test_results_are_of_all_runs_that_did_not_fail(space: CellSpace, tmp_path: Path) -> None:
    table = read_table(build_part(space, tmp_path, children=4))
    status, valid = np.array([0, 1, 2, 0], np.uint8), np.array([0.5, 0.1, np.nan, 0.6])
    found = collect_results([replace(table, status=status, valid_accuracy=valid)])
    keys = [
        (table.cells[cell].tobytes(), int(seed))
        for cell, seed in zip(table.run_cells, table.seeds, strict=True)
    ]
    assert found == {keys[0]: 0.5, keys[1]: 0.1, keys[3]: 0.6}


def test_a_folder_without_parts_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no part made-up-NNN"):
        read_parts("made-up", tmp_path)


# ----------------------------------------------------------------------------------- steps that choose, asked


CHOOSING = Plan(
    "made-up",
    4,
    (
        Step("uniform", 3, 0, 12),
        Step("strata", 3, 0, 12, seed=1, count=1),
        Step("uniform", 2, 0, 5),
        Step("strata", 2, 0, 5, seed=1, count=1),
        Step("sealed", 3, 0, 2),
    ),
)


def build_choosing(space: CellSpace, parts: Path, **options: object) -> Path:
    evaluator = options.pop("evaluator", MadeUpTrainer(space))
    head = made_up_head(space)
    return build_plan(CHOOSING, head, parts, evaluator, provenance=PROVENANCE, **options)  # type: ignore


def test_one_sitting_and_many_choose_the_same(space: CellSpace, tmp_path: Path) -> None:
    whole = read_table(build_choosing(space, tmp_path / "once"))
    assert len(whole.seeds) == 12 + 4 + 5 + 4 + 2 and sum(whole.seeds == 1) == 8
    for limit in (5, 9, 4, 7, 50):
        build_choosing(space, tmp_path / "often", children=limit)
    assert checksum(gather_table(CHOOSING, tmp_path / "often")) == checksum(whole)
    assert not build_choosing(space, tmp_path / "once").exists()


def test_children_are_trained_in_the_order_of_the_steps(space: CellSpace, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def note(step: BuildProgress) -> None:
        told.append((step.evaluation.cell.count("|") + 1, step.evaluation.seed))

    build_choosing(space, tmp_path, progress=note)
    assert told == [(3, 0)] * 12 + [(3, 1)] * 4 + [(2, 0)] * 5 + [(2, 1)] * 4 + [(3, 0)] * 2


@dataclass(frozen=True)
class FailingTrainer:
    """Answers every cell of three blocks with a failure."""

    inner: MadeUpTrainer

    @property
    def spec(self) -> EvaluatorSpec:
        return self.inner.spec

    def evaluate(self, cells: np.ndarray, epochs: float, seed: int) -> Iterator[Evaluation]:
        for answer in self.inner.evaluate(cells, epochs, seed):
            three = answer.cell.count("|") == 2
            yield replace(answer, status=Status.FAILED, valid_accuracy=nan) if three else answer

    def close(self) -> None:
        self.inner.close()


def test_steps_that_wait_for_what_cannot_be_trained_are_passed_over(space: CellSpace, tmp_path: Path) -> None:
    part = build_choosing(space, tmp_path, evaluator=FailingTrainer(MadeUpTrainer(space)))
    table = read_table(part)
    assert Counter(zip(table.space.block_counts(table.cells)[table.run_cells], table.seeds, strict=True)) == {
        (3, 0): 14,
        (2, 0): 5,
        (2, 1): 4,
    }


def test_what_is_asked_for_comes_first(space: CellSpace, tmp_path: Path) -> None:
    rows = space.canonical(space.sample(2, np.random.default_rng(5), blocks=3))
    asked = Jobs(rows, np.array([3, 4]), ("search", "search"))
    table = read_table(build_choosing(space, tmp_path, asked=asked, children=3))
    assert sorted(table.seeds.tolist()) == [0, 3, 4] and table.origins.count("search") == 2


def test_what_a_related_plan_has_trained_is_taken_over(space: CellSpace, tmp_path: Path) -> None:
    small = CellSpace(operations=("sep3", "id"), max_blocks=1)
    other = Plan("other", 1, (Step("all", 1, 0, 10),), small)
    head = made_up_head(small, "other")
    build_plan(other, head, tmp_path, MadeUpTrainer(small), provenance=PROVENANCE)
    ones = Plan("made-up", 4, (Step("all", 1, 0, 136),), space)
    trainer = MadeUpTrainer(space)
    out = build_plan(ones, made_up_head(space), tmp_path, trainer, relatives=["other"], provenance=PROVENANCE)
    assert len(read_table(out).seeds) == 126
    whole = gather_table(ones, tmp_path, ["other"])
    assert len(whole) == 136 and whole.origins.count("subspace") == 10
    foreign = replace(made_up_head(small, "foreign"), recipe={"trainer": "made-up", "epochs": 9.0})
    build_plan(replace(other, name="foreign"), foreign, tmp_path, MadeUpTrainer(small), provenance=PROVENANCE)
    assert checksum(gather_table(ones, tmp_path, ["other", "foreign"])) == checksum(whole)


def test_parts_of_another_space_are_refused(space: CellSpace, tmp_path: Path) -> None:
    build_choosing(space, tmp_path, children=2)
    wide = CellSpace(max_blocks=4)
    with pytest.raises(TableError, match="is of another space; move it away"):
        build_plan(CHOOSING, made_up_head(wide), tmp_path, MadeUpTrainer(wide), provenance=PROVENANCE)


def test_gathering_from_the_command_line_trains_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--plan", "fashion-16px", "--parts", str(tmp_path), "--gather", str(tmp_path / "x.h5")]) == 2
    assert "there is no part fashion-16px-NNN" in capsys.readouterr().err
