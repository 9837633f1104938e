"""The comparison that the paper's headline rests on: models and examples for the same accuracy.

    python bench/efficiency.py main --surrogate lightgbm --out results/lightgbm
    python bench/efficiency.py main --surrogate gp --out results/gp
    python bench/efficiency.py beams --surrogate lightgbm --out results/beams
    python bench/efficiency.py rates --surrogate lightgbm --out results/rates
    python bench/efficiency.py populations --surrogate lightgbm --out results/populations
    python bench/efficiency.py tuned --surrogate lightgbm --out results/tuned
    python bench/efficiency.py shared --surrogate lightgbm --out results/shared
    python bench/efficiency.py measured --table cifar10-16px-mini --blocks 2 --out results/mini
    python bench/efficiency.py small --table results/tenth.h5 --blocks 2 --surrogate gp --out results/tenth-gp
    python bench/efficiency.py speed --out results/speed
    python bench/efficiency.py tables lightgbm=results/lightgbm gp=results/gp > tables.md

Each plan is one `pnas-sim compare` command, which is printed first: n = worlds x seeds whole runs of each
search, 6,000 models each where a search does not end by itself. Searches have their published settings; what
`bench/tune_baselines.py` found on another table is handed on with the trials that found it, for the manifest:
`--set evolution.population=50 --tuning evolution=12`. `pnas-gbt`, PNAS with boosted trees for a predictor,
shares its model family with the surrogate lightgbm: on that one its figures are circular.

`rates` looks into how much the verdict on reinforcement learning hangs on its published learning rate, chosen
for 20,000 models: ten times that rate, tried on what is reported, which favours reinforcement learning.
`populations` does the same with the size of regularised evolution's population. `tuned` gives each search the
best of its trials on the second table, which are lines of `bench/tuning.jsonl`.

`shared` has the main searches in worlds where near cells share what the model does not know of them
(`bench/kinship.py` says how far trained cells do).

`measured` looks trained cells up in a complete table, where beams, budgets and the population are small (the
published one of 100 has hardly begun to evolve there; a fifth of it stands beside it); `small` is the same
on a surrogate, of a part of that table say (`bench/licence.py`). Both have 30 runs, since Holm's correction
leaves no difference between so many searches with 10.

A plan that was stopped goes on where it was when the same command is given again. Words that the script does
not know are handed on (`--workers 2`). With `--dry` a plan is cut to a minute, to prove it. `speed` is 10
seeds in one world: its seconds, printed at the end, are held against 30 minutes on two cores. `tables` writes
the verdicts and, below them, the main figures of each comparison side by side: a claim is supported only
where it holds on every surrogate family given, two at least, all of one table. All tables of a comparison are
in the file `tables.md` of its folder.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from keeping import read_lines
from tune_baselines import hand_on

from pnas_sim.errors import SettingError

LIMIT_MINUTES = 30.0  # of the plan `speed`, on two cores
RL, RANDOM = "reinforce,ppo", "random,random-raw"
ABLATIONS = "pnas-no-growth,pnas-mutations,pnas-random-beam,pnas-oracle"
MODEL = "pnas-oracle-model"  # where there is a model
MEASURES = {"by-parameters": "log-parameters", "by-multiply-adds": "multiply-adds", "by-depth": "depth"}
BEAMS = (32, 64, 128, 256)
Results: TypeAlias = Mapping[str, Mapping[str, Any]]
TRIALS = Path(__file__).with_name("tuning.jsonl")
TUNED = ("pnas", *RL.split(","), "evolution", "local")
POPULATIONS = (25, 50, 100, 200)
FASTER = 0.0035  # ten times the published learning rate of the controllers
PREDICTORS = {"pnas-rnn": "rnn-ensemble", "pnas-gbt": "gbt", **MEASURES}
SEARCHES = ",".join(
    ["pnas", RL, "evolution,local", RANDOM, ABLATIONS, *(f"{label}=pnas" for label in PREDICTORS)]
)
SETS = [f"{label}.predictor={predictor}" for label, predictor in PREDICTORS.items()]
DRY = "--blocks 3 --budget 200 --worlds 2 --seeds 2 --top 1,5 --sample 200 --local 500 --resamples 100"
GROWING = ("pnas", *ABLATIONS.split(","), *PREDICTORS)


def plan_main(dry: bool) -> list[str]:
    """Every search of the paper's comparison, the others, the ablations."""
    dried = [*_dry_ablations(dry), *([f"{MODEL}.beam=10"] if dry else [])]
    return [*_searches(f"{SEARCHES},{MODEL}", "pnas,pnas-rnn"), *_sets([*SETS, *dried])]


def plan_small(dry: bool) -> list[str]:
    """The same in a space where 256 of a level are an eighth of all, and 100 cells half a search."""
    small = [f"pnas-64.beam={5 if dry else 64}", "evolution-20.population=20", "evolution-20.sample=5"]
    return [
        *_searches(f"{SEARCHES},pnas-64=pnas,evolution-20=evolution", "pnas,pnas-64"),
        *_sets([*SETS, *_dry_ablations(dry), *small]),
    ]


def plan_beams(dry: bool) -> list[str]:
    """PNAS by K, and the searches without a beam."""
    labels = [f"k{beam}" for beam in BEAMS]
    listed = ",".join([*(f"{label}=pnas" for label in labels), RL, "evolution,local", RANDOM])
    beams = [f"k{beam}.beam={max(beam // 8, 1) if dry else beam}" for beam in BEAMS]
    return [*_searches(listed, ",".join(labels)), *_sets(beams)]


def plan_rates(dry: bool) -> list[str]:
    """Reinforcement learning that learns ten times faster."""
    policies = RL.split(",")
    listed = ",".join(["pnas", *(f"{policy}-faster={policy}" for policy in policies)])
    rates = [f"{policy}-faster.learning_rate={FASTER}" for policy in policies]
    return [*_searches(listed, "pnas"), *_sets([*rates, *_dry_pnas(dry)])]


def plan_populations(dry: bool) -> list[str]:
    """Regularised evolution by the size of its population."""
    listed = ",".join(["pnas", *(f"population-{size}=evolution" for size in POPULATIONS)])
    sizes = [f"population-{size}.population={size}" for size in POPULATIONS]
    return [*_searches(listed, "pnas"), *_sets([*sizes, *_dry_pnas(dry)])]


def plan_shared(dry: bool) -> list[str]:
    """The main searches, and what grows or predicts in part, where near cells share their effects."""
    growing = ["pnas", *ABLATIONS.split(",")[:3]]
    listed = ",".join([*growing, RL, "evolution,local", RANDOM])
    return [*_searches(listed, "pnas"), "--effects", "shared", *_sets(_dry_ablations(dry, growing))]


def plan_tuned(dry: bool) -> list[str]:
    """Each search with the best of its trials on the second table; random ones have nothing to tune."""
    runs = read_lines(TRIALS)
    best = [word for search in TUNED for word in hand_on(runs, search)]
    return [*_searches(",".join([*TUNED, RANDOM]), "pnas"), *best, *_sets(_dry_pnas(dry))]


def _searches(listed: str, references: str) -> list[str]:
    return ["--searches", listed, "--reference", references]


def _sets(settings: Sequence[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def _dry_pnas(dry: bool) -> list[str]:
    return ["pnas.beam=10"] if dry else []


def _dry_ablations(dry: bool, growing: Sequence[str] = GROWING) -> list[str]:
    beams = [f"{label}.beam=10" for label in growing]
    candidates = [f"{label}.candidates=300" for label in ABLATIONS.split(",")[:2]]
    return [*beams, *candidates] if dry else []


FULL = "--budget 6000 --worlds 10 --seeds 2"
PLANS = {
    "main": (plan_main, FULL),
    "beams": (plan_beams, FULL),
    "rates": (plan_rates, FULL),
    "populations": (plan_populations, FULL),
    "tuned": (plan_tuned, FULL),
    "shared": (plan_shared, FULL),
    "measured": (plan_small, "--budget 400 --worlds 1 --seeds 30"),
    "small": (plan_small, "--budget 400 --worlds 10 --seeds 3"),
    "speed": (plan_main, "--budget 6000 --worlds 1 --seeds 10"),
}


def write_plan(plan: str, dry: bool) -> list[str]:
    """The words of a plan's `pnas-sim compare` command, but for table and folder."""
    make, size = PLANS[plan]
    measured = ["--table-mode", "measured"] if plan == "measured" else []
    if dry:
        return [*make(True), *DRY.split(), *(["--worlds", "1"] if measured else []), *measured]
    return [*make(False), *size.split(), *measured]


def run(plan: str, dry: bool, more: Sequence[str]) -> int:
    """Prints a plan's command and carries it out; returns its exit code."""
    from pnas_sim.cli import main

    words = ["compare", *write_plan(plan, dry), *more]
    print("pnas-sim", shlex.join(words), flush=True)
    begun = time.monotonic()
    try:
        main(words)
    except SystemExit as end:
        minutes = (time.monotonic() - begun) / 60
        print(f"{minutes:.1f} minutes (the plan speed is held against {LIMIT_MINUTES:g} on two cores)")
        late = plan == "speed" and not dry and minutes > LIMIT_MINUTES
        return int(end.code or late)
    return 0


def write_tables(named: Sequence[str]) -> str:
    """Verdicts, and the figures of comparisons given as FAMILY=FOLDER side by side, as Markdown."""
    results = {name: read_result(Path(folder)) for name, _, folder in (one.partition("=") for one in named)}
    return write_claims(results) + "\n" + write_sides(results)


def write_claims(results: Results) -> str:
    """What each claim comes to on comparisons by surrogate family, a table for each reference, as Markdown.

    Raises:
        SettingError: they are not of one table, or differ in more than their surrogate.
    """
    from pnas_sim.report.comparison_claims import make_claim_table
    from pnas_sim.study.claims import judge_claims

    lines = []
    for reference in list_references(results):
        verdicts = make_claim_table(judge_claims(results, reference))
        lines += [f"### Claim by claim, of {reference}", "", *verdicts, ""]
    return "\n".join(lines)


def write_sides(results: Results) -> str:
    """The main figures of comparisons by surrogate family side by side, as Markdown."""
    from pnas_sim.report.comparison_sides import make_end_table, make_side_table

    lines = []
    for reference in list_references(results):
        lines += [f"### Against {reference}", "", *make_side_table(results, reference), ""]
    tops = next(iter(results.values()))["tops"]
    lines += ["### What each search reached", "", *make_end_table(results, tops), ""]
    for name, result in results.items():
        notes = [f"- {name}: {note}" for note in result["notes"]]
        lines += [*notes, f"- {name}: every table is in `{result['out']}/tables.md`"]
    return "\n".join(lines) + "\n"


def write_headline(results: Results) -> str:
    """How many times as many models reinforcement learning needs, beside the paper's figures, as Markdown."""
    from pnas_sim.report.comparison_markdown import make_table
    from pnas_sim.report.comparison_sheets import make_paper_table

    rows: dict[tuple[str, str, str], list[str]] = {}
    for reference in list_references(results):
        for result in results.values():
            sheet = make_paper_table(result, reference)
            paper, here = (sheet.heads.index(f"speed-up in models, {where}") for where in ("paper", "here"))
            for row in sheet.rows:
                rows.setdefault((reference, *row[:2]), [row[paper]]).append(row[here])
    return "\n".join(
        make_table(
            ("of", "against", "top", "paper", *results), ((*key, *figures) for key, figures in rows.items())
        )
    )


def write_by_reference(result: Mapping[str, Any], top: int) -> str:
    """A row a reference: its models, its accuracy, and the models that each other search needs for it.

    Args:
        result: of a comparison of several references.
        top: M, of the mean over the best M.
    """
    from pnas_sim.report.comparison_markdown import make_table
    from pnas_sim.report.comparison_sheets import format_percent
    from pnas_sim.report.comparison_table import choose_duels, format_count, format_factor

    rivals = [one["label"] for one in result["searches"] if one["label"] not in result["references"]]
    rows = []
    for reference in result["references"]:
        duels = {
            row["search"]: row
            for row in choose_duels(result, reference, "paper", result["kinds"][-1])
            if row["top"] == top
        }
        first = duels[rivals[0]]
        needed = (format_factor(duels[rival]["speed_up_models"]) for rival in rivals)
        rows.append(
            (reference, format_count(first["reference_models"]), format_percent(first["accuracy"]), *needed)
        )
    return "\n".join(make_table(("of", "models", f"its top {top}", *rivals), rows))


def list_references(results: Results) -> list[str]:
    """The references that all comparisons have."""
    first, *others = results.values()
    return [name for name in first["references"] if all(name in one["references"] for one in others)]


def read_result(folder: Path) -> Mapping[str, Any]:
    """The result object of a finished comparison."""
    result: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plan", choices=(*PLANS, "tables"))
    parser.add_argument("--dry", action="store_true", help="a minute's worth, to prove the plan")
    given, rest = parser.parse_known_args()
    if given.plan == "tables" and not rest:
        parser.error("tables needs comparisons, as FAMILY=FOLDER")
    if given.plan == "tables":
        try:
            sys.stdout.write(write_tables(rest))
        except (SettingError, OSError) as error:
            parser.error(str(error))
    else:
        sys.exit(run(given.plan, given.dry, rest))
