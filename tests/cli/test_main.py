from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from pnas_sim.cli import main as run_main
from pnas_sim.cli import options, pnas_sim
from pnas_sim.errors import TableError, WorkError
from pnas_tables import catalogue

COMMANDS = (
    (),
    ("run",),
    ("resume",),
    ("compare",),
    ("predictors",),
    ("verify",),
    ("report",),
    ("show",),
    ("searches",),
    ("backends",),
    ("table",),
    ("table", "info"),
    ("table", "check"),
    ("table", "build"),
    ("table", "merge"),
    ("table", "fit"),
    ("table", "audit"),
    ("table", "quality"),
    ("table", "card"),
    ("table", "import"),
)


def _list_commands(group: click.Group, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found = {path}
    for name, command in group.commands.items():
        inner = (*path, name)
        found |= _list_commands(command, inner) if isinstance(command, click.Group) else {inner}
    return found


def test_these_are_all_commands() -> None:
    assert _list_commands(pnas_sim) == set(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_help_has_an_example_that_names_its_command(pnas: Any, words: tuple[str, ...]) -> None:
    outcome = pnas(*words, "--help")
    assert outcome.code == 0
    assert outcome.err == ""
    example = outcome.out.partition("Example:\n")[2]
    assert f"pnas-sim {' '.join(words)}".strip() in example
    assert max(map(len, outcome.out.splitlines())) <= 100


@pytest.mark.parametrize("words", [path for path in COMMANDS if path not in ((), ("table",))])
def test_every_command_has_json(pnas: Any, words: tuple[str, ...]) -> None:
    assert "--json" in pnas(*words, "--help").out


def test_every_option_says_what_it_is_for(pnas: Any) -> None:
    for path in COMMANDS:
        command: Any = pnas_sim
        for word in path:
            command = command.commands[word]
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (path, parameter.name)


@pytest.mark.parametrize(
    "words", [["--help"], ["run", "--help"], ["table", "build", "--help"], ["--version"]]
)
def test_help_imports_neither_numpy_nor_torch(words: list[str]) -> None:
    code = (
        "import sys\n"
        "from pnas_sim.cli import main\n"
        "try:\n"
        f"    main({words!r})\n"
        "finally:\n"
        "    heavy = {'numpy', 'torch', 'pydantic', 'rich', 'h5py', 'matplotlib'} & set(sys.modules)\n"
        "    print('heavy:', sorted(heavy))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.endswith("heavy: []\n")


def test_the_table_that_commands_take_by_default_is_the_one_that_ships() -> None:
    assert options.DEFAULT_TABLE == catalogue.DEFAULT_TABLE in catalogue.shipped_tables()


def test_version(pnas: Any) -> None:
    outcome = pnas("--version")
    assert (outcome.code, outcome.out) == (0, "pnas-sim 0.1.0\n")


@pytest.mark.parametrize(
    "words",
    [
        ("fly",),
        ("run", "--fly"),
        ("run", "--beam", "many"),
        ("run", "extra"),
        ("show",),
        ("resume",),
        ("table", "fly"),
        ("table", "merge"),
        ("table", "import", "x.csv"),
    ],
)
def test_wrong_usage_is_one_line_and_names_the_help(pnas: Any, words: tuple[str, ...]) -> None:
    outcome = pnas(*words)
    assert outcome.code == 2
    assert "--help" in outcome.complaint
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("run", "--out", ""), "'--out': it is empty; give a name"),
        (("resume", ""), "'DIR': it is empty"),
        (("verify", ""), "'DIR...': it is empty"),
        (("show", "PNASNet-5", "--svg", ""), "'--svg': it is empty"),
        (("run", "--out", "caf\udce9"), "b'caf\\xe9' is no UTF-8; give a name that is"),
        (("table", "import", "a.csv", "--out", "\udcff.h5"), "b'\\xff.h5' is no UTF-8"),
    ],
)
def test_paths_that_cannot_be_written_down_are_refused(
    pnas: Any, words: tuple[str, ...], complaint: str
) -> None:
    outcome = pnas(*words)
    assert outcome.code == 2 and complaint in outcome.complaint
    assert not list(Path().iterdir())


@pytest.mark.parametrize("words", COMMANDS)
def test_arguments_are_no_options_and_summaries_are_whole(pnas: Any, words: tuple[str, ...]) -> None:
    lines = pnas(*words, "--help").out.splitlines()[1:]
    assert not [line for line in lines if line.startswith("  DIR") or line.endswith("...")]


def test_no_command_at_all_shows_the_help(pnas: Any) -> None:
    outcome = pnas()
    assert outcome.code == 2
    assert "Commands:" in outcome.err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (TableError("table x: it is damaged"), 2, "table x: it is damaged"),
        (WorkError("lost"), 1, "lost"),
        (OSError(28, "No space left on device", "/data/x"), 1, "the disk is full at /data/x"),
        (PermissionError(13, "Permission denied", "/data/x"), 1, "/data/x: Permission denied"),
        (MemoryError(), 1, "the memory is full"),
        (ZeroDivisionError("of two\nlines"), 1, "ZeroDivisionError: of two lines (a bug"),
        (SystemExit(0), 1, "a part that was loaded ended the program (SystemExit 0)"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_are_a_line_and_a_code(
    pnas: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("pnas_sim.cli.backends.list_installed", fail)
    outcome = pnas("backends")
    assert outcome.code == code
    assert words in outcome.complaint
    assert "Traceback" not in outcome.err


def test_other_systems_are_told_at_once(pnas: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sys.modules["pnas_sim.cli.main"], "SYSTEM", "nt")
        outcome = pnas("--version")
    assert outcome.code == 1
    assert "it needs a POSIX system, such as Linux" in outcome.complaint


@pytest.mark.parametrize("words", ["table info", "table info --json"])
def test_a_reader_that_leaves_early_is_no_error_to_tell(small_table: Path, words: str) -> None:
    code = f"from pnas_sim.cli import main; main([*{words.split()!r}, {str(small_table)!r}])"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_verbose_shows_where_an_unexpected_error_came_from(
    pnas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pnas_sim.cli.backends.list_installed", lambda: 1 / 0)
    outcome = pnas("backends", "-v")
    assert outcome.code == 1
    assert "Traceback" in outcome.err


def test_main_reads_the_processs_own_arguments(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pnas-sim", "--version"])
    with pytest.raises(SystemExit) as end:
        run_main()
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("pnas-sim ")


def test_the_package_is_the_command_too() -> None:
    done = subprocess.run([sys.executable, "-m", "pnas_sim", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("pnas-sim ")
    refused = subprocess.run([sys.executable, "-m", "pnas_sim", "rum"], capture_output=True, text=True)
    assert refused.returncode == 2
