from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pnas_sim.space import CellSpace
from pnas_tables.format import read_table, write_table


def test_info_says_what_the_table_holds(pnas: Any, small_table: Path) -> None:
    facts = pnas("table", "info", small_table, "--json").json
    assert facts["name"] == "bare"
    assert sum(facts["cells_by_blocks"].values()) == 60
    assert facts["seeds_per_cell"] == {"2": 60}
    assert facts["core_hours"] > 0
    assert len(facts["checksum"]) == 64
    assert set(facts["surrogate"]["by_blocks"]) == set(facts["cells_by_blocks"])
    assert facts["space"]["max_blocks"] == 3
    assert facts["recipe"]["trainer"] == "made-up"


def test_info_for_a_person(pnas: Any, small_table: Path, bare_table: Path) -> None:
    text = pnas("table", "info", small_table).out
    assert "surrogate lightgbm on held-out cells" in text and "lightgbm (2 worlds)" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "pnas-sim table fit" in pnas("table", "info", bare_table).out


@pytest.mark.parametrize("command", [("table", "info"), ("table", "check"), ("table", "fit")])
def test_missing_and_damaged_tables_are_one_line(
    pnas: Any, small_table: Path, tmp_path: Path, command: tuple[str, str]
) -> None:
    content = small_table.read_bytes()
    (tmp_path / "short.h5").write_bytes(content[: len(content) // 2])
    (tmp_path / "changed.h5").write_bytes(content[:3000] + b"\xff" + content[3001:])
    (tmp_path / "text.h5").write_text("no table")
    for name in ("absent.h5", "short.h5", "changed.h5", "text.h5"):
        outcome = pnas(*command, tmp_path / name)
        assert outcome.code == 2
        assert name in outcome.complaint


def test_unknown_names_list_the_known(pnas: Any) -> None:
    outcome = pnas("table", "info", "cifar11")
    assert outcome.code == 2
    assert "tables that ship" in outcome.complaint


def test_check_reads_everything(pnas: Any, small_table: Path) -> None:
    answer = pnas("table", "check", small_table, "--json").json
    assert (answer["cells"], answer["runs"], answer["verdict"]) == (60, 120, None)
    assert "sound; 60 cells, 120 runs" in pnas("table", "check", small_table).out


def test_tables_of_other_trainers_cannot_be_trained_again(pnas: Any, small_table: Path) -> None:
    outcome = pnas("table", "check", small_table, "--retrain", 1)
    assert outcome.code == 2
    assert "cannot be trained again" in outcome.complaint


@pytest.mark.parametrize(("option", "value"), [("--retrain", 0), ("--retrain", -1), ("--seed", -1)])
def test_check_refuses_numbers_out_of_range(pnas: Any, small_table: Path, option: str, value: int) -> None:
    outcome = pnas("table", "check", small_table, option, value)
    assert outcome.code == 2
    assert str(value) in outcome.complaint


def test_merge_joins_and_fit_stores_a_surrogate(pnas: Any, bare_table: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.h5"
    merged = pnas("table", "merge", bare_table, bare_table, "--out", whole, "--json").json
    assert (merged["name"], merged["cells"], merged["runs"]) == ("whole", 60, 120)
    fitted = pnas("table", "fit", whole, "--seed", 3, "--worlds", 2, "--json").json
    assert fitted["checksum"] != merged["checksum"]
    surrogates = read_table(whole).surrogates
    assert sorted(surrogates) == ["gp", "lightgbm", "mean"]
    assert {stored.metadata["settings"]["worlds"] for stored in surrogates.values()} == {2}


def test_fit_can_write_elsewhere_and_tune(pnas: Any, bare_table: Path, tmp_path: Path) -> None:
    outcome = pnas(
        "table",
        "fit",
        bare_table,
        "--out",
        tmp_path / "new.h5",
        "--family",
        "gp",
        "--name",
        "other",
        "--tune",
    )
    assert outcome.code == 0
    assert "gp: chosen: scale" in outcome.err and "36 of 36 fits" in outcome.err
    surrogates = read_table(tmp_path / "new.h5").surrogates
    assert list(surrogates) == ["other"]
    about = surrogates["other"].metadata
    assert about["tuning"]["chosen"] == {"scale": about["settings"]["scale"]}
    assert len(about["tuning"]["chosen_in_outer_folds"]) == 5
    assert read_table(bare_table).surrogates == {}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--seed", -1], "'--seed': -1 is not in the range 0<=x<=2147483647"),
        (["--worlds", 0], "'--worlds': 0 is not in the range 1<=x<=1000"),
        (["--family", ","], "family '' is unknown"),
        (["--family", "svm"], "family 'svm' is unknown; known are: lightgbm, gp"),
        (["--name", "mine"], "name is 'mine' for 3 families"),
        (["--family", "gp", "--name", "My own"], "name is 'My own'; give lower-case letters"),
    ],
)
def test_fit_refuses_what_it_cannot_do(
    pnas: Any, bare_table: Path, words: list[object], complaint: str
) -> None:
    outcome = pnas("table", "fit", bare_table, *words)
    assert outcome.code == 2
    assert complaint in outcome.complaint


def test_a_run_takes_a_world_and_says_which(pnas: Any, small_table: Path) -> None:
    words = [
        "run",
        "--table",
        small_table,
        "--search",
        "random",
        "--blocks",
        3,
        "--budget",
        5,
        "--noise",
        "off",
    ]
    one, two, again = (
        pnas(*words, "--world", world, "--out", f"run{number}", "--json").json
        for number, world in enumerate((0, 1, 1))
    )
    assert one["best"]["valid_accuracy"] != two["best"]["valid_accuracy"] == again["best"]["valid_accuracy"]
    assert "world" in Path("run1/run.toml").read_text()
    outcome = pnas(*words, "--world", 2, "--out", "run3")
    assert outcome.code == 2 and "world is 2; the surrogate has the worlds 0 to 1" in outcome.complaint


def test_quality_is_found_again(pnas: Any, small_table: Path) -> None:
    answer = pnas("table", "quality", small_table, "--json").json
    assert answer["apart"] == 0.0
    assert answer["quality"] == pnas("table", "info", small_table, "--json").json["quality"]["lightgbm"]
    assert "difference in tau from what is stored: 0.0000" in pnas("table", "quality", small_table).out


def test_quality_that_is_not_what_is_stored_fails(pnas: Any, small_table: Path, tmp_path: Path) -> None:
    table = read_table(small_table)
    stored = table.surrogates["lightgbm"]
    overall = {**stored.metadata["quality"]["overall"], "kendall_tau": 0.99}
    metadata = {**stored.metadata, "quality": {**stored.metadata["quality"], "overall": overall}}
    praised = replace(table, surrogates={"lightgbm": replace(stored, metadata=metadata)})
    write_table(tmp_path / "praised.h5", praised)
    outcome = pnas("table", "quality", tmp_path / "praised.h5")
    assert outcome.code == 1
    assert "held-out figures differ from those stored" in outcome.err
    assert pnas("table", "quality", small_table, "--surrogate", "gp").code == 2


def test_import_reads_a_csv(pnas: Any, tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text(
        "cell,seed,valid_accuracy,seconds\n"
        "sep3(-1)+id(-2),0,0.9,12\n"
        "id(-1)+id(-1),0,0.4,3\n"
        "id(-1)+id(-1),1,0.5,3\n"
    )
    made = pnas(
        "table", "import", tmp_path / "runs.csv", "--out", tmp_path / "runs.h5", "--epochs", 20, "--json"
    )
    assert (made.json["cells"], made.json["runs"]) == (2, 3)
    table = read_table(tmp_path / "runs.h5")
    assert table.epochs.tolist() == [20.0]
    assert table.name == "runs"
    again = pnas("table", "import", tmp_path / "runs.csv", "--out", tmp_path / "runs.h5")
    assert again.code == 2
    assert "runs.h5 is there; give another --out, or --force to write over it" in again.complaint
    assert read_table(tmp_path / "runs.h5").epochs.tolist() == [20.0]
    assert pnas("table", "import", tmp_path / "runs.csv", "--out", tmp_path / "runs.h5", "--force").code == 0
    assert read_table(tmp_path / "runs.h5").epochs.tolist() == [1.0]


def test_budgets_that_an_imported_table_cannot_count(pnas: Any, tmp_path: Path) -> None:
    """Examples are refused before anything is made; time is told of at the end."""
    small = CellSpace(operations=("conv", "pool"), max_blocks=1)
    lines = [f"{text},0,0.{40 + place}" for place, text in enumerate(small.format_many(small.initial()))]
    (tmp_path / "all.csv").write_text("\n".join(["cell,seed,valid_accuracy", *lines]) + "\n")
    words = ("--operations", "conv,pool", "--blocks", 1)
    assert pnas("table", "import", tmp_path / "all.csv", "--out", tmp_path / "all.h5", *words).code == 0
    run = (
        "run",
        "--table",
        tmp_path / "all.h5",
        "--table-mode",
        "measured",
        "--blocks",
        1,
        "--search",
        "random",
    )
    refused = pnas(*run, "--budget", "1000ex", "--out", "a")
    assert refused.code == 2 and not Path("a").exists()
    assert "does not know how many images were trained on, and counts no examples" in refused.complaint
    timed = pnas(*run, "--budget", "1h", "--out", "b", "--json").json
    assert any("tells no time of children: it was not counted" in note for note in timed["notes"])
    assert timed["best"]["expected_valid_accuracy"] is None, "one training is no mean over seeds"
    shown = pnas("resume", "b")
    assert "examples unknown" in shown.out and "that of children is unknown" in shown.out


@pytest.mark.parametrize(
    ("content", "words", "named"),
    [
        ("cell,seed\n", [], "valid_accuracy"),
        ("cell,seed,valid_accuracy\nfly(-1)+id(-1),0,0.5\n", [], "fly"),
        ("cell,seed,valid_accuracy\nid(-1)+id(-1),0,2\n", [], "2"),
        ("cell,seed,valid_accuracy\nid(-1)+id(-1),0,0.5\n", ["--epochs", "0"], "epochs is 0"),
        ("cell,seed,valid_accuracy\nid(-1)+id(-1),0,0.5\n", ["--chance", "1"], "chance is 1"),
        ("cell,seed,valid_accuracy\nid(-1)+id(-1),0,0.5\n", ["--blocks", "11"], "11"),
        ("cell,seed,valid_accuracy\nid(-1)+id(-1),0,0.5\n", ["--operations", "a b"], "a b"),
        ("cell,seed,valid_accuracy\nid(-1)+id(-1),0,0.5\n", ["--operations", ","], "operation"),
        (
            "cell,seed,valid_accuracy\nid(-1)+id(-1),0,0.5\n",
            ["--train-images", "-1"],
            "-1 is not in the range",
        ),
    ],
)
def test_import_refuses_what_it_cannot_read(
    pnas: Any, tmp_path: Path, content: str, words: list[str], named: str
) -> None:
    (tmp_path / "runs.csv").write_text(content)
    outcome = pnas("table", "import", tmp_path / "runs.csv", "--out", tmp_path / "runs.h5", *words)
    assert outcome.code == 2
    assert named in outcome.complaint
    assert not (tmp_path / "runs.h5").exists()


@pytest.fixture
def refuse(pnas: Any, bare_table: Path) -> Callable[[tuple[object, ...], str], str]:
    """Gives a command that writes, with BARE for a table, a place; returns the one line that refuses it."""

    def give(words: tuple[object, ...], out: str) -> str:
        given = [bare_table if word == "BARE" else word for word in words]
        outcome = pnas("table", *given, "--out", out)
        assert outcome.code == 2 and outcome.err.count("\n") == 1
        return str(outcome.complaint)

    return give


@pytest.mark.parametrize(
    "words",
    [
        ("import", "runs.csv"),
        ("merge", "BARE"),
        ("fit", "BARE"),
        ("build", "--cells", 4, "--device", "cpu"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    refuse: Callable[[tuple[object, ...], str], str], words: tuple[object, ...]
) -> None:
    told = refuse(words, "nowhere/x.h5")
    assert "nowhere is not a folder; make it, or give --out another place" in told
    assert not Path("nowhere").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("import", "runs.csv"),
        ("merge", "BARE"),
        ("build", "--cells", 4, "--device", "cpu"),
    ],
)
def test_a_name_no_table_can_have_is_refused_before_the_work(
    refuse: Callable[[tuple[object, ...], str], str], words: tuple[object, ...]
) -> None:
    told = refuse(words, "Mine.h5")
    assert "a table cannot be named 'Mine'; give --name with lower-case letters" in told
    assert not list(Path().iterdir())


def test_a_card_in_no_folder_is_refused(pnas: Any, bare_table: Path) -> None:
    Path("file").touch()
    outcome = pnas("table", "card", bare_table, "--out", "file/cards")
    assert outcome.code == 2 and "file/cards: Not a directory; give another --out" in outcome.complaint


def test_a_csv_that_is_not_there(pnas: Any, tmp_path: Path) -> None:
    outcome = pnas("table", "import", tmp_path / "absent.csv", "--out", tmp_path / "x.h5")
    assert outcome.code == 2
    assert "absent.csv" in outcome.complaint


def test_a_damaged_table_is_not_merged(pnas: Any, bare_table: Path, tmp_path: Path) -> None:
    shutil.copy(bare_table, tmp_path / "part.h5")
    with (tmp_path / "part.h5").open("ab") as file:
        file.write(b"more")
    outcome = pnas("table", "merge", bare_table, tmp_path / "part.h5", "--out", tmp_path / "whole.h5")
    assert outcome.code == 2
    assert "part.h5" in outcome.complaint
    assert not (tmp_path / "whole.h5").exists()


def test_card_writes_a_page_and_its_pictures(
    pnas: Any, small_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pnas_tables.card_features.RANDOM_CELLS", 500)
    answer = pnas("table", "card", small_table, "--out", "cards", "--note", "By hand.", "--json").json
    assert answer["out"] == "cards/small.md" and answer["cells"]["total"] == 60
    written = {path.name for path in (tmp_path / "cards").iterdir()}
    assert written == {"small.md", *answer["pictures"]} and "small-predicted-lightgbm.png" in written
    text = (tmp_path / "cards" / "small.md").read_text()
    assert "By hand." in text and "`pnas-sim table card small.h5 --note 'By hand.'`" in text


def test_a_card_in_json_has_the_figures_of_the_page(
    pnas: Any, small_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pnas_tables.card_features.RANDOM_CELLS", 500)
    answer = pnas("table", "card", small_table, "--out", "cards", "--no-pictures", "--json").json
    text = (tmp_path / "cards" / "small.md").read_text()
    stored = read_table(small_table)
    assert answer["quality"] == {"lightgbm": stored.surrogates["lightgbm"].metadata["quality"]}
    assert text.endswith("".join(f"- {sentence}\n" for sentence in answer["limits"]))
    assert answer["audits"] == [] and answer["recipe"] == dict(stored.recipe)
    assert f"Checksum `{answer['checksum'][:16]}`" in text
    shared = answer["shared_features"]
    assert shared["cells"] <= 500
    assert f"Of {shared['cells']} distinct random cells of 3 blocks, {shared['shared']} share" in text


def test_a_card_is_written_over_nothing_else(pnas: Any, bare_table: Path, tmp_path: Path) -> None:
    """Whatever the table in the file is called."""
    (tmp_path / "README.h5").write_bytes(bare_table.read_bytes())
    for name in ("README.md", "bare.md"):
        (tmp_path / name).write_text("mine")
    words = ("table", "card", "README.h5", "--no-pictures")
    refused = pnas(*words)
    assert refused.code == 2 and "README.md is there and is no card; give another --out" in refused.complaint
    assert (tmp_path / "README.md").read_text() == "mine"
    assert pnas(*words, "--force").code == 0  # and then it is a card, which is written anew
    assert pnas(*words).code == 0
    assert (tmp_path / "README.md").read_text().startswith("# Table bare\n")
    assert (tmp_path / "bare.md").read_text() == "mine"


def test_nothing_is_written_among_the_files_of_an_installation(
    pnas: Any, bare_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are no parts beside the tables."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "bare.h5").write_bytes(bare_table.read_bytes())
    monkeypatch.setattr("pnas_tables.catalogue.data_folder", lambda: tmp_path / "data")
    told = pnas("table", "card", "bare", "--no-pictures")
    assert told.code == 2 and "bare is part of the installation; give --out DIR" in told.complaint
    assert pnas("table", "card", "bare", "--no-pictures", "--out", "mine").code == 0
    told = pnas("table", "build", "--plan", "cifar10-16px", "--children", 1)
    assert told.code == 2 and "belongs to a checkout; give --parts DIR" in told.complaint
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["bare.h5"]


def test_card_can_do_without_pictures(pnas: Any, bare_table: Path, tmp_path: Path) -> None:
    outcome = pnas("table", "card", bare_table, "--out", tmp_path / "plain", "--no-pictures")
    assert outcome.code == 0 and "0 pictures" in outcome.out
    assert [path.name for path in (tmp_path / "plain").iterdir()] == ["bare.md"]
    assert pnas("table", "card", "absent").code == 2


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--cells", 0], "'--cells': 0 is not in the range x>=1"),
        (["--rounds", 5], "most_rounds is 4, below the 5"),
        (["--seed", -1], "'--seed': -1 is not in the range x>=0"),
        (["--searches", ","], "40 cells for 0 searches"),
        (["--searches", "none"], "none"),
        (["--surrogate", "gp"], "surrogate 'gp' is not in table"),
        (["--searches", "random,none"], "unknown search 'none'"),
        (["--world", 9], "world is 9; the surrogate has the worlds 0 to 1"),
        (["--beam", 0], "beam is 0"),
        (["--searches", "random,", "--budget", 20, "--cells", 2], "cannot be trained again"),
    ],
)
def test_audit_refuses_what_it_cannot_do(
    pnas: Any, small_table: Path, words: list[object], complaint: str
) -> None:
    outcome = pnas("table", "audit", small_table, "--out", "audit", "-q", *words)
    assert outcome.code == 2
    assert complaint in outcome.complaint
    assert not Path("audit").exists()  # so that the corrected command meets no other audit there
