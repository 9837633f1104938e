from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pnas_backends.training.data import read_source
from pnas_backends.training.recipe import CIFAR10_16PX, DIGITS
from pnas_sim.errors import DataError, SettingError, TableError
from pnas_sim.space import CellSpace
from pnas_tables.build import main
from pnas_tables.check import Verdict, check_table, retrain
from pnas_tables.forest import ForestSettings
from pnas_tables.format import read_table, write_table
from pnas_tables.images import find_images, name_images
from pnas_tables.plans import sample_plan
from pnas_tables.record import Table
from pnas_tables.shipped_plans import PLANS, find_recipe
from pnas_tables.surrogate import FitSettings, Surrogate, fit_surrogate
from pnas_tables.testing import MadeUpTrainer
from pnas_tables.trainer import choose_licence, make_retrainer, stored_recipe, train_sample, trained_head

TINY = DIGITS.change(
    train_images=64,
    valid_images=50,
    test_images=20,
    filters=4,
    cells_per_stage=1,
    epochs=1.0,
    checkpoints=(0.5,),
)


@pytest.fixture(scope="module")
def trained_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cells of one block, really trained for a moment."""
    path = tmp_path_factory.mktemp("trained") / "tiny.h5"
    space = CellSpace(max_blocks=2)
    train_sample(sample_plan("tiny", 3, (1,), 1, 0, space), TINY, space, None, path)
    return path


def test_a_trained_table_says_how_it_was_made(trained_path: Path) -> None:
    table = check_table(trained_path)
    assert len(table) == 3 and table.name == "tiny" and table.closed is False
    assert stored_recipe(table) == TINY
    assert table.epochs.tolist() == [0.5, 1.0] and (table.train_images, table.chance) == (64, 0.1)
    assert (table.parameters > 0).all() and (table.seconds > 0).all()
    assert np.isfinite(table.curves).all() and np.isfinite(table.test_accuracy).all()
    np.testing.assert_array_equal(table.curves[:, -1], table.valid_accuracy)
    assert table.provenance[0]["plan"]["name"] == "tiny"
    assert str(trained_path.parent) not in str(table.provenance)


def test_training_again_finds_the_same(trained_path: Path) -> None:
    results = retrain(read_table(trained_path), 1, 0, make_retrainer(None))
    assert [result.verdict for result in results] == [Verdict.IDENTICAL]


def test_a_table_is_not_trained_again_on_other_images(trained_path: Path) -> None:
    table, images = read_table(trained_path), read_source("digits", None).checksum()
    assert find_images(table) == images
    foreign = replace(table, provenance=(name_images(table.provenance[0], "0" * 32),))
    unknown = replace(table, provenance=({"command": "before there were checksums"},))
    told: list[str] = []
    make = make_retrainer(None, warn=told.append)
    with pytest.raises(TableError, match=r"tiny was trained on other images .checksum 0000.* give --data"):
        retrain(foreign, 1, 0, make)
    for _ in range(2):
        make(unknown).close()
    make(table).close()
    assert len(told) == 1 and "table tiny does not say" in told[0] and images in told[0]
    make_retrainer(None)(unknown).close()


@pytest.mark.parametrize("name", ["parameters", "multiply_adds"])
def test_costs_that_were_made_up_are_found(name: str, trained_path: Path, tmp_path: Path) -> None:
    table = read_table(trained_path)
    wrong = getattr(table, name).copy()
    wrong[1] += 1
    write_table(tmp_path / "x.h5", replace(table, **{name: wrong}))
    text = table.space.format(table.cells[1])
    with pytest.raises(TableError) as caught:
        check_table(tmp_path / "x.h5")
    assert f"{name} of {text} is {wrong[1]}; counted are {wrong[1] - 1}" in str(caught.value)


def test_a_surrogate_of_a_known_network_counts_its_costs(table: Table) -> None:
    """The made-up table under a recipe whose networks can be counted."""
    known = replace(table, recipe=TINY.model_dump(mode="json"))
    fitted = fit_surrogate(
        known, settings=FitSettings(worlds=2, shares=(), forest=ForestSettings(forests=2, trees=10))
    )
    answer = Surrogate.from_table(fitted).predict(table.cells)
    from pnas_backends.training.costs import cell_costs

    parameters, multiply_adds = cell_costs(table.cells, table.space, TINY.shape)
    np.testing.assert_array_equal(answer.parameters, parameters)
    np.testing.assert_array_equal(answer.multiply_adds, multiply_adds)
    assert len(Surrogate.from_table(fitted).predict(table.cells[:0]).parameters) == 0


def test_tables_of_other_trainers_are_not_trained_again(table: Table) -> None:
    with pytest.raises(TableError, match="made-up was not trained by this project"):
        retrain(table, 1, 0, make_retrainer(None))


def test_every_plan_has_a_recipe_of_its_data_set() -> None:
    recipes = {name: find_recipe(name) for name in PLANS}
    assert recipes["cifar10-16px"] == recipes["cifar10-16px-mini"] == CIFAR10_16PX
    assert {recipe.dataset for recipe in recipes.values()} == {"cifar10", "fashion-mnist"}


def test_the_head_of_a_trained_table_is_the_recipe(space: CellSpace) -> None:
    head = trained_head("x", CIFAR10_16PX, space)
    assert head.epochs == (0.25, 0.5, 0.75, 1.0) and head.train_images == 20_000
    assert MadeUpTrainer(space).spec.chance == head.chance


def test_the_licence_of_a_table_of_ones_own(trained_path: Path, tmp_path: Path) -> None:
    """Plans' data sets have theirs, so that tables can be merged; a table that is there keeps its own."""
    new = tmp_path / "new.h5"
    assert choose_licence(None, CIFAR10_16PX, new) == trained_head("x", CIFAR10_16PX, CellSpace()).licence
    assert choose_licence(None, DIGITS, new) == read_table(trained_path).licence == "unknown"
    assert choose_licence("mine", CIFAR10_16PX, new) == "mine"
    write_table(new, replace(read_table(trained_path), licence="before"))
    assert choose_licence(None, DIGITS, new) == "before"
    with pytest.raises(SettingError, match="without control characters"):
        choose_licence("a\x1b", DIGITS, new)


def test_missing_images_are_named_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = tmp_path / "parts"
    assert main(["--data", str(tmp_path / "nowhere"), "--parts", str(parts)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: ") and said.err.count("\n") == 1
    assert not parts.exists()
    with pytest.raises(DataError):
        make_retrainer(tmp_path / "nowhere")(table_of(CIFAR10_16PX.model_dump(mode="json")))


def table_of(recipe: dict[str, object]) -> Table:
    from pnas_tables.journal import assemble_table

    head = trained_head("x", CIFAR10_16PX, CellSpace())
    return assemble_table(replace(head, recipe=recipe), (), ())


def test_an_unknown_plan_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--plan", "x", "--parts", str(tmp_path)]) == 2
    assert "plan 'x' is unknown; known are: cifar10-16px" in capsys.readouterr().err
