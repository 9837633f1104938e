"""A finished run as a comparison keeps it: arrays in order of evaluation, one small file each.

The file is written under another name and renamed, so it is there whole or not at all.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from pnas_sim.errors import RunError, WorkError
from pnas_sim.files import FULL, make_plain, replace_file
from pnas_sim.packed import DAMAGED, read_arrays
from pnas_sim.space.arrays import Floats, Integers, Rows

SCHEMA = 1
LARGEST = 2**30  # bytes of a file's arrays; a run of a million models has a tenth of that
WORLDS_APART = 1_000_000  # between the run seeds of one seed in two worlds


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Which run of a comparison.

    Attributes:
        label: of the search, as the comparison names it.
        world: of the surrogate.
        seed: which repetition in that world.
    """

    label: str
    world: int
    seed: int

    @property
    def run_seed(self) -> int:
        """Of the search and of the evaluations: the seed itself in world 0, another one in each other world.

        A cell's seed noise is the same in every world, and so is where a search begins: with one seed in all
        worlds they would share its luck, and a bootstrap that draws seeds in each world would not know.
        """
        return self.world * WORLDS_APART + self.seed

    @property
    def file_name(self) -> str:
        """Of the run's file; labels that differ have names that differ, also where case does not count."""
        plain = make_plain(self.label)
        if plain != self.label or plain != plain.casefold():
            plain += blake2b(self.label.encode(), digest_size=4).hexdigest()
        return f"{plain}-w{self.world}-s{self.seed}.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a run says of itself.

    Attributes:
        label: of its search in the comparison.
        world: of the surrogate.
        seed: which repetition in that world; see `Place.run_seed`.
        fingerprint: of everything that decides its course; runs of one search share it.
        data: checksum of what its answers come from.
        proposals: cells proposed in all.
        repeats: of them, those known already.
        failed: models without an accuracy.
        stopped: "finished", "budget", "proposals" or "stalled".
        seconds: wall clock that it took here.
        source: of its accuracies.
        first_entropy: nats a cell of the policy, on its first batch; None where the search has no policy.
        last_entropy: on its last batch.
    """

    label: str
    world: int
    seed: int
    fingerprint: str
    data: str
    proposals: int
    repeats: int
    failed: int
    stopped: str
    seconds: float
    source: str
    first_entropy: float | None = None
    last_entropy: float | None = None

    @property
    def place(self) -> Place:
        """Which run it is."""
        return Place(self.label, self.world, self.seed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinishedRun:
    """A run: n models in order of evaluation.

    Attributes:
        facts: about it.
        cells: `uint8[n, width]`, canonical.
        blocks: `int64[n]`.
        values: `float64[n]`, validation accuracy as the search saw it; NaN where a child failed, or was
            trained for fewer epochs than the comparison's.
        expected: `float64[n]`, free of seed noise; NaN where not known.
        examples: `float64[n]`, trained on for each.
        seconds: `float64[n]`, of each child.
        proposals: `int64[n]`, cells proposed until each was proposed first, itself included.
    """

    facts: Facts
    cells: Rows
    blocks: Integers
    values: Floats
    expected: Floats
    examples: Floats
    seconds: Floats
    proposals: Integers

    def __len__(self) -> int:
        return len(self.values)


_KINDS: dict[str, type] = {
    "cells": np.uint8,
    "blocks": np.int64,
    "values": np.float64,
    "expected": np.float64,
    "examples": np.float64,
    "seconds": np.float64,
    "proposals": np.int64,
}


def write_run(path: Path, run: FinishedRun) -> None:
    """Writes a run's file.

    Raises:
        WorkError: it cannot be written.
    """
    arrays = {name: getattr(run, name) for name in _KINDS}
    stream = BytesIO()
    np.savez_compressed(stream, facts=np.array(json.dumps({"schema": SCHEMA, **asdict(run.facts)})), **arrays)
    write_whole(path, stream.getvalue())


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file under another name, flushes it and renames it: it is there whole or not at all.

    Raises:
        WorkError: it cannot be written; the disk may be full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        what = "the disk is full; make room" if error.errno in FULL else f"{error.strerror}; mend it"
        raise WorkError(f"{path}: {what}, then give the same command again") from None


def read_run(path: Path) -> FinishedRun:
    """Reads a run's file.

    Raises:
        RunError: it is missing, damaged, or of another schema.
    """
    try:
        stored = read_arrays(path, ("facts", *_KINDS), LARGEST)
        facts = json.loads(str(stored["facts"]))
        arrays: dict[str, Any] = {name: np.asarray(stored[name], kind) for name, kind in _KINDS.items()}
    except FileNotFoundError:
        raise RunError(f"{path} is missing; give the same command again to make it") from None
    except DAMAGED as error:
        reason = " ".join(str(error).split())
        raise RunError(f"{path} is damaged ({reason}); remove it and give the same command again") from None
    known = {one.name for one in fields(Facts)}
    if not isinstance(facts, dict) or facts.pop("schema", None) != SCHEMA or set(facts) != known:
        raise RunError(f"{path} is of another version of this program; remove it, or use another --out")
    if len({len(array) for array in arrays.values()}) != 1:
        raise RunError(f"{path} is damaged: its arrays differ in length; remove it and go on")
    return FinishedRun(facts=Facts(**facts), **arrays)


def find_fingerprint(settings: Any) -> str:
    """A short name for settings (JSON values): the same for the same settings in any process."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return blake2b(text.encode(), digest_size=16).hexdigest()
