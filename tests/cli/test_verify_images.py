from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pnas_sim.cli import verifying
from pnas_sim.cli.verifying import Training
from pnas_sim.errors import TableError
from pnas_tables.format import read_table
from pnas_tables.testing import MadeUpTrainer, made_up_head


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
