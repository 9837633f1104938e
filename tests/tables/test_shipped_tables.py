"""The tables that ship, as they lie in the folder: sound, of their plans, and as cards and surrogates say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pnas_sim.cli.table_fit import fit
from pnas_tables.catalogue import DEFAULT_TABLE, data_folder, shipped_tables
from pnas_tables.check import check_table
from pnas_tables.parts import gather_table
from pnas_tables.record import Table, checksum, data_checksum
from pnas_tables.shipped_plans import PLANS, find_plan, find_recipe, find_relatives
from pnas_tables.surrogate import DEFAULT_SURROGATE, FitSettings

PARTS = Path(__file__).parents[2] / "tables" / "pnas_tables" / "data" / "parts"  # not in a wheel

Run = tuple[int, float, float, tuple[float, ...]]  # status, accuracies, curve


@pytest.fixture(scope="module", params=sorted(shipped_tables()))
def shipped(request: pytest.FixtureRequest) -> Table:
    """Each of them, its networks counted and each world of its surrogates asked."""
    return check_table(shipped_tables()[request.param])


@pytest.fixture(scope="module")
def gathered(shipped: Table) -> Table:
    """What the parts have of its plan."""
    return gather_table(find_plan(shipped.name), PARTS, find_relatives(shipped.name))


def list_runs(table: Table) -> dict[tuple[bytes, int], Run]:
    """Each run by its cell and seed; NaN as -1, which is equal to itself."""
    columns = (np.nan_to_num(values, nan=-1) for values in (table.valid_accuracy, table.test_accuracy))
    curves = map(tuple, np.nan_to_num(table.curves, nan=-1).tolist())
    keys = zip((table.cells[cell].tobytes() for cell in table.run_cells), table.seeds.tolist(), strict=True)
    return dict(zip(keys, zip(table.status.tolist(), *columns, curves, strict=True), strict=True))


def test_those_that_the_commands_take_by_default_ship() -> None:
    assert DEFAULT_TABLE in shipped_tables() and set(shipped_tables()) <= set(PLANS)


def test_a_shipped_table_is_called_as_its_file_and_of_its_plan(shipped: Table) -> None:
    plan = find_plan(shipped.name)
    assert shipped_tables()[shipped.name].stem == shipped.name
    assert shipped.space == plan.space
    assert shipped.recipe == find_recipe(shipped.name).model_dump(mode="json")


def test_a_card_is_of_the_table_beside_it(shipped: Table) -> None:
    card = (data_folder() / f"{shipped.name}.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"Checksum `([0-9a-f]{16,64})`", card)
    assert checksum(shipped).startswith(named)


def test_surrogates_were_fitted_on_the_runs_beside_them(shipped: Table) -> None:
    assert DEFAULT_SURROGATE in shipped.surrogates
    fitted_on = {name: stored.metadata["fitted_on"] for name, stored in shipped.surrogates.items()}
    assert fitted_on == dict.fromkeys(shipped.surrogates, data_checksum(shipped))


def test_a_fit_makes_by_default_the_surrogates_that_ship(shipped: Table) -> None:
    (families,) = [option.default for option in fit.params if option.name == "family"]
    assert sorted(families.split(",")) == sorted(shipped.surrogates)
    scales = {stored.metadata["settings"]["scale"] for stored in shipped.surrogates.values()}
    assert scales == {FitSettings().scale}


@pytest.mark.parts
def test_every_run_stands_in_a_part(shipped: Table, gathered: Table) -> None:
    """Else the table could not be made again of its parts."""
    known = list_runs(gathered)
    origins = {shipped.cells[cell].tobytes(): word for cell, word in enumerate(shipped.origins)}
    lost = [key for key, run in list_runs(shipped).items() if known.get(key) != run]
    words = sorted({origins[cell] for cell, _ in lost})
    assert not lost, f"{len(lost)} runs of cells of origin {words} stand in no part"


@pytest.mark.parts
def test_the_parts_know_why_each_cell_was_chosen(shipped: Table, gathered: Table) -> None:
    known = {
        row.tobytes(): set(words.split("+"))
        for row, words in zip(gathered.cells, gathered.origins, strict=True)
    }
    for row, words in zip(shipped.cells, shipped.origins, strict=True):
        assert set(words.split("+")) <= known.get(row.tobytes(), set()), shipped.space.format(row)
