"""Writes the golden trace anew: `python tests/search/write_golden_pnas.py`; read the diff."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

from pnas_sim.space import CellSpace

here = Path(__file__).parent
parts = runpy.run_path(str(here / "conftest.py"))
tests = runpy.run_path(str(here / "test_pnas.py"))
space = CellSpace(("sep3", "id", "max3"), 3)
trace = tests["trace_golden"](space, parts["IntegerPredictor"], parts["integer_accuracy"])
tests["GOLDEN"].write_text(json.dumps(trace, indent=1) + "\n")
