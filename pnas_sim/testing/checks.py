"""What the suites share: demands with messages, other global random states, and a second process.

Nothing here needs a test framework; a broken contract is an `AssertionError` that says where.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pnas_sim.errors import RequestError
from pnas_sim.plugins import Family, Plugin, describe_error, load_plugin

_SECOND_PROCESS = "from pnas_sim.testing.checks import serve_second_process as serve; serve()"
_FACTORY = Family("factory", RequestError)


def require(condition: bool, message: str) -> None:
    """Raises `AssertionError` with the message unless the condition holds."""
    if not condition:
        raise AssertionError(message)


def require_refusal(what: str, call: Callable[[], object], error: type[Exception] = RequestError) -> None:
    """Demands that a call is refused with this error, in one line.

    Raises:
        AssertionError: it is answered, raises something else, or explains itself in several lines or none.
    """
    try:
        call()
    except error as refusal:
        require(len(str(refusal).splitlines()) == 1, f"{what} is refused with {str(refusal)!r}, not one line")
        return
    except Exception as other:
        raise AssertionError(f"{what} raises {type(other).__name__}, not {error.__name__}") from other
    raise AssertionError(f"{what} is not refused with an error of {error.__module__}.{error.__name__}")


@contextmanager
def told_as_broken(what: str) -> Iterator[None]:
    """Tells an error that a part raises where it must not as a broken contract.

    Raises:
        AssertionError: with the error's class and message.
    """
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{what} raised {describe_error(error)}") from error


@contextmanager
def other_global_randomness(seed: int, what: str) -> Iterator[None]:
    """Seeds the global generators of `random`, NumPy and (if it is loaded) torch; puts them back at the end.

    Raises:
        AssertionError: one of them was drawn from or seeded meanwhile.
    """
    plain, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch = sys.modules.get("torch")
    torch_state = torch.get_rng_state() if torch else None
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if torch:
        torch.random.default_generator.manual_seed(seed)
    before = _read_global_states(torch)
    try:
        yield
        after = _read_global_states(torch)
        for name, state in before.items():
            require(after[name] == state, f"{what} uses the global generator of {name}; use one of its own")
    finally:
        random.setstate(plain)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if torch:
            torch.set_rng_state(torch_state)


def _read_global_states(torch: Any) -> dict[str, object]:
    _, key, position, *_ = np.random.get_state()  # noqa: NPY002
    states: dict[str, object] = {
        "random": random.getstate(),
        "numpy": (np.asarray(key).tobytes(), position),
    }
    if torch:
        states["torch"] = torch.get_rng_state().numpy().tobytes()
    return states


def find_factory(path: str) -> Callable[..., Any]:
    """What `module:factory` names.

    Raises:
        RequestError: it cannot be imported.
    """
    return load_plugin(_FACTORY, Plugin(path, path))


def find_path(factory: Callable[..., object]) -> str:
    """Returns `module:factory` if that names a function or class for other processes too, else nothing."""
    module, name = getattr(factory, "__module__", ""), getattr(factory, "__qualname__", "")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except (ImportError, ValueError):
        return ""
    return f"{module}:{name}" if found is factory and module != "__main__" else ""


def call_in_second_process(function: str, **arguments: Any) -> Any:
    """What a function returns in a process with another hash seed.

    Args:
        function: `module:function`.
        arguments: JSON values; so is what it returns.

    Raises:
        AssertionError: that process failed.
    """
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    places = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", _SECOND_PROCESS],
        input=json.dumps({"function": function, "arguments": arguments}),
        env=os.environ | {"PYTHONHASHSEED": other, "PYTHONPATH": places},
        capture_output=True,
        text=True,
        check=False,
    )
    require(done.returncode == 0, f"the second process failed: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def serve_second_process() -> None:
    """Calls what the JSON object on standard input names; prints what it returns as the last line."""
    job = json.load(sys.stdin)
    print(json.dumps(find_factory(job["function"])(**job["arguments"])))
