"""Options that several commands share, and commands whose help shows options in groups."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

import click
from click.shell_completion import CompletionItem

from pnas_sim.cli.output import keep_for_json
from pnas_sim.files import follow_link

if TYPE_CHECKING:  # older releases of click, which will do, have no type arguments here
    _PathType = click.ParamType[Path]
else:
    _PathType = click.ParamType

_Function = TypeVar("_Function", bound=Callable[..., Any])
Wish: TypeAlias = Callable[..., Callable[[Any], Any]]  # a part of `click.option`, which lacks the name
Wishes: TypeAlias = Mapping[str, Wish]  # by the name that the option has in Python

DEFAULT_TABLE = "cifar10-16px"  # as `pnas_tables.catalogue` has it, which help must not load

BUG = (
    "a bug of this program"  # an error that nobody raised on purpose, where no part of another's is to blame
)


class InterruptionError(Exception):
    """The user stopped the work; the message says what to do to go on."""


class WrittenPath(_PathType):
    """A path that can be written down: neither empty, as of a variable that is not set, nor of other bytes.

    Results name their folder in UTF-8, and would be refused at the end of the work.
    """

    name = "path"

    def __init__(self, kind: click.Path, find: Callable[[Path], Path] = Path) -> None:
        self._kind, self._find = kind, find

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path.

        Raises:
            click.BadParameter: it cannot be written down, or is not of the kind.
        """
        text = os.fspath(value)
        if not text:
            self.fail("it is empty; give a name", param, ctx)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            self.fail(f"{os.fsencode(text)!r} is no UTF-8; give a name that is", param, ctx)
        return self._find(Path(os.fsdecode(self._kind.convert(value, param, ctx))))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Files or folders, as the shell finds them."""
        return self._kind.shell_complete(ctx, param, incomplete)


FOLDER = WrittenPath(click.Path(file_okay=False, path_type=Path))
FILE = WrittenPath(click.Path(dir_okay=False, path_type=Path))
NEW_FILE = WrittenPath(click.Path(dir_okay=False, writable=True, path_type=Path), follow_link)  # to write


class GroupedCommand(click.Command):
    """A command whose `--help` lists its options under headings.

    Attributes:
        headings: heading to the names of its options; options in none stand under "Other options".
    """

    headings: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options, one section for each heading."""
        placed = {name for names in self.headings.values() for name in names}
        parameters = self.get_params(ctx)
        rest = tuple(str(p.name) for p in parameters if isinstance(p, click.Option) and p.name not in placed)
        for heading, names in {**self.headings, "Other options": rest}.items():
            records = [p.get_help_record(ctx) for p in parameters if p.name in names]
            lines = [record for record in records if record is not None]
            if lines:
                with formatter.section(heading):
                    formatter.write_dl(lines)


def wish(**words: Any) -> Wish:
    """An option that a user may leave out, but for its name; the words are those of `click.option`."""
    return partial(click.option, **words)


def declare(wishes: Wishes, function: _Function) -> _Function:
    """Adds options to a command's function, each by its name with hyphens."""
    for name, make in reversed(tuple(wishes.items())):
        function = make(f"--{name.replace('_', '-')}")(function)
    return function


def example(*lines: str) -> str:
    """The end of a command's help: lines to copy."""
    return "\n".join(["\b", "Example:", *(f"  {line}" for line in lines)])


def json_option(function: _Function) -> _Function:
    """`--json`: the result as one JSON object on standard output, and nothing else there."""

    def keep(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:
        if value:
            keep_for_json(ctx)
        return value

    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        callback=keep,
        help="Write one JSON object on standard output.",
    )(function)


def verbose_option(function: _Function) -> _Function:
    """`-v`: tracebacks of unexpected errors, and what libraries log, on standard error."""

    def start_log(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:
        if value:
            logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(name)s: %(message)s")
        return value

    return click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=start_log,
        help="Show where an unexpected error came from, and what libraries log.",
    )(function)


def quiet_option(function: _Function) -> _Function:
    """`-q`: no progress on standard error."""
    return click.option("-q", "--quiet", is_flag=True, help="Show no progress.")(function)
