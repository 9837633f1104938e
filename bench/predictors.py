"""What each predictor costs and is worth, relative to the MLP ensemble in the same run.

Run: `OMP_NUM_THREADS=1 python bench/predictors.py --table FILE --out predictors.md`; without `--table`
quality is measured on the made-up landscapes of `predictor_epochs.py`.

Each round fits every predictor on 904 cells (what a search has before its last level) and scores the 301,056
rows that 256 parents of four blocks expand to, one predictor after the other. Seconds are the process's own,
not the clock's, and ratios are to the MLP ensemble of the same round, so that a machine's other work matters
less; medians over rounds are printed. Quality is the mean over sizes of Spearman's correlation on cells one
block larger (Algorithm 2), fitted on 256 cells, mean over trials. Predictors of a model family that a
surrogate of the table shares are marked.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from predictor_epochs import invent_accuracies
from scipy.stats import spearmanr

from pnas_sim.predict import (
    ExpansionPredictor,
    Predictor,
    describe_predictor,
    list_predictors,
    make_predictor,
)
from pnas_sim.space import CellSpace

REFERENCE = "mlp-ensemble"
PARENTS = 256
CANDIDATES = 301_056
FITTED = 256  # cells of a size, of quality
ASKED = 1_000


def draw_fitted(space: CellSpace) -> tuple[np.ndarray, np.ndarray]:
    """Draws 904 cells of one to four blocks and made-up accuracies."""
    rng = np.random.default_rng(0)
    cells = np.concatenate([space.initial(), *(space.sample(256, rng, blocks=size) for size in (2, 3, 4))])
    return cells, invent_accuracies(space, cells, rng)


def time_fit(predictor: Predictor, cells: np.ndarray, accuracies: np.ndarray) -> float:
    start = time.process_time()
    predictor.fit(cells, accuracies)
    return time.process_time() - start


def time_scores(predictor: Predictor, space: CellSpace, parents: np.ndarray) -> float:
    start = time.process_time()
    if isinstance(predictor, ExpansionPredictor):
        scored = predictor.predict_expansions(parents)
    else:
        scored = predictor.predict(space.expand(parents).cells)
    assert len(scored.mean) == CANDIDATES
    return time.process_time() - start


def measure_quality(name: str, space: CellSpace, trials: int) -> float:
    """Measures the mean rank correlation on cells one block larger, of made-up landscapes."""
    found = []
    for trial in range(trials):
        rng = np.random.default_rng([21, trial])
        cells = [space.initial(), *(space.sample(ASKED, rng, blocks=size) for size in range(2, 6))]
        answers = np.split(
            invent_accuracies(space, np.concatenate(cells), rng),
            np.cumsum([len(rows) for rows in cells])[:-1],
        )
        for here in range(4):
            predictor = make_predictor(name, space)
            predictor.fit(cells[here][:FITTED], answers[here][:FITTED], trial)
            predicted = predictor.predict(cells[here + 1]).mean
            known = np.ptp(predicted) > 0
            found.append(float(spearmanr(predicted, answers[here + 1]).statistic) if known else 0.0)
    return float(np.mean(found))


def measure_on_table(names: list[str], path: str, trials: int) -> dict[str, float]:
    """Measures the same on a table's trained cells."""
    from pnas_sim.cli.studying import read_trained
    from pnas_sim.study.predictors import StudySettings, run_study
    from pnas_sim.study.predictors_pools import TRAINED, pool_trained
    from pnas_sim.study.predictors_rows import ALL_SIZES, NOISY
    from pnas_tables.format import read_table

    pools = pool_trained(read_trained(read_table(path)))
    settings = StudySettings(predictors=tuple(names), fitted={TRAINED: (FITTED,)}, trials=trials)
    with tempfile.TemporaryDirectory() as folder:
        study = run_study([pools], [], settings, Path(folder), lambda *told: None)
    mean = {row.predictor: row for row in study.rows if (row.blocks, row.truth) == (ALL_SIZES, NOISY)}
    return {name: mean[name].figures["spearman"].value for name in names}


def list_shared(names: list[str], path: str | None) -> set[str]:
    """Those of a model family that one of the table's surrogates is of."""
    from pnas_tables.format import read_table

    kinds = [stored.metadata["kind"] for stored in read_table(path).surrogates.values()] if path else []
    return {name for name in names if any(describe_predictor(name).is_favoured(kind) for kind in kinds)}


def measure_seconds(names: list[str], space: CellSpace, rounds: int) -> dict[str, np.ndarray]:
    """Measures seconds to fit and to score, `[rounds, 2]` for each predictor, interleaved."""
    cells, accuracies = draw_fitted(space)
    parents = cells[-PARENTS:]
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for name in names:  # imports and first calls
        make_predictor(name, space).fit(cells[:20], accuracies[:20])
    for _ in range(rounds):
        for name in names:
            predictor = make_predictor(name, space)
            fit = time_fit(predictor, cells, accuracies)
            seconds[name].append((fit, time_scores(predictor, space, parents)))
    return {name: np.array(measured) for name, measured in seconds.items()}


def tabulate(
    names: list[str], quality: dict[str, float], seconds: dict[str, np.ndarray], shared: set[str]
) -> list[str]:
    """Lines of Markdown, a predictor each; those that share a surrogate's family are marked."""
    lines = [
        f"| predictor | family | Spearman | fit 904 cells, s | of {REFERENCE}'s "
        f"| score {CANDIDATES:,} rows, s | of {REFERENCE}'s |",
        "| -- | -- | -- | -- | -- | -- | -- |",
    ]
    for name in names:
        fit, score = np.median(seconds[name], axis=0)
        fit_ratio, score_ratio = np.median(seconds[name] / seconds[REFERENCE], axis=0)
        figures = f"{fit:.2g} | {fit_ratio:.2g} | {score:.2g} | {score_ratio:.2g}"
        mark, family = "*" if name in shared else "", describe_predictor(name).family
        lines.append(f"| {name}{mark} | {family} | {quality[name]:.3f} | {figures} |")
    if shared:
        note = "* Shares the model family of a surrogate of the table, which favours it; here none answers."
        lines += ["", note]
    return lines


def main() -> None:
    """Prints the table, and writes it with `--out`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--predictors", default=",".join(info.name for info in list_predictors()))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--table", help="quality on its trained cells")
    parser.add_argument("--out", type=Path, help="Markdown file")
    options = parser.parse_args()
    names = list(dict.fromkeys([REFERENCE, *options.predictors.split(",")]))
    space = CellSpace()
    seconds = measure_seconds(names, space, options.rounds)
    if options.table:
        quality = measure_on_table(names, options.table, options.trials)
    else:
        quality = {name: measure_quality(name, space, options.trials) for name in names}
    lines = tabulate(names, quality, seconds, list_shared(names, options.table))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines += [
        "",
        f"Spearman: mean over {options.trials} trials. Seconds: medians of {options.rounds} interleaved "
        f"rounds, CPU, one thread; peak {peak:.0f} MB.",
    ]
    print("\n".join(lines))
    if options.out:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
