"""Searches cells of ten blocks, twice the paper's, in bounded memory. Run: `python bench/ten_blocks.py`.

The paper's search with B = 10 (K = 256, the MLP ensemble) on a made-up function of the cells' wiring and
operations, for no table answers cells so large: 136 + 9 x 256 = 2,440 models, a million candidates on the
last level. Prints one line a level and a JSON object of seconds and peak memory of the process. Exit code 1
where the peak is above the limit or the search does not come to its end.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys

import numpy as np

from pnas_sim.engine import Budget, Progress, RunResult, run_search
from pnas_sim.function_evaluator import FunctionEvaluator
from pnas_sim.search import SearchRequest, make_search
from pnas_sim.space import PAD, PAPER_OPERATIONS, CellSpace

LIMIT_GB = 3.0
WORTH = np.array([0.9, 1.0, 0.95, 0.6, 0.3, 0.4, 0.5, 0.45])  # of each of the paper's operations, made up


def judge(cells: np.ndarray) -> np.ndarray:
    """Made-up accuracies of cells (`uint8[n, 4 * blocks]`): worthy operations, deep wiring, mixed halves."""
    tokens = cells.reshape(len(cells), -1, 4)
    filled = tokens[:, :, 0] != PAD
    blocks = filled.sum(axis=1)
    worth = WORTH[np.where(filled[:, :, None], tokens[:, :, 2:], 0)].mean(axis=2)
    deep = np.where(filled[:, :, None], tokens[:, :, :2] > 1, False).any(axis=2)
    mixed = tokens[:, :, 2] != tokens[:, :, 3]
    merit = np.where(filled, 0.6 * worth + 0.2 * deep + 0.2 * mixed, 0).sum(axis=1) / blocks
    return 0.5 + 0.3 * merit + 0.1 * (1 - np.exp(-blocks / 4))


def search(blocks: int, beam: int, predictor: str, seed: int) -> RunResult:
    """Runs PNAS to its end; tells each level on standard error when it begins."""
    space = CellSpace(PAPER_OPERATIONS, blocks)
    request = SearchRequest(space=space, seed=seed, options={"beam": beam, "predictor": predictor})
    level = 0

    def tell(progress: Progress) -> None:
        nonlocal level
        if progress.blocks > level:
            level = progress.blocks
            print(f"level {level}, peak {measure_peak():.2f} GB so far", file=sys.stderr, flush=True)

    evaluator = FunctionEvaluator(judge, space, name="made-up")
    return run_search(make_search("pnas", request), evaluator, budget=Budget(models=10**6), progress=tell)


def measure_peak() -> float:
    """The most memory this process has held so far, GB (10^9 bytes)."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def main() -> int:
    """Searches, prints what it took, and judges."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--beam", type=int, default=256)
    parser.add_argument("--predictor", default="mlp-ensemble")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=LIMIT_GB, help="GB of memory at most")
    options = parser.parse_args()
    result = search(options.blocks, options.beam, options.predictor, options.seed)
    peak = measure_peak()
    ended = result.stopped == "finished" and result.levels[-1].blocks == options.blocks
    report = {
        **vars(options),
        "models": result.models_evaluated,
        "candidates": sum(level.candidates for level in result.levels),
        "seconds": round(result.seconds, 1),
        "peak_gb": round(peak, 2),
        "rank_correlations": [level.rank_correlation for level in result.levels],
        "met": ended and peak < options.limit,
    }
    print(json.dumps(report))
    return 0 if report["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
