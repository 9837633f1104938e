"""`pnas-sim compare`: several searches over several seeds and worlds, and what their runs say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import click

from pnas_sim.cli.backend_options import (
    TABLE_NAMES,
    choose_given,
    parse_pairs,
    reword_advice,
    table_options,
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
from pnas_sim.cli.trust import demand_trusted, trust_option
from pnas_sim.errors import PnasError

PLAN_NAMES = ("searches", "set_options", "tuning", "seeds", "worlds", "budget", "blocks", "epochs", "workers")
FIGURE_NAMES = (
    "top",
    "reference",
    "confidence",
    "resamples",
    "demand_intervals",
    "sample",
    "local",
)


class CompareCommand(GroupedCommand):
    """`compare` with its options under headings."""

    headings: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType(
        {
            "What is run": PLAN_NAMES,
            "What is measured": FIGURE_NAMES,
            "Comparison folder": ("out", "config", "trust", "pictures"),
            "Table": ("backend", *TABLE_NAMES, "backend_option"),
        }
    )


@click.command(
    cls=CompareCommand,
    short_help="Compare searches: models and examples for the same accuracy.",
    epilog=example(
        "pnas-sim compare --searches pnas,ppo,evolution,random --seeds 10 --budget 6000",
        "pnas-sim compare --searches wide=pnas,narrow=pnas,random --set narrow.beam=32 --seeds 0,1,2",
        "pnas-sim compare --searches pnas,mine=my_package.search:create --seeds 5",
    ),
)
@click.option(
    "--searches",
    metavar="LIST",
    help="NAME, LABEL=NAME or LABEL=package.module:factory, with commas.  [default: pnas,ppo,random-raw]",
)
@click.option(
    "--set",
    "set_options",
    multiple=True,
    metavar="LABEL.OPTION=VALUE",
    help="An option of one search; may be given many times.",
)
@click.option(
    "--tuning",
    multiple=True,
    metavar="LABEL=TRIALS",
    help="Trials that a search's settings were chosen by, for the record.  [default: 0]",
)
@click.option("--seeds", metavar="N|LIST", help="A number of seeds, or a list: 0,3,7.  [default: 10]")
@click.option("--worlds", metavar="N|LIST", help="Of the surrogate, likewise.  [default: 1]")
@click.option("--budget", help="Of each run: 6000 models, 1e9ex, or 3h of children.  [default: 6000]")
@click.option("--blocks", type=int, metavar="B", help="Blocks of the largest cells, 1 to 10.  [default: 5]")
@click.option("--epochs", type=float, metavar="E", help="Of each child.  [default: the table's]")
@click.option("--workers", type=int, metavar="N", help="Processes, of one thread each.  [default: the cores]")
@click.option("--top", metavar="LIST", help="M, of means over the best M cells.  [default: 1,5,25]")
@click.option(
    "--reference",
    metavar="LIST",
    help="Labels that the others are measured against.  [default: every pnas]",
)
@click.option("--confidence", type=float, metavar="P", help="Of intervals.  [default: 0.95]")
@click.option("--resamples", type=int, metavar="N", help="Of the bootstrap.  [default: 1000]")
@click.option(
    "--demand-intervals", is_flag=True, default=None, help="Refuse one run alone, which can have none."
)
@click.option(
    "--sample", type=int, metavar="N", help="Random cells that targets are from; 0: none.  [default: 10000]"
)
@click.option(
    "--local", type=int, metavar="N", help="Cells of the long local search, for regret.  [default: 20000]"
)
@click.option("--out", type=FOLDER, metavar="DIR", help="The folder; a begun one is gone on with.")
@click.option(
    "--config",
    type=FILE,
    metavar="FILE",
    help="A folder's compare.toml, or one like it; the command line wins.",
)
@trust_option
@click.option("--pictures/--no-pictures", default=True, help="Draw PNG and SVG.  [default: pictures]")
@click.option("--backend", help="table or another that is installed.  [default: table]")
@table_options
@click.option("--backend-option", multiple=True, metavar="KEY=VALUE", help="Any option of any backend.")
@json_option
@quiet_option
@verbose_option
def compare(
    out: Path | None,
    config: Path | None,
    trust: bool,
    pictures: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Compare searches: how many more models, and examples, each needs to be as good as PNAS.

    Every search runs in every world with every seed. A seed is another one in each world, 1000000 x world +
    seed for search and evaluations: worlds share no luck. A finished run is one file in the folder, so the
    same command goes on where it was stopped; it is known by its settings, so after a change in the code of a
    part of your own give another --out. The folder then holds report.html, a page with all of it;
    tables.md; comparison.csv and runs.csv, the course of each run, whose columns columns.md explains;
    result.json, manifest.json and pictures.
    """
    from pnas_sim.cli.comparing import carry_out, choose_settings, list_typed, show

    options = choose_given(given, TABLE_NAMES) | parse_pairs(given.pop("backend_option"))
    settings = choose_settings(given, options, config)
    if config is not None and not trust:
        demand_trusted(config, settings.model_dump(), list_typed(given))
    try:
        result = carry_out(settings, out, given["workers"], pictures, quiet)
    except PnasError as error:
        error.args = (reword_advice(str(error)),)
        raise
    show(result, as_json)
