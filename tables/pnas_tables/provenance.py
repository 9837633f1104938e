"""Where a table's runs come from, in words that name no host, folder or person."""

from __future__ import annotations

import platform
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any


def describe_machine(command: str, **more: Any) -> dict[str, Any]:
    """The provenance of a sitting: versions and machine in words, without the names of hosts or folders.

    Its `training_code` tells apart sittings whose code differs though its version does not: a change that
    alters gradients by rounding alone gives every child another accuracy. Older sittings have none.
    """
    packages = ("pnas-sim", "numpy", "torch")
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}",
        "training_code": hash_sources(Path(str(files("pnas_backends") / "training"))),
        "command": command,
        **more,
    }


def hash_sources(folder: Path) -> str:
    """16 hex digits of the names and texts of a folder's Python files, in order of name."""
    found = blake2b(digest_size=8)
    for path in sorted(folder.glob("*.py")):
        text = path.read_text(encoding="utf-8").encode()  # line ends are as a checkout makes them
        found.update(f"{path.name} {len(text)}\n".encode() + text)
    return found.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _processor() -> str:
    """The processor's model where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else "unknown processor"
