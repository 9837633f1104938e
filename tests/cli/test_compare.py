from __future__ import annotations

import errno
import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


SMALL = ("--backend", "toys:create", "--blocks", 2, "--budget", 30, "--seeds", 2, "--top", "1,3")
MORE = ("--sample", 50, "--local", 0, "--resamples", 20, "--workers", 1)
SEARCHES = ("--searches", "pnas,random", "--set", "pnas.predictor=ridge", "--set", "pnas.beam=6")


def test_comparison_leaves_every_file(pnas: Command, toys: dict[str, str], tmp_path: Path) -> None:
    words = ("--out", "here", "--json", "--worlds", "0,2", "--top", 1)
    done = pnas("compare", *SMALL, *MORE, *SEARCHES, *words)
    assert done.code == 0
    result = done.json
    assert result["kind"] == "comparison"
    assert result["manifest"]["worlds"] == [0, 2]
    assert result["searches"][0]["options"]["beam"] == 6
    assert [row["world"] for row in result["best_known"]] == [0, 2]
    assert {row["found_by"] for row in result["best_known"]} <= {"pnas", "random", "random sample"}
    assert all("+" in row["cell"] for row in result["best_known"])
    assert "6/10 done" in done.err or "10/10 done" in done.err
    names = {path.name for path in (tmp_path / "here").iterdir()}
    pictures = {
        f"{name}.{form}"
        for name in ("curves-expected", "curves-observed", "curves-paper-counting", "speed-up")
        for form in ("png", "svg")
    }
    tables = {"comparison.csv", "runs.csv", "columns.md", "tables.md", "report.html"}
    files = {"compare.toml", "result.json", "manifest.json"}
    assert names == pictures | tables | files | {"runs", "landmarks"}
    assert json.loads((tmp_path / "here" / "result.json").read_text()) == result
    assert json.loads((tmp_path / "here" / "manifest.json").read_text()) == result["manifest"]
    courses = (tmp_path / "here" / "runs.csv").read_text().splitlines()
    told = (tmp_path / "here" / "columns.md").read_text()
    assert all(f"| {name} | " in told for name in courses[0].split(","))
    assert {line.split(",")[1] for line in courses[1:]} == {"0", "2"}


def test_page_is_the_one_that_report_makes_and_needs_no_pictures(
    pnas: Command, toys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("compare", *SMALL, *MORE, *SEARCHES, "--top", 1, "--out", "here")
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as where it is not installed
    without = pnas(*words)
    assert without.code == 0
    assert "warning: " in without.err
    assert "matplotlib" in without.err
    page = Path("here/report.html")
    written = page.read_bytes()
    assert written.count(b'role="img"') > 5
    page.unlink()
    assert pnas("report", "here").code == 0
    assert page.read_bytes() == written
    page.unlink()
    again = pnas(*words, "--no-pictures")
    assert again.code == 0
    assert "matplotlib" not in again.err
    assert page.read_bytes() == written


def test_help_names_what_the_folder_holds(pnas: Command, toys: dict[str, str]) -> None:
    assert pnas("compare", *SMALL, *MORE, *SEARCHES, "--top", 1, "--out", "here", "-q").code == 0
    told = pnas("compare", "--help").out
    pictures = {path.name for path in Path("here").iterdir() if path.suffix in (".png", ".svg")}
    files = {path.name for path in Path("here").iterdir() if path.is_file()}
    assert {name for name in files - pictures if name not in told} == set()


def test_people_get_a_table_and_progress_goes_to_standard_error(pnas: Command, toys: dict[str, str]) -> None:
    done = pnas("compare", *SMALL, *MORE, *SEARCHES, "--no-pictures")
    assert done.code == 0
    assert "pnas: best cell" in done.out
    assert "5/5 done" in done.err
    assert "done" not in done.out
    (folder,) = Path("runs").iterdir()
    assert folder.name.endswith("-compare")
    assert not list(folder.glob("*.png"))


def test_same_command_goes_on_and_config_repeats_it(pnas: Command, toys: dict[str, str]) -> None:
    words = ("compare", *SMALL, *MORE, *SEARCHES, "--no-pictures", "--out", "here", "--json")
    first = pnas(*words).json
    next(Path("here/runs").glob("random-*")).unlink()
    again = pnas(*words)
    assert "4/5 done" in again.err
    assert drop_times(again.json) == drop_times(first)
    config = ("--config", "here/compare.toml", "--out", "copy", "--json", "--no-pictures", "--workers", 1)
    refused = pnas("compare", *config)
    assert refused.code == 2 and "compare.toml names code to import, toys:create; if you" in refused.complaint
    assert "give: pnas-sim compare --trust --config here/compare.toml --out copy" in refused.complaint
    page = Path("here/report.html")
    told = "pnas-sim compare --trust --config here/compare.toml --out NEW_FOLDER"
    assert told in page.read_text()
    assert pnas("report", "here").code == 0 and told in page.read_text()
    repeated = pnas("compare", *config, "--trust").json
    assert drop_times(repeated) == drop_times(first)
    repeated = pnas("compare", *config[:3], "named", *config[4:], "--backend", "toys:create").json
    assert drop_times(repeated) == drop_times(first)


def drop_times(result: dict[str, Any]) -> dict[str, Any]:
    """What may differ between two sittings is taken out."""
    kept = {name: value for name, value in result.items() if name != "out"}
    kept["searches"] = [
        {**one, "runs": [{**run, "seconds": 0} for run in one["runs"]]} for one in result["searches"]
    ]
    return kept


def test_users_own_searches_and_labels(pnas: Command, toys: dict[str, str]) -> None:
    listed = ("--searches", "a=random,b=toys:mine", "--tuning", "a=3", "--reference", "b")
    done = pnas("compare", *SMALL, *MORE, *listed, "--json", "--no-pictures", "-q")
    assert done.code == 0
    assert done.err == ""
    assert [search["search"] for search in done.json["searches"]] == ["random", "toys:mine"]
    assert done.json["references"] == ["b"]
    assert done.json["manifest"]["tuning_trials"] == {"a": 3, "b": 0}


def test_users_own_predictor(pnas: Command, toys: dict[str, str]) -> None:
    own = ("--set", "pnas.predictor=toys:guess", "--no-pictures", "--json")
    mine = pnas("compare", *SMALL, *MORE, *SEARCHES, *own).json
    ridge = pnas("compare", *SMALL, *MORE, *SEARCHES, "--no-pictures", "--json").json
    assert mine["searches"][0]["options"]["predictor"] == "toys:guess"
    assert mine["efficiency"] == ridge["efficiency"]  # it is the same predictor by another name


def test_one_seed_is_told_and_is_an_error_only_if_intervals_are_demanded(
    pnas: Command, toys: dict[str, str]
) -> None:
    words = ("compare", *SMALL, *MORE, *SEARCHES, "--no-pictures", "--seeds", 1)
    done = pnas(*words)
    assert done.code == 0
    assert "one seed in one world: no intervals and no tests are possible" in done.out
    refused = pnas(*words, "--demand-intervals", "--out", "other")
    assert refused.code == 2
    assert "at least 2 runs: raise --seeds" in refused.complaint
    assert not Path("other").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--searches", "pnas,tpee"), "unknown search 'tpee'"),
        (("--searches", ""), "--searches is ''; name at least two, such as pnas,random"),
        (("--searches", "pnas"), "at least 2"),
        (("--searches", "pnas,pnas"), "'pnas' twice; give one a label: LABEL=pnas"),
        (("--searches", "=pnas,random"), "write NAME or LABEL=NAME"),
        (("--searches", "pnas,x=nothing.here:create"), "nothing"),
        (("--searches", "pnas,x=os.path:nothing"), "os.path has no 'nothing'; name a function or class"),
        (("--budget", 5, "--top", "1"), "budget is 5 models; the first batch of pnas has 21"),
        (("--budget", 2), "the first batch of pnas has 21"),
        (("--budget", "lots"), "budget is 'lots'"),
        (("--top", "40"), "top 40 needs as many"),
        (("--top", "x"), "--top is 'x'; give a number, or a list such as 0,3,7"),
        (("--seeds", "0"), "a number of them must be from 1 to 10000"),
        (("--seeds", "1" + 30 * "0"), "a number of them must be from 1 to 10000"),
        (("--seeds=--1",), "--seeds is '--1'; give a number"),
        (("--seeds", "1,1"), "none twice"),
        (("--seeds", "a,b"), "--seeds is 'a,b'"),
        (("--worlds", "-1,"), "worlds has -1"),
        (("--workers", "0"), "workers is 0; it must be at least 1"),
        (("--epochs", "0.25"), "epochs is 0.25; backend toys:create has 1: choose one"),
        (("--set", "beam=3"), "write LABEL.OPTION=VALUE"),
        (("--set", "ppo.beam=3"), "--set names 'ppo'; the searches are: pnas, random"),
        (("--set", "pnas.width=3"), "has no option 'width'"),
        (("--set", "pnas.beam=wide"), "beam is 'wide'; it must be a whole number"),
        (("--tuning", "pnas=many"), "write LABEL=TRIALS"),
        (("--tuning", "ppo=3"), "--tuning names 'ppo'"),
        (("--reference", "ppo"), "'ppo' is not compared"),
        (("--confidence", "95"), "confidence is 95; it must be above 0 and below 1, such as 0.95"),
        (("--top", "0"), "--top has 0; each must be at least 1"),
        (("--backend", "toys:nothing"), "toys:nothing"),
        (("--config", "none.toml"), "none.toml"),
    ],
)
def test_bad_requests_are_one_line_and_make_no_folder(
    pnas: Command, toys: dict[str, str], words: tuple[str, ...], complaint: str
) -> None:
    done = pnas("compare", *SMALL, *MORE, *SEARCHES, "--out", "here", *words)
    assert done.code == 2
    assert complaint in done.complaint
    assert not Path("here").exists()


def test_run_folders_are_left_alone(pnas: Command, toys: dict[str, str]) -> None:
    Path("here").mkdir()
    Path("here/run.toml").write_text("kind = 'run'\n")
    done = pnas("compare", *SMALL, *MORE, *SEARCHES, "--out", "here")
    assert done.code == 2
    assert "holds something else than a comparison" in done.complaint
    foreign = pnas("compare", "--config", "here/run.toml")
    assert foreign.code == 2
    assert "not of a comparison" in foreign.complaint


def test_interrupted_comparison_says_how_to_go_on(
    pnas: Command, toys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (
        "compare",
        *SMALL,
        *MORE,
        "--searches",
        "random,b=toys:mine",
        "--no-pictures",
        "--out",
        "over there",
    )

    def interrupt(*given: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("pnas_sim.study.work.write_run", interrupt)
        done = pnas(*words)
    assert done.code == 130
    command = "pnas-sim compare --trust --config 'over there/compare.toml' --out 'over there'"
    assert done.complaint.endswith(f"interrupted; go on with: {command}")
    resumed = pnas(*shlex.split(command)[1:], "--workers", 1, "--no-pictures")
    assert resumed.code == 0
    assert "1/5 done" in resumed.err  # the landmarks were done


DEADLY = """
import os, signal
from pathlib import Path
from pnas_sim.search import RandomSearch


class Deadly(RandomSearch):
    def ask(self, n):
        if not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().ask(n)


def create(request):
    return (Deadly if request.seed == 1 else RandomSearch)(request.space, seed=request.seed)
"""


def test_comparison_killed_in_the_middle_of_a_run_comes_to_the_same_end(
    pnas: Command, small_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(str(tmp_path))
    words = f"compare --table {small_table} --searches a=deadly:create,random-raw --blocks 2 --budget 20"
    more = " --seeds 3 --top 1 --sample 50 --local 0 --workers 1 --no-pictures --json --out"
    code = "import sys; sys.path.insert(0, '.'); from pnas_sim.cli import main; main(sys.argv[1:])"
    command = [*words.split(), *more.split()]
    cut = subprocess.run([sys.executable, "-c", code, *command, "cut"], capture_output=True)
    assert cut.returncode == -signal.SIGKILL
    left = {path.name for path in Path("cut").iterdir()}  # the lock's file stays, and holds nobody
    assert left == {"compare.toml", "in-use.lock", "landmarks", "runs"}
    assert {path.name for path in Path("cut/runs").iterdir()} == {"a-w0-s0.npz", "random-raw-w0-s0.npz"}
    resumed, whole = pnas(*command, "cut"), pnas(*command, "whole")
    assert "3/7 done" in resumed.err
    assert drop_times(resumed.json) == drop_times(whole.json)


@pytest.mark.parametrize("full", ["comparison.csv", "report.html", "speed-up.svg", "result.json"])
def test_a_full_disk_is_told_with_what_to_do_and_leaves_no_half_file(
    pnas: Command, toys: dict[str, str], monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    words = ("compare", *SMALL, *MORE, *SEARCHES, "--top", 1, "--out", "here", "-q")

    def refuse(path: Path, content: bytes) -> None:
        if path.name == full:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(content)

    with monkeypatch.context() as patched:
        patched.setattr("pnas_sim.cli.folder.replace_file", refuse)
        done = pnas(*words)
    assert done.code == 1
    assert f"the disk is full at here/{full}; make room, then give the same command again" in done.complaint
    assert not Path("here/result.json").exists()
    assert pnas(*words).code == 0
    assert Path("here/result.json").exists()


def test_worlds_of_a_table(pnas: Command, small_table: Path) -> None:
    words = ("--table", small_table, "--searches", "random,random-raw", "--blocks", 2, "--budget", 30)
    more = (*MORE, "--sample", 100, "--seeds", 1, "--top", 1, "--no-pictures", "--json")
    done = pnas("compare", *words, *more, "--worlds", 2, "--out", "here")
    assert done.code == 0
    assert done.json["manifest"]["settings"]["backend_options"]["table"] == small_table.name
    assert str(small_table) in Path("here/compare.toml").read_text()  # from which it goes on, wherever
    thresholds = [mark["expected"]["top 1%"] for mark in done.json["table"]["landmarks"]]
    assert thresholds[0] != thresholds[1]
    alone = pnas("compare", *words, *more, "--world", 1)
    assert alone.json["manifest"]["worlds"] == [1]
    other = done.json["searches"][0]["runs"][1]
    assert alone.json["searches"][0]["runs"][0]["best_valid_accuracy"] == other["best_valid_accuracy"]
    refused = pnas("compare", *words, *more, "--worlds", 99, "--out", "there")
    assert refused.code == 2
    assert "--worlds 99 asks for world 98; the surrogate has the worlds 0 to" in refused.complaint
    both = pnas("compare", *words, *more, "--worlds", 2, "--world", 1)
    assert "--world and --worlds are both given" in both.complaint
