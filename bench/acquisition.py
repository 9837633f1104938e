"""Does hope pay? PNAS by greed, upper confidence bound and Thompson sampling, over seeds, on one table.

Run: `python bench/acquisition.py --table FILE` (a table with a surrogate; by default the one that ships).
Every variant of one seed sees the same noise. Printed, for each predictor and variant: the noise-free
accuracy of the best cells of the last level (mean of the top M by noisy accuracy), its difference to greedy
on the same seeds with a bootstrap interval over seeds, and the rank correlation on the last beam. A predictor
of the surrogate's own model family is marked: the surrogate favours it.
`pnas-sim compare` says the same in models: `--searches greedy=pnas,ucb=pnas --set ucb.acquisition=ucb`.
"""

from __future__ import annotations

import argparse
from contextlib import closing

import numpy as np
from scipy.stats import spearmanr

from pnas_sim.errors import SettingError
from pnas_sim.evaluate import BackendRequest, Evaluator
from pnas_sim.predict import describe_predictor, make_predictor
from pnas_sim.registry import make_backend
from pnas_sim.search import Observations, Pnas
from pnas_sim.search.acquisition import GREEDY, THOMPSON, UCB, Acquisition
from pnas_sim.space import CellSpace
from pnas_sim.study.predictors_pools import ask_truth
from pnas_tables.catalogue import find_table
from pnas_tables.format import read_table
from pnas_tables.surrogate import DEFAULT_SURROGATE

TOPS = (1, 5, 25)
RESAMPLES = 2_000


def search(
    evaluator: Evaluator, predictor: str, acquisition: Acquisition, blocks: int, beam: int, seed: int
) -> list[float]:
    """Searches once; the top M's noise-free means and the last beam's rank correlation."""
    spec = evaluator.spec
    space = CellSpace(operations=spec.space.operations, max_blocks=blocks)
    pnas = Pnas(
        space, make_predictor(predictor, space), beam=beam, batch=10**9, seed=seed, acquisition=acquisition
    )
    while len(asked := pnas.ask(10**9)):
        last = asked
        noisy, expected, _ = ask_truth(evaluator, asked.cells, spec.epochs, seed)
        pnas.tell(Observations.ok(noisy))
    order = np.argsort(-noisy, kind="stable")
    rank = float(spearmanr(last.predicted, noisy).statistic) if np.ptp(last.predicted) > 0 else 0.0
    return [*(float(expected[order[:top]].mean()) for top in TOPS), rank]


def list_variants(kappas: list[float]) -> dict[str, Acquisition]:
    hopeful = {f"{UCB} {kappa:g}": Acquisition(UCB, kappa) for kappa in kappas}
    return {GREEDY: Acquisition(), **hopeful, THOMPSON: Acquisition(THOMPSON)}


def format_difference(values: np.ndarray, others: np.ndarray) -> str:
    """The mean difference in points of per cent with its 95% interval over seeds."""
    apart = 100 * (values - others)
    draws = np.random.default_rng(0).integers(0, len(apart), (RESAMPLES, len(apart)))
    low, high = np.percentile(apart[draws].mean(axis=1), [2.5, 97.5])
    return f"{apart.mean():+.2f} [{low:+.2f}, {high:+.2f}]"


def main() -> None:
    """Prints a line for each predictor and variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", default="cifar10-16px")
    parser.add_argument("--surrogate", default=DEFAULT_SURROGATE)
    parser.add_argument("--predictors", default="mlp-ensemble,gbt")
    parser.add_argument("--kappas", default="0.5,1,2")
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--beam", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    answers = {"table": options.table, "surrogate": options.surrogate}
    request = BackendRequest(blocks=options.blocks, options=answers)
    variants = list_variants([float(kappa) for kappa in options.kappas.split(",")])
    print(f"{options.seeds} seeds, B = {options.blocks}, K = {options.beam}, noise-free accuracy in per cent")
    print("| predictor | acquisition | top 1 | top 5 | top 25 | top 5, less greedy's | Spearman, last beam |")
    print("| -- | -- | -- | -- | -- | -- | -- |")
    kind = read_table(find_table(options.table)).surrogates[options.surrogate].metadata["kind"]
    predictors = options.predictors.split(",")
    marks = {name: "*" if describe_predictor(name).is_favoured(kind) else "" for name in predictors}
    with closing(make_backend("table", request)) as evaluator:
        for predictor in predictors:
            compare(evaluator, predictor, marks[predictor], variants, options)
    if any(marks.values()):
        print(f"\n* shares the model family of the surrogate that answers ({kind}): circular")


def compare(
    evaluator: Evaluator,
    predictor: str,
    mark: str,
    variants: dict[str, Acquisition],
    options: argparse.Namespace,
) -> None:
    """Prints the lines of one predictor, its name marked; a variant it cannot serve has a line saying so."""
    found: dict[str, np.ndarray] = {}
    for name, acquisition in variants.items():
        try:
            runs = [
                search(evaluator, predictor, acquisition, options.blocks, options.beam, seed)
                for seed in range(options.seeds)
            ]
        except SettingError as error:
            print(f"| {predictor}{mark} | {name} | {error} | | | | |", flush=True)
            continue
        found[name] = np.array(runs)
        *tops, rank = found[name].mean(axis=0).tolist()
        apart = format_difference(found[name][:, 1], found[GREEDY][:, 1])
        figures = " | ".join(f"{100 * top:.2f}" for top in tops)
        less = "-" if name == GREEDY else apart
        print(f"| {predictor}{mark} | {name} | {figures} | {less} | {rank:.2f} |", flush=True)


if __name__ == "__main__":
    main()
