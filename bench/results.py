"""Sums up a benchmark run: `python bench/results.py RAW.json` writes `bench/results.json`.

`make bench` runs the benchmarks and then this. For each claim it keeps the figure measured (median over
rounds), its target, how many times better than the target it is, what was counted (n), and the machine and
commit. It exits with 1 where a target is missed. Where the target only guards what was reached, a benchmark
says what was wanted as its `goal`; whether that is met stands beside it, and decides no exit.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results.json"


def sum_up(raw: dict[str, Any]) -> dict[str, Any]:
    cpu = raw["machine_info"]["cpu"]
    return {
        "command": "make bench",
        "date": raw["datetime"][:10],
        "commit": raw["commit_info"]["id"][:12] + ("+" if raw["commit_info"]["dirty"] else ""),
        "machine": f"{cpu.get('brand_raw', 'unknown processor')}, {cpu.get('count')} cores, one thread used",
        "claims": {entry["name"]: judge(entry) for entry in raw["benchmarks"]},
    }


def judge(entry: dict[str, Any]) -> dict[str, Any]:
    """One claim: seconds are better when lower, everything else (a second, times) when higher.

    A benchmark that measures something else than its rounds, a ratio for one, says so as `measured`.
    """
    extra = dict(entry["extra_info"])
    target, unit, count = extra.pop("target"), extra.pop("unit"), extra.pop("n", 1)
    median = entry["stats"]["median"]
    measured = extra.pop("measured", median if unit == "s" else count / median)
    margin = find_margin(measured, target, unit)
    claim = {"measured": measured, "target": target, "unit": unit, "n": count, "times_better": margin}
    verdict = {"met": margin >= 1}
    if "goal" in extra:
        verdict["goal_met"] = find_margin(measured, extra["goal"], unit) >= 1
    return {key: round_figure(value) for key, value in (claim | extra).items()} | verdict


def find_margin(measured: float, wanted: float, unit: str) -> float:
    """How many times better than what was wanted."""
    return wanted / measured if unit == "s" else measured / wanted


def round_figure(value: Any) -> Any:
    return float(f"{value:.3g}") if isinstance(value, float) else value


def main() -> int:
    results = sum_up(json.loads(Path(sys.argv[1]).read_text()))
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    for name, claim in results["claims"].items():
        word = "met" if claim["met"] else "MISSED"
        wanted = f"target {claim['target']:>10,}"
        missed = "" if claim.get("goal_met", True) else f" (goal {claim['goal']:,} missed)"
        print(f"{word:7}{claim['measured']:>12,} {claim['unit']:10} {wanted}  {name}{missed}")
    return 0 if all(claim["met"] for claim in results["claims"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
