"""Reads what `pnas-sim verify` is given: folders of finished runs and comparisons on one table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pnas_sim.cli.folder import LOG, RECORD, RESULT, SETTINGS
from pnas_sim.cli.lists import split_list
from pnas_sim.cli.settings import demand_record, read_toml
from pnas_sim.cli.verify_groups import FoundSearch, describe_search, name_groups
from pnas_sim.errors import RunError, SettingError
from pnas_sim.evaluate import Status
from pnas_sim.logged import read_log
from pnas_sim.space.arrays import Integers
from pnas_sim.study.finished import FinishedRun, Place, read_run
from pnas_sim.study.verification import Visit
from pnas_sim.summary import grows_by_levels
from pnas_tables.catalogue import DEFAULT_TABLE, find_table
from pnas_tables.format import read_table
from pnas_tables.record import Table, checksum
from pnas_tables.surrogate import DEFAULT_SURROGATE


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What searches found, and on what.

    Attributes:
        folders: that were read.
        table: they ran on, as it was then.
        surrogate: name of the one that answered.
        visits: cells evaluated in full, of the groups.
        groups: names of searches, in the order of their top cells; see `name_groups`.
    """

    folders: tuple[Path, ...]
    table: Table
    surrogate: str
    visits: list[Visit]
    groups: list[str]


def read_source(folders: Sequence[Path], searches: str | None) -> Source:
    """Reads the folders.

    Args:
        folders: of runs and comparisons.
        searches: labels in comparisons, commas between; None: the first PNAS and the best of the others.

    Raises:
        RunError: a folder holds nothing finished, was not answered by a surrogate, or its table has changed.
        SettingError: a label is unknown.
    """
    records = [_read_record(folder) for folder in folders]
    first = _name_backend(folders[0], records[0])
    for folder, record in zip(folders, records, strict=True):
        own = _name_backend(folder, record)
        if own != first:
            raise RunError(f"{folder} is of {own}, {folders[0]} of {first}; verify them one by one")
    table = read_table(find_table(_table_name(records[0])))
    for folder, record in zip(folders, records, strict=True):
        _demand_same(folder, record["backend"].get("checksum", ""), checksum(table))
    found = [
        (one, record)
        for folder, record in zip(folders, records, strict=True)
        for one in _list_searches(folder, record, searches)
    ]
    groups = name_groups([one for one, _ in found])
    visits: list[Visit] = []
    for (one, record), group in zip(found, groups, strict=True):
        visits.extend(_read_search(one, record, table, group))
    if not visits:
        raise RunError(f"{folders[0]} holds no model trained to the table's full length; nothing to verify")
    return Source(tuple(folders), table, first[1], visits, list(dict.fromkeys(groups)))


def _read_record(folder: Path) -> dict[str, Any]:
    """The settings of a finished run or comparison."""
    for name in (SETTINGS, RECORD):
        if (folder / name).is_file():
            record = read_toml(folder / name, "the folder's")
            demand_record(record, folder / name)
            if not (folder / RESULT).is_file():
                raise RunError(f"{folder} has not finished; go on with it first, then verify")
            return record
    what = "holds no run and no comparison" if folder.is_dir() else "is not a folder"
    raise RunError(f"{folder} {what}; name a folder that pnas-sim run or compare left")


def _table_name(record: Mapping[str, Any]) -> str:
    return str(record["settings"].get("backend_options", {}).get("table", DEFAULT_TABLE))


def _name_backend(folder: Path, record: Mapping[str, Any]) -> tuple[str, str]:
    """Table and surrogate that answered.

    Raises:
        RunError: something else answered.
    """
    settings = record["settings"]
    options = settings.get("backend_options", {})
    if settings.get("backend", "table") != "table":
        raise RunError(
            f"{folder} was answered by backend {settings['backend']}; only runs on a table can be verified"
        )
    if options.get("table_mode", "surrogate") != "surrogate":
        raise RunError(
            f"{folder} was run with table_mode measured: its answers are trainings already; "
            "verify a run on a surrogate"
        )
    return _table_name(record), str(options.get("surrogate", DEFAULT_SURROGATE))


def _demand_same(folder: Path, then: str, now: str) -> None:
    if then != now:
        raise RunError(
            f"{folder} was run on data with checksum {then[:12] or 'none'}, which is now {now[:12]}; "
            "bring the old table back, or run it again"
        )


def _list_searches(folder: Path, record: Mapping[str, Any], searches: str | None) -> list[FoundSearch]:
    """What a run's folder has, or what is chosen of a comparison's."""
    settings = record["settings"]
    if record.get("kind") == "run":
        return [describe_search(folder, settings)]
    labels = list(settings["searches"])
    chosen = _choose_labels(folder, labels, settings) if searches is None else split_list(searches)
    for label in chosen:
        if label not in labels:
            raise SettingError(f"{folder} has no search {label!r}; it has: {', '.join(labels)}")
    return [describe_search(folder, settings, label) for label in chosen]


def _read_search(found: FoundSearch, record: Mapping[str, Any], table: Table, group: str) -> list[Visit]:
    """The visits of a folder's run, or of all runs of a comparison's search."""
    settings = record["settings"]
    if record.get("kind") == "run":
        return _read_log(found.folder, settings, table, group)
    visits: list[Visit] = []
    for world in settings["worlds"]:
        for seed in settings["seeds"]:
            place = Place(found.label, world, seed)
            run = read_run(found.folder / "runs" / place.file_name)
            _demand_same(found.folder, run.facts.data, record["backend"].get("checksum", ""))
            visits.extend(_read_visits(run, table, group))
    return visits


def _choose_labels(folder: Path, labels: list[str], settings: Mapping[str, Any]) -> list[str]:
    """The first PNAS, and of the searches that are none the one whose runs ended best, on average."""
    names = {label: str(settings["searches"][label]["search"]) for label in labels}
    own = [label for label in labels if names[label] == "pnas"][:1]
    others = [label for label in labels if not names[label].startswith("pnas")]
    try:
        found = json.loads((folder / RESULT).read_text(encoding="utf-8"))["searches"]
        ends = {one["label"]: _average_end(one["runs"]) for one in found}
    except (OSError, ValueError, KeyError, TypeError):
        raise RunError(f"{folder / RESULT} is damaged; give the comparison's command again") from None
    best = sorted(others, key=lambda label: -ends.get(label, 0.0))[:1]
    return own + best or labels[:1]


def _average_end(runs: Sequence[Mapping[str, Any]]) -> float:
    ends = [run["best_expected_valid_accuracy"] or run["best_valid_accuracy"] or 0.0 for run in runs]
    return float(np.mean(ends))


def _read_log(folder: Path, settings: Mapping[str, Any], table: Table, group: str) -> list[Visit]:
    world = int(settings.get("backend_options", {}).get("world", 0))
    full = float(table.epochs[-1])
    answers = list(read_log(folder / LOG).evaluations.values())
    levels = _find_levels(np.array([answer.cell.count("|") + 1 for answer in answers], np.int64))
    return [
        Visit(
            cell=answer.cell,
            group=group,
            run=str(folder),
            world=world,
            observed=float(answer.valid_accuracy),
            expected=answer.expected_valid_accuracy,
            level=level,
        )
        for answer, level in zip(answers, levels.tolist(), strict=True)
        if answer.status == Status.OK
        and np.isclose(answer.epochs, full)
        and answer.cell.count("|") < table.space.max_blocks
    ]


def _read_visits(run: FinishedRun, table: Table, group: str) -> list[Visit]:
    """A comparison's run: the models trained in full, of sizes that the table's space has."""
    full = float(table.epochs[-1]) * table.train_images
    whole = ~np.isnan(run.values) & (run.blocks <= table.space.max_blocks)
    whole &= run.examples >= full * (1 - 1e-9)
    texts = table.space.format_many(table.space.fit_width(run.cells[whole]))
    facts = run.facts
    name = f"{facts.label} w{facts.world} s{facts.seed}"
    known = (run.values, run.expected, _find_levels(run.blocks))
    rows = zip(texts, *(values[whole].tolist() for values in known), strict=True)
    return [Visit(text, group, name, facts.world, *values) for text, *values in rows]


def _find_levels(blocks: Integers) -> Integers:
    """Levels (`int64[n]`) of all models of a run, in order: their blocks if it grew by levels, else 0."""
    return blocks if grows_by_levels(blocks) else np.zeros_like(blocks)
