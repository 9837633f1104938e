"""`pnas-sim table fit`, `quality`: surrogates of a table, and how far they are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pnas_sim.cli.lists import split_list
from pnas_sim.cli.options import (
    DEFAULT_TABLE,
    FILE,
    NEW_FILE,
    example,
    json_option,
    quiet_option,
    verbose_option,
)
from pnas_sim.cli.output import say, write_json, write_text
from pnas_sim.cli.table_files import write_file
from pnas_sim.errors import SettingError, TableError, WorkError
from pnas_sim.files import follow_link

if TYPE_CHECKING:
    from pnas_tables.record import Table

CLOSE = 0.02  # of Kendall tau: what other versions of the libraries may change


@click.command(
    epilog=example(
        "pnas-sim table fit whole.h5",
        "pnas-sim table fit whole.h5 --family lightgbm --tune",
    )
)
@click.argument("file", type=FILE)
@click.option("--out", type=NEW_FILE, metavar="FILE", help="The table to write.  [default: the same file]")
@click.option(
    "--family",
    default="lightgbm,gp,mean",
    show_default=True,
    metavar="NAMES",
    help="Of lightgbm, gp and mean (of the two).",
)
@click.option("--name", help="Of the surrogate, if it is one family.  [default: the family's]")
@click.option(
    "--worlds", type=click.IntRange(1, 1000), default=10, show_default=True, help="Refits, each a world."
)
@click.option("--tune", is_flag=True, help="Choose settings by nested cross-validation first; minutes.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Of the fit.")
@json_option
@quiet_option
@verbose_option
def fit(
    file: Path,
    out: Path | None,
    family: str,
    name: str | None,
    worlds: int,
    tune: bool,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Fit surrogates on the cells of table FILE and store them there.

    Each has several worlds: refits on bootstraps of the cells, with an effect of their own for each cell.
    Cells whose origin is `sealed` are not fitted; the surrogates are measured on them. If FILE gets other
    trainings meanwhile, nothing is written.
    """
    from pnas_sim.cli.folder import demand_parent
    from pnas_tables.families import find_family
    from pnas_tables.format import read_table
    from pnas_tables.locking import lock_table
    from pnas_tables.record import NAME_PATTERN, NAME_RULE

    families = [find_family(word).name for word in split_list(family) or [""]]
    if name is not None and len(families) > 1:
        raise SettingError(f"name is {name!r} for {len(families)} families; name one --family with it")
    if name is not None and not NAME_PATTERN.fullmatch(name):
        raise SettingError(f"name is {name!r}; give {NAME_RULE}")
    read = table = read_table(file)
    demand_parent(out or file)
    for one in families:
        table = _fit_one(table, one, name, worlds, tune, seed, quiet)
    target = out or follow_link(file)
    with lock_table(target):
        if target.exists() and target.samefile(file):
            table = _add_surrogates(file, read, table)
        write_file(target, table, as_json)


def _add_surrogates(file: Path, read: Table, fitted: Table) -> Table:
    """The table as it is now with what was fitted: a fit takes minutes, and others may write meanwhile.

    Args:
        file: of the table, which is locked.
        read: what it held before the fit.
        fitted: that, with the surrogates fitted.

    Raises:
        TableError: it holds other trainings than were fitted.
    """
    from pnas_tables.format import read_table
    from pnas_tables.record import data_checksum

    now = read_table(file)
    if data_checksum(now) != data_checksum(read):
        raise TableError(
            f"table {file} has changed since it was read: it had {len(read.seeds)} runs then and has "
            f"{len(now.seeds)} now; nothing was written, so fit it again"
        )
    fresh = {
        name: stored for name, stored in fitted.surrogates.items() if stored is not read.surrogates.get(name)
    }
    return replace(now, surrogates={**now.surrogates, **fresh})


def _fit_one(
    table: Table, family: str, name: str | None, worlds: int, tune: bool, seed: int, quiet: bool
) -> Table:
    from pnas_tables.surrogate import FitSettings, fit_surrogate
    from pnas_tables.tune import tune_settings

    settings, report = FitSettings(worlds=worlds), None
    if tune:
        settings, report = tune_settings(table, family, seed, settings, _count_fits(family, quiet))
        if not quiet:
            chosen = ", ".join(f"{key} {value}" for key, value in report["chosen"].items())
            say(f"{family}: chosen: {chosen}")
    if not quiet:
        say(f"{family}: fitting {worlds} worlds and measuring on cells held out")
    return fit_surrogate(table, name, seed, settings, family, report)


def _count_fits(family: str, quiet: bool) -> Callable[[int, int], None] | None:
    def tell(done: int, total: int) -> None:
        if done % 20 == 0 or done == total:
            say(f"{family}: {done} of {total} fits")

    return None if quiet else tell


@click.command(
    short_help="Measure a surrogate on held-out cells again.",
    epilog=example(
        "pnas-sim table quality",
        "pnas-sim table quality my-table.h5 --surrogate gp --json",
    ),
)
@click.argument("table", default=DEFAULT_TABLE)
@click.option("--surrogate", default="lightgbm", show_default=True, metavar="NAME", help="Which surrogate.")
@json_option
@verbose_option
def quality(table: str, surrogate: str, as_json: bool) -> None:
    """Measure a surrogate of TABLE on held-out cells again, and compare with what the file says.

    The surrogate is fitted anew, without the cells it is asked for, with its stored settings and seed. If a
    rank correlation differs from the stored one by more than other library versions explain, the exit code
    is 1.
    """
    from pnas_tables.catalogue import find_table
    from pnas_tables.format import read_table
    from pnas_tables.recheck import compare_quality, remeasure

    read = read_table(find_table(table))
    found = remeasure(read, surrogate)
    apart = compare_quality(found, read.surrogates[surrogate].metadata["quality"])
    answer: dict[str, Any] = {"table": read.name, "surrogate": surrogate, "quality": found, "apart": apart}
    if as_json:
        write_json({"kind": "table-quality", "schema": 1, **answer})
    else:
        from pnas_sim.report.table_summary import print_quality

        print_quality(surrogate, found)
        write_text(f"largest difference in tau from what is stored: {apart:.4f}")
    if apart > CLOSE:
        raise WorkError(f"surrogate {surrogate}: held-out figures differ from those stored by {apart:.3f}")
