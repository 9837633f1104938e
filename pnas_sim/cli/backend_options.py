"""Options that go to a backend: declared once, handed on only where the user gave them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from pnas_sim.cli.options import Wishes, declare, wish

_Function = TypeVar("_Function", bound=Callable[..., Any])

TRAINING: Wishes = {
    "device": wish(help="cuda, cuda:0,cuda:1, cpu or mps.  [default: cuda]"),
    "dataset": wish(
        help="digits, cifar10, fashion-mnist, or FILE.npz with train_images, train_labels, test_images and "
        "test_labels: images uint8[n, h, w(, c)], labels from 0.  [default: digits]",
    ),
    "data": wish(metavar="DIR", help="Folder of the data set; digits need none."),
    "image_size": wish(type=int, metavar="N", help="Pixels that images are resized to."),
    "train_images": wish(type=int, metavar="N", help="Images trained on."),
    "valid_images": wish(type=int, metavar="N", help="Images held out of the training split."),
    "test_images": wish(type=int, metavar="N", help="Test images, measured once at the end."),
    "filters": wish(type=int, metavar="F", help="Filters of the first stage.  [default: 24]"),
    "cells_per_stage": wish(type=int, metavar="N", help="N: 3N cells in all.  [default: 2]"),
    "batch_size": wish(type=int, metavar="N", help="Images of a step.  [default: 32]"),
    "learning_rate": wish(type=float, metavar="R", help="The highest; cosine to zero."),
    "workers": wish(type=int, metavar="N", help="Processes; worker i trains on device i modulo theirs."),
    "time_limit": wish(type=float, metavar="S", help="Seconds that a child may take."),
}
TABLE: Wishes = {
    "table": wish(metavar="FILE|NAME", help="A table file or one that ships.  [default: cifar10-16px]"),
    "table_mode": wish(help="surrogate predicts every cell; measured looks trained cells up."),
    "surrogate": wish(metavar="NAME", help="Which of the table's surrogates.  [default: lightgbm]"),
    "world": wish(type=int, metavar="I", help="Which of the surrogate's refits.  [default: 0]"),
    "effects": wish(
        help="What a surrogate does not know of a cell: its own, or shared with near cells.  [default: own]"
    ),
    "noise": wish(help="Seed noise on or off.  [default: on]"),
    "extrapolate": wish(
        is_flag=True, default=None, help="Answer cells larger than the table's, marked as such."
    ),
}
_ADVISED = re.compile(r"--(device|data)(?: (cpu|cuda|mps))?(?![\w-])")  # options of the training backend
TRAINING_NAMES, TABLE_NAMES = tuple(TRAINING), tuple(TABLE)


def training_options(function: _Function) -> _Function:
    """Adds the options of the training backend."""
    return declare(TRAINING, function)


def table_options(function: _Function) -> _Function:
    """Adds the options of the table backend."""
    return declare(TABLE, function)


def choose_given(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Those of `names` that the user gave."""
    return {name: values[name] for name in names if values.get(name) is not None}


def parse_pairs(pairs: tuple[str, ...], option: str = "--backend-option") -> dict[str, Any]:
    """Options of KEY=VALUE pairs: numbers, true and false as in TOML, anything else as text.

    Args:
        pairs: as given.
        option: by which they were given, for messages.

    Raises:
        click.UsageError: a pair has no key or no equals sign.
    """
    options = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key.strip():
            raise click.UsageError(f"{option} is {pair!r}; write KEY=VALUE")
        options[key.strip().replace("-", "_")] = _read_value(value.strip())
    return options


def reword_advice(text: str) -> str:
    """A backend's message, for a command that takes its options by `--backend-option`."""
    return _ADVISED.sub(lambda found: f"--backend-option {found[1]}={found[2] or 'DIR'}", text)


def _read_value(text: str) -> Any:
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return document["value"] if len(document) == 1 else text
