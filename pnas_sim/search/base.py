"""What a search is: it is asked for cells and told how they did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Status
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows


@dataclass(frozen=True, slots=True)
class Proposals:
    """A batch of cells that a strategy wants evaluated.

    Attributes:
        cells: `uint8[n, width]`, as the strategy wrote them; the engine makes them canonical.
        epochs: the fidelity asked for; None for the evaluator's own.
        predicted: `float64[n]`, the strategy's guess of each accuracy, where it made one.
        candidates: rows the strategy scored to choose this batch (the rows expanded, for PNAS).
        unique: unique cells among those candidates.
    """

    cells: Rows
    epochs: float | None = None
    predicted: Floats | None = None
    candidates: int = 0
    unique: int = 0

    def __len__(self) -> int:
        return len(self.cells)


@dataclass(frozen=True, slots=True)
class Observations:
    """What a strategy is told of its last batch, in the order of asking. No test accuracy in it.

    Attributes:
        valid_accuracy: `float64[n]`; chance where the child diverged, NaN where it failed.
        status: `uint8[n]`, values of `pnas_sim.evaluate.Status` (0 ok, 1 diverged, 2 failed).
    """

    valid_accuracy: Floats
    status: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.valid_accuracy)

    @staticmethod
    def ok(valid_accuracy: ArrayLike) -> Observations:
        """Observations of children that all ended well, for users with a loop of their own.

        Args:
            valid_accuracy: `float64[n]` in [0, 1].

        Raises:
            SettingError: it has another shape, or a value that is no share.
        """
        told = Observations.of(valid_accuracy)
        if (failed := np.flatnonzero(told.status)).size:
            raise SettingError(
                f"accuracy {failed[0]} is no finite number; give shares from 0 to 1, or Observations.of, "
                "which takes such children for failed"
            )
        return told

    @staticmethod
    def of(valid_accuracy: ArrayLike) -> Observations:
        """As `ok`, but children whose value is not finite failed.

        Args:
            valid_accuracy: `float64[n]` in [0, 1], NaN or infinite where a child has none.

        Raises:
            SettingError: it has another shape, or a finite value that is no share.
        """
        try:
            values = np.array(valid_accuracy, np.float64)
        except (TypeError, ValueError) as error:
            raise SettingError(f"accuracies are no numbers ({error}); give one number a cell") from None
        if values.ndim != 1:
            raise SettingError(f"accuracies have the shape {values.shape}; give one number a cell, (n,)")
        known = np.isfinite(values)
        if (wrong := np.flatnonzero(known & ~((values >= 0) & (values <= 1)))).size:
            at = int(wrong[0])
            raise SettingError(f"accuracy {at} is {values[at]:g}; give shares from 0 to 1, no percentages")
        status = np.where(known, Status.OK, Status.FAILED).astype(np.uint8)
        return Observations(np.where(known, values, np.nan), status)


@runtime_checkable
class Strategy(Protocol):
    """A search by ask and tell. Batch k draws only from `SeedSequence([seed, k])`, so it can be replayed.

    `pnas_sim.search.turns.Turns` gives that stream and refuses what is out of turn; `examples/own_search.py`
    is a search of one's own, and `pnas_sim.testing.check_strategy` says whether one keeps these promises.
    """

    def ask(self, n: int) -> Proposals:
        """The next batch, at most n cells; empty when the search is finished. Never twice without a tell.

        Raises:
            SettingError: n is below 1, or the last batch was not told yet; the search is as it was.
        """
        ...

    def tell(self, observations: Observations) -> None:
        """The answers to the last batch, in the order of asking.

        Raises:
            SettingError: no batch waits, or it has another number of cells; the search is as it was.
        """
        ...

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """Takes one logged batch and its answers as if it had asked and been told, without scoring again."""
        ...


@runtime_checkable
class Diagnosed(Protocol):
    """A strategy that can say what it did: the policy's entropy, the share of repeats, and the like."""

    def diagnostics(self) -> Mapping[str, Floats]:
        """Figures by name, each `float64[batches]`: one for each batch told so far."""
        ...


@runtime_checkable
class Described(Protocol):
    """A strategy that can say what it was made with, for the record of a run."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides its course, seed included, by name; JSON values."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """What a search's factory is called with.

    Attributes:
        space: what is searched.
        seed: of everything the search draws.
        fidelities: epochs that the evaluator can answer for, ascending; empty if any positive number will do.
        chance: the accuracy of guessing, which a search that must put a number on a failed child takes.
        options: by name. A search that ships is given all of its own, in range by type only; one of another
            package only those that the user gave, and refuses any that it does not know with `SettingError`
            (`pnas_sim.search.catalogue.fill_options` does).
        oracle: the noise-free accuracies (`float64[n]`) of canonical rows (`uint8[n, width]`), given by
            studies alone, for the ablation that asks what a perfect predictor would be worth.
        model: likewise what the evaluator's model says of them, without what it draws for single cells; None
            where it has none.
    """

    space: CellSpace
    seed: int = 0
    fidelities: tuple[float, ...] = ()
    chance: float = 0.1
    options: Mapping[str, Any] = field(default_factory=dict)
    oracle: Callable[[Rows], Floats] | None = None
    model: Callable[[Rows], Floats] | None = None
