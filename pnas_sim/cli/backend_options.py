"""Options that go to a backend: declared once, handed on only where the user gave them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

_Function = TypeVar("_Function", bound=Callable[..., Any])

TRAINING_DECLARATIONS = (
    click.option("--device", help="cuda, cuda:0,cuda:1, cpu or mps.  [default: cuda]"),
    click.option(
        "--dataset",
        help="digits, cifar10, fashion-mnist, or FILE.npz with train_images, train_labels, test_images and "
        "test_labels: images uint8[n, h, w(, c)], labels from 0.  [default: digits]",
    ),
    click.option("--data", metavar="DIR", help="Folder of the data set; digits need none."),
    click.option("--image-size", type=int, metavar="N", help="Pixels that images are resized to."),
    click.option("--train-images", type=int, metavar="N", help="Images trained on."),
    click.option("--valid-images", type=int, metavar="N", help="Images held out of the training split."),
    click.option("--test-images", type=int, metavar="N", help="Test images, measured once at the end."),
    click.option("--filters", type=int, metavar="F", help="Filters of the first stage.  [default: 24]"),
    click.option("--cells-per-stage", type=int, metavar="N", help="N: 3N cells in all.  [default: 2]"),
    click.option("--batch-size", type=int, metavar="N", help="Images of a step.  [default: 32]"),
    click.option("--learning-rate", type=float, metavar="R", help="The highest; cosine to zero."),
    click.option(
        "--workers", type=int, metavar="N", help="Processes; worker i trains on device i modulo theirs."
    ),
    click.option("--time-limit", type=float, metavar="S", help="Seconds that a child may take."),
)
TABLE_DECLARATIONS = (
    click.option(
        "--table", metavar="FILE|NAME", help="A table file or one that ships.  [default: cifar10-16px]"
    ),
    click.option("--table-mode", help="surrogate predicts every cell; measured looks trained cells up."),
    click.option("--surrogate", metavar="NAME", help="Which of the table's surrogates.  [default: lightgbm]"),
    click.option("--world", type=int, metavar="I", help="Which of the surrogate's refits.  [default: 0]"),
    click.option("--noise", help="Seed noise on or off.  [default: on]"),
    click.option(
        "--extrapolate",
        is_flag=True,
        default=None,
        help="Answer cells larger than the table's, marked as such.",
    ),
)
TRAINING_NAMES = (
    "device",
    "dataset",
    "data",
    "image_size",
    "train_images",
    "valid_images",
    "test_images",
    "filters",
    "cells_per_stage",
    "batch_size",
    "learning_rate",
    "workers",
    "time_limit",
)
TABLE_NAMES = ("table", "table_mode", "surrogate", "world", "noise", "extrapolate")


def training_options(function: _Function) -> _Function:
    """Adds the options of the training backend."""
    return _declare(TRAINING_DECLARATIONS, function)


def table_options(function: _Function) -> _Function:
    """Adds the options of the table backend."""
    return _declare(TABLE_DECLARATIONS, function)


def _declare(declarations: tuple[Callable[[_Function], _Function], ...], function: _Function) -> _Function:
    for declare in reversed(declarations):
        function = declare(function)
    return function


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


def _read_value(text: str) -> Any:
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return document["value"] if len(document) == 1 else text
