"""Lists as users write them on the command line: `pnas,random`, `0,3,7`, or `5` for the first five."""

from __future__ import annotations

import click

MOST_COUNTED = 10_000  # that a number alone may stand for: runs of one search in one world


def split_list(text: str) -> list[str]:
    """Parts between commas, without empty ones."""
    return [part.strip() for part in text.split(",") if part.strip()]


def read_numbers(option: str, text: str) -> list[int]:
    """The whole numbers of a list, in its order; their limits are the caller's.

    Raises:
        click.UsageError: there is none, or something else.
    """
    parts = split_list(text)
    if not parts or not all(part.removeprefix("-").isdecimal() for part in parts):
        raise click.UsageError(f"--{option} is {text!r}; give a number, or a list such as 0,3,7")
    return [int(part) for part in parts]


def read_members(option: str, text: str, least: int = 1) -> list[int]:
    """As `read_numbers`, but a number without a comma is how many, from 0 on: `3` is 0, 1 and 2.

    Raises:
        click.UsageError: it is neither, or how many is below `least` or above 10,000.
    """
    numbers = read_numbers(option, text)
    if "," in text:
        return numbers
    if not least <= numbers[0] <= MOST_COUNTED:
        told = f"a number of them must be from {least} to {MOST_COUNTED}"
        raise click.UsageError(f"--{option} is {text!r}; {told}")
    return list(range(numbers[0]))
