"""Which searches of several folders are one group of a verification, and what each group is called.

Searches that share a label and all settings but seeds and world are one group: their runs take turns at
giving top cells. Each run would hand over one cell; the group's winner is that of them which was told the
highest accuracy. Where a label is shared and settings are not, each gets a name of its own, so that nothing
is pooled unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESERVED = ("all", "top", "spread")  # parts of a result; no search is called so
SHARED = ("world", "table", "surrogate", "table_mode")  # a luck of its own, or checked to be the same


@dataclass(frozen=True, slots=True)
class FoundSearch:
    """A search that a folder has runs of.

    Attributes:
        folder: of the run or comparison.
        label: as the folder calls it: a run its search, a comparison its label.
        settings: what decides its course, but seeds, world and threads.
    """

    folder: Path
    label: str
    settings: Mapping[str, Any]

    @property
    def predictor(self) -> str:
        """What it predicts accuracies by, as far as its settings say; else empty."""
        return str(self.settings["options"].get("predictor", ""))


def describe_search(folder: Path, settings: Mapping[str, Any], label: str | None = None) -> FoundSearch:
    """The search of a run.

    Args:
        folder: of the run or comparison.
        settings: in its record.
        label: which of a comparison's searches; None: the folder is of a run.
    """
    shared = {name: settings.get(name) for name in ("blocks", "budget", "epochs")}
    where = settings.get("backend_options", {})
    shared["backend_options"] = {name: value for name, value in where.items() if name not in SHARED}
    if label is None:
        search, options = str(settings["search"]), settings.get("search_options", {})
    else:
        choice = settings["searches"][label]
        search, options = str(choice["search"]), choice.get("options", {})
    return FoundSearch(folder, label or search, {**shared, "search": search, "options": options})


def name_groups(found: Sequence[FoundSearch]) -> list[str]:
    """The name of each one's group, the same for those that share label and settings.

    It is the label; where that has several settings, the label with the predictor if that tells them apart,
    or else with the first of the folders, by name or, where those are the same, with its path.
    """
    names: list[str] = []
    for one in found:
        sharing = [other for other in found if other.label == one.label]
        firsts = [other for place, other in enumerate(sharing) if _find_first(sharing, other) == place]
        labels = {other.label for other in found}
        names.append(_name_apart(firsts, labels)[_find_first(firsts, one)])
    return names


def _find_first(searches: Sequence[FoundSearch], one: FoundSearch) -> int:
    return next(place for place, other in enumerate(searches) if other.settings == one.settings)


def _name_apart(firsts: Sequence[FoundSearch], labels: set[str]) -> list[str]:
    """Names of searches that share a label and differ in their settings."""
    label = firsts[0].label
    if len(firsts) == 1:
        return [f"{label} (search)" if label in RESERVED else label]
    marks: tuple[Callable[[FoundSearch], str], ...] = (
        lambda one: one.predictor,
        lambda one: one.folder.name,
    )
    for mark in marks:
        names = [f"{label} ({mark(one)})" for one in firsts if mark(one)]
        if len(set(names)) == len(firsts) and labels.isdisjoint(names):
            return names
    return [f"{label} ({one.folder})" for one in firsts]
