"""What a comparison is asked for: searches, worlds, seeds, budget, and what is measured of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pnas_sim.budget import Budget
from pnas_sim.errors import SettingError
from pnas_sim.study.finished import WORLDS_APART, find_fingerprint
from pnas_sim.study.paper import TOPS
from pnas_sim.texts import CONTROL
from pnas_sim.validation import explain_first

LARGEST_SEED = 2**63 - 1
LONGEST_LABEL = 100


class SearchChoice(BaseModel):
    """A search of a comparison.

    Attributes:
        search: its name in the catalogue, or `package.module:factory` of one of the user's own.
        options: those given, by their names with underscores.
        tuning: trials that its settings were chosen by; 0: published or own defaults, untuned.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    search: str = Field(min_length=1)
    options: dict[str, Any] = Field(default_factory=dict)
    tuning: int = Field(default=0, ge=0)


class CompareSettings(BaseModel):
    """Everything a user decides about a comparison.

    Attributes:
        searches: by label.
        seeds: of the searches and of the evaluations: all searches of one repetition share its noise.
        worlds: of the surrogate; (0,): its only or first one.
        budget: of each run: models (`6000`), examples (`1e9ex`) or seconds of children (`3h`).
        blocks: B, the largest cells searched.
        epochs: passes over the training images; None: the backend's own.
        backend: that answers; its name.
        backend_options: those given, by their long names with underscores.
        tops: M, of the means over the best cells.
        references: labels of the searches that others are measured against; empty: every `pnas`, or else the
            first search.
        confidence: of intervals, in (0, 1).
        resamples: of the bootstrap.
        demand_intervals: refuse a comparison that can have none.
        sample: random cells that targets are taken from, in each world; 0: no targets and no regret.
        local: cells that the long local search of each world may ask for, noise-free; 0: none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    searches: dict[str, SearchChoice]
    seeds: tuple[int, ...] = tuple(range(10))
    worlds: tuple[int, ...] = (0,)
    budget: str = "6000"
    blocks: int = Field(default=5, ge=1, le=10)
    epochs: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    backend: str = "table"
    backend_options: dict[str, Any] = Field(default_factory=dict)
    tops: tuple[int, ...] = TOPS
    references: tuple[str, ...] = ()
    confidence: float = 0.95
    resamples: int = Field(default=1000, ge=1, le=100_000)
    demand_intervals: bool = False
    sample: int = Field(default=10_000, ge=0, le=10_000_000)
    local: int = Field(default=20_000, ge=0, le=10_000_000)

    @field_validator("budget", mode="before")
    @classmethod
    def _check_budget(cls, value: Any) -> str:
        text = str(value)
        Budget.parse(text)
        return text

    @field_validator("seeds", "worlds", "tops")
    @classmethod
    def _check_numbers(cls, value: tuple[int, ...], info: Any) -> tuple[int, ...]:
        name = "--top" if info.field_name == "tops" else info.field_name
        for number in value:
            if complaint := _find_complaint(info.field_name, number):
                raise ValueError(f"{name} has {number}; each must be {complaint}")
        if not value or len(set(value)) < len(value):
            listed = ", ".join(map(str, value)) or "empty"
            raise ValueError(f"{name} is {listed}; give at least one number, and none twice")
        return tuple(sorted(value))

    @field_validator("confidence")
    @classmethod
    def _check_confidence(cls, value: float) -> float:
        if not 0 < value < 1:
            raise ValueError(f"confidence is {value:g}; it must be above 0 and below 1, such as 0.95")
        return value

    @model_validator(mode="after")
    def _check_labels(self) -> CompareSettings:
        if len(self.searches) < 2:
            raise ValueError(
                f"searches has {len(self.searches)}; a comparison needs at least 2, such as pnas,random"
            )
        for label in self.searches:
            if CONTROL.search(label) or not 1 <= len(label) <= LONGEST_LABEL or label[0] in "=+-@":
                raise ValueError(
                    f"label {label[:LONGEST_LABEL]!r} of a search cannot stand in tables; give 1 to "
                    f"{LONGEST_LABEL} letters, none that controls a terminal, and the first none of = + - @"
                )
        for label in self.references:
            if label not in self.searches:
                raise ValueError(
                    f"reference {label!r} is not compared; the searches are: {', '.join(self.searches)}"
                )
        return self

    def choose_references(self) -> tuple[str, ...]:
        """Labels of the searches that others are measured against."""
        if self.references:
            return self.references
        found = tuple(label for label, choice in self.searches.items() if choice.search == "pnas")
        return found or (next(iter(self.searches)),)

    def options_for_backend(self, world: int) -> dict[str, Any]:
        """What the backend is given for a world; a backend of one world need not know what worlds are."""
        if self.worlds == (0,):
            return dict(self.backend_options)
        return {**self.backend_options, "world": world}

    def fingerprint(self, label: str, options: Mapping[str, Any]) -> str:
        """Of all that decides a run's course but world, seed and the data, which has a checksum of its own.

        Args:
            label: of the search.
            options: of the search, with defaults filled in.
        """
        where = {name: value for name, value in self.backend_options.items() if name != "table"}
        values = {
            "search": self.searches[label].search,
            "options": dict(options),
            "budget": self.budget,
            "blocks": self.blocks,
            "epochs": self.epochs,
            "backend": self.backend,
            "backend_options": where,
            "run_seed": WORLDS_APART,
        }
        return find_fingerprint(values)

    def landmark_fingerprint(self) -> str:
        """Of all that decides a world's landmarks but the world and the data."""
        where = {name: value for name, value in self.backend_options.items() if name != "table"}
        values = [self.sample, self.local, self.blocks, self.epochs, self.backend, where]
        return find_fingerprint(values)


def list_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs of the settings that decide runs and landmarks: `budget is 300 there and 200 here`.

    Args:
        then: as a comparison recorded them, perhaps a damaged one.
        now: likewise, as they are asked for.
    """
    there, here = dict(_list_deciding(then)), dict(_list_deciding(now))
    # a search that is new, or gone, changes no other
    both = {"", *(_get_table(then, "searches").keys() & _get_table(now, "searches").keys())}
    told = []
    for key in (key for key in dict.fromkeys((*there, *here)) if key[0] in both):
        old, new = there.get(key, "not set"), here.get(key, "not set")
        if old != new:
            told.append(f"{'.'.join(filter(None, key))} is {old} there and {new} here")
    return told


def _list_deciding(settings: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Any]]:
    """Settings that decide, by the label of the search that they are of and their name."""
    for name in ("budget", "blocks", "epochs", "backend", "sample", "local"):
        if name in settings:
            yield ("", name), settings[name]
    for name, value in _get_table(settings, "backend_options").items():
        if name != "table":  # where it lies decides nothing
            yield ("", name), value
    for label, choice in _get_table(settings, "searches").items():
        if isinstance(choice, Mapping):
            yield (label, "search"), choice.get("search")
            for name, value in _get_table(choice, "options").items():
                yield (label, name), value


def _get_table(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = settings.get(name)
    return value if isinstance(value, Mapping) else {}


def _find_complaint(name: str, number: int) -> str:
    """What a number of seeds, worlds or top Ms must be; empty if it is. A run's budget limits the top Ms."""
    if name == "tops":
        return "" if number >= 1 else "at least 1, such as 1,5,25"
    most = WORLDS_APART - 1 if name == "seeds" else LARGEST_SEED // WORLDS_APART - 1
    return "" if 0 <= number <= most else f"from 0 to {most}"


def make_compare_settings(values: Mapping[str, Any]) -> CompareSettings:
    """Settings of values by name.

    Raises:
        SettingError: one is unknown or out of its range; the message names it, its value and its limit.
    """
    try:
        return CompareSettings.model_validate(dict(values))
    except ValidationError as error:
        raise SettingError(explain_first(error, CompareSettings.model_fields, " of a comparison")) from None
