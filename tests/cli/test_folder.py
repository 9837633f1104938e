from __future__ import annotations

import errno
import fcntl
import json
import os
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pnas_sim.cli.folder import RunFolder, claim_folder, demand_parent, find_kind, hold_folder, write_whole
from pnas_sim.errors import RunError, WorkError

NOW = datetime(2026, 11, 24, 9, 30)


def test_default_folders_are_named_and_each_is_one_runs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made when they are named: two runs that begin in one second do not share one."""
    monkeypatch.chdir(tmp_path)
    names = [str(claim_folder("pnas-7", NOW)) for _ in range(3)]
    first = "runs/20261124-093000-pnas-7"
    assert names == [first, f"{first}-2", f"{first}-3"]
    assert all(Path(name).is_dir() for name in names)


def test_asking_whether_a_folder_is_free_makes_nothing(tmp_path: Path) -> None:
    RunFolder(tmp_path / "mine").demand_free()
    assert list(tmp_path.iterdir()) == []


def test_of_two_runs_that_begin_in_one_folder_one_does(tmp_path: Path) -> None:
    """Both saw it free; the second must not change what the first goes by."""
    one, other = RunFolder(tmp_path / "r"), RunFolder(tmp_path / "r")
    one.demand_free()
    other.demand_free()
    one.begin({"settings": {"seed": 1}})
    with pytest.raises(RunError, match="holds another run; go on with it by pnas-sim resume"):
        other.begin({"settings": {"seed": 2}})
    assert tomllib.loads(one.settings.read_text())["settings"] == {"seed": 1}
    assert [entry.name for entry in one.path.iterdir()] == ["run.toml"]


@pytest.mark.parametrize("name", ["run.toml", "evaluations.sqlite", "result.json"])
def test_a_folder_with_a_run_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(RunError, match="pnas-sim resume"):
        RunFolder(tmp_path).demand_free()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="not a folder"):
        RunFolder(tmp_path / "file").demand_free()
    with pytest.raises(RunError, match="another --out"):
        RunFolder(tmp_path / "file" / "inner").begin({})


def test_settings_and_result_come_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a" / "b")
    folder.begin({"kind": "run", "settings": {"beam": 4}})
    assert folder.read_result() is None
    told = {"search": "pnas", "backend": "table", "source": None, "space": {}, "seed": 0, "out": "a/b"}
    folder.finish({"kind": "run", "best": float("nan"), "levels": (), **told})
    assert tomllib.loads(folder.settings.read_text())["settings"] == {"beam": 4}
    assert folder.read_result() == {"kind": "run", "best": None, "levels": [], **told}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "run"}', '{"kind": "tea"}', "\0"])
def test_a_damaged_result_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(RunError, match="json is damaged; remove it and run pnas-sim resume"):
        RunFolder(tmp_path).read_result()


def test_a_result_without_an_end_is_damaged_too(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("[" * 100_000)
    assert find_kind(tmp_path) == "unknown"
    (tmp_path / "run.toml").touch()
    with pytest.raises(RunError, match="json is damaged"):
        RunFolder(tmp_path).read_result()


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    write_whole(path, json.dumps({"old": 1}))

    def fail(descriptor: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(WorkError, match="disk is full"):
        write_whole(path, "new")
    assert json.loads(path.read_text()) == {"old": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize(
    ("name", "content", "command"),
    [
        ("compare.toml", "", "compare"),
        ("result.json", '{"kind": "comparison"}', "compare"),
        ("result.json", '{"kind": "predictors"}', "predictors"),
        ("result.json", '{"kind": "verification"}', "verify"),
    ],
)
def test_another_commands_work_is_named_and_never_called_damaged(
    tmp_path: Path, name: str, content: str, command: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(RunError, match=f"work of pnas-sim {command}; give another --out"):
        RunFolder(tmp_path).demand_free()
    with pytest.raises(RunError, match=f"work of pnas-sim {command}, not a run") as refused:
        RunFolder(tmp_path).read_result()
    assert "remove" not in str(refused.value)
    assert (tmp_path / name).read_text() == content


def test_a_place_for_a_file_is_checked_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demand_parent(tmp_path / "table.h5")
    with pytest.raises(RunError, match="nowhere is not a folder; make it, or give --markdown another place"):
        demand_parent(tmp_path / "nowhere" / "page.md", "--markdown")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(RunError, match="nothing may be written into"):
        demand_parent(tmp_path / "table.h5")


def test_a_folder_is_held_by_one_and_free_afterwards(tmp_path: Path) -> None:
    with hold_folder(tmp_path):
        with (
            pytest.raises(RunError, match="is in use; let the other process end first"),
            hold_folder(tmp_path),
        ):
            pass
        assert [path.name for path in tmp_path.iterdir()] == ["in-use.lock"]
    assert not list(tmp_path.iterdir())
    (tmp_path / "in-use.lock").write_text("")  # as of a process that was killed
    with hold_folder(tmp_path):
        pass
    (tmp_path / "in-use.lock").symlink_to("elsewhere")
    with pytest.raises(RunError, match=r"in-use\.lock is a link; remove it"), hold_folder(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(RunError, match="No such file"), hold_folder(tmp_path / "nowhere"):
        pass


def test_a_lock_that_was_removed_meanwhile_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def lock(handle: int, how: int) -> None:
        asked.append(handle)
        if len(asked) == 1:
            (tmp_path / "in-use.lock").unlink()  # as who had it does at its end

    monkeypatch.setattr(fcntl, "flock", lock)
    with hold_folder(tmp_path):
        assert len(asked) == 2 and (tmp_path / "in-use.lock").exists()


def test_how_a_file_system_speaks_of_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = errno.ENOLCK

    def lock(handle: int, how: int) -> None:
        raise OSError(said, "said")

    monkeypatch.setattr(fcntl, "flock", lock)
    with hold_folder(tmp_path):  # it has none: as if it had
        pass
    said = errno.EACCES
    with pytest.raises(RunError, match="is in use"), hold_folder(tmp_path):
        pass
    said = errno.EIO
    with pytest.raises(RunError, match=r"in-use\.lock: said; give another --out"), hold_folder(tmp_path):
        pass
