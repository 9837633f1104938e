"""Carries a comparison out: settings, folder, runs, and the files that say what came out."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from pnas_sim.cli.backend_options import parse_pairs
from pnas_sim.cli.execute import count_cores, list_versions, make_absolute
from pnas_sim.cli.folder import (
    RECORD,
    RESULT,
    claim_folder,
    find_kind,
    hold_folder,
    make_folder,
    remove_old,
    write_pictures,
    write_whole,
)
from pnas_sim.cli.lists import read_members, read_numbers, split_list
from pnas_sim.cli.options import InterruptionError
from pnas_sim.cli.output import say, strict, write_json
from pnas_sim.cli.settings import demand_record, read_toml
from pnas_sim.cli.toml import format_toml
from pnas_sim.errors import RunError, SettingError
from pnas_sim.own_parts import write_command
from pnas_sim.study.compare import Prepared, compare, list_left, prepare
from pnas_sim.study.results import describe_comparison
from pnas_sim.study.settings import CompareSettings, list_changes, make_compare_settings
from pnas_sim.study.tidy import COLUMNS, MEASURES, RUN_COLUMNS, format_csv, list_courses, list_rows
from pnas_sim.study.work import OtherSettingsError

MANIFEST = "manifest.json"
CSV, COURSES, NOTES, TABLES = "comparison.csv", "runs.csv", "columns.md", "tables.md"
SCHEMA = 1
MOST_LISTED = 10  # seeds of an example
THEN = "give the same command again"
DEFAULT_SEARCHES = "pnas,ppo,random-raw"  # the paper's three
PLAIN = ("budget", "blocks", "epochs", "confidence", "resamples", "demand_intervals", "sample", "local")


def choose_settings(
    given: Mapping[str, Any], backend_options: Mapping[str, Any], config: Path | None
) -> CompareSettings:
    """The settings of a file, if one is given, with those of the command line over them.

    Args:
        given: by the name of their option; None where the user said nothing.
        backend_options: likewise, those given.
        config: a file of settings.

    Raises:
        SettingError: one is unknown or out of its range.
        click.UsageError: one cannot be read.
    """
    values = read_record(config)["settings"] if config else {}
    _demand_tables(values)
    _demand_lists(values)
    values |= {name: given[name] for name in (*PLAIN, "backend") if given.get(name) is not None}
    options = make_absolute({**values.get("backend_options", {}), **backend_options})
    for name in ("seeds", "worlds"):
        if given[name] is not None:
            values[name] = read_members(name, given[name])
    if given["top"] is not None:
        values["tops"] = read_numbers("top", given["top"])
    if "world" in options:
        if given["worlds"] is not None:
            raise click.UsageError("--world and --worlds are both given; --worlds I, is the one world I")
        values["worlds"] = [options.pop("world")]
    if given["reference"] is not None:
        values["references"] = split_list(given["reference"])
    searches = values.get("searches", {})
    if given["searches"] is not None or not searches:
        searches = read_searches(DEFAULT_SEARCHES if given["searches"] is None else given["searches"])
    values["searches"] = _set_options(searches, given["set_options"], given["tuning"])
    return make_compare_settings({**values, "backend_options": options})


def _demand_tables(values: Mapping[str, Any]) -> None:
    """Checks the kind of what a file has of searches and options, before it is joined with what was typed.

    Raises:
        SettingError: one is no table.
    """
    searches = values.get("searches", {})
    found = {"backend_options": values.get("backend_options", {}), "searches": searches}
    for label, choice in searches.items() if isinstance(searches, Mapping) else ():
        found[f"searches.{label}"] = choice
        if isinstance(choice, Mapping):
            found[f"searches.{label}.options"] = choice.get("options", {})
    for name, value in found.items():
        if not isinstance(value, Mapping):
            raise SettingError(f"{name} is {value!r:.60}; write a table")


def _demand_lists(values: Mapping[str, Any]) -> None:
    """Checks that what a file has of seeds and the like are lists; on the command line a number will do.

    Raises:
        SettingError: one is none.
    """
    for name in ("seeds", "worlds", "tops", "references"):
        value = values.get(name, [])
        if not isinstance(value, list):
            few = name in ("seeds", "worlds") and type(value) is int and 1 <= value <= MOST_LISTED
            example = list(range(value)) if few else [value]
            raise SettingError(f"{name} is {value!r:.60}; write a list: {name} = {json.dumps(example)}")


def read_searches(text: str) -> dict[str, dict[str, Any]]:
    """Searches by label from `NAME`, `LABEL=NAME` and import paths, with commas between them.

    Raises:
        click.UsageError: there is none, or a label is empty or there twice.
    """
    searches: dict[str, dict[str, Any]] = {}
    for part in split_list(text):
        label, sign, name = part.rpartition("=")
        label = label.strip() if sign else name.strip()
        if not label or not name.strip():
            raise click.UsageError(f"--searches has {part!r}; write NAME or LABEL=NAME")
        if label in searches:
            raise click.UsageError(f"--searches has {label!r} twice; give one a label: LABEL={name.strip()}")
        searches[label] = {"search": name.strip()}
    if not searches:
        raise click.UsageError(f"--searches is {text!r}; name at least two, such as pnas,random")
    return searches


def list_typed(given: Mapping[str, Any]) -> list[str]:
    """Names of parts on the command line: a backend, searches, and whatever options are set to."""
    searches = read_searches(given["searches"]) if given["searches"] else {}
    values = [pair.partition("=")[2] for pair in given["set_options"]]
    return [str(given["backend"]), *(choice["search"] for choice in searches.values()), *values]


def _set_options(
    searches: Mapping[str, Any], pairs: tuple[str, ...], tuning: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Searches with the options and tuning trials of the command line."""
    filled = {
        label: {**choice, "options": dict(choice.get("options", {}))} for label, choice in searches.items()
    }
    for pair in pairs:
        where, sign, _ = pair.partition("=")
        label, dot, _ = where.rpartition(".")
        if not sign or not dot:
            raise click.UsageError(f"--set is {pair!r}; write LABEL.OPTION=VALUE")
        options = parse_pairs((pair[len(label) + 1 :],), "--set")
        _find(filled, "--set", label)["options"].update(options)
    for pair in tuning:
        label, sign, trials = pair.rpartition("=")
        if not sign or not trials.isdecimal():
            raise click.UsageError(f"--tuning is {pair!r}; write LABEL=TRIALS")
        _find(filled, "--tuning", label)["tuning"] = int(trials)
    return filled


def _find(searches: Mapping[str, dict[str, Any]], option: str, label: str) -> dict[str, Any]:
    if label not in searches:
        raise click.UsageError(f"{option} names {label!r}; the searches are: {', '.join(searches)}")
    return searches[label]


def carry_out(
    settings: CompareSettings, out: Path | None, workers: int | None, pictures: bool, quiet: bool
) -> dict[str, Any]:
    """Checks, runs and measures a comparison and writes its files; returns its result object.

    Raises:
        RequestError: something that was asked for cannot be had, or the folder holds other things.
        InterruptionError: the user stopped it; finished runs are kept.
        WorkError: a run failed, or the disk is full.
    """
    from pnas_sim.report.progress import open_job_progress

    if workers is not None and workers < 1:
        raise SettingError(f"workers is {workers}; it must be at least 1")
    prepared = prepare(settings)
    folder = out or claim_folder("compare", datetime.now())
    demand_folder(folder, prepared)
    make_folder(folder)
    try:
        with hold_folder(folder):
            _keep(folder / RECORD, format_toml(describe_record(prepared)))
            with open_job_progress(sys.stderr, quiet) as tell:
                comparison = compare(prepared, folder, workers=workers or count_cores(), tell=tell)
            result: dict[str, Any] = strict(describe_comparison(comparison, list_versions(), str(folder)))
            courses = list_courses(comparison.grid, comparison.prepared.settings.tops)
            _keep(folder / COURSES, format_csv(courses, RUN_COLUMNS))
            write_files(result, folder, pictures, settings.model_dump())
    except KeyboardInterrupt:
        words = ("compare", "--config", str(folder / RECORD), "--out", str(folder))
        remedy = write_command(settings.model_dump(), *words)
        raise InterruptionError(f"interrupted; go on with: {remedy}") from None
    return result


def demand_folder(folder: Path, prepared: Prepared) -> None:
    """Checks that a comparison may begin in a folder, or that the one in it may be gone on with.

    Raises:
        RunError: something else is there, or a comparison on other data or of other settings.
    """
    record = folder / RECORD
    old: dict[str, Any] = {}
    if record.exists():
        old = read_record(record)
        then = old["backend"].get("checksum", "")
        now = prepared.spec.checksum
        if then != now:
            raise RunError(
                f"{folder} was begun on data with checksum {then[:12] or 'none'}, which is now "
                f"{now[:12] or 'none'}; bring the old table back or give another --out"
            )
        _warn_of_versions(old.get("versions", {}))
    elif find_kind(folder) is not None:
        raise RunError(f"{folder} holds something else than a comparison; give another --out")
    try:
        list_left(prepared, folder)  # before its record is written over, which is of what stands there
    except OtherSettingsError:
        changed = list_changes(old.get("settings", {}), describe_record(prepared)["settings"])
        if not changed:
            raise
        raise RunError(
            f"{folder} holds runs of other settings: {', '.join(changed)}; give the old settings, or "
            "another --out"
        ) from None


def _warn_of_versions(then: Mapping[str, str]) -> None:
    """Says which versions differ: runs of different ones stand beside each other in the folder then."""
    now = list_versions()
    changed = [f"{name} {old} (now {now.get(name)})" for name, old in then.items() if now.get(name) != old]
    if changed:
        say(
            f"warning: finished runs are of other versions: {', '.join(changed)}; for one of all, a new --out"
        )


def describe_record(prepared: Prepared) -> dict[str, Any]:
    """What `compare.toml` says: all that is needed to repeat the comparison."""
    return {
        "kind": "comparison",
        "schema": SCHEMA,
        "settings": prepared.settings.model_dump(mode="json", exclude_none=True),
        "backend": {"name": prepared.spec.name, "checksum": prepared.spec.checksum},
        "versions": list_versions(),
    }


def read_record(path: Path) -> dict[str, Any]:
    """A comparison's `compare.toml`, or a file of settings like it.

    Raises:
        SettingError: it is missing, or is not TOML.
        RunError: it is of something else, or damaged.
    """
    document = read_toml(path, "config")
    if document.get("kind", "comparison") != "comparison" or document.get("schema", SCHEMA) != SCHEMA:
        raise RunError(f"{path} is not of a comparison of schema {SCHEMA}; give another")
    if "settings" not in document:  # a user's own file: the settings alone
        settings = {name.replace("-", "_"): value for name, value in document.items() if name != "kind"}
        return {"settings": settings, "backend": {}}
    record = {"backend": {}, **document}
    demand_record(record, path)
    return record


def write_files(result: Mapping[str, Any], folder: Path, pictures: bool, settings: Mapping[str, Any]) -> None:
    """Writes the result, the tidy table and what its columns mean, tables and a page to read, and the rest.

    The result comes last: where it is, everything is. The page draws its own charts and needs no matplotlib.

    Args:
        result: the object of the comparison.
        folder: where they go.
        pictures: whether to draw those that matplotlib draws; those of before are removed where it does not.
        settings: of the comparison.

    Raises:
        WorkError: the disk is full.
        RunError: a file cannot be written.
    """
    from pnas_sim.cli.reporting import PAGE
    from pnas_sim.report.comparison_markdown import write_markdown
    from pnas_sim.report.comparison_plots import list_pictures, render_pictures
    from pnas_sim.report.pages.comparison import report_comparison
    from pnas_sim.report.pages.page import render_page

    manifest = json.dumps(result["manifest"], indent=2, ensure_ascii=False) + "\n"
    figures = format_csv(list_rows(result), COLUMNS)
    texts = {CSV: figures, TABLES: write_markdown(result), NOTES: describe_columns()}
    page = render_page([report_comparison(str(folder), result, settings)])
    for name, content in {**texts, MANIFEST: manifest, PAGE: page}.items():
        _keep(folder / name, content)
    if not (pictures and write_pictures(folder, render_pictures(result), THEN)):
        remove_old(folder / name for name in list_pictures(result))
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
    _keep(folder / RESULT, text + "\n")


def _keep(path: Path, content: str) -> None:
    write_whole(path, content, then=THEN)


def describe_columns() -> str:
    """What the columns and the measures of the tidy tables are, as Markdown."""
    from pnas_sim.report.comparison_markdown import make_table

    types = """{"world": "Int64", "seed": "Int64"}"""  # what is empty somewhere pandas reads as float
    lines = [f'Columns of {CSV}: `pandas.read_csv("{CSV}", dtype={types})`', ""]
    lines += make_table(("column", "is"), COLUMNS.items())
    lines += ["", "MEASURES", "", *make_table(("measure", "is"), MEASURES.items())]
    lines += ["", f"Columns of {COURSES}, the course of each run", ""]
    lines += make_table(("column", "is"), RUN_COLUMNS.items())
    return "\n".join(lines) + "\n"


def show(result: Mapping[str, Any], as_json: bool) -> None:
    """Writes a comparison to standard output, as JSON or for a person."""
    if as_json:
        write_json(result)
        return
    from pnas_sim.report.comparison_table import print_comparison

    print_comparison(result)
