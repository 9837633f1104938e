"""What is known and counted of a run: arrays with one entry a model, in the order of proposal.

A model is a canonical cell at some epochs. It gets its place when it is first proposed and is counted when it
is answered. Cells are told apart by their rows' bytes; texts and `Evaluation` objects are made when somebody
asks for them, so that a simulated model costs microseconds.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from pnas_sim.answers import ARRAYS, list_seeds
from pnas_sim.evaluate import Answers, Evaluation, Source, Status
from pnas_sim.frames import make_frame
from pnas_sim.search.base import Observations, Proposals
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows
from pnas_sim.space.rows import list_keys

if TYPE_CHECKING:
    import pandas as pd

Places: TypeAlias = NDArray[np.intp]
Figures: TypeAlias = NDArray[np.void]  # [n] of FIGURES
Curve: TypeAlias = tuple[tuple[float, float], ...]
Cost: TypeAlias = tuple[float, float]  # examples and seconds

SOURCES = tuple(Source)
_NUMBERS = ("valid_accuracy", "expected_valid_accuracy", "test_accuracy", "examples", "seconds")
_INTEGERS = ("parameters", "multiply_adds")
FIGURES = np.dtype(
    [
        *((name, np.float64) for name in (*_NUMBERS, "epochs", "predicted")),
        *((name, np.int64) for name in (*_INTEGERS, "seed", "batch", "proposed")),
        *((name, np.uint8) for name in ("status", "source", "blocks")),  # source: its place in SOURCES
        *((name, np.bool_) for name in ("extrapolated", "answered")),
    ]
)
_OWN = ("predicted", "batch", "proposed", "blocks", "answered")  # of the ledger: no fields of an `Evaluation`
# columns of a frame of models after its head; the others are fields of `Evaluation`
FRAME = (*_NUMBERS[:3], "status", "source", "epochs", *_NUMBERS[3:], *_INTEGERS, "seed", "extrapolated")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Models:
    """The models of a run in order of proposal: arrays, and one `Evaluation` for each when asked.

    Attributes:
        space: of the cells.
        cells: `uint8[n, width]`, canonical.
        figures: `FIGURES[n]`, the fields of `Evaluation` by name; `source` as its place in `SOURCES`. Beside
            them `blocks`, `batch` (number of the first batch that has it), `proposed` (cells proposed until
            then, itself included) and what the search `predicted` then, NaN where nothing.
        curves: by place, where there are any; the array form of an evaluator has none.
        errors: by place, where there are any.
    """

    space: CellSpace
    cells: Rows
    figures: Figures
    curves: Mapping[int, Curve]
    errors: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.figures)

    def __iter__(self) -> Iterator[Evaluation]:
        return (self[place] for place in range(len(self)))

    @overload
    def __getitem__(self, place: int) -> Evaluation: ...

    @overload
    def __getitem__(self, place: slice) -> list[Evaluation]: ...

    def __getitem__(self, place: int | slice) -> Evaluation | list[Evaluation]:
        at = range(len(self))[place]
        return self._describe(at) if isinstance(at, int) else [self._describe(one) for one in at]

    def _describe(self, place: int) -> Evaluation:
        values: dict[str, Any] = dict(zip(FIGURES.names or (), self.figures[place].item(), strict=True))
        for name in _OWN:
            del values[name]
        values |= {"status": Status(values["status"]), "source": SOURCES[values["source"]]}
        text = self.space.format(self.cells[place])
        return Evaluation(
            cell=text, curve=self.curves.get(place, ()), error=self.errors.get(place, ""), **values
        )

    def __repr__(self) -> str:
        return f"<{len(self)} models>"

    def to_frame(self) -> pd.DataFrame:
        """One row a model, in order of proposal: what was predicted beside what was answered.

        Columns: `cell` (its text), `blocks`, `batch` (number of the first batch that has it), `predicted`
        (accuracy, before it was answered; NaN where the search predicted none), then the fields of
        `Evaluation`, with `status` and `source` in words; `valid_accuracy` is the observed one: chance where
        the child diverged, NaN where it failed.

        Raises:
            SettingError: pandas is not installed.
        """
        figures = self.figures
        columns: dict[str, Any] = {"cell": self.space.format_many(self.cells)}
        columns |= {name: figures[name] for name in ("blocks", "batch", "predicted", *FRAME)}
        columns["status"] = [Status(value).name.lower() for value in figures["status"].tolist()]
        columns["source"] = [str(SOURCES[place]) for place in figures["source"].tolist()]
        columns["error"] = [self.errors.get(place, "") for place in range(len(self))]
        return make_frame(columns)


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch in the ledger.

    Attributes:
        rows: `uint8[n, width]`, canonical.
        epochs: at which they are asked for.
        keys: of each.
        places: `intp[n]`, of each one's model.
        new: `intp[k]`, which of the n were never proposed before; of equal ones the first.
    """

    rows: Rows
    epochs: float
    keys: list[bytes]
    places: Places
    new: Places


@dataclass(frozen=True, slots=True)
class Round:
    """What the summary needs of a batch: what its strategy said of it, and which models it held.

    Attributes:
        places: `intp[n]`.
        blocks: of its first cell.
        predicted: `float64[n]`, where the strategy predicts.
        candidates: rows scored.
        unique: unique cells among them.
    """

    places: Places
    blocks: int
    predicted: Floats | None
    candidates: int
    unique: int


class Ledger:
    """Counts a run.

    Args:
        space: of the cells.
        chance: the accuracy that is told where a child diverged.
        known: answers of a log, by canonical text and epochs; each is counted when its cell is proposed.
        whole: epochs of a full training, where one for more epochs goes on from one for fewer; else None.

    Attributes:
        proposals: cells proposed.
        repeats: of them, those proposed before.
        stale: batches in a row without a new model.
        models: counted.
        failed: of them, those without an accuracy.
        examples: summed over them.
        seconds: of children, summed over them.
        best: the best validation accuracy; NaN before the first.
        rounds: every batch.
    """

    def __init__(
        self,
        space: CellSpace,
        chance: float,
        known: Mapping[tuple[str, float], Evaluation],
        whole: float | None = None,
    ) -> None:
        self.proposals = self.repeats = self.stale = self.models = self.failed = 0
        self.examples = self.seconds = 0.0
        self.best = math.nan
        self.rounds: list[Round] = []
        self._space, self._chance = space, chance
        self._known = {_key_of(space, text, at): answer for (text, at), answer in known.items()}
        self._places: dict[bytes, int] = {}
        self._cells: Rows = np.zeros((0, space.width), np.uint8)
        self._figures: Figures = np.zeros(0, FIGURES)
        self._curves: dict[int, Curve] = {}
        self._errors: dict[int, str] = {}
        self._whole = whole
        self._paid: dict[bytes, Cost] = {}  # by row, for trainings that others may go on from

    @property
    def figures(self) -> Figures:
        """`FIGURES[n]` of every model proposed; those `answered` are counted."""
        return self._figures[: len(self._places)]

    def enter(self, proposals: Proposals, rows: Rows, epochs: float) -> Entry:
        """Gives each model its place and counts proposals and repeats."""
        keys = _list_keys(rows, epochs)
        known = len(self._places)
        places = np.array([self._places.setdefault(key, len(self._places)) for key in keys], np.intp)
        first = np.maximum.accumulate(np.concatenate([[known - 1], places]))
        new = np.flatnonzero(places > first[:-1])
        self._grow(len(self._places))
        self._cells[places[new]] = rows[new]
        blocks = self._space.block_counts(rows)
        figures, guesses = self._figures, proposals.predicted
        figures["blocks"][places[new]] = blocks[new]
        figures["batch"][places[new]] = len(self.rounds)
        figures["proposed"][places[new]] = self.proposals + new + 1
        figures["predicted"][places[new]] = math.nan if guesses is None else guesses[new]
        self.proposals += len(keys)
        self.repeats += len(keys) - len(new)
        self.stale = 0 if len(new) else self.stale + 1
        told = (proposals.predicted, proposals.candidates, proposals.unique)
        self.rounds.append(Round(places, int(blocks[0]), *told))
        return Entry(rows, epochs, keys, places, new)

    def recall(self, entry: Entry, chosen: Places) -> Places:
        """Counts those of the chosen new cells that the log had answers for; returns the others."""
        if not self._known:
            return chosen
        found = [at for at in chosen.tolist() if entry.keys[at] in self._known]
        for at in found:
            self.add(int(entry.places[at]), self._known.pop(entry.keys[at]))
        return np.setdiff1d(chosen, np.array(found, np.intp))

    def price(self, row: Rows, answer: Evaluation) -> Evaluation:
        """An answer to a row with what it costs beyond the training that it goes on from."""
        paid = self._paid.get(row.tobytes())
        if paid is None:
            return answer
        examples, seconds = max(0.0, answer.examples - paid[0]), max(0.0, answer.seconds - paid[1])
        return replace(answer, examples=examples, seconds=seconds)

    def price_all(self, rows: Rows, answers: Answers) -> Answers:
        """As `price`, of the answers to n rows."""
        if not self._paid:
            return answers
        paid = np.array([self._paid.get(row.tobytes(), (0.0, 0.0)) for row in rows]).reshape(-1, 2)
        costs = np.stack([answers.examples, answers.seconds], axis=1)
        examples, seconds = np.maximum(0.0, costs - paid).T
        return replace(answers, examples=examples, seconds=seconds)

    def add(self, place: int, answer: Evaluation) -> None:
        """Counts an answer."""
        figures = self._figures
        for name in (*ARRAYS, "epochs", "seed"):
            figures[name][place] = getattr(answer, name)
        figures["source"][place] = SOURCES.index(answer.source)
        if answer.curve:
            self._curves[place] = answer.curve
        if answer.error:
            self._errors[place] = answer.error
        self._count(np.array([place]))

    def add_all(self, places: Places, answers: Answers) -> None:
        """Counts answers for models at these places (`intp[n]`)."""
        figures = self._figures
        for name in ARRAYS:
            figures[name][places] = getattr(answers, name)
        figures["epochs"][places] = answers.epochs
        figures["seed"][places] = list_seeds(answers)
        figures["source"][places] = SOURCES.index(answers.source)
        if answers.errors is not None:
            told = zip(places.tolist(), answers.errors.tolist(), strict=True)
            self._errors.update((place, error) for place, error in told if error)
        self._count(places)

    def is_complete(self, entry: Entry) -> bool:
        """Whether every cell of a batch is answered."""
        return bool(self._figures["answered"][entry.places].all())

    def observe(self, entry: Entry) -> Observations:
        """What the strategy is told of a batch."""
        figures = self._figures
        return Observations(figures["valid_accuracy"][entry.places], figures["status"][entry.places])

    def read_models(self) -> Models:
        """The models counted."""
        kept = np.flatnonzero(self.figures["answered"])
        new = (
            {int(place): number for number, place in enumerate(kept)} if len(kept) < len(self.figures) else {}
        )
        curves = {new.get(place, place): curve for place, curve in self._curves.items()}
        errors = {new.get(place, place): error for place, error in self._errors.items()}
        return Models(self._space, self._cells[kept], self.figures[kept], curves, errors)

    def _count(self, places: Places) -> None:
        """Counts models, with the accuracy that everyone is told: chance if diverged, NaN if failed."""
        figures = self._figures
        status = figures["status"][places]
        told = np.where(status == Status.DIVERGED, self._chance, figures["valid_accuracy"][places])
        told = np.where(status == Status.FAILED, math.nan, told)
        figures["valid_accuracy"][places] = told
        figures["answered"][places] = True
        self.models += len(places)
        self.failed += int(np.isnan(told).sum())
        self.examples = float(add_up(self.examples, figures["examples"][places])[-1])
        self.seconds = float(add_up(self.seconds, figures["seconds"][places])[-1])
        self.best = float(np.fmax.reduce(told, initial=self.best))
        if self._whole is not None:
            self._remember(places[(status == Status.OK) & (figures["epochs"][places] < self._whole)])

    def _remember(self, places: Places) -> None:
        """Keeps what was paid for trainings that others may go on from."""
        for place in places.tolist():
            key, figures = self._cells[place].tobytes(), self._figures[place]
            before = self._paid.get(key, (0.0, 0.0))
            self._paid[key] = (before[0] + float(figures["examples"]), before[1] + float(figures["seconds"]))

    def _grow(self, size: int) -> None:
        """Makes room for `size` models; doubling, so that a million cost no more than two million moves."""
        missing = size - len(self._figures)
        if missing > 0:
            missing = max(missing, len(self._figures))
            self._figures = np.concatenate([self._figures, np.zeros(missing, FIGURES)])
            more = np.zeros((missing, self._space.width), np.uint8)
            self._cells = np.concatenate([self._cells, more])


def add_up(start: float, values: Floats) -> Floats:
    """Running sums, `float64[n + 1]`, from `start` on: the same whether values come at once or one by one."""
    return np.cumsum(np.concatenate([[start], values]))


def _list_keys(rows: Rows, epochs: float) -> list[bytes]:
    """What tells models apart: the epochs' eight bytes and the row's own."""
    at = np.frombuffer(struct.pack("<d", epochs), np.uint8)
    return list_keys(np.hstack([np.broadcast_to(at, (len(rows), len(at))), rows]))


def _key_of(space: CellSpace, text: str, epochs: float) -> bytes:
    return _list_keys(space.parse(text)[None], epochs)[0]
