"""`pnas-sim backends`: what can answer for cells, without loading any of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

from pnas_sim.cli.options import example, json_option, verbose_option
from pnas_sim.cli.output import write_json, write_text

OWN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "table": (
            "answers from a table of trained cells: a surrogate's prediction, or look-up",
            "a table file, or the one that ships",
        ),
        "gpu": (
            "trains the network of every cell",
            "a CUDA device, or --device cpu or mps; images: digits need none, others --data DIR",
        ),
    }
)


@click.command(
    epilog=example(
        "pnas-sim backends",
        "pnas-sim run --backend gpu --device cpu --dataset digits --blocks 2 --beam 4 --epochs 1",
    )
)
@json_option
@verbose_option
def backends(as_json: bool) -> None:
    """List the installed backends and what each needs.

    Any other is named by its factory: --backend package.module:factory.
    """
    found = list_installed()
    if as_json:
        write_json({"kind": "backends", "schema": 1, "backends": found})
        return
    for entry in found:
        write_text(f"{entry['name']:<8}{entry['does']}")
        write_text(f"{'':<8}needs {entry['needs']}")
        write_text(f"{'':<8}from {entry['package']} ({entry['entry_point']})")


def list_installed() -> list[dict[str, str]]:
    """Name, purpose, needs and origin of each backend, in order of names."""
    from pnas_sim.registry import list_backends

    return [
        {
            "name": backend.name,
            **_describe(backend.name, backend.entry_point, backend.package),
            "package": backend.package,
            "entry_point": backend.entry_point,
        }
        for backend in list_backends()
    ]


def _describe(name: str, entry_point: str, package: str) -> dict[str, str]:
    """What a backend does and needs: known of this project's own."""
    if not entry_point.startswith("pnas_backends."):
        return {"does": "a backend of another package", "needs": f"what {package} says"}
    does, needs = OWN.get(name, ("a backend", "nothing known"))
    return {"does": does, "needs": needs}
