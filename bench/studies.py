"""Every comparison and study that docs/ reports, one after another, on the tables that are installed.

    python bench/studies.py list
    python bench/studies.py run --out results --workers 2            # all of them: hours
    python bench/studies.py run lightgbm gp --out results            # or these
    python bench/studies.py keep --out results                       # what docs/ keeps of those that are done

A study is one or more commands, each printed before it begins, with its output below `--out`. One that was
stopped goes on where it was, one that is done is passed over: `NAME.done` there holds its commands and the
edition of the table that it was run on. Another edition wants another folder.

`keep` copies tables, settings and pictures into docs/, and writes what is made of several studies: verdicts
claim by claim into docs/efficiency.md between its two marks, all figures side by side and the licence into
files beside it. Tables that a page quotes of those files are quoted anew. The prose of the pages is nobody's
but the reader's: read it against the new figures.

What trains (`pnas-sim verify`, `table audit`, the recipe study) is not among them. Run it from the root.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from efficiency import read_result, write_by_reference, write_claims, write_headline, write_sides
from keeping import fill_page, fill_quotes
from licence import write_report

from pnas_sim.errors import PnasError, SettingError
from pnas_tables.catalogue import DEFAULT_TABLE, find_table
from pnas_tables.format import read_table
from pnas_tables.record import checksum

BENCH = Path("bench")  # commands are of the project's root, as the pages print them
DOCS = Path("docs")
COMPLETE = "cifar10-16px-mini"
COMPARED = ("compare.toml", "manifest.json", "tables.md")
PICTURED = (*COMPARED, "curves-expected.png", "speed-up.png")
SIDES = """# The comparison on both surrogates, side by side

Noise-free, by the paper's counting; *better at equal models*: the search of the heading less the other, in
points. [What was compared, and what follows](../efficiency.md).

"""
HEADLINE = "### Models that reinforcement learning needs, times those of PNAS"
LICENCE = """# A complete table beside surrogates of a tenth of it

By `bench/licence.py`. [What was compared, and what follows](../efficiency.md).

"""
BEAMS = """# Models that other searches need, times those of PNAS, by K

On lightgbm, noise-free, by the paper's counting. [What was compared, and what follows](../../efficiency.md).

"""
JUDGED = ("tuned", "shared")  # comparisons beside the main one that have its searches
CLAIMS = ("<!-- claims, by bench/studies.py -->", "<!-- end of claims -->")


@dataclass(frozen=True)
class Study:
    """What is run and what is kept.

    Attributes:
        commands: without the interpreter; `{out}` is the folder of results.
        keeps: files of its own folder that docs/ has, too; `NAME=OTHER` where they have another name there.
        home: the folder in docs/ for them.
        table: the one whose edition it belongs to.
    """

    commands: tuple[str, ...]
    keeps: tuple[str, ...] = ()
    home: str = "efficiency"
    table: str = DEFAULT_TABLE


def plan(words: str, keeps: tuple[str, ...] = COMPARED, table: str = DEFAULT_TABLE) -> Study:
    """A plan of `bench/efficiency.py`."""
    return Study(
        (f"{BENCH / 'efficiency.py'} {words} --out {{out}}/{{name}} {{workers}}",), keeps, table=table
    )


TENTH = "--table {out}/tenth.h5 --blocks 2"
SHARED = "--effects shared"
TUNED = (  # the best of twelve trials each on the second table, as in the plan `tuned`
    "--set reinforce-tuned.learning_rate=0.01 --tuning reinforce-tuned=12 "
    "--set ppo-tuned.learning_rate=0.001 --tuning ppo-tuned=12 "
    "--set evolution-tuned.sample=10 --tuning evolution-tuned=12"
)
GAUSSIAN = (
    "compare --searches pnas,pnas-gp=pnas,reinforce,ppo,evolution,reinforce-tuned=reinforce,ppo-tuned=ppo,"
    f"evolution-tuned=evolution --reference pnas,pnas-gp --set pnas-gp.predictor=gp {TUNED} --budget 6000"
)
SCATTERS = ("scatter-trained-256-gbt.png", "scatter-trained-256-mlp-ensemble.png")
STUDIES = {
    "lightgbm": plan("main --surrogate lightgbm", PICTURED),
    "gp": plan("main --surrogate gp", PICTURED),
    "rates": plan("rates --surrogate lightgbm"),
    "pnas-gp": Study(
        (f"-m pnas_sim {GAUSSIAN} --worlds 10 --seeds 2 --out {{out}}/{{name}} {{workers}}",), COMPARED
    ),
    "populations": plan("populations --surrogate lightgbm"),
    "populations-gp": plan("populations --surrogate gp"),
    "tuned": plan("tuned --surrogate lightgbm"),
    "tuned-gp": plan("tuned --surrogate gp"),
    "shared": plan("shared --surrogate lightgbm"),
    "shared-gp": plan("shared --surrogate gp"),
    "beams": plan("beams --surrogate lightgbm"),
    "beams-gp": plan("beams --surrogate gp"),
    "fashion": plan("main --table fashion-16px --surrogate lightgbm", PICTURED, "fashion-16px"),
    # looked-up cells have no noise-free accuracy
    "mini": plan(
        f"measured --table {COMPLETE} --blocks 2",
        (*COMPARED, "curves-observed.png", "speed-up.png"),
        COMPLETE,
    ),
    "tenth": Study(
        (
            f"{BENCH / 'licence.py'} draw --table {COMPLETE} --out {{out}}/tenth.h5",
            "-m pnas_sim table fit {out}/tenth.h5",
            f"{BENCH / 'efficiency.py'} small {TENTH} --out {{out}}/{{name}} {{workers}}",
            f"{BENCH / 'efficiency.py'} small {TENTH} --surrogate gp --out {{out}}/{{name}}-gp {{workers}}",
            f"{BENCH / 'efficiency.py'} small {TENTH} {SHARED} --out {{out}}/{{name}}-shared {{workers}}",
            f"{BENCH / 'efficiency.py'} small {TENTH} --surrogate gp {SHARED} "
            "--out {out}/{name}-gp-shared {workers}",
            f"{BENCH / 'kinship.py'} {{out}}/tenth.h5 --write {{out}}/{{name}}/kinship.md",
        ),
        (*COMPARED, "kinship.md"),
        table=COMPLETE,
    ),
    "predictors": Study(
        ("-m pnas_sim predictors --search-seeds 5 --out {out}/{name} {workers}",),
        ("predictors.md=tables.md", *SCATTERS),
        home="",
    ),
}


def write_commands(name: str, out: Path, workers: int) -> list[list[str]]:
    """The words of each command of a study."""
    places = {"out": out, "name": name, "workers": f"--workers {workers}"}
    return [shlex.split(command.format(**places)) for command in STUDIES[name].commands]


def name_edition(name: str) -> str:
    """Which edition of which table a study would be run on now."""
    table = STUDIES[name].table
    return f"{table} {checksum(read_table(find_table(table)))}"


def is_done(name: str, out: Path) -> bool:
    """Whether it was carried out to the end, on the table that is installed.

    Raises:
        SettingError: it was, but on another edition of it.
    """
    note = out / f"{name}.done"
    if not note.exists():
        return False
    then, now = json.loads(note.read_text(encoding="utf-8"))["edition"], name_edition(name)
    if then != now:
        raise SettingError(f"--out {out}: {name} there is of {then}, installed is {now}; give another folder")
    return True


def carry_out(name: str, out: Path, workers: int) -> int:
    """Runs a study's commands; the exit code of the first that failed, or 0."""
    commands = write_commands(name, out, workers)
    for words in commands:
        print(">", "python", shlex.join(words), flush=True)
        code = subprocess.call([sys.executable, *words])
        if code:
            return code
    note = {"edition": name_edition(name), "commands": [shlex.join(words) for words in commands]}
    (out / f"{name}.done").write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    return 0


def run(names: list[str], out: Path, workers: int) -> int:
    """Carries out what is not done; the worst exit code."""
    out.mkdir(parents=True, exist_ok=True)
    codes = [0]
    for name in names:
        if is_done(name, out):
            print(f"{name}: done")
        else:
            codes.append(carry_out(name, out, workers))
            print(f"{name}: {'done' if not codes[-1] else f'ended with exit code {codes[-1]}'}", flush=True)
    return max(codes)


# ----------------------------------------------------------------------------------------------- what is kept


def keep(out: Path) -> None:
    """Copies what docs/ has of the studies that are done, and writes what is made of several."""
    done = [name for name in STUDIES if is_done(name, out)]
    for name in done:
        home = DOCS / STUDIES[name].home / name
        home.mkdir(parents=True, exist_ok=True)
        for file in STUDIES[name].keeps:
            made, _, kept = file.partition("=")
            keep_file(out, out / name / made, home / (kept or made))
        print(f"kept: {home}")
    for parts, join in JOINED:
        if all(name in done for name in parts):
            join(out)
    for page in sorted(DOCS.glob("*.md")):
        try:
            count = fill_quotes(page)
        except (OSError, ValueError) as error:
            raise SettingError(f"{page} quotes what is not there: {error}") from None
        if count:
            print(f"quoted: {count} tables in {page}")


def keep_file(out: Path, made: Path, kept: Path) -> None:
    """Copies a file; settings name the folder of results as the pages do, not where it lay."""
    if made.suffix == ".toml":
        text = made.read_text(encoding="utf-8").replace(str(out.resolve()), "results")
        kept.write_text(text, encoding="utf-8")
    else:
        shutil.copyfile(made, kept)


def keep_comparison(out: Path) -> None:
    """The verdicts of the main comparison into the page, all its figures into a file beside it."""
    results = {name: read_kept(out, name) for name in ("lightgbm", "gp")}
    fill_page(DOCS / "efficiency.md", CLAIMS, write_claims(results))
    headline = f"{HEADLINE}\n\n{write_headline(results)}\n\n"
    write(DOCS / "efficiency" / "side-by-side.md", SIDES + headline + write_sides(results))


def read_kept(out: Path, name: str) -> dict[str, Any]:
    """A study's result object, which names its folder as the pages do, not where it lay."""
    return {**read_result(out / name), "out": f"results/{name}"}


def keep_sides(name: str, out: Path) -> None:
    """The figures of a comparison on both surrogates into one file, of the main searches with verdicts."""
    results = {"lightgbm": read_kept(out, name), "gp": read_kept(out, f"{name}-gp")}
    claims = f"{write_claims(results)}\n" if name in JUDGED else ""
    sides = SIDES.replace("../", "../../") + claims + write_sides(results)
    write(DOCS / "efficiency" / name / "side-by-side.md", sides)


def keep_beams(out: Path) -> None:
    """What the searches need for the accuracy that each K reaches."""
    result = read_kept(out, "beams")
    tables = [f"### Top {top}\n\n{write_by_reference(result, top)}\n" for top in result["tops"]]
    write(DOCS / "efficiency" / "beams" / "by-beam.md", BEAMS + "\n".join(tables))


def keep_licence(out: Path) -> None:
    """What holds on the complete table of what its tenth says."""
    names = {"lightgbm": "tenth", "gp": "tenth-gp", "lightgbm, shared": "tenth-shared"}
    names |= {"gp, shared": "tenth-gp-shared"}
    surrogates = {family: read_result(out / name) for family, name in names.items()}
    write(DOCS / "efficiency" / "licence.md", LICENCE + write_report(read_result(out / "mini"), surrogates))


def write(path: Path, text: str) -> None:
    """Writes a page of docs/ and says so."""
    path.write_text(text.rstrip() + "\n", encoding="utf-8")
    print(f"written: {path}")


JOINED: tuple[tuple[tuple[str, ...], Callable[[Path], None]], ...] = (
    (("lightgbm", "gp"), keep_comparison),
    *(
        ((name, f"{name}-gp"), partial(keep_sides, name))
        for name in ("populations", "tuned", "shared", "beams")
    ),
    (("beams",), keep_beams),
    (("mini", "tenth"), keep_licence),
)


def main() -> int:
    """Lists, runs or keeps."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list")
    for action in ("run", "keep"):
        sub = actions.add_parser(action)
        sub.add_argument("--out", type=Path, required=True, help="folder of results")
        if action == "run":
            sub.add_argument("names", nargs="*", metavar="STUDY", help=", ".join(STUDIES))
            sub.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    unknown = sorted(set(getattr(options, "names", ())) - set(STUDIES))
    if unknown:
        parser.error(f"there is no study {unknown[0]!r}; there are: {', '.join(STUDIES)}")
    try:
        if options.action == "run":
            return run(options.names or list(STUDIES), options.out, options.workers)
        if options.action == "keep":
            keep(options.out)
        else:
            print_list()
    except (PnasError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def print_list() -> None:
    """A line for each command of each study."""
    for name in STUDIES:
        for words in write_commands(name, Path("results"), 2):
            print(f"{name:15}python {shlex.join(words)}")


if __name__ == "__main__":
    sys.exit(main())
