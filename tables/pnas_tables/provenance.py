"""Where a table's runs come from, in words that name no host, folder or person."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def describe_machine(command: str, **more: Any) -> dict[str, Any]:
    """The provenance of a sitting: versions and machine in words, without the names of hosts or folders."""
    packages = ("pnas-sim", "numpy", "torch")
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}",
        "command": command,
        **more,
    }


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
