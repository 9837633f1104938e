"""`pnas-sim table card`: a page about a table, with its figures, pictures and limits."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pnas_sim.cli.folder import make_folder
from pnas_sim.cli.options import DEFAULT_TABLE, FILE, FOLDER, example, json_option, verbose_option
from pnas_sim.cli.output import write_json
from pnas_sim.errors import SettingError

if TYPE_CHECKING:
    from pnas_tables.proxy_file import ProxyCheck
    from pnas_tables.record import Table

HEAD = b"# Table "  # how a card begins


@click.command(
    short_help="Write a page about a table.",
    epilog=example(
        "pnas-sim table card",
        'pnas-sim table card my-table.h5 --out cards --note "Images: CIFAR-10 (JPEG copy)."',
        "pnas-sim table card --audit audit/audit.json --proxy bench/proxy_check.json",
    ),
)
@click.argument("table", default=DEFAULT_TABLE)
@click.option("--out", type=FOLDER, metavar="DIR", help="Folder to write into.  [default: the table's]")
@click.option(
    "--note", "notes", multiple=True, metavar="TEXT", help="A paragraph for the top; may be repeated."
)
@click.option(
    "--pictures/--no-pictures", default=True, show_default=True, help="Draw them; needs matplotlib."
)
@click.option(
    "--audit",
    "audits",
    type=FILE,
    multiple=True,
    metavar="FILE",
    help="The audit.json of `pnas-sim table audit`; may be repeated, the oldest first.",
)
@click.option("--proxy", type=FILE, metavar="FILE", help="What `bench/proxy_check.py report --write` wrote.")
@click.option("--force", is_flag=True, help="Write over a page that is no card.")
@json_option
@verbose_option
def card(
    table: str,
    out: Path | None,
    notes: tuple[str, ...],
    pictures: bool,
    audits: tuple[Path, ...],
    proxy: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a page about TABLE: data, recipe, counts, quality, pictures, limits.

    TABLE is a file or the name of a table that ships; of FILE.h5 the page is FILE.md. Every figure on it is
    found from the table when this runs; those of the surrogates are the ones stored with them.
    """
    from pnas_sim.cli.audit_worlds import complete_audit
    from pnas_sim.search.catalogue import list_searches
    from pnas_tables.audit_file import read_audit
    from pnas_tables.card_pictures import draw_pictures
    from pnas_tables.card_text import write_card
    from pnas_tables.catalogue import find_table
    from pnas_tables.format import read_table, write_file
    from pnas_tables.proxy_file import read_proxy

    path = find_table(table)
    read = read_table(path)
    audited = [complete_audit(read_audit(audit, read), read) for audit in audits]
    checked = None if proxy is None else read_proxy(proxy, read)
    folder = _find_folder(path) if out is None else out
    page = folder / f"{path.stem}.md"
    _demand_card(page, force)
    make_folder(folder)
    facts = _gather_facts(read)
    drawn = draw_pictures(read, facts, folder, path.stem) if pictures else {}
    source = table if table == read.name else path.name
    command = _write_command(source, notes, audits, proxy)
    searches = [info.name for info in list_searches() if info.source]
    text = write_card(read, facts, drawn, notes, source, audited, checked, command, searches)
    write_file(page, text.encode("utf-8"))
    if as_json:
        answer = {"out": str(page), "pictures": sorted(drawn.values()), "table": read.name, **facts}
        answer |= _list_figures(read, facts, audited, checked)
        write_json({"kind": "table-card", "schema": 1, **answer})
    else:
        click.echo(f"written: {page}, {len(drawn)} pictures")


def _gather_facts(table: Table) -> dict[str, Any]:
    """The card's figures; how many cells a surrogate cannot tell apart, where there is one."""
    from pnas_tables.card_facts import gather_facts
    from pnas_tables.card_features import count_shared_features

    facts = gather_facts(table)
    if table.surrogates:
        largest = max(map(int, facts["cells"]["by_blocks"]))
        facts["shared_features"] = count_shared_features(table, largest)
    return facts


def _list_figures(
    table: Table, facts: Mapping[str, Any], audits: Sequence[Mapping[str, Any]], proxy: ProxyCheck | None
) -> dict[str, Any]:
    """What the page has beside the facts, as JSON values."""
    from pnas_tables.card_limits import list_limits
    from pnas_tables.check import describe_table
    from pnas_tables.proxy_file import as_json

    about = describe_table(table)
    quality = {name: figures for name, figures in about["quality"].items() if figures is not None}
    return {
        "recipe": about["recipe"],
        "checksum": about["checksum"],
        "quality": quality,
        "audits": list(audits),
        "proxy": None if proxy is None else as_json(proxy),
        "limits": list(list_limits(facts, quality, proxy, audits)),
    }


def _find_folder(table: Path) -> Path:
    """The table's own, but for an installation's."""
    from pnas_tables.catalogue import data_folder, is_checkout

    if table.parent == data_folder() and not is_checkout():
        raise SettingError(f"{table.stem} is part of the installation; give --out DIR, a folder of your own")
    return table.parent


def _demand_card(page: Path, force: bool) -> None:
    """Checks that only a card is written over, whatever a table that somebody else made is called."""
    if force or not page.exists():
        return
    found = b""
    if page.is_file():
        with suppress(OSError), page.open("rb") as file:
            found = file.read(len(HEAD))
    if found != HEAD:
        raise SettingError(f"{page} is there and is no card; give another --out, or --force to write over it")


def _write_command(source: str, notes: Sequence[str], audits: Sequence[Path], proxy: Path | None) -> str:
    """The command that writes the page again; a plain one would leave out notes, audits and check."""
    words = ["pnas-sim", "table", "card", source]
    words += [word for note in notes for word in ("--note", note)]
    words += [word for audit in audits for word in ("--audit", str(audit))]
    words += [] if proxy is None else ["--proxy", str(proxy)]
    return shlex.join(words)
