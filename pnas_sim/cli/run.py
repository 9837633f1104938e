"""`pnas-sim run`: one search, from its settings to its summary."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import click

from pnas_sim.cli.backend_options import (
    TABLE_NAMES,
    TRAINING_NAMES,
    choose_given,
    parse_pairs,
    table_options,
    training_options,
)
from pnas_sim.cli.options import (
    FILE,
    FOLDER,
    GroupedCommand,
    example,
    json_option,
    quiet_option,
    verbose_option,
)
from pnas_sim.cli.searches import SEARCH_NAMES, search_options
from pnas_sim.cli.trust import demand_trusted, trust_option
from pnas_sim.own_parts import list_own_parts

OWN_NAMES = ("search", "backend", "blocks", "budget", "epochs", "seed", "evaluation_seed", "threads")


class RunCommand(GroupedCommand):
    """`run` with its options under headings."""

    headings: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(
        {
            "Search": OWN_NAMES,
            "Of some searches": (*SEARCH_NAMES, "search_option"),
            "Run folder": ("out", "config", "trust"),
            "Training backend (--backend gpu)": TRAINING_NAMES,
            "Table backend (--backend table)": TABLE_NAMES,
            "Backends of other packages": ("backend_option",),
        }
    )


@click.command(
    cls=RunCommand,
    short_help="Search for the best cell.",
    epilog=example(
        "pnas-sim run",
        "pnas-sim run --search random --budget 500 --seed 1 --json",
        "pnas-sim run --backend gpu --device cpu --dataset digits --blocks 2 --beam 4 --epochs 1",
    ),
)
@click.option("--search", help="pnas, random, ...: see pnas-sim searches.  [default: pnas]")
@click.option("--backend", help="table, gpu, another installed one, or module:factory.  [default: table]")
@click.option("--blocks", type=int, metavar="B", help="Blocks of the largest cells, 1 to 10.  [default: 5]")
@click.option("--budget", help="6000 models, 1e9ex examples, or 3h of children.  [default: 6000]")
@click.option("--epochs", type=float, metavar="E", help="Of each child.  [default: the table's, or 20]")
@click.option("--seed", type=int, metavar="N", help="Of the search.  [default: 0]")
@click.option("--evaluation-seed", type=int, metavar="N", help="Of training or noise.  [default: the seed]")
@click.option("--threads", type=int, metavar="N", help="Of the predictor.  [default: 1]")
@click.option("--out", type=FOLDER, metavar="DIR", help="The run's folder.  [default: a new one in runs/]")
@click.option(
    "--config", type=FILE, metavar="FILE", help="TOML file with any of these; the command line wins."
)
@trust_option
@search_options
@click.option("--search-option", multiple=True, metavar="KEY=VALUE", help="Any option of any search.")
@training_options
@table_options
@click.option("--backend-option", multiple=True, metavar="KEY=VALUE", help="Any option of any backend.")
@json_option
@quiet_option
@verbose_option
def run(
    out: Path | None,
    config: Path | None,
    trust: bool,
    search_option: tuple[str, ...],
    backend_option: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Search for the best cell: the paper's search on the table that ships, if nothing else is asked for.

    The run's folder holds run.toml (to repeat it: --config DIR/run.toml), every evaluation, and the result.
    """
    from pnas_sim.cli.execute import execute, prepare, show_result
    from pnas_sim.cli.folder import RunFolder, claim_folder
    from pnas_sim.cli.settings import join_settings, make_settings, read_config
    from pnas_sim.files import make_plain

    asked = {
        **choose_given(given, OWN_NAMES),
        "search_options": choose_given(given, SEARCH_NAMES) | parse_pairs(search_option, "--search-option"),
        "backend_options": choose_given(given, (*TRAINING_NAMES, *TABLE_NAMES)) | parse_pairs(backend_option),
    }
    settings = make_settings(join_settings(read_config(config) if config else {}, asked))
    if config is not None and not trust:
        demand_trusted(config, settings.model_dump(), list_own_parts(asked))
    if out is not None:
        RunFolder(out).demand_free()
    with prepare(settings) as prepared:
        words = f"{make_plain(settings.search)}-{settings.seed}"
        folder = RunFolder(out or claim_folder(words, datetime.now()))
        folder.begin(prepared.record())
        show_result(execute(prepared, folder, quiet), as_json)
