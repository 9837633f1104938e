"""The settings of a run: from a TOML file, from the command line, checked before anything is made."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pnas_sim.budget import Budget
from pnas_sim.cli.backend_options import TABLE_NAMES, TRAINING_NAMES
from pnas_sim.cli.searches import SEARCH_NAMES
from pnas_sim.errors import RunError, SettingError
from pnas_sim.validation import RANGES, explain_first

LARGEST_SEED = 2**63 - 1
_HOLDERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"search_options": SEARCH_NAMES, "backend_options": (*TRAINING_NAMES, *TABLE_NAMES)}
)


class RunSettings(BaseModel):
    """Everything a user decides about a run.

    Attributes:
        search: its name.
        backend: its name.
        blocks: B, the largest cells searched.
        budget: models (`6000`), examples (`1e9ex`) or seconds of children (`3h`).
        epochs: passes over the training images; None: the backend's own.
        seed: of the search.
        evaluation_seed: of training or noise; None: the seed.
        threads: of torch in the search's own process; None: chosen at the start and recorded.
        search_options: those given, by their names with underscores; at the start the defaults are filled in.
        backend_options: those given, by their long names with underscores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    search: str = "pnas"
    backend: str = "table"
    blocks: int = Field(default=5, ge=1, le=10)
    budget: str = "6000"
    epochs: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    evaluation_seed: int | None = Field(default=None, ge=0, le=LARGEST_SEED)
    threads: int | None = Field(default=None, ge=1, le=1024)
    search_options: dict[str, Any] = Field(default_factory=dict)
    backend_options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("budget", mode="before")
    @classmethod
    def _check_budget(cls, value: Any) -> str:
        text = str(value)
        Budget.parse(text)
        return text

    def options_for_backend(self) -> dict[str, Any]:
        """What the backend is given: its options, and the one that trains the epochs, too."""
        epochs = {"epochs": self.epochs} if self.backend == "gpu" and self.epochs is not None else {}
        return {**self.backend_options, **epochs}


def make_settings(values: Mapping[str, Any]) -> RunSettings:
    """Settings of values by name.

    Raises:
        SettingError: one is unknown or out of its range; the message names it, its value and its limit.
    """
    try:
        return RunSettings.model_validate(dict(values))
    except ValidationError as error:
        raise SettingError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    """What is wrong first, and the limits where a number is out of them."""
    line = explain_first(error, (*RunSettings.model_fields, *SEARCH_NAMES, *TRAINING_NAMES, *TABLE_NAMES))
    first = error.errors()[0]
    if first["type"] not in RANGES:
        return line
    limits = _list_limits(RunSettings.model_fields[str(first["loc"][0])].metadata)
    return f"{line.partition(';')[0]}; it must be {' and '.join(limits)}"


def _list_limits(metadata: list[Any]) -> list[str]:
    """The limits that pydantic keeps beside a field, in words."""
    found = [(word, getattr(one, name, None)) for one in metadata for word, name in RANGES.values()]
    return [f"{word} {limit}" for word, limit in found if limit is not None]


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a TOML file: one of a user's own, or a run folder's `run.toml`.

    Keys are the long options, with hyphens or underscores; options of searches and backends may stand beside
    the others or, for those that are no options of the command line, in a table `search_options` or
    `backend_options`.

    Raises:
        SettingError: the file is missing, is not TOML, or is of a comparison.
    """
    document = read_toml(path, "config")
    if document.get("kind") == "comparison" or isinstance(document.get("searches"), Mapping):
        raise SettingError(
            f"{path} is of a comparison, not of a run: give it to pnas-sim compare, or a run's run.toml here"
        )
    if document.get("kind") == "run" and isinstance(document.get("settings"), dict):
        document = leave_out_gone(document["settings"])
    return sort_settings({key.replace("-", "_"): value for key, value in document.items()})


def leave_out_gone(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A run's recorded settings without the defaults of options that there were once.

    What a failed child is taken for was an option of evolution and reinforcement learning; now it is the
    evaluator's chance.
    """
    options = settings.get("search_options", {})
    if not isinstance(options, Mapping):
        return dict(settings)  # which says so
    options = dict(options)
    if settings.get("search") in ("evolution", "reinforce", "ppo") and options.get("chance") == 0.1:
        del options["chance"]
    return {**settings, "search_options": options}


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """A TOML file's contents.

    Raises:
        SettingError: one line that names the file and what is wrong with it.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"{what} {path}: {error.strerror}; give a file that can be read") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingError(f"{what} {path} is not TOML: {error}") from None


def demand_record(record: Mapping[str, Any], path: Path) -> None:
    """Checks that what a run or a comparison recorded of itself is of the kind that it writes.

    Args:
        record: what stands in the file.
        path: of it.

    Raises:
        RunError: its settings, its backend or the versions are no tables, or a checksum is no text.
    """
    backend = record.get("backend")
    about = backend if isinstance(backend, Mapping) else {}
    tables = {"settings": record.get("settings"), "backend": backend, "versions": record.get("versions", {})}
    tables["backend.settings"] = about.get("settings", {})
    wrong = [f"{name} is no table" for name, value in tables.items() if not isinstance(value, Mapping)]
    if not isinstance(about.get("checksum", ""), str):
        wrong.append("backend.checksum is no text")
    if wrong:
        raise RunError(f"{path} is damaged: {wrong[0]}; bring a whole copy of the folder")


def sort_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the options of searches and backends moved to their own tables."""
    moved = {name: holder for holder, names in _HOLDERS.items() for name in names}
    sorted_values = {name: value for name, value in values.items() if name not in moved}
    for holder, names in _HOLDERS.items():
        nested = values.get(holder, {})
        if not isinstance(nested, Mapping):
            raise SettingError(f"{holder} is {nested!r}; write a table of options")
        given = {name: value for name, value in values.items() if name in names}
        sorted_values[holder] = {**nested, **given}
    return sorted_values


def join_settings(config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a file with those of the command line over them.

    Where the file names a search and the command line another, the file's options of a search are left out:
    they belong to the one it names. So is, where the command line names a seed, an evaluation seed that is
    the file's seed: a run's record has it filled in.
    """
    joined = {**config, **given}
    filled_in = "seed" in config and config.get("evaluation_seed") == config["seed"]
    if filled_in and "seed" in given and "evaluation_seed" not in given:
        del joined["evaluation_seed"]
    other = "search" in given and "search" in config and given["search"] != config["search"]
    for holder in _HOLDERS:
        before = {} if other and holder == "search_options" else config.get(holder, {})
        joined[holder] = {**before, **given.get(holder, {})}
    return joined
