from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pnas_sim.errors import TableError
from pnas_sim.space import CellSpace
from pnas_tables.csv_import import import_csv
from pnas_tables.format import read_table, write_table
from pnas_tables.sample import gather_sample

HEAD = "cell,seed,valid_accuracy"
ONE = "sep3(-2)+max3(-1)"


def write_csv(folder: Path, *lines: str) -> Path:
    path = folder / "some.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_csv_becomes_a_table(space: CellSpace, tmp_path: Path) -> None:
    path = write_csv(
        tmp_path,
        "seed,cell,valid_accuracy,test_accuracy,status,parameters,error",
        f"0,{ONE},0.5,0.49,,1200,",
        f"1,{ONE},0.52,,ok,1200,",
        '0,"sep5(-1)+id(-2) | max3(1)+sep3(-2)",,,failed,,"killed, at last"',
    )
    table = import_csv(path, "mine", space, epochs=20.0, licence="CC0-1.0")
    write_table(tmp_path / "mine.h5", table)
    table = read_table(tmp_path / "mine.h5")
    assert len(table) == 2 and table.origins == ("imported", "imported")
    assert table.valid_accuracy[:2].tolist() == [0.5, 0.52] and np.isnan(table.valid_accuracy[2])
    assert table.parameters.tolist() == [1200, -1] and table.errors[2] == "killed, at last"
    assert table.epochs.tolist() == [20.0] and table.licence == "CC0-1.0"
    np.testing.assert_array_equal(space.canonical(table.cells), table.cells)
    assert len(table.provenance[0]["file_sha256"]) == 64


def test_a_field_of_spaces_is_an_empty_one(space: CellSpace, tmp_path: Path) -> None:
    optional = ("test_accuracy", "seconds", "parameters", "multiply_adds", "status", "origin", "error")
    head, run = ",".join([HEAD, *optional]), f"{ONE},0,0.5"
    tables = [
        import_csv(write_csv(tmp_path, head, run + f",{field}" * len(optional)), "mine", space)
        for field in ("", " ")
    ]
    for name in ("origins", "parameters", "multiply_adds", "status", "errors"):
        assert list(getattr(tables[1], name)) == list(getattr(tables[0], name))
    assert tables[1].origins == ("imported",)


def test_a_cell_has_every_word_it_was_trained_for(space: CellSpace, tmp_path: Path) -> None:
    """Else one that is sealed would be fitted where a search asked for another seed of it."""
    words = ["sealed", "search", "uniform+search", ""]
    lines = [f"{ONE},{seed},0.5,{word}" for seed, word in enumerate(words)]
    table = import_csv(write_csv(tmp_path, HEAD + ",origin", *lines), "mine", space)
    assert table.origins == ("imported+sealed+search+uniform",)
    assert gather_sample(table).sealed.tolist() == [True]


def test_one_cell_written_in_two_ways_is_one_cell(space: CellSpace, tmp_path: Path) -> None:
    path = write_csv(tmp_path, HEAD, f"{ONE},0,0.5", "max3(-1)+sep3(-2),1,0.5")
    assert len(import_csv(path, "mine", space)) == 1


ERRORS = {
    "no cell": ([HEAD, "sep9(-2)+id(-1),0,0.5"], "line 2, column cell: "),
    "cell of more blocks": ([HEAD, " | ".join([ONE] * 4) + ",0,0.5"], "line 2, column cell: "),
    "no number": (
        [HEAD, f"{ONE},0,0.5", f"{ONE},1,good"],
        "line 3, column valid_accuracy: 'good' is not a number",
    ),
    "too good": ([HEAD, f"{ONE},0,93.5"], "line 2, column valid_accuracy: 93.5 must be in [0, 1]"),
    "not a number": ([HEAD, f"{ONE},0,nan"], "line 2, column valid_accuracy: 'nan' is not a finite number"),
    "none": ([HEAD, f"{ONE},0,"], "line 2, column valid_accuracy: it must be a number where status is ok"),
    "no seed": ([HEAD, f"{ONE},,0.5"], "line 2, column seed: '' is not a whole number"),
    "half a seed": ([HEAD, f"{ONE},0.5,0.5"], "line 2, column seed: '0.5' is not a whole number"),
    "seed below 0": ([HEAD, f"{ONE},-1,0.5"], "line 2, column seed: -1 must be at least 0"),
    "seconds": ([HEAD + ",seconds", f"{ONE},0,0.5,-3"], "line 2, column seconds: -3 must be at least 0"),
    "status": (
        [HEAD + ",status", f"{ONE},0,0.5,fine"],
        "column status: 'fine' is not one of ok, diverged, failed",
    ),
    "failed and yet": ([HEAD + ",status", f"{ONE},0,0.5,failed"], "it must be empty where status is failed"),
    "twice": (
        [HEAD, f"{ONE},0,0.5", "max3(-1)+sep3(-2),0,0.4"],
        "line 3: sep3(-2)+max3(-1) with seed 0 stands in line 2",
    ),
    "costs": (
        [HEAD + ",parameters", f"{ONE},0,0.5,10", f"{ONE},1,0.5,11"],
        "line 3: parameters or multiply_adds of",
    ),
    "more fields": ([HEAD, f"{ONE},0,0.5,7"], "line 2: it has more fields"),
    "fewer fields": ([HEAD, f"{ONE},0"], "line 2: it has fewer fields"),
    "column missing": (["cell,seed", f"{ONE},0"], "line 1: column 'valid_accuracy' is missing"),
    "column unknown": ([HEAD + ",color", f"{ONE},0,0.5,red"], "line 1: column 'color' is unknown"),
    "column twice": ([HEAD + ",seed", f"{ONE},0,0.5,0"], "line 1: a column is there twice"),
    "nothing": ([HEAD], "there is nothing to import"),
    "semicolons": (
        [HEAD.replace(",", ";"), f"{ONE};0;0,5"],
        "line 1: there are semicolons between the fields",
    ),
    "tabs": ([HEAD.replace(",", "\t"), f"{ONE}\t0\t0.5"], "save it with commas between them"),
    "empty": ([""], "line 1: column 'cell' is missing"),
    "open quote": ([HEAD, f'"{ONE},0,0.5'], "not CSV"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_line_and_column(name: str, space: CellSpace, tmp_path: Path) -> None:
    lines, complaint = ERRORS[name]
    path = write_csv(tmp_path, *lines)
    with pytest.raises(TableError) as caught:
        import_csv(path, "mine", space)
    assert complaint in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_other_files_are_named(space: CellSpace, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="cannot be read: No such file"):
        import_csv(tmp_path / "none.csv", "mine", space)
    (tmp_path / "latin.csv").write_bytes(b"cell,seed,valid_accuracy\n\xe9")
    with pytest.raises(TableError, match="is not UTF-8 text"):
        import_csv(tmp_path / "latin.csv", "mine", space)


def test_a_file_with_every_cell_makes_a_closed_table(tmp_path: Path) -> None:
    """Which `--table-mode measured` asks, and whose only checkpoint is the whole training."""
    small = CellSpace(operations=("conv", "pool"), max_blocks=1)
    texts = small.format_many(small.initial())
    lines = ["cell, seed, valid_accuracy", *(f'"{text}", 0, 0.{40 + n}' for n, text in enumerate(texts))]
    whole = import_csv(write_csv(tmp_path, *lines), "whole", small, train_images=500)
    assert whole.closed and whole.train_images == 500
    np.testing.assert_array_equal(whole.curves[:, -1], whole.valid_accuracy)
    assert not import_csv(write_csv(tmp_path, *lines[:-1]), "part", small).closed
