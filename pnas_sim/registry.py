"""Backends by name: entry points of the group `pnas_sim.backends`. Listing loads none of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from pnas_sim.errors import BackendError, PnasError
from pnas_sim.evaluate import BackendRequest, Evaluator

GROUP = "pnas_sim.backends"


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """An installed backend, not loaded.

    Attributes:
        name: as `--backend` takes it.
        entry_point: `module:callable`.
        package: name and version of the distribution that brings it.
    """

    name: str
    entry_point: str
    package: str


def list_backends() -> list[BackendInfo]:
    """Returns the installed backends, in order of names, without loading any."""
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    return [BackendInfo(point.name, point.value, _name_package(point)) for point in points]


def _name_package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown package"


def make_backend(name: str, request: BackendRequest) -> Evaluator:
    """Loads the backend of this name, and no other, and makes it.

    Raises:
        BackendError: there is none of this name, or it cannot be imported.
        RequestError: as the backend's factory.
    """
    found = [point for point in entry_points(group=GROUP) if point.name == name]
    if not found:
        known = ", ".join(info.name for info in list_backends()) or "none"
        raise BackendError(f"unknown backend {name!r}; installed are: {known}")
    try:
        factory = found[0].load()
    except PnasError:
        raise
    except Exception as error:
        raise BackendError(f"backend {name!r} ({found[0].value}) cannot be loaded: {error}") from error
    evaluator: Evaluator = factory(request)
    return evaluator
