from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.errors import TableError
from pnas_sim.evaluate import Evaluation
from pnas_sim.space import CellSpace
from pnas_tables.journal import Child, assemble_table
from pnas_tables.merge import merge_tables
from pnas_tables.plans import list_jobs, sample_plan
from pnas_tables.record import StoredSurrogate, Table, checksum, data_checksum
from pnas_tables.testing import MadeUpTrainer, build_made_up_table, made_up_head


def take_runs(table: Table, runs: list[int]) -> Table:
    """The part of a table that these runs make."""
    cells, places = np.unique(table.run_cells[runs], return_inverse=True)
    columns = ("seeds", "status", "valid_accuracy", "test_accuracy", "seconds", "curves")
    return replace(
        table,
        cells=table.cells[cells],
        parameters=table.parameters[cells],
        multiply_adds=table.multiply_adds[cells],
        origins=tuple(table.origins[cell] for cell in cells),
        run_cells=places,
        errors=tuple(table.errors[run] for run in runs),
        **{name: getattr(table, name)[runs] for name in columns},
    )


@pytest.fixture(scope="module")
def whole(space: CellSpace) -> Table:
    """The cells and runs of `table` straight from their trainings, by no merge."""
    jobs = list_jobs(sample_plan("made-up", 60, (1, 2, 3), seeds=2, seed=3, space=space), space)
    children = [
        read_answer(answer)
        for seed in (0, 1)
        for answer in MadeUpTrainer(space).evaluate(jobs.cells[jobs.seeds == seed], 1.0, seed)
    ]
    return assemble_table(made_up_head(space), ({"command": "made up"},), children)


def read_answer(answer: Evaluation) -> Child:
    """A row of a journal."""
    numbers = (answer.valid_accuracy, answer.test_accuracy, answer.seconds)
    costs, curve = (answer.parameters, answer.multiply_adds), json.dumps(answer.curve)
    return Child(answer.cell, answer.seed, "uniform", int(answer.status), *numbers, *costs, curve, "")


@settings(deadline=None, max_examples=25)
@given(
    owners=st.lists(st.sets(st.integers(0, 3), min_size=1), min_size=120, max_size=120),
    order=st.permutations(range(4)),
)
def test_parts_in_any_order_with_any_overlap_make_the_whole(
    owners: list[set[int]], order: list[int], whole: Table
) -> None:
    parts = [take_runs(whole, [run for run, who in enumerate(owners) if part in who]) for part in order]
    assert checksum(merge_tables(parts, whole.name)) == checksum(whole)


def test_merging_is_associative_and_idempotent(table: Table) -> None:
    one, two, three = (take_runs(table, list(range(start, 120, 2))) for start in (0, 1, 0))
    left = merge_tables([merge_tables([one, two], "m"), three], "m")
    right = merge_tables([one, merge_tables([two, three], "m")], "m")
    assert checksum(left) == checksum(right) == checksum(merge_tables([left, left], "m"))


def test_origins_and_provenance_are_joined(table: Table) -> None:
    other = replace(table, origins=("search",) * 60, provenance=({"command": "another"},))
    merged = merge_tables([table, other, replace(table, origins=("raw+search",) * 60)], "m")
    assert set(merged.origins) == {"raw+search+uniform"}
    assert merged.provenance == ({"command": "another"}, {"command": "made up"})


@pytest.mark.parametrize("name", ["parameters", "multiply_adds"])
def test_unknown_counts_are_filled_in_and_known_ones_must_agree(name: str, table: Table) -> None:
    counts = getattr(table, name)
    unknown = replace(table, **{name: np.full_like(counts, -1)})
    for order in ([unknown, table], [table, unknown]):
        np.testing.assert_array_equal(getattr(merge_tables(order, "m"), name), counts)
    with pytest.raises(TableError, match=f"disagree about {name} of "):
        merge_tables([table, replace(table, **{name: counts + 1})], "m")


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("name", ["status", "valid_accuracy", "test_accuracy", "curves"])
def test_runs_must_agree_in_every_array(name: str, known: bool, table: Table) -> None:
    """To the last bit; and what one part knows and another does not is no agreement either."""
    changed = getattr(table, name).copy()
    if name == "status":
        changed[7] = 1
    else:
        changed[7] = changed[7] + 1e-9 if known else np.nan
    text = table.space.format(table.cells[table.run_cells[7]])
    for order in ([table, replace(table, **{name: changed})], [replace(table, **{name: changed}), table]):
        with pytest.raises(TableError) as caught:
            merge_tables(order, "m")
        assert f"disagree about {text} with seed {table.seeds[7]}: {name} " in str(caught.value)


def test_what_no_part_knows_is_no_disagreement(table: Table) -> None:
    unknown = {name: np.full_like(getattr(table, name), np.nan) for name in ("test_accuracy", "curves")}
    merged = merge_tables([replace(table, **unknown)] * 2, table.name)
    assert np.isnan(merged.test_accuracy).all() and np.isnan(merged.curves).all()


def test_of_seconds_the_smallest_stand(table: Table) -> None:
    merged = merge_tables([replace(table, seconds=table.seconds + 1), table], "m")
    np.testing.assert_array_equal(merged.seconds, table.seconds)
    unknown = replace(table, seconds=np.full_like(table.seconds, np.nan))
    for order in ([unknown, table], [table, unknown]):
        np.testing.assert_array_equal(merge_tables(order, "m").seconds, table.seconds)


def test_of_errors_the_first_by_its_text_stands_in_any_order(table: Table) -> None:
    """Where the seconds are the same, and only there."""
    parts = [replace(table, errors=(text,) * 120) for text in ("slow disk", "", "clock went back")]
    for order in permutations(parts):
        assert set(merge_tables(order, "m").errors) == {""}
        assert set(merge_tables([part for part in order if part.errors[0]], "m").errors) == {
            "clock went back"
        }
    faster = replace(parts[0], seconds=table.seconds - 1)
    assert set(merge_tables([*parts, faster], "m").errors) == {"slow disk"}


def test_a_run_that_diverged_elsewhere_is_a_disagreement(table: Table) -> None:
    """A machine may fail; a seed that diverges does so everywhere."""
    status = table.status.copy()
    status[5] = 1
    for order in ([table, replace(table, status=status)], [replace(table, status=status), table]):
        with pytest.raises(TableError, match=f"with seed {table.seeds[5]}: status"):
            merge_tables(order, "m")


def test_a_failure_gives_way_to_an_answer(table: Table) -> None:
    failed = replace(
        table,
        status=np.full_like(table.status, 2),
        valid_accuracy=np.full_like(table.valid_accuracy, np.nan),
        errors=("out of memory",) * 120,
    )
    for order in ([failed, table], [table, failed]):
        assert checksum(merge_tables(order, table.name)) == checksum(table)
    assert merge_tables([failed, failed], "m").errors[0] == "out of memory"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"recipe": {"trainer": "made-up", "epochs": 2.0}}, "recipe: epochs"),
        ({"licence": "x"}, "licence"),
        ({"chance": 0.2}, "chance"),
        ({"train_images": 3}, "training images"),
        ({"epochs": np.array([0.1, 0.5, 1.0])}, "checkpoints"),
        ({"space": CellSpace(operations=tuple("abcdefgh"), max_blocks=3)}, "operations"),
    ],
)
def test_tables_that_differ_are_refused(change: dict[str, object], complaint: str, table: Table) -> None:
    with pytest.raises(TableError, match=f"differ in .*{complaint}"):
        merge_tables([table, replace(table, **change)], "m")  # type: ignore[arg-type]


def test_parts_that_make_a_whole_space_make_a_closed_table(tmp_path: Path) -> None:
    space = CellSpace(operations=("sep3", "id"), max_blocks=1)
    whole = build_made_up_table(
        list_jobs(sample_plan("s", 10, (1,), seeds=1, seed=0, space=space), space), space, tmp_path / "s.h5"
    )
    parts = [replace(take_runs(whole, list(range(start, 10, 2))), closed=False) for start in (0, 1)]
    assert merge_tables(parts, "s").closed
    assert not merge_tables(parts[:1], "s").closed


def test_nothing_to_merge_is_an_error() -> None:
    with pytest.raises(TableError, match="no table to merge"):
        merge_tables([], "m")


def test_surrogates_are_left_behind(table: Table) -> None:
    stored = StoredSurrogate({"fitted_on": data_checksum(table)}, {})
    assert not merge_tables([replace(table, surrogates={"s": stored})], "m").surrogates
