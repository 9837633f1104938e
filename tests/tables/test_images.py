from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from pnas_backends.training.data import read_source
from pnas_sim.errors import TableError
from pnas_sim.space import CellSpace
from pnas_tables.build import build_table, main
from pnas_tables.check import describe_table
from pnas_tables.format import read_table, write_table
from pnas_tables.images import compare_images, demand_same_images, fill_images, find_images, name_images
from pnas_tables.journal import Journal
from pnas_tables.merge import merge_tables
from pnas_tables.parts import build_plan
from pnas_tables.plans import Jobs, Plan, Step, list_jobs
from pnas_tables.record import Table, checksum
from pnas_tables.shipped_plans import find_plan, find_recipe
from pnas_tables.testing import MadeUpTrainer, made_up_head
from pnas_tables.trainer import trained_head

ONE, OTHER = "1" * 32, "2" * 32  # checksums of images
SITTING = {"command": "test"}


def jobs_of(space: CellSpace, count: int) -> Jobs:
    return list_jobs(Plan("x", 0, (Step("uniform", 3, 0, count),)), space)


def build(space: CellSpace, count: int, out: Path, images: str, told: list[str] | None = None) -> Table:
    warn = None if told is None else told.append
    trainer = MadeUpTrainer(space, images)
    return build_table(
        jobs_of(space, count), made_up_head(space), out, trainer, provenance=SITTING, warn=warn
    )


def trained_on(table: Table, *images: str) -> Table:
    """The table with a sitting on each of these images; of none if the word is empty."""
    entries = [name_images({"command": f"sitting {place}"}, one) for place, one in enumerate(images)]
    return replace(table, provenance=tuple(entries))


def test_a_build_keeps_what_it_trained_on(space: CellSpace, tmp_path: Path) -> None:
    table = build(space, 3, tmp_path / "x.h5", ONE)
    assert table.provenance == ({"command": "test", "images_checksum": ONE},)
    assert find_images(read_table(tmp_path / "x.h5")) == ONE == describe_table(table)["images_checksum"]
    unknown = build(space, 3, tmp_path / "y.h5", "")
    assert unknown.provenance == (SITTING,), "as before there were checksums: contents keep theirs"
    assert find_images(unknown) == "" and describe_table(unknown)["images_checksum"] is None


def test_a_build_on_other_images_is_refused_and_spoils_nothing(space: CellSpace, tmp_path: Path) -> None:
    out = tmp_path / "x.h5"
    build(space, 3, out, ONE)
    before = out.read_bytes()
    with pytest.raises(TableError, match=f"on other images .checksum {ONE}. than these .checksum {OTHER}."):
        build(space, 6, out, OTHER)
    assert out.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["x.h5"]
    assert len(build(space, 6, out, ONE)) == 6


def test_a_table_of_unknown_images_is_added_to_with_a_warning(space: CellSpace, tmp_path: Path) -> None:
    told: list[str] = []
    build(space, 3, tmp_path / "x.h5", "", told)
    assert not told
    build(space, 4, tmp_path / "x.h5", ONE, told)
    assert len(told) == 1 and "\n" not in told[0]
    assert told[0].startswith("warning: table made-up does not say which images it was trained on")
    build(space, 5, tmp_path / "x.h5", ONE, told)
    assert len(told) == 1, "now it says"
    with pytest.raises(TableError, match="other images"):
        build(space, 6, tmp_path / "x.h5", OTHER, told)


def test_a_killed_build_is_gone_on_with_on_the_same_images(space: CellSpace, tmp_path: Path) -> None:
    path = tmp_path / "x.h5.journal.sqlite"
    with Journal(path, made_up_head(space), name_images(SITTING, ONE)) as journal:
        for answer in MadeUpTrainer(space).evaluate(jobs_of(space, 2).cells, 1.0, 0):
            journal.add(answer, "uniform")
    for _ in range(2):  # the refused ones leave nothing in the journal
        with pytest.raises(TableError, match=f"on other images .checksums {ONE} and {OTHER}."):
            build(space, 3, tmp_path / "x.h5", OTHER)
    table = build(space, 3, tmp_path / "x.h5", ONE)
    assert len(table) == 3 and find_images(table) == ONE


def test_tables_of_different_images_are_not_joined_in_any_order(table: Table) -> None:
    one, other, unknown = (trained_on(table, images) for images in (ONE, OTHER, ""))
    for order in permutations([one, unknown, other]):
        with pytest.raises(TableError, match="tables made-up and made-up were trained on different images"):
            merge_tables(order, "m")
    with pytest.raises(TableError, match=f"{ONE} and {OTHER}"):
        demand_same_images([one, other])


def test_what_is_known_stays_known(table: Table) -> None:
    """Joined with unknown ones, too, so that it does not matter in which steps tables are joined."""
    one, other, unknown = (trained_on(table, images) for images in (ONE, OTHER, ""))
    joined = merge_tables([unknown, one], "made-up")
    assert find_images(joined) == ONE and len(joined.provenance) == 2
    with pytest.raises(TableError, match="different images"):
        merge_tables([joined, other], "m")
    assert find_images(merge_tables([unknown, unknown], "m")) == ""


@pytest.mark.parametrize(
    ("provenance", "complaint"),
    [
        (({"images_checksum": ONE}, {"images_checksum": OTHER}), "sittings name different images, "),
        (({"images_checksum": 5},), "an images_checksum is no text"),
        (({"images_checksum": [ONE]},), "an images_checksum is no text"),
        (({"images_checksum": ""},), "an images_checksum is no text"),
        ((5,), "an entry is no object"),
    ],
)
def test_a_table_of_no_single_images_is_refused(
    provenance: tuple[dict[str, object]], complaint: str, table: Table, tmp_path: Path
) -> None:
    with pytest.raises(TableError, match=f"provenance: {complaint}"):
        write_table(tmp_path / "x.h5", replace(table, provenance=provenance))


def test_images_that_nobody_knows_are_not_compared(table: Table) -> None:
    told: list[str] = []
    compare_images([trained_on(table, ONE)], "", told.append)
    compare_images([trained_on(table, "", ONE), trained_on(table, "")], ONE, told.append)
    compare_images([], ONE, told.append)
    assert not told


@pytest.mark.parametrize("whose", ["own", "related", "shipped"])
def test_a_plan_is_not_gone_on_with_on_other_images(whose: str, space: CellSpace, tmp_path: Path) -> None:
    plan, parts = Plan("made-up", 0, (Step("uniform", 3, 0, 4),)), tmp_path / "parts"
    own = plan if whose == "own" else replace(plan, name="related")
    head, told = made_up_head(space), list[str]()

    def go_on(images: str, plan: Plan = plan, children: int = 1, **known: object) -> Path:
        trainer = MadeUpTrainer(space, images)
        more = {"provenance": SITTING, "children": children, "warn": told.append, **known}
        return build_plan(plan, replace(head, name=plan.name), parts, trainer, **more)  # type: ignore[arg-type]

    first = go_on("", own)
    known: dict[str, object] = {"related": {"relatives": ["related"]}, "shipped": {"shipped": first}}.get(
        whose, {}
    )
    go_on(ONE, **known).unlink()
    assert len(told) == 1 and "does not say which images" in told[0]
    write_table(first, fill_images(read_table(first), OTHER))
    before = sorted(path.name for path in parts.iterdir())
    with pytest.raises(TableError, match=f"on other images .checksum {OTHER}."):
        go_on(ONE, **known)
    assert sorted(path.name for path in parts.iterdir()) == before and len(told) == 1


def test_an_edition_can_name_the_images_of_older_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--gather` with `--data` does, and refuses where a part names others."""
    monkeypatch.setattr(
        "pnas_backends.training.data.read_source", lambda dataset, data: read_source("digits", None)
    )
    images, parts, out = read_source("digits", None).checksum(), tmp_path / "parts", tmp_path / "x.h5"
    name = "fashion-16px"
    plan, head = find_plan(name), trained_head(name, find_recipe(name), find_plan(name).space)
    for told in ("", images):
        trainer = MadeUpTrainer(plan.space, told)
        build_plan(plan, head, parts, trainer, provenance={"command": told}, children=2)
    words = ["--plan", name, "--parts", str(parts), "--gather", str(out)]
    assert main(words) == 0
    plain = read_table(out)
    assert [entry.get("images_checksum") for entry in plain.provenance] == [None, images]
    assert main([*words, "--data", "somewhere"]) == 0
    filled = read_table(out)
    assert [entry["images_checksum"] for entry in filled.provenance] == [images] * 2
    assert checksum(replace(filled, provenance=plain.provenance)) == checksum(plain)
    part = read_table(parts / f"{name}-001.h5")
    write_table(parts / f"{name}-001.h5", fill_images(part, OTHER))
    write_table(parts / f"{name}-002.h5", part)
    capsys.readouterr()
    assert main([*words, "--data", "somewhere"]) == 2
    assert "was trained on other images" in capsys.readouterr().err
