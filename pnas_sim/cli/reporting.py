"""Finds out what folders hold, and writes the page about them; a kind's own modules are imported when met."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pnas_sim.cli.folder import LOG, RECORD, RESULT, SETTINGS, write_whole
from pnas_sim.cli.output import say, write_json, write_text
from pnas_sim.cli.settings import read_toml
from pnas_sim.errors import RequestError, RunError, SettingError
from pnas_sim.logged import read_log
from pnas_sim.own_parts import tell_imports, write_command
from pnas_sim.report.pages.page import render_page
from pnas_sim.report.pages.parts import Report
from pnas_sim.report.pages.run import RunFiles, report_run
from pnas_sim.report.pages.run_models import Replayed, replay_log

SCHEMA = 1  # of the results that can be read, and of this command's own
PAGE = "report.html"
MOST_CELLS = 1000
DAMAGED = (  # what reading values of other kinds than were written comes to
    *(KeyError, TypeError, ValueError, IndexError, AttributeError, StopIteration),
    *(ArithmeticError, RecursionError),
)

Maker = Callable[[Path, Mapping[str, Any], int], Report]


def write_report(folders: Sequence[Path], out: Path | None, cells: int) -> dict[str, Any]:
    """Writes the page; returns the `--json` object.

    Raises:
        RequestError: a folder holds nothing that can be shown, or the page cannot be written there.
        WorkError: the disk is full.
    """
    if not 1 <= cells <= MOST_CELLS:
        raise SettingError(f"cells is {cells}; it must be from 1 to {MOST_CELLS}")
    reports = [read_report(folder, cells) for folder in _choose_folders(folders)]
    path = out or (folders[0] / PAGE if len(folders) == 1 else Path(PAGE))
    page = render_page(reports)
    write_whole(path, page, then="give the command again")
    return {
        "kind": "report",
        "schema": SCHEMA,
        "out": str(path),
        "bytes": len(page.encode("utf-8")),
        "reports": [
            {"kind": one.kind, "folder": one.folder, "title": one.title, "finished": one.finished}
            for one in reports
        ],
    }


def _choose_folders(folders: Sequence[Path]) -> Sequence[Path]:
    """The folders to be shown: of several, a study in the middle of its work spoils not the others' page.

    Raises:
        RunError: all are in the middle of their work.
    """
    if len(folders) == 1:
        return folders
    begun = {folder: why for folder in folders if (why := _tell_begun(folder))}
    for why in begun.values():
        say(f"warning: left out: {why}")
    left = [folder for folder in folders if folder not in begun]
    if not left:
        raise RunError(f"none of these {len(folders)} folders holds a result; go on with one of them first")
    return left


def show(written: Mapping[str, Any], as_json: bool) -> None:
    """Tells where the page is, as JSON or for a person."""
    if as_json:
        write_json(written)
        return
    for one in written["reports"]:
        end = "" if one["finished"] else " (not finished)"
        write_text(f"{one['kind']}: {one['title']}{end}")
    write_text(f"page: {written['out']} ({written['bytes'] / 1000:,.0f} kB)")


def read_report(folder: Path, cells: int) -> Report:
    """The report on one folder, whatever its result is of.

    Raises:
        RunError: there is no result, or one that this version cannot read.
    """
    result = _read_result(folder)
    try:
        if result is None:
            return _report_unfinished(folder, cells)
        return MAKERS[result["kind"]](folder, result, cells)
    except RequestError:
        raise
    except DAMAGED as error:
        what = f"{type(error).__name__}: {error}"
        raise RunError(
            f"{folder} is damaged, or of another version ({what}); write it again by its own command"
        ) from error


def _read_result(folder: Path) -> dict[str, Any] | None:
    """The result object, of a kind and schema that can be shown; None if the folder has none.

    Raises:
        RunError: the folder is missing, or its result cannot be read.
    """
    path = folder / RESULT
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: None)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}; name a folder that can be read") from None
    except (ValueError, RecursionError):
        raise RunError(f"{path} is no JSON; write it again by its own command") from None
    kind, schema = (value.get("kind"), value.get("schema")) if isinstance(value, dict) else (None, None)
    if kind not in MAKERS:
        raise RunError(f"{path} is of kind {kind!r}; a page can show: {', '.join(MAKERS)}")
    if schema != SCHEMA:
        raise RunError(
            f"{path} has schema {schema!r}, this version reads {SCHEMA}; use the one that wrote it"
        )
    return dict(value)


def _report_unfinished(folder: Path, cells: int) -> Report:
    """The report on a run that has a log but no result yet; of other work there is nothing to show."""
    if _has_log(folder):
        return _report_run(folder, None, cells)
    if why := _tell_begun(folder):
        raise RunError(why)
    what = "is not there" if not folder.exists() else f"holds no result ({RESULT} is not in it)"
    raise RunError(f"{folder} {what}; name the folder of a run, a comparison or a study")


def _has_log(folder: Path) -> bool:
    """Whether a run was begun here, which can be shown as far as its log goes."""
    return (folder / SETTINGS).is_file() and (folder / LOG).is_file()


def _tell_begun(folder: Path) -> str:
    """Of a comparison or a predictor study without a result what is to be done; empty for all else."""
    from pnas_sim.cli.studying import PARTS

    if (folder / RESULT).exists() or _has_log(folder):
        return ""
    if (folder / RECORD).is_file():
        settings = _read_settings(folder)
        remedy = write_command(settings, "compare", "--config", str(folder / RECORD), "--out", str(folder))
        told = tell_imports(settings)
        return (
            f"{folder} holds a comparison that has not finished; go on with{told}: {remedy} "
            "(with --seeds FEWER added it ends with those seeds, and shows them)"
        )
    if (folder / PARTS).is_dir():
        remedy = f"give its command again with --out {shlex.quote(str(folder))}"
        return f"{folder} holds no result; if a predictor study is to go on here, {remedy}"
    return ""


def _report_run(folder: Path, result: Mapping[str, Any] | None, cells: int) -> Report:
    settings = folder / SETTINGS
    record = read_toml(settings, "the run's") if settings.is_file() else {}
    if record and (record.get("kind") != "run" or record.get("schema") != SCHEMA):
        raise RunError(f"{settings} is not of a run of schema {SCHEMA}; use the version that wrote it")
    text = settings.read_text(encoding="utf-8") if record else ""
    log = _replay(folder, record, result)
    files = RunFiles(folder=str(folder), record=record, settings_text=text, result=result, replayed=log)
    return report_run(files, cells)


def _replay(folder: Path, record: Mapping[str, Any], result: Mapping[str, Any] | None) -> Replayed | None:
    if not (folder / LOG).is_file():
        return None
    operations = None if result is None else result["space"]["operations"]
    return replay_log(read_log(folder / LOG), operations, record.get("settings", {}).get("epochs"))


def _report_comparison(folder: Path, result: Mapping[str, Any], cells: int) -> Report:
    from pnas_sim.report.pages.comparison import report_comparison

    return report_comparison(str(folder), result, _read_settings(folder))


def _read_settings(folder: Path) -> Any:
    """The settings of a comparison as its record has them; None where there is no record."""
    record = folder / RECORD
    return read_toml(record, "the comparison's").get("settings") if record.is_file() else None


def _report_predictors(folder: Path, result: Mapping[str, Any], cells: int) -> Report:
    from pnas_sim.report.pages.predictors import report_predictors

    return report_predictors(folder, result)


def _report_verification(folder: Path, result: Mapping[str, Any], cells: int) -> Report:
    from pnas_sim.report.pages.verification import report_verification

    return report_verification(str(folder), result)


MAKERS: Mapping[str, Maker] = MappingProxyType(
    {
        "run": _report_run,
        "comparison": _report_comparison,
        "predictors": _report_predictors,
        "verification": _report_verification,
    }
)
