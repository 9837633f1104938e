"""Which recipe should the table's children be trained by? Trains candidates on the same cells, resumably.

    python bench/recipe_study.py train --data DIR --workers 2 [--hours H]
    python bench/recipe_study.py confirm --candidate NAME --data DIR --workers 2 [--hours H]
    python bench/recipe_study.py report [--json] [--write docs/recipe.md]

Every candidate differs from the base (`CIFAR10_16PX`) in what `CANDIDATES` says; all have its warm-up,
clipping, and no weight decay on BatchNorm and biases. The cells are the first 24 of five blocks in the
stream of the table's plan, so the base's own trainings stand in the table's parts and are read from there
(those that stand in the lines were tested on 2,500 images, as that table was; it decides no validation
accuracy); the base is trained here too on the first 6 cells, for its cost. `confirm` trains base,
reference, a candidate and that candidate at a third of its rate on 12 fresh cells with 2 seeds.

Each finished training is a line of `recipe_study.jsonl`, appended at once; a killed study goes on where it
stopped, and a second one beside it is refused. Work is ordered by tiers, and within a tier by groups of
cells, so that all candidates of a tier have equally many cells at any time. `report` prints what
`recipe_figures` makes of the lines.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from keeping import append_line, fill_page, hold_lines, read_lines
from recipe_figures import format_report, summarise
from trainings import Job, add_training_options, find_lines, train

from pnas_backends.training.recipe import CIFAR10_16PX
from pnas_sim.space import CellSpace
from pnas_tables.catalogue import data_folder
from pnas_tables.parts import read_parts
from pnas_tables.plans import draw_cells
from pnas_tables.shipped_plans import find_plan

LINES = Path(__file__).with_name("recipe_study.jsonl")
MARKS = ("<!-- figures -->", "<!-- end of figures -->")
PLAN = "cifar10-16px"
BASE = CIFAR10_16PX
CELLS, FRESH_CELLS, GROUP = 24, 12, 4
FRESH_SEED = 20261125  # of the stream of cells that no choice was made on
TIMED_CELLS = 6  # on which the base is trained here although the table has it

CANDIDATES: Mapping[str, Mapping[str, Any]] = {
    "base": {},
    "reference": {"train_images": 40_000, "epochs": 2.0},  # 4 times the steps, on all images there are
    "rate-0.05": {"learning_rate": 0.05},
    "rate-0.2": {"learning_rate": 0.2},
    "images-10000": {"train_images": 10_000, "epochs": 2.0},
    "images-5000": {"train_images": 5_000, "epochs": 4.0},
    "steps-half": {"train_images": 10_000},
    "steps-double": {"train_images": 40_000},
    "filters-12": {"filters": 12},
    "rate-0.0333": {"learning_rate": 0.1 / 3},
    "rate-0.0167": {"learning_rate": 0.05 / 3},
    "rate-0.0667": {"learning_rate": 0.2 / 3},
}
THIRD_OF_RATE = {"base": "rate-0.0333", "rate-0.05": "rate-0.0167", "rate-0.2": "rate-0.0667"}
TIERS: Sequence[tuple[Sequence[str], int]] = (
    (("base", "reference", "rate-0.05", "rate-0.2", "images-10000", "steps-half"), 0),
    (("base", "steps-half"), 1),
    (("rate-0.0333", "images-5000", "filters-12"), 0),
    (("rate-0.05", "rate-0.2", "images-10000"), 1),
    (("steps-double",), 0),
    (("images-5000", "steps-double", "filters-12"), 1),
    (("rate-0.0167", "rate-0.0667"), 0),
)


def make_job(phase: str, candidate: str, settings: Mapping[str, Any], cell: str, seed: int) -> Job:
    """One training: a candidate on a cell with a seed."""
    return Job({"phase": phase, "candidate": candidate}, BASE, settings, cell, seed)


def list_jobs(space: CellSpace) -> Iterator[Job]:
    """The study's trainings in order."""
    cells = space.format_many(draw_cells(space, 5, CELLS, find_plan(PLAN).seed))
    for candidates, seed in TIERS:
        for start in range(0, CELLS, GROUP):
            for name in candidates:
                for cell in cells[start : start + GROUP]:
                    yield make_job("choose", name, CANDIDATES[name], cell, seed)


def list_confirmation(space: CellSpace, candidate: str) -> Iterator[Job]:
    """The confirmation's trainings in order."""
    cells = space.format_many(draw_cells(space, 5, FRESH_CELLS, FRESH_SEED))
    rate = BASE.change(**CANDIDATES[candidate]).learning_rate
    wanted = {
        "reference": CANDIDATES["reference"],
        "base": {},
        candidate: CANDIDATES[candidate],
        f"{candidate} at a third": {**CANDIDATES[candidate], "learning_rate": rate / 3},
    }
    for seed in (0, 1):
        for start in range(0, FRESH_CELLS, GROUP):
            for name, settings in wanted.items():
                if seed == 0 or name in ("base", candidate):
                    for cell in cells[start : start + GROUP]:
                        yield make_job("confirm", name, settings, cell, seed)


# ------------------------------------------------------------------------------------------------- the lines


def read_table_lines(parts: Path, space: CellSpace) -> Iterator[dict[str, Any]]:
    """The base's trainings of the study's cells that stand in the table's parts."""
    wanted = {row.tobytes() for row in draw_cells(space, 5, CELLS, find_plan(PLAN).seed)}
    for table in read_parts(PLAN, parts):
        if table.recipe != BASE.model_dump(mode="json"):
            continue
        for run, (place, seed) in enumerate(zip(table.run_cells, table.seeds, strict=True)):
            if table.cells[place].tobytes() in wanted and seed < 2:
                yield {
                    "phase": "choose",
                    "candidate": "base",
                    "settings": {},
                    "cell": space.format(table.cells[place]),
                    "seed": int(seed),
                    "source": "table",
                    "status": "ok" if table.valid_accuracy[run] > table.chance else "diverged",
                    "valid_accuracy": float(table.valid_accuracy[run]),
                    "test_accuracy": float(table.test_accuracy[run]),
                    "curve": np.stack([table.epochs, table.curves[run]], 1).tolist(),
                    "seconds": round(float(table.seconds[run]), 2),
                }


def take_from_table(parts: Path, space: CellSpace) -> None:
    """Appends the lines that the parts have and the study lacks."""
    known = {(line["cell"], line["seed"]) for line in read_lines(LINES) if line["source"] == "table"}
    for line in read_table_lines(parts, space):
        if (line["cell"], line["seed"]) not in known:
            append_line(LINES, line)


def is_missing(job: Job, lines: Sequence[Mapping[str, Any]], timed: set[str]) -> bool:
    """Whether a training is still to be done; of the base, the first cells although the table has them."""
    return not any(
        line["source"] == "study" or job.seed > 0 or job.cell not in timed
        for line in find_lines(job, lines, LINES)
    )


# --------------------------------------------------------------------------------------------------- commands


def run_training(options: argparse.Namespace) -> None:
    space = CellSpace()
    take_from_table(options.parts, space)
    listed = list_jobs(space) if options.command == "train" else list_confirmation(space, options.candidate)
    timed = set(space.format_many(draw_cells(space, 5, TIMED_CELLS, find_plan(PLAN).seed)))
    lines = read_lines(LINES)
    jobs = [job for job in listed if is_missing(job, lines, timed)]
    train(jobs, LINES, space, options.data, options.workers, options.hours, source="study")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("train", "confirm"):
        command = commands.add_parser(name)
        add_training_options(command)
        command.add_argument("--parts", type=Path, default=data_folder() / "parts", help="of the table")
        if name == "confirm":
            command.add_argument(
                "--candidate", choices=[n for n in CANDIDATES if n != "reference"], required=True
            )
    report = commands.add_parser("report")
    report.add_argument("--json", action="store_true")
    report.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this page")
    options = parser.parse_args()
    if options.command == "report":
        figures = summarise(read_lines(LINES), THIRD_OF_RATE)
        print(json.dumps(figures, indent=2) if options.json else format_report(figures))
        if options.write is not None:
            fill_page(options.write, MARKS, format_report(figures))
        return
    with hold_lines(LINES):
        run_training(options)


if __name__ == "__main__":
    main()
