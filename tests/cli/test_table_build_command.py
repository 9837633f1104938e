from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_tables.build import BuildProgress
from pnas_tables.format import read_table, write_table

TINY = (
    *(
        "--device",
        "cpu",
        "--dataset",
        "digits",
        "--epochs",
        "0.1",
        "--filters",
        "2",
        "--cells-per-stage",
        "1",
    ),
    *("--train-images", "40", "--valid-images", "20", "--test-images", "10", "--batch-size", "20"),
)


def test_a_sample_is_trained_checked_and_gone_on_with(pnas: Any, tmp_path: Path) -> None:
    out = tmp_path / "small.h5"
    build = ("table", "build", "--out", out, "--cells", 3, "--blocks", "1", *TINY)
    first = pnas(*build, "--children", 1)
    assert first.code == 0, first.err
    assert "1/3 " in first.err
    assert first.out == f"written: {out}\n"
    assert len(read_table(out).seeds) == 1
    second = pnas(*build, "--json", "-q")
    assert second.json == {"kind": "table-build", "schema": 1, "plan": None, "out": str(out), "runs": 3}
    assert second.err == ""
    answer = pnas("table", "check", out, "--retrain", 1, "--json")
    assert answer.json["verdict"] == "identical" and answer.json["retrained"][0]["score"] == 0
    assert "identical" in answer.err
    lines = pnas("table", "check", out, "--retrain", 1, "-q").out.splitlines()
    assert "trained again: 1 runs, 1 identical" in lines
    assert lines[-1].startswith("had accuracies been interchanged among cells of a size, ")


def test_a_licence_is_what_is_asked_for_or_not_known(pnas: Any, tmp_path: Path) -> None:
    """Who trains on images of one's own had a table under this project's licence."""
    build = ("table", "build", "--cells", 2, "--blocks", "1", *TINY, "-q", "--out")
    for out, words, licence in (("a.h5", (), "unknown"), ("b.h5", ("--licence", "CC BY 4.0"), "CC BY 4.0")):
        assert pnas(*build, tmp_path / out, *words, "--children", 1).code == 0
        assert pnas(*build, tmp_path / out).code == 0
        table = read_table(tmp_path / out)
        assert table.licence == licence and len(table.seeds) == 2
    refused = pnas(*build, tmp_path / "c.h5", "--licence", "a\nb")
    assert refused.code == 2 and "licence is 'a\\nb'; give" in refused.complaint
    assert not (tmp_path / "c.h5").exists()


def test_a_forged_checkpoint_is_named_by_the_check(pnas: Any, tmp_path: Path) -> None:
    out = tmp_path / "small.h5"
    pnas("table", "build", "--out", out, "--cells", 2, "--blocks", "1", *TINY, "-q")
    table = read_table(out)
    curves = table.curves.copy()
    curves[:, 0] = 0.999
    write_table(out, replace(table, curves=curves))
    outcome = pnas("table", "check", out, "--retrain", 1, "--json")
    assert outcome.code == 1 and "differs by more than seed noise" in outcome.err
    (run,) = outcome.json["retrained"]
    assert run["stored"] == run["found"] and run["verdict"] == "differs"
    wrong = [one for one in run["differences"] if one["score"] != 0]
    assert [one["figure"] for one in wrong] == ["validation accuracy at epoch 0.025"]
    assert "validation accuracy at epoch 0.025 0.9990, now " in outcome.err


def test_a_table_is_gone_on_with_on_its_own_images_only(pnas: Any, tmp_path: Path) -> None:
    """A table of before its images were named is, with a warning, quiet or not."""
    out = tmp_path / "small.h5"
    build = ("table", "build", "--out", out, "--cells", 3, "--blocks", "1", *TINY, "-q", "--children", 1)
    assert pnas(*build).err == ""
    images, table = pnas("table", "info", out, "--json").json["images_checksum"], read_table(out)
    assert len(images) == 32
    entry = {key: value for key, value in table.provenance[0].items() if key != "images_checksum"}
    write_table(out, replace(table, provenance=({**entry, "images_checksum": "0" * 32},)))
    refused = pnas(*build)
    assert refused.code == 2 and "table small was trained on other images" in refused.complaint
    refused = pnas("table", "check", out, "--retrain", 1)
    assert refused.code == 2 and "table small was trained on other images" in refused.complaint
    write_table(out, replace(table, provenance=(entry,)))
    assert pnas(*build).err == (
        "warning: table small does not say which images it was trained on; see to it that these (checksum "
        f"{images}) are the same\n"
    )
    assert len(read_table(out)) == 2 and pnas(*build).err == ""


def test_cells_of_a_file_are_trained_with_their_seeds(pnas: Any, tmp_path: Path) -> None:
    listed, out = tmp_path / "mine.csv", tmp_path / "mine.h5"
    cells = ["id(-1)+sep3(-1)", "max3(-2)+sep3(-1)"]
    listed.write_text(f"cell,seeds,origin\n{cells[0]},0 4,mine\n{cells[1]},0,mine\n")
    build = ("table", "build", "--out", out, "--cells-file", listed, *TINY)
    answer = pnas(*build, "--json", "-q")
    assert answer.json["runs"] == 3, answer.err
    table = read_table(out)
    space = table.space
    wanted = set(space.format_many(space.canonical(np.stack([space.parse(cell) for cell in cells]))))
    assert set(space.format_many(table.cells)) == wanted
    assert sorted(table.seeds.tolist()) == [0, 0, 4]
    assert table.name == "mine"
    listed.write_text("cell,seeds,origin\n")
    assert "has no cells" in pnas(*build).complaint


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "nothing to build"),
        (["--out", "x.h5"], "--cells"),
        (["--out", "x.h5", "--cells", "0", "--device", "cpu"], "cells is 0"),
        (["--out", "x.h5", "--cells", "5", "--blocks", "0,2", "--device", "cpu"], "0,2"),
        (["--out", "x.h5", "--cells", "5", "--blocks", "two", "--device", "cpu"], "two"),
        (["--out", "x.h5", "--cells", "500", "--blocks", "1", "--device", "cpu"], "500"),
        (["--out", "x.h5", "--cells", "5", "--seeds", "0", "--device", "cpu"], "seeds is 0"),
        (["--out", "x.h5", "--cells", "5", "--device", "cpu", "--dataset", "mnist"], "mnist"),
        (
            ["--out", "x.h5", "--cells", "5", "--device", "cpu", "--dataset", "cifar10", "--data", "gone"],
            "gone",
        ),
        (["--out", "x.h5", "--cells", "5", "--device", "cpu", "--epochs", "0"], "epochs"),
        (["--out", "x.h5", "--cells", "5", "--device", "cpu", "--filters", "0"], "filters"),
        (["--out", "x.h5", "--cells", "5", "--device", "cpu", "--workers", "0"], "workers is 0"),
        (["--out", "x.h5", "--cells", "5", "--device", "cpu", "--hours", "-1"], "hours is -1"),
        (["--out", "x.h5", "--cells", "5", "--device", "cpu", "--children", "0"], "children is 0"),
        (["--out", "x.h5", "--cells", "5", "--device", "abacus"], "abacus"),
        (["--out", "x.h5", "--cells", "5", "--parts", "."], "--parts goes with --plan"),
        (["--out", "x.h5", "--cells", "5", "--time-limit", "5"], "--time-limit"),
        (["--plan", "cifar10-16px", "--filters", "4"], "--filters is fixed by --plan"),
        (["--plan", "cifar10-16px", "--licence", "MIT"], "--licence is fixed by --plan"),
        (["--plan", "cifar10-16px", "--cells", "4"], "--cells is fixed by --plan"),
        (["--out", "x.h5", "--cells-file", "gone.csv", "--device", "cpu"], "gone.csv does not exist"),
        (["--out", "x.h5", "--cells-file", "gone.csv", "--blocks", "1"], "--blocks draws cells"),
        (["--plan", "cifar10-16px", "--cells-file", "gone.csv", "--data", "gone"], "gone.csv"),
        (["--plan", "moon"], "moon"),
        (["--plan", "cifar10-16px", "--data", "gone"], "gone"),
    ],
)
def test_bad_requests_are_one_line_and_write_nothing(
    pnas: Any, tmp_path: Path, words: list[str], named: str
) -> None:
    outcome = pnas("table", "build", *words)
    assert outcome.code == 2
    assert named in outcome.complaint
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_is_stopped_keeps_its_children(
    pnas: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(step: BuildProgress) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pnas_sim.cli.table_build.print_child", stop)
    outcome = pnas("table", "build", "--out", tmp_path / "x.h5", "--cells", 2, "--blocks", "1", *TINY)
    assert outcome.code == 130
    assert "the same command goes on" in outcome.complaint
    assert len(read_table(tmp_path / "x.h5").seeds) == 1
