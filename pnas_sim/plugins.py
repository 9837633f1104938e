"""Parts by name: what ships, what other packages bring by entry point, and any `package.module:factory`.

Backends, searches and predictors are all found this way. Listing and finding import nothing; loading imports
the one part that is named. This module itself imports neither NumPy nor torch.

    SEARCHES = Family("search", SettingError, "pnas_sim.searches", {"pnas": "pnas_sim.search.pnas:Pnas"})
    list_plugins(SEARCHES)                                     # names, paths, packages; imports none of them
    make_plugin(SEARCHES, "pnas", Strategy, space, seed=0)     # finds, imports and calls one
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from pnas_sim.errors import PnasError, RequestError

OWN_PACKAGE = "pnas-sim"


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of part that users name.

    Attributes:
        word: what a part is called in messages: backend, search, predictor.
        error: raised where one cannot be had.
        group: the entry-point group by which other packages bring theirs; empty if there is none.
        own: those that ship without an entry point: `module:factory` by name.
    """

    word: str
    error: type[RequestError]
    group: str = ""
    own: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A part that can be loaded, not loaded.

    Attributes:
        name: as users write it.
        path: `module:factory`.
        package: name and version of the distribution that brings it; empty for a path that a user gave.
    """

    name: str
    path: str
    package: str = ""


def list_plugins(family: Family) -> list[Plugin]:
    """Every part that has a name: those that ship in their own order, then the entry points' by name."""
    points = sorted(_list_points(family), key=lambda point: point.name)
    installed = dict.fromkeys(Plugin(point.name, point.value, _name_package(point)) for point in points)
    own = [Plugin(name, path, OWN_PACKAGE) for name, path in family.own.items()]
    return [*own, *(plugin for plugin in installed if plugin.name not in family.own)]


def find_plugin(family: Family, name: str) -> Plugin:
    """The part of this name, or of this `package.module:factory`; imports nothing.

    Raises:
        family.error: there is none of this name, or two packages bring different ones.
    """
    if ":" in name:
        return Plugin(name, name)
    plugins = list_plugins(family)
    found = [plugin for plugin in plugins if plugin.name == name]
    if not found:
        raise family.error(explain_unknown(family.word, name, [plugin.name for plugin in plugins]))
    if len({plugin.path for plugin in found}) > 1:
        listed = ", ".join(f"{plugin.path} of {plugin.package}" for plugin in found)
        raise family.error(f"{family.word} {name!r} is brought by {listed}; name one as module:factory")
    return found[0]


def explain_unknown(word: str, name: str, known: Iterable[str]) -> str:
    """One line for a name that is not known: the nearest one that is, and all of them."""
    names = list(dict.fromkeys(known))
    near = difflib.get_close_matches(name.lower(), names, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ";"
    return f"unknown {word} {name!r}{guess} known are: {', '.join(names) or 'none'}, or any module:factory"


def load_plugin(family: Family, plugin: Plugin) -> Callable[..., Any]:
    """Imports a part's factory, and what that imports.

    Raises:
        family.error: it cannot be imported, or is not callable; names the module and what is missing.
        PnasError: as its module raises on import.
    """
    title = _title(family, plugin)
    module_name, _, attribute = (part.strip() for part in plugin.path.partition(":"))
    if not module_name or not attribute:
        raise family.error(f"{title} is no import path; write it as package.module:factory")
    if "/" in module_name or module_name.endswith(".py"):
        stem = module_name.removesuffix(".py").strip("./").rpartition("/")[2]
        raise family.error(
            f"{title} names a file; write {stem}:{attribute}, with the file's folder on PYTHONPATH"
        )
    found: Any = _import_module(family, title, module_name)
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise family.error(_explain_missing(title, module_name, part, found)) from None
    if not callable(found):
        raise family.error(f"{title}: {attribute} of {module_name} is not callable; name a function or class")
    factory: Callable[..., Any] = found
    return factory


def make_plugin(family: Family, name: str, expected: type[Any], *arguments: Any, **options: Any) -> Any:
    """Finds a part, imports it and calls its factory with these arguments and options.

    Args:
        family: of the part.
        name: one that is known, or `package.module:factory`.
        expected: class, or protocol checkable at run time, of what must come back.
        arguments: for the factory.
        options: for the factory.

    Raises:
        family.error: it is unknown, cannot be imported, its factory raises something that is no
            `PnasError`, or returns something else than was expected.
        PnasError: as the factory raises.
    """
    plugin = find_plugin(family, name)
    title = _title(family, plugin)
    return call_factory(family, title, load_plugin(family, plugin), expected, *arguments, **options)


def call_factory(
    family: Family,
    title: str,
    factory: Callable[..., Any],
    expected: type[Any],
    *arguments: Any,
    **options: Any,
) -> Any:
    """Calls a factory of a part that messages call `title`; the rest is as for `make_plugin`."""
    try:
        made = factory(*arguments, **options)
    except PnasError:
        raise
    except Exception as error:
        for option in options if isinstance(error, TypeError) else ():
            if f"unexpected keyword argument {option!r}" in str(error):
                raise family.error(f"{title} takes no option {option!r}; leave it out") from error
        raise family.error(
            f"{title} could not be made, its factory raised {describe_error(error)}"
        ) from error
    if not isinstance(made, expected):
        raise family.error(
            f"{title} made {type(made).__name__}, which is no {expected.__name__}; mend its factory"
        )
    return made


def describe_error(error: BaseException) -> str:
    """An exception's class and message in one line."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _list_points(family: Family) -> Iterable[EntryPoint]:
    return entry_points(group=family.group) if family.group else ()


def _name_package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown package"


def _title(family: Family, plugin: Plugin) -> str:
    named = plugin.name == plugin.path
    return f"{family.word} {plugin.name!r}" if named else f"{family.word} {plugin.name!r} ({plugin.path})"


def _import_module(family: Family, title: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except PnasError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise family.error(
                f"{title}: there is no module {error.name!r}; install it, or put its folder on PYTHONPATH"
            ) from error
        missing = error.name or describe_error(error)
        raise family.error(f"{title}: module {name} needs {missing!r}, which is not installed") from error
    except Exception as error:
        raise family.error(f"{title}: module {name} cannot be imported: {describe_error(error)}") from error


def _explain_missing(title: str, module: str, name: str, holder: object) -> str:
    near = difflib.get_close_matches(name, [known for known in dir(holder) if known[0] != "_"], n=1)
    remedy = f"did you mean {near[0]!r}?" if near else "name a function or class that it has"
    return f"{title}: {module} has no {name!r}; {remedy}"
