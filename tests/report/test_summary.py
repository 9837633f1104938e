from __future__ import annotations

import io
from typing import Any

from pnas_sim.report.console import open_console
from pnas_sim.report.summary import print_run
from pnas_sim.space import KNOWN_CELLS, PAPER_OPERATIONS

LEVEL = {
    "blocks": 1,
    "candidates": 136,
    "unique": 136,
    "evaluated": 136,
    "best_valid_accuracy": 0.9011,
    "top5_valid_accuracy": 0.8952,
    "top25_valid_accuracy": 0.8801,
    "rank_correlation": None,
}
RESULT: dict[str, Any] = {
    "kind": "run",
    "schema": 1,
    "search": "pnas",
    "backend": "table",
    "seed": 3,
    "evaluation_seed": 3,
    "space": {"operations": list(PAPER_OPERATIONS), "max_blocks": 5},
    "source": "predicted",
    "models_evaluated": 1160,
    "proposals": 1165,
    "repeats": 5,
    "failed": 0,
    "examples": 23_200_000,
    "seconds": 61.5,
    "child_seconds": 36_000.0,
    "stopped": "finished",
    "levels": [
        LEVEL,
        {**LEVEL, "blocks": 5, "candidates": 301_056, "unique": 250_001, "rank_correlation": 0.468},
    ],
    "best": {
        "cell": KNOWN_CELLS["PNASNet-5"],
        "valid_accuracy": 0.5123,
        "expected_valid_accuracy": 0.5057,
        "test_accuracy": 0.5011,
    },
    "out": "runs/20261124-093000-pnas-3",
}


def _print(result: dict[str, Any], encoding: str = "utf-8") -> str:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding=encoding)
    print_run(result, open_console(stream, 80))
    stream.flush()
    return buffer.getvalue().decode(encoding)


def test_everything_a_person_asks_is_there() -> None:
    text = _print(RESULT)
    for part in (
        "301,056",
        "250,001",
        "90.11%",
        "89.52%",
        "0.47",
        "predicted",
        KNOWN_CELLS["PNASNet-5"],
        "valid 51.23%",
        "50.57%",
        "test 50.11%",
        "1,160 models",
        "23.20M examples",
        "10 h 00 min of children (simulated)",
        "1 min 02 s here",
        "pnas-sim resume runs/20261124-093000-pnas-3",
    ):
        assert part in text


def test_only_the_cells_own_line_is_wider_than_a_pipe() -> None:
    wide = [line for line in _print(RESULT).splitlines() if len(line) > 80]
    assert [line.strip() for line in wide] == [KNOWN_CELLS["PNASNet-5"]]


def test_plain_encodings_get_plain_characters() -> None:
    assert "concatenated" in _print(RESULT, "ascii")


def test_trained_children_cost_real_time() -> None:
    text = _print({**RESULT, "source": "trained", "failed": 2})
    assert "trained" in text
    assert "(real)" in text
    assert "2 of them failed" in text


def test_a_run_in_which_everything_failed_has_no_best() -> None:
    level = {**LEVEL, "best_valid_accuracy": None, "top5_valid_accuracy": None}
    text = _print({**RESULT, "best": None, "levels": [level]})
    assert "best cell" not in text


def test_unknown_accuracies_are_left_out() -> None:
    best = {**RESULT["best"], "expected_valid_accuracy": None, "test_accuracy": None}
    text = _print({**RESULT, "best": best})
    assert "expected" not in text
    assert "test" not in text.partition("valid 51.23%")[2].splitlines()[0]


def test_notes_are_lines_of_their_own() -> None:
    note = "the budget ended within the first 136 models (5 evaluated): pnas never learnt from any"
    assert f"\nnote        {note}\n" in _print({**RESULT, "notes": [note]})
