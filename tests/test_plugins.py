from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pnas_sim.errors import BackendError, DataError, SettingError
from pnas_sim.plugins import Family, Plugin, find_plugin, list_plugins, load_plugin, make_plugin

SOURCE = """
from pnas_sim.errors import DataError

def make(start, step=1):
    return range(start, 10, step)

def fail(start):
    raise KeyError("start")

def refuse(start):
    raise DataError("no images")

class Maker:
    @classmethod
    def create(cls, start):
        return range(start)

number = 3
"""
OWN = {"counter": "plugin_fixture:make", "number": "plugin_fixture:number"}


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Family]:
    """Two parts that ship and two of an installed package, one of them by a name that is taken."""
    (tmp_path / "plugin_fixture.py").write_text(SOURCE)
    (tmp_path / "needy_fixture.py").write_text("import no_such_library.part\n")
    (tmp_path / "faulty_fixture.py").write_text("raise ValueError('two\\nlines')\n")
    (tmp_path / "refusing_fixture.py").write_text("from plugin_fixture import refuse\nrefuse(0)\n")
    install(tmp_path, "brings", "other = plugin_fixture:make\ncounter = elsewhere:make")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Family("counter", SettingError, "fixture.counters", OWN)
    for name in [name for name in sys.modules if name.endswith("_fixture")]:
        del sys.modules[name]


def install(folder: Path, name: str, points: str) -> None:
    """Makes a distribution as installers leave it."""
    info = folder / f"{name}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[fixture.counters]\n{points}\n")


def test_what_ships_comes_first_and_keeps_its_name(family: Family) -> None:
    assert list_plugins(family) == [
        Plugin("counter", "plugin_fixture:make", "pnas-sim"),
        Plugin("number", "plugin_fixture:number", "pnas-sim"),
        Plugin("other", "plugin_fixture:make", "brings 1.5"),
    ]
    assert "plugin_fixture" not in sys.modules


@pytest.mark.parametrize("name", ["counter", "other", "plugin_fixture:make"])
def test_parts_are_made_by_name_entry_point_and_path(family: Family, name: str) -> None:
    assert make_plugin(family, name, range, 2, step=3) == range(2, 10, 3)


def test_a_path_may_name_a_method(family: Family) -> None:
    assert make_plugin(family, "plugin_fixture:Maker.create", range, 4) == range(4)


def test_finding_a_path_imports_nothing(family: Family) -> None:
    assert find_plugin(family, "no.such:thing") == Plugin("no.such:thing", "no.such:thing")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conter", "unknown counter 'conter'; did you mean 'counter'? known are: counter, number, other, or"),
        ("OTHER", "unknown counter 'OTHER'; did you mean 'other'? known are: counter, number, other, or any"),
        ("zzz", "unknown counter 'zzz'; known are: counter, number, other, or any module:factory"),
        ("number", "'number' (plugin_fixture:number): number of plugin_fixture is not callable"),
        (":make", "counter ':make' is no import path; write it as package.module:factory"),
        ("plugin_fixture:", "counter 'plugin_fixture:' is no import path"),
        ("./plugin_fixture.py:make", "names a file; write plugin_fixture:make, with the file's folder on"),
        ("parts/plugin_fixture.py:make", "names a file; write plugin_fixture:make"),
        (
            "no_such_fixture:make",
            "there is no module 'no_such_fixture'; install it, or put its folder on PYTHO",
        ),
        ("plugin_fixture.part:make", "there is no module 'plugin_fixture.part'; install"),
        ("needy_fixture:make", "module needy_fixture needs 'no_such_library', which is not installed"),
        ("faulty_fixture:make", "module faulty_fixture cannot be imported: ValueError: two lines"),
        ("plugin_fixture:mke", "plugin_fixture has no 'mke'; did you mean 'make'?"),
        (
            "plugin_fixture:zzz",
            "counter 'plugin_fixture:zzz': plugin_fixture has no 'zzz'; name a function or class",
        ),
        ("plugin_fixture:fail", "could not be made, its factory raised KeyError: 'start'"),
        ("plugin_fixture:str", "plugin_fixture has no 'str'"),
    ],
)
def test_what_cannot_be_had_is_named_in_one_line(family: Family, name: str, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        make_plugin(family, name, range, 0)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_something_else_than_was_expected_is_named(family: Family) -> None:
    with pytest.raises(SettingError, match=r"'counter' .* made range, which is no list; mend its factory"):
        make_plugin(family, "counter", list, 0)


def test_an_option_that_a_factory_does_not_take_is_named(family: Family) -> None:
    with pytest.raises(SettingError, match=r"'counter' .* takes no option 'width'; leave it out"):
        make_plugin(family, "counter", range, 0, width=3)


@pytest.mark.parametrize("name", ["plugin_fixture:refuse", "refusing_fixture:make"])
def test_errors_raised_on_purpose_pass_as_they_are(family: Family, name: str) -> None:
    with pytest.raises(DataError, match=r"^no images$"):
        make_plugin(family, name, range, 0)


def test_one_name_of_two_packages_is_refused(family: Family, tmp_path: Path) -> None:
    install(tmp_path, "rival", "other = plugin_fixture:fail")
    with pytest.raises(
        SettingError, match=r"plugin_fixture:make of brings 1.5, plugin_fixture:fail of rival"
    ):
        find_plugin(family, "other")
    assert load_plugin(family, find_plugin(family, "plugin_fixture:make"))(9) == range(9, 10)


def test_a_family_need_bring_nothing() -> None:
    bare = Family("thing", BackendError)
    assert list_plugins(bare) == []
    with pytest.raises(BackendError, match="unknown thing 'a'; known are: none, or any module:factory"):
        find_plugin(bare, "a")


def test_the_module_imports_neither_numpy_nor_torch() -> None:
    code = "import sys, pnas_sim.plugins, pnas_sim.registry; print({'numpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
