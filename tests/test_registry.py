from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pnas_sim.errors import BackendError, SettingError
from pnas_sim.evaluate import BackendRequest
from pnas_sim.registry import GROUP, list_backends, make_backend

SOURCE = """
import numpy as np
from pnas_sim.errors import SettingError
from pnas_sim.evaluate import BackendRequest
from pnas_sim.function_evaluator import FunctionEvaluator
from pnas_sim.space import CellSpace

def create(request: BackendRequest):
    if request.options:
        raise SettingError(f"option {min(request.options)!r} is not one of mine")
    return FunctionEvaluator(lambda cells: np.full(len(cells), 0.5), CellSpace(max_blocks=request.blocks))

def create_nothing(request):
    return None

def create_class(request):
    return FunctionEvaluator

def create_badly(request):
    return request.no_such_thing

class Undeclared:
    spec = {"name": "undeclared"}
    def evaluate(self, cells, epochs, seed):
        return iter(())
    def close(self):
        pass
"""
REQUEST = BackendRequest(blocks=3)


@pytest.fixture(autouse=True)
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package with two backends, one of which needs what is not there."""
    (tmp_path / "other_backend_fixture.py").write_text(SOURCE)
    (tmp_path / "needy_backend_fixture.py").write_text("import no_such_framework\n")
    info = tmp_path / "others-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 2.0\n")
    points = "constant = other_backend_fixture:create\nneedy = needy_backend_fixture:create\n"
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{points}")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("other_backend_fixture", "needy_backend_fixture"):
        sys.modules.pop(name, None)


def test_listing_names_every_backend_and_loads_none() -> None:
    found = {backend.name: backend for backend in list_backends()}
    assert set(found) >= {"constant", "gpu", "needy", "table"}
    assert list(found) == sorted(found)
    assert (found["constant"].entry_point, found["constant"].package) == (
        "other_backend_fixture:create",
        "others 2.0",
    )
    assert found["table"].package.startswith("pnas-sim ")
    assert "other_backend_fixture" not in sys.modules


@pytest.mark.parametrize("name", ["constant", "other_backend_fixture:create"])
def test_a_backend_is_made_by_name_or_by_path(name: str) -> None:
    evaluator = make_backend(name, REQUEST)
    assert evaluator.spec.space.max_blocks == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tabel", "unknown backend 'tabel'; did you mean 'table'? known are: "),
        (
            "constnat",
            "did you mean 'constant'? known are: constant, gpu, needy, table, or any module:factory",
        ),
        ("zzz", "unknown backend 'zzz'; known are: "),
        (
            "needy",
            "backend 'needy' (needy_backend_fixture:create): module needy_backend_fixture needs 'no_such_f",
        ),
        ("no_such_module:create", "there is no module 'no_such_module'"),
        ("other_backend_fixture:creat", "other_backend_fixture has no 'creat'; did you mean 'create"),
        ("other_backend_fixture:create_nothing", "made NoneType, which is no Evaluator; mend its factory"),
        ("other_backend_fixture:create_class", "its spec is property; it must be an EvaluatorSpec"),
        (
            "other_backend_fixture:create_badly",
            "its factory raised AttributeError: 'BackendRequest' object has",
        ),
    ],
)
def test_what_cannot_be_had_is_named_in_one_line(name: str, message: str) -> None:
    with pytest.raises(BackendError) as caught:
        make_backend(name, REQUEST)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_spec_that_is_none_is_named() -> None:
    source = Path(sys.path[0]) / "other_backend_fixture.py"
    source.write_text(SOURCE + "\ndef create_undeclared(request):\n    return Undeclared()\n")
    with pytest.raises(BackendError, match="its spec is dict; it must be an EvaluatorSpec"):
        make_backend("other_backend_fixture:create_undeclared", REQUEST)


def test_what_the_factory_refuses_on_purpose_passes() -> None:
    with pytest.raises(SettingError, match="option 'colour' is not one of mine"):
        make_backend("constant", BackendRequest(blocks=3, options={"colour": "red"}))


def run_python(code: str) -> dict[str, list[str]]:
    code = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout.splitlines()[-1])
    return {"all": loaded, "tops": sorted({name.split(".")[0] for name in loaded})}


def test_listing_imports_neither_torch_nor_any_backend() -> None:
    loaded = run_python("from pnas_sim.registry import list_backends\nassert list_backends()")
    heavy = {"torch", "numpy", "h5py", "lightgbm", "sklearn", "pnas_backends", "pnas_tables"}
    assert heavy & set(loaded["tops"]) == set()


@pytest.mark.parametrize("request_", [3, None, {"blocks": 3}])
def test_what_is_no_request_is_refused(request_: object) -> None:
    with pytest.raises(BackendError, match=f"request is {type(request_).__name__}; give BackendRequest"):
        make_backend("table", request_)  # type: ignore[arg-type]


def test_making_one_loads_only_that_one() -> None:
    """The training backend is the one that would bring torch, the table one h5py."""
    make = "from pnas_sim.registry import make_backend\nfrom pnas_sim.evaluate import BackendRequest\n"
    refused = (
        "from pnas_sim.errors import SettingError\n"
        "try:\n    make_backend('table', BackendRequest(blocks=1, options={'no': 1}))\n"
        "except SettingError:\n    pass\n"
    )
    table = run_python(make + refused)
    assert "pnas_backends.table" in table["all"] and "pnas_backends.training.backend" not in table["all"]
    assert "torch" not in table["tops"]
    trained = run_python(
        f"{make}make_backend('gpu', BackendRequest(blocks=1, options={{'device': 'cpu'}})).close()"
    )
    assert "pnas_backends.training.backend" in trained["all"]
    assert {"h5py", "lightgbm", "pnas_tables"} & set(trained["tops"]) == set()
