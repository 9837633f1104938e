"""The `pnas-sim` group and the one place where errors become a line and an exit code.

Command modules import their work inside their functions, so that `--help` needs neither torch nor NumPy.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from types import FrameType

import click

from pnas_sim import __version__
from pnas_sim.cli.backends import backends
from pnas_sim.cli.compare import compare
from pnas_sim.cli.known import searches
from pnas_sim.cli.options import BUG, InterruptionError, example
from pnas_sim.cli.output import say, takes_any_letter
from pnas_sim.cli.predictors import predictors
from pnas_sim.cli.report import report
from pnas_sim.cli.resume import resume
from pnas_sim.cli.run import run
from pnas_sim.cli.show import show
from pnas_sim.cli.table import table
from pnas_sim.cli.verify import verify
from pnas_sim.errors import PnasError, RequestError
from pnas_sim.files import FULL

DONE, FAILED, WRONG_REQUEST, INTERRUPTED = 0, 1, 2, 130
PROGRAM = "pnas-sim"
SYSTEM = os.name


@click.group(
    PROGRAM,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=example(
        "pnas-sim run                the paper's whole search on the table that ships",
        "pnas-sim COMMAND --help     all about one command, with an example",
    ),
)
@click.version_option(__version__, "--version", prog_name=PROGRAM, message="%(prog)s %(version)s")
def pnas_sim() -> None:
    """Progressive neural architecture search, on a benchmark table or by real training.

    Exit codes: 0 done, 1 the work failed, 2 the request was wrong, 130 interrupted.
    """


for _command in (run, resume, compare, predictors, verify, report, show, table, searches, backends):
    pnas_sim.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits with its code.

    Args:
        arguments: of the command line; by default the process's own.

    Raises:
        SystemExit: always.
    """
    if SYSTEM != "posix":
        sys.exit(_complain("it needs a POSIX system, such as Linux; on Windows run it inside WSL", FAILED))
    words = list(sys.argv[1:] if arguments is None else arguments)
    _write_what_can_be_written()
    with _stop_on_sigterm(), redirect_stdout(sys.stdout):  # put back, where a command changed it and failed
        sys.exit(_run_command(words))


def _write_what_can_be_written() -> None:
    """Has letters that standard output cannot take written as escapes: no result is to be lost by them."""
    if isinstance(sys.stdout, io.TextIOWrapper) and not takes_any_letter(sys.stdout):
        sys.stdout.reconfigure(errors="backslashreplace")


def _run_command(words: list[str]) -> int:
    """Runs a command; returns the exit code, once the error, if any, has been told in one line."""
    try:
        code = pnas_sim.main(words, prog_name=PROGRAM, standalone_mode=False, obj=words)
        return code if isinstance(code, int) else DONE
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG_REQUEST
    except click.ClickException as error:
        return _complain(_one_line(error), WRONG_REQUEST)
    except InterruptionError as error:
        return _complain(str(error), INTERRUPTED)
    except (click.Abort, KeyboardInterrupt):
        return _complain("interrupted", INTERRUPTED)
    except PnasError as error:
        if error.__cause__ is not None:  # raised by something else, a part of one's own perhaps
            _show_where(error, words)
        return _complain(str(error), WRONG_REQUEST if isinstance(error, RequestError) else FAILED)
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # rich's way to end when nobody reads any more
            return FAILED
        return _complain(f"a part that was loaded ended the program (SystemExit {error.code})", FAILED)
    except Exception as error:
        return _complain_of_surprise(error, words)


def _complain(text: str, code: int) -> int:
    say(f"{PROGRAM}: error: {' '.join(text.split())}")
    return code


def _one_line(error: click.ClickException) -> str:
    """Click's message, with the command whose help tells more."""
    text = error.format_message().rstrip(".")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        text += f"; see {error.ctx.command_path} --help"
    return text


def _complain_of_surprise(error: Exception, words: Sequence[str]) -> int:
    """Tells of an error that nobody raised on purpose; with `-v` where it came from, too."""
    _show_where(error, words)
    if isinstance(error, OSError) and error.errno in FULL:
        where = f" at {error.filename}" if error.filename else ""
        return _complain(f"the disk is full{where}; make room and run the command again", FAILED)
    whose = "; ".join(getattr(error, "__notes__", []))
    if isinstance(error, OSError) and error.strerror:
        known = f" ({whose})" if whose else ""
        return _complain(f"{error.filename or 'a file'}: {error.strerror}{known}", FAILED)
    if isinstance(error, MemoryError):
        known = f" ({whose})" if whose else ""
        return _complain(f"the memory is full; ask for less at once, or free some{known}", FAILED)
    hint = f"{whose or BUG}; -v shows where"
    return _complain(f"{type(error).__name__}: {error or 'no details'} ({hint})", FAILED)


def _show_where(error: Exception, words: Sequence[str]) -> None:
    """With `-v`, the traceback."""
    if "-v" in words or "--verbose" in words:
        traceback.print_exception(error)


@contextmanager
def _stop_on_sigterm() -> Iterator[None]:
    """While inside, SIGTERM acts like Ctrl-C."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
