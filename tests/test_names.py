"""What the packages export by name: each is there, is its module's own, and imports no more than it must."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType

import pytest

import pnas_backends
import pnas_sim

PACKAGES = [pnas_sim, pnas_backends]
HEAVY = ("numpy", "torch", "sklearn", "scipy", "h5py", "lightgbm", "pandas", "click", "pnas_tables")


def list_loaded(code: str) -> list[str]:
    script = f"import sys\n{code}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package in PACKAGES for name in package.__all__]
)
def test_every_name_is_that_of_its_module(package: ModuleType, name: str) -> None:
    module = importlib.import_module(f"{package.__name__}.{package._MODULES[name]}")
    assert getattr(package, name) is getattr(module, name)
    assert name in dir(package)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_has_a_module_and_no_other_is_there(package: ModuleType) -> None:
    assert set(package.__all__) == set(package._MODULES)
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_the_packages_import_nothing_before_a_name_is_asked_for() -> None:
    assert list_loaded("import pnas_sim, pnas_backends") == []
    assert list_loaded("from pnas_sim import *") == ["numpy"]
    assert list_loaded("from pnas_backends import PRESETS, NetworkShape, cell_costs") == ["numpy"]
