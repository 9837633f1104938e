"""A run's folder: `run.toml` to repeat it, `evaluations.sqlite` as it goes, `result.json` at its end."""

from __future__ import annotations

import errno
import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pnas_sim.cli.output import say, strict
from pnas_sim.cli.toml import format_toml
from pnas_sim.errors import RunError, SettingError, WorkError
from pnas_sim.files import FULL, RUN_LOG, create_file, make_folder_anew, replace_file
from pnas_sim.locks import release_lock, take_lock
from pnas_sim.own_parts import tell_imports, write_command

SETTINGS, LOG, RESULT = "run.toml", RUN_LOG, "result.json"
SHOWN = frozenset({"search", "backend", "seed", "source", "space", "levels", "best", "out"})  # of a result
RECORD = "compare.toml"  # a comparison's settings
HELD = "in-use.lock"  # while a comparison or a predictor study works there
RUNS = Path("runs")
COMMANDS: Mapping[str, str] = MappingProxyType(
    {"run": "run", "comparison": "compare", "predictors": "predictors", "verification": "verify"}
)
BEGUN: Mapping[str, str] = MappingProxyType({SETTINGS: "run", LOG: "run", RECORD: "comparison"})


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one run.

    Attributes:
        path: of the folder.
    """

    path: Path

    @property
    def settings(self) -> Path:
        """What was asked for, and with what."""
        return self.path / SETTINGS

    @property
    def log(self) -> Path:
        """Every evaluation."""
        return self.path / LOG

    @property
    def result(self) -> Path:
        """What came out."""
        return self.path / RESULT

    def demand_free(self) -> None:
        """Checks that a new run may begin here.

        Raises:
            RunError: a run is here already, other work, or something that is no folder.
        """
        if command := self._find_other():
            raise RunError(f"{self.path} holds the work of pnas-sim {command}; give another --out")
        if find_kind(self.path) is not None:
            raise RunError(
                f"{self.path} holds another run; go on with it by {self._write_resume()}, "
                "or give another --out"
            )
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is not a folder; give another --out")
        self.demand_own_log()

    def demand_own_log(self) -> None:
        """Checks that the log is no link, for in a folder from elsewhere that may lead to any file.

        Raises:
            RunError: it is one, or the file is that locks it.
        """
        for path in (self.log, self.log.with_name(f"{LOG}.lock")):
            if path.is_symlink():
                raise RunError(f"{path} is a link, and would be written through; put the file in its place")

    def _find_other(self) -> str | None:
        """The command whose work stands here, if it is not a run's."""
        kind = find_kind(self.path)
        return None if kind is None or kind == "run" else COMMANDS.get(kind)

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Makes the folder and writes the settings; of several runs that begin here at once, one does.

        Raises:
            WorkError: the disk is full.
            RunError: the folder cannot be made, or another run has begun in it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _explain(error, self.path) from None
        try:
            create_file(self.settings, format_toml(settings).encode("utf-8"))
        except FileExistsError:
            self.demand_free()
            raise RunError(f"{self.settings} is in the way; give another --out") from None
        except OSError as error:
            raise _explain(error, self.settings) from None

    def finish(self, result: Mapping[str, Any]) -> None:
        """Writes the result.

        Raises:
            WorkError: the disk is full; the log is whole, so the run can be resumed.
        """
        text = json.dumps(strict(result), indent=2, ensure_ascii=False, allow_nan=False)
        write_whole(self.result, text + "\n")

    def read_result(self) -> dict[str, Any] | None:
        """The result, if the run has finished.

        Raises:
            RunError: the file is damaged, or of another command: then nobody may be told to remove it.
        """
        if command := self._find_other():
            raise RunError(
                f"{self.path} holds the work of pnas-sim {command}, not a run; "
                f"that command goes on with it, given --out {self.path}"
            )
        try:
            value = json.loads(self.result.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            value = None
        if not isinstance(value, dict) or value.get("kind") != "run" or not value.keys() >= SHOWN:
            raise RunError(f"{self.result} is damaged; remove it and run {self._write_resume()}")
        return value

    def _write_resume(self) -> str:
        """The command that goes on with the run, as far as its settings can be read."""
        try:
            record = tomllib.loads(self.settings.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            record = {}
        settings = record.get("settings")
        return write_command(settings, "resume", str(self.path)) + tell_imports(settings)


def find_kind(folder: Path) -> str | None:
    """What work stands in a folder.

    Returns:
        The kind of its result (a key of `COMMANDS`), also where a run or comparison was only begun; None
        where there is none; "unknown" where the result cannot be read.
    """
    for name, kind in BEGUN.items():
        if (folder / name).exists():
            return kind
    try:
        return str(json.loads((folder / RESULT).read_text(encoding="utf-8"))["kind"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return "unknown"


def make_folder(path: Path, of: Path | None = None) -> None:
    """Makes a folder, with those above it, where it is not there.

    Args:
        path: of the folder.
        of: what a complaint names instead, as the user gave it.

    Raises:
        RunError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{of or path}: {error.strerror}; give another --out") from None


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Has a folder to itself while inside; where the file system has no locks, as if it had.

    The lock is a file that is there only meanwhile; one that a killed process left is in nobody's way.

    Raises:
        RunError: another process has it, or nothing may be written there.
        WorkError: the disk is full.
    """
    lock = folder / HELD
    try:
        handle = take_lock(lock)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RunError(f"{lock} is a link; remove it, and give the same command again") from None
        if isinstance(error, BlockingIOError):
            raise RunError(f"{folder} is in use; let the other process end first") from None
        raise _explain(error, lock, then="give the same command again") from None
    try:
        yield
    finally:
        release_lock(handle, lock)


def demand_parent(path: Path, option: str = "--out") -> None:
    """Checks that the folder a file is to be written into is there, before the work begins.

    Raises:
        RunError: it is not, or nothing may be written there.
    """
    folder = path.parent
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder; make it, or give {option} another place")
    if not os.access(folder, os.W_OK):
        raise RunError(f"nothing may be written into {folder}; give {option} another place")


def claim_folder(words: str, now: datetime) -> Path:
    """Makes a folder of this process's own: `runs/<date-time>-<words>`, unlike any there.

    Raises:
        WorkError: the disk is full.
        RunError: it cannot be made.
    """
    base = RUNS / f"{now:%Y%m%d-%H%M%S}-{words}"
    try:
        return make_folder_anew(base)
    except OSError as error:
        raise _explain(error, base) from None


def write_whole(
    path: Path, content: str | bytes, option: str = "--out", then: str = "pnas-sim resume the run"
) -> None:
    """Writes a file under another name, flushes it and renames it: it is there whole or not at all.

    Args:
        path: of the file.
        content: of it; text as UTF-8.
        option: of the command line that names another place.
        then: what to do when there is room on a full disk.

    Raises:
        WorkError: the disk is full.
        RunError: the file cannot be written.
    """
    try:
        replace_file(path, content.encode("utf-8") if isinstance(content, str) else content)
    except OSError as error:
        raise _explain(error, path, option, then) from None


def write_pictures(folder: Path, pictures: Iterable[tuple[str, bytes]], then: str) -> bool:
    """Writes pictures as they are drawn; where matplotlib is not installed, says so and goes on.

    Args:
        folder: where they go.
        pictures: name and content of each file; drawing them may raise a `SettingError`.
        then: as in `write_whole`.

    Returns:
        Whether they were drawn.

    Raises:
        WorkError: the disk is full.
        RunError: a file cannot be written.
    """
    try:
        for name, content in pictures:
            write_whole(folder / name, content, then=then)
    except SettingError as error:
        say(f"warning: {error}")
        return False
    return True


def remove_old(paths: Iterable[Path]) -> None:
    """Removes files of an earlier result; says so where one cannot be removed."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            say(f"warning: {path} is of an earlier result and cannot be removed: {error.strerror}")


def _explain(
    error: OSError, path: Path, option: str = "--out", then: str = "pnas-sim resume the run"
) -> WorkError | RunError:
    if error.errno in FULL:
        return WorkError(f"the disk is full at {path}; make room, then {then}")
    return RunError(f"{path}: {error.strerror}; give another {option}")
