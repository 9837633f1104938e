from __future__ import annotations

from pathlib import Path

import pytest

from pnas_sim.space import CellSpace
from pnas_tables.plans import list_jobs, sample_plan
from pnas_tables.record import Table
from pnas_tables.testing import build_made_up_table


@pytest.fixture(scope="session")
def space() -> CellSpace:
    return CellSpace(max_blocks=3)


@pytest.fixture(scope="session")
def table_path(space: CellSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 60 cells of 1, 2 and 3 blocks, with two seeds each; not to be changed."""
    path = tmp_path_factory.mktemp("table") / "made-up.h5"
    jobs = list_jobs(sample_plan("made-up", 60, (1, 2, 3), seeds=2, seed=3, space=space), space)
    build_made_up_table(jobs, space, path)
    return path


@pytest.fixture(scope="session")
def table(table_path: Path) -> Table:
    from pnas_tables.format import read_table

    return read_table(table_path)


@pytest.fixture(scope="session")
def fitted(table: Table) -> Table:
    """The table with a surrogate `gp` of two worlds."""
    from pnas_tables.surrogate import FitSettings, fit_surrogate

    return fit_surrogate(table, settings=FitSettings(worlds=2, shares=(0.5,)), family="gp")
