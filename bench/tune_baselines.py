"""Tunes every search by the same number of trials: `python bench/tune_baselines.py --table FILE`.

NOT on what is reported: tune on a made-up, mini or second table, then report on another one with what was
found here. A trial is one setting of a search, run on `--worlds` worlds with `--seeds` seeds each up to
`--models` models; each search has a grid of 12 settings, its published one among them, PNAS too (it ends by
itself, at 1,160 models or 648). Of Hyperband's only 8 differ on a table with 4 checkpoints. Epochs of PNAS's
predictors come from `bench/predictor_epochs.py`.

A run's score is the noise-free accuracy of the five cells with the best observed accuracy at full epochs, so
that a lucky cell does not count for what it is not. Each run is written to `--out` as one JSON line when it
ends; the same command again goes on where it was stopped. At the end one line a setting: mean and standard
deviation over runs, n; `*` the best of its search, `published` the default. Below each search stand the words
that hand its best setting, and the trials that found it, to `pnas-sim compare` and `bench/efficiency.py`.

    python bench/tune_baselines.py --table /path/to/second.h5 evolution local reinforce ppo
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from keeping import append_line, hold_lines, read_lines

from pnas_sim.engine import Budget, run_search
from pnas_sim.errors import PnasError
from pnas_sim.evaluate import BackendRequest, Evaluator
from pnas_sim.ledger import Models
from pnas_sim.registry import make_backend
from pnas_sim.search import SearchRequest, make_search
from pnas_sim.search.catalogue import resolve_options
from pnas_sim.space import CellSpace

Setting = dict[str, Any]

TOP = 5
_POLICY = {"learning_rate": (0.00035, 0.001, 0.003, 0.01), "entropy": (0.00001, 0.001, 0.01)}
GRIDS: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "pnas": {
        "acquisition": ("greedy", "ucb", "thompson"),
        "refit": ("scratch", "finetune"),
        "beam": (128, 256),
    },
    "evolution": {"population": (25, 50, 100, 200), "sample": (5, 10, 25)},
    "local": {"starts": (1, 3, 10, 30), "batch": (1, 5, 20)},
    "reinforce": _POLICY,
    "ppo": _POLICY,
    "hyperband": {"eta": (2, 3, 4), "rungs": (0, 2), "brackets": (0, 1)},
    "tpe": {"startup": (10, 30, 100, 300), "batch": (1, 5, 20)},  # minutes a run
    "bananas": {"starts": (10, 50), "candidates": (30, 100, 300), "batch": (10, 50)},  # hours a run
}
USUAL = ("pnas", "evolution", "local", "reinforce", "ppo", "hyperband")


def list_settings(search: str) -> Iterator[Setting]:
    """Every setting of a search's grid, all options named."""
    names = list(GRIDS[search])
    for values in product(*GRIDS[search].values()):
        yield resolve_options(search, dict(zip(names, values, strict=True)))


def name_run(run: Mapping[str, Any]) -> str:
    """What tells one run from another: all but what it came to."""
    kept = ("search", "options", "table", "surrogate", "world", "seed", "models")
    return json.dumps({name: run[name] for name in kept}, sort_keys=True)


def score(models: Models, full: float) -> float:
    """Mean noise-free accuracy of the best observed at full epochs; NaN if there are none."""
    figures = models.figures[models.figures["epochs"] == full]
    figures = figures[np.isfinite(figures["valid_accuracy"])]
    best = np.argsort(-figures["valid_accuracy"], kind="stable")[:TOP]
    return float(figures["expected_valid_accuracy"][best].mean()) if len(best) else float("nan")


def do(run: dict[str, Any], evaluator: Evaluator) -> dict[str, Any]:
    """Runs a search to its end; adds what it came to."""
    spec = evaluator.spec
    space = CellSpace(operations=spec.space.operations, max_blocks=spec.space.max_blocks)
    request = SearchRequest(
        space=space,
        seed=run["seed"],
        fidelities=spec.fidelities,
        chance=spec.chance,
        options=run["options"],
    )
    begun = time.process_time()
    result = run_search(
        make_search(run["search"], request),
        evaluator,
        budget=Budget(models=run["models"]),
        evaluation_seed=run["seed"],
    )
    return run | {
        "score": score(result.evaluations, spec.epochs),
        "evaluated": result.models_evaluated,
        "repeats": result.repeats,
        "stopped": result.stopped,
        "cpu_seconds": round(time.process_time() - begun, 2),
    }


def do_missing(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Does the runs that are not in the file yet, world by world; returns all that were asked for."""
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with hold_lines(options.out):
        return _do_missing(options)


def _do_missing(options: argparse.Namespace) -> list[dict[str, Any]]:
    done = {name_run(run): run for run in read_lines(options.out)}
    wanted = []
    for world in range(options.worlds):
        backend = {"table": options.table, "surrogate": options.surrogate, "world": world}
        with closing(
            make_backend("table", BackendRequest(blocks=options.blocks, options=backend))
        ) as evaluator:
            for search, seed in product(options.searches, range(options.seeds)):
                for setting in list_settings(search):
                    run = {"search": search, "options": setting, "seed": seed, "world": world}
                    run |= {"table": evaluator.spec.checksum, "surrogate": options.surrogate}
                    run |= {"models": options.models}
                    if name_run(run) not in done:
                        done[name_run(run)] = do(run, evaluator)
                        append_line(options.out, done[name_run(run)])
                    wanted.append(done[name_run(run)])
    return wanted


def rank_settings(runs: list[dict[str, Any]], search: str) -> list[tuple[Setting, list[float]]]:
    """The settings of a search with the scores of their runs, the best mean first."""
    scores: dict[str, list[float]] = {}
    for run in runs:
        if run["search"] == search:
            scores.setdefault(json.dumps(run["options"]), []).append(run["score"])
    ranked = sorted(scores, key=lambda text: -float(np.mean(scores[text])))
    return [(json.loads(text), scores[text]) for text in ranked]


def hand_on(runs: list[dict[str, Any]], search: str) -> list[str]:
    """The words for `pnas-sim compare` that hand on the best setting, and how many were tried."""
    ranked = rank_settings(runs, search)
    best = ranked[0][0]
    sets = [word for name in GRIDS[search] for word in ("--set", f"{search}.{name}={best[name]}")]
    return [*sets, "--tuning", f"{search}={len(ranked)}"]


def report(runs: list[dict[str, Any]]) -> None:
    """Prints a line for each setting, searches in the order asked for, the best first."""
    for search in dict.fromkeys(run["search"] for run in runs):
        for place, (setting, scores) in enumerate(rank_settings(runs, search)):
            found = np.array(scores)
            spread = f"{found.std(ddof=1):.5f}" if len(found) > 1 else "one run"
            tuned = " ".join(f"{name}={setting[name]}" for name in GRIDS[search])
            published = "  published" if setting == resolve_options(search, {}) else ""
            mark = " " if place else "*"
            print(f"{mark} {search:10} {found.mean():.5f} {spread} n={len(found)}  {tuned}{published}")
        print(" ", " ".join(hand_on(runs, search)))


def main() -> None:
    """Does what is missing and prints what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("searches", nargs="*", default=list(USUAL), metavar="SEARCH", help=", ".join(GRIDS))
    parser.add_argument("--table", required=True, help="with a surrogate; not the one that is reported")
    parser.add_argument("--surrogate", default="lightgbm")
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--worlds", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", type=int, default=2000, help="of each run")
    parser.add_argument("--out", type=Path, default=Path("build/tuning.jsonl"))
    options = parser.parse_args()
    unknown = sorted(set(options.searches) - set(GRIDS))
    if unknown:
        parser.error(f"no grid for {unknown[0]!r}; there are: {', '.join(GRIDS)}")
    try:
        report(do_missing(options))
    except PnasError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
