from __future__ import annotations

import subprocess
import sys
from typing import Any


def test_both_own_backends_are_listed_with_what_they_need(pnas: Any) -> None:
    found = {entry["name"]: entry for entry in pnas("backends", "--json").json["backends"]}
    assert {"table", "gpu"} <= set(found)
    assert "table" in found["table"]["needs"]
    assert "--device cpu" in found["gpu"]["needs"]
    assert found["gpu"]["package"].startswith("pnas-sim ")


def test_text_names_them(pnas: Any) -> None:
    outcome = pnas("backends")
    assert outcome.code == 0
    assert "gpu     trains" in outcome.out


def test_listing_loads_none_of_them() -> None:
    code = (
        "import sys\n"
        "from pnas_sim.cli import main\n"
        "try:\n"
        "    main(['backends', '--json'])\n"
        "finally:\n"
        "    loaded = {name.split('.')[0] for name in sys.modules}\n"
        "    print(sorted(loaded & {'pnas_backends', 'torch', 'numpy'}), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == "[]\n"
