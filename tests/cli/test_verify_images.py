from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pnas_backends.training.backend import choose_recipe
from pnas_backends.training.data import read_source
from pnas_sim.cli import verifying
from pnas_sim.cli.verifying import Training
from pnas_sim.errors import TableError
from pnas_tables.format import read_table
from pnas_tables.testing import MadeUpTrainer, made_up_head


def test_the_folder_of_an_npz_is_what_data_names(small_table: Path, tmp_path: Path) -> None:
    """Also where the table's own data set is named again by the way to it, or another one is chosen."""
    images, labels = np.zeros((20, 8, 8, 1), np.uint8), np.arange(20) % 2
    arrays = {"train_images": images, "train_labels": labels, "test_images": images, "test_labels": labels}
    for name in ("own.npz", "other.npz"):
        np.savez(tmp_path / name, **arrays)
    recipe = choose_recipe("own.npz", tmp_path / "own.npz", {})[0]
    table = replace(read_table(small_table), recipe=recipe.model_dump(mode="json"))

    def choose(**given: str) -> tuple[str, int]:
        settings = SimpleNamespace(recipe=given, data=tmp_path)
        chosen, data = verifying._choose_recipe(table, settings)  # type: ignore[arg-type]
        return chosen.dataset, len(read_source(chosen.dataset, data).train_labels)

    assert choose() == ("own.npz", 20)
    assert choose(dataset="other.npz") == ("other.npz", 20)


def test_images_of_another_data_set_are_not_held_against_the_tables(
    small_table: Path, tmp_path: Path
) -> None:
    entry, settings = {"images_checksum": "1" * 32}, SimpleNamespace(out=tmp_path)
    table = replace(read_table(small_table), recipe={"dataset": "digits"}, provenance=(entry,))
    trainer, head = MadeUpTrainer(table.space, "2" * 32), made_up_head(table.space)

    def compare(dataset: str) -> None:
        training = Training(replace(head, recipe={"dataset": dataset}), trainer)
        verifying._compare_images(table, [], settings, training, print)  # type: ignore[arg-type]

    compare("cifar10")
    with pytest.raises(TableError, match="was trained on other images"):
        compare("digits")
