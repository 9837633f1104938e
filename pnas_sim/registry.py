"""Backends by name: entry points of the group `pnas_sim.backends`, or any `package.module:factory`.

Listing loads none of them, running loads the one that is named. A factory is any callable that takes a
`BackendRequest` and returns an `Evaluator`. A package brings one by an entry point in its pyproject.toml:

    [project.entry-points."pnas_sim.backends"]
    mine = "my_package.backend:create"
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pnas_sim.errors import BackendError
from pnas_sim.plugins import Family, list_plugins, make_plugin

if TYPE_CHECKING:
    from pnas_sim.evaluate import BackendRequest, Evaluator

GROUP = "pnas_sim.backends"
BACKENDS = Family("backend", BackendError, GROUP)


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
    return [BackendInfo(plugin.name, plugin.path, plugin.package) for plugin in list_plugins(BACKENDS)]


def make_backend(name: str, request: BackendRequest) -> Evaluator:
    """Loads the backend of this name, and no other, and makes it.

    Args:
        name: of an installed backend, or `package.module:factory` of any other.
        request: given to its factory.

    Raises:
        BackendError: there is none of this name, it cannot be imported, its factory raises something that is
            no error of `pnas_sim.errors`, what it returns is no evaluator, its spec is none for cells of so
            many blocks, or the request is none.
        RequestError: as the backend's factory.
    """
    from pnas_sim.evaluate import BackendRequest, Evaluator, EvaluatorSpec
    from pnas_sim.seam_checks import check_spec

    if not isinstance(request, BackendRequest):
        given = type(request).__name__
        raise BackendError(f"request is {given}; give BackendRequest(blocks=..., options={{...}})")
    evaluator: Evaluator = make_plugin(BACKENDS, name, Evaluator, request)
    if not isinstance(evaluator.spec, EvaluatorSpec):
        raise BackendError(
            f"backend {name!r}: its spec is {type(evaluator.spec).__name__}; it must be an EvaluatorSpec"
        )
    try:
        check_spec(evaluator.spec, request.blocks)
    except BackendError:
        evaluator.close()
        raise
    return evaluator
