"""The precomputed backend: answers from a table, a surrogate's guess or a trained cell's own figures.

The two are never mixed. `surrogate` always predicts, also for cells that were trained, so that a lucky
training seed cannot become the truth. `measured` looks trained cells up, and needs a table that holds all of
its space.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np

from pnas_sim.answers import unpack_answers
from pnas_sim.errors import BackendError, SettingError, TableError
from pnas_sim.evaluate import Answers, BackendRequest, Evaluation, EvaluatorSpec, Source, Status
from pnas_sim.space import CellSpace, name_size
from pnas_sim.space.arrays import Floats, Integers, Rows
from pnas_tables.catalogue import DEFAULT_TABLE, find_table
from pnas_tables.csv_import import IMPORTED
from pnas_tables.figures import cells_by_blocks, find_gaps, mean_by_cell
from pnas_tables.format import read_table
from pnas_tables.given_cells import show_value
from pnas_tables.index import RowIndex
from pnas_tables.record import Table, checksum
from pnas_tables.sample import choose_repeats
from pnas_tables.surrogate import DEFAULT_SURROGATE, OWN, Surrogate

TableBackend: TypeAlias = "SurrogateBackend | MeasuredBackend"

MODES = ("surrogate", "measured")
LARGEST_SEED = 2**63 - 1
OPTIONS = ("table", "table_mode", "surrogate", "world", "effects", "noise", "extrapolate")


def create(request: BackendRequest, table: Table | None = None) -> TableBackend:
    """The backend that a request asks for.

    Options: `table` (a file or the name of a table that ships), `table_mode` (`surrogate` or `measured`), and
    for the former `surrogate` (its name), `world` (which of its refits, from 0), `effects` (`own`: what the
    model does not know of a cell is its own, or `shared` with near cells), `noise` (`on` or `off`) and
    `extrapolate` (answer cells larger than any in the table, marked as such).

    Args:
        request: blocks and options.
        table: the table that `table` names, if it was read already.

    Raises:
        SettingError: an unknown option, or a value out of its range.
        TableError: no such table or surrogate, or a damaged one, or `measured` on a table that is not closed.
        BackendError: larger cells are asked for than the table answers.
    """
    options = dict(request.options)
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise SettingError(
            f"option {unknown[0]!r} is not one of backend table; it has: {', '.join(OPTIONS)} (how its cells "
            "were trained is fixed: `pnas-sim table info`; backend gpu trains by other settings)"
        )
    mode = options.pop("table_mode", "surrogate")
    if mode not in MODES:
        raise SettingError(f"table_mode is {mode!r}; it must be one of: {', '.join(MODES)}")
    name = str(options.pop("table", DEFAULT_TABLE))
    table = read_table(find_table(name)) if table is None else table
    if mode == "measured":
        if options:
            raise SettingError(
                f"option {min(options)!r} has no meaning with table_mode measured; leave it out"
            )
        return MeasuredBackend(table, request.blocks, name)
    return SurrogateBackend(
        table,
        request.blocks,
        name,
        surrogate=str(options.get("surrogate", DEFAULT_SURROGATE)),
        world=_read_world(options.get("world", 0)),
        effects=str(options.get("effects", OWN)),
        noise=_switch("noise", options.get("noise", True)),
        extrapolate=_switch("extrapolate", options.get("extrapolate", False)),
    )


def _switch(name: str, value: Any) -> bool:
    switches = {True: True, False: False, "on": True, "off": False}
    if isinstance(value, bool | str) and value in switches:
        return switches[value]
    raise SettingError(f"{name} is {value!r}; it must be on or off")


def _read_world(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise SettingError(f"world is {value!r}; it must be a whole number from 0")
    return value


def _find_checkpoint(epochs: Any, checkpoints: Floats) -> int:
    """The place of `epochs` among the checkpoints."""
    known = ", ".join(f"{at:g}" for at in checkpoints)
    if isinstance(epochs, bool) or not isinstance(epochs, Real):
        shown = show_value(epochs)
        raise SettingError(f"epochs is {shown}; it must be a number, one of the checkpoints {known}")
    near = np.flatnonzero(np.isclose(checkpoints, float(epochs), rtol=1e-9, atol=0))
    if len(near) == 0:
        raise BackendError(f"{epochs:g} epochs asked for; the table has the checkpoints {known}; choose one")
    return int(near[0])


def _read_seed(seed: Any) -> int:
    """The evaluation seed as Python's own whole number."""
    whole = isinstance(seed, Integral) and not isinstance(seed, bool)
    if not whole or not 0 <= seed <= LARGEST_SEED:
        raise SettingError(
            f"evaluation seed is {show_value(seed)}; it must be a whole number, at least 0 and below 2**63"
        )
    return int(seed)


def _spec(table: Table, blocks: int, settings: dict[str, Any]) -> EvaluatorSpec:
    return EvaluatorSpec(
        name="table",
        space=CellSpace(operations=table.space.operations, max_blocks=blocks),
        epochs=float(table.epochs[-1]),
        fidelities=tuple(table.epochs.tolist()),
        deterministic=True,
        train_images=table.train_images,
        chance=table.chance,
        checksum=checksum(table),
        settings=settings,
        continues=True,  # checkpoints are points of one training's curve
    )


class SurrogateBackend:
    """Answers every cell by the table's surrogate; an `Evaluator` and a `BulkEvaluator`."""

    def __init__(
        self,
        table: Table,
        blocks: int,
        name: str,
        *,
        surrogate: str = DEFAULT_SURROGATE,
        world: int = 0,
        effects: str = OWN,
        noise: bool = True,
        extrapolate: bool = False,
    ) -> None:
        """Readies the table's surrogate.

        Args:
            table: with a fitted surrogate.
            blocks: the largest cells that will be asked for.
            name: as the user wrote the table's name, for the record.
            surrogate: its name.
            world: which of its refits; a cell's effect is fixed in each.
            effects: one of `pnas_tables.surrogate.EFFECTS`.
            noise: whether seed noise is added.
            extrapolate: whether cells larger than the table's largest are answered.

        Raises:
            TableError: there is no surrogate of this name.
            SettingError: it has no such world, or there are no such effects.
            BackendError: cells of `blocks` blocks are larger than the table's, and not to be extrapolated.
        """
        self._surrogate = Surrogate.from_table(table, surrogate, world, effects)
        self._noise = noise
        self._extrapolate = extrapolate
        self._demand_size(blocks)
        settings = {
            "table": name,
            "table_mode": "surrogate",
            "surrogate": surrogate,
            "surrogate_kind": table.surrogates[surrogate].metadata["kind"],
            "world": world,
            **({} if effects == OWN else {"effects": effects}),  # logs from before there was a choice go on
            "noise": "on" if noise else "off",
            "extrapolate": extrapolate,
        }
        self._spec = _spec(table, blocks, settings)

    def _demand_size(self, blocks: int) -> None:
        largest = self._surrogate.largest
        if blocks > largest and not self._extrapolate:
            raise BackendError(
                f"cells of {blocks} blocks asked for; the table answers up to {largest}; ask for no more, "
                "or give --extrapolate"
            )

    @property
    def spec(self) -> EvaluatorSpec:
        """What this backend declares about itself."""
        return self._spec

    def evaluate_bulk(self, cells: Rows, epochs: float, seed: int) -> Answers:
        """Answers for canonical rows (`uint8[n, width]`) in their order.

        The test accuracy is that of the whole training: at an earlier checkpoint it is not known.

        Raises:
            BackendError: the table has no such checkpoint, or a cell is too large.
            CellError: rows of another width than the space's, or cells outside it.
            SettingError: a seed that is no whole number in [0, 2**63), or epochs that are no number.
        """
        checkpoint, seed = _find_checkpoint(epochs, self._surrogate.epochs), _read_seed(seed)
        blocks = self._check(cells)
        answer = self._surrogate.predict(cells, checkpoint)
        valid, test, status = answer.valid_accuracy, answer.test_accuracy, np.zeros(len(cells), np.uint8)
        if self._noise:
            drawn = self._surrogate.draw_noise(answer.keys, checkpoint, seed, valid, test)
            chance = self._spec.chance
            valid = np.where(drawn.diverged, chance, np.clip(valid + drawn.valid, 0, 1))
            test = np.where(drawn.diverged, chance, np.clip(test + drawn.test, 0, 1))
            status[drawn.diverged] = Status.DIVERGED
        at = float(self._surrogate.epochs[checkpoint])
        last = checkpoint == len(self._surrogate.epochs) - 1
        return Answers(
            source=Source.PREDICTED,
            epochs=at,
            seed=seed,
            status=status,
            valid_accuracy=valid,
            expected_valid_accuracy=answer.valid_accuracy,
            test_accuracy=test if last else np.full(len(cells), np.nan),
            examples=np.full(len(cells), at * self._spec.train_images),
            seconds=answer.seconds * (at / self._spec.epochs),
            parameters=answer.parameters,
            multiply_adds=answer.multiply_adds,
            extrapolated=blocks > self._surrogate.largest,
        )

    def predict_mean(self, cells: Rows) -> Floats:
        """What the surrogate's model says of rows after the whole training, without the cells' own effects.

        Args:
            cells: `uint8[n, width]`, canonical.
        """
        self._check(cells)
        return self._surrogate.predict_mean(cells)

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """Yields the answers of `evaluate_bulk` one by one, with their curves up to `epochs`."""
        answers = self.evaluate_bulk(cells, epochs, seed)
        if len(answers):
            curves = self._draw_curves(cells, epochs, seed)
            checkpoints = self._spec.fidelities[: curves.shape[1]]
            yield from _unpack(answers, self._spec.space.format_many(cells), checkpoints, curves)

    def _check(self, cells: Rows) -> Integers:
        """Block counts of the cells, once they may be answered."""
        self._spec.space.validate(cells)
        blocks = self._spec.space.block_counts(cells)
        self._demand_size(int(blocks.max(initial=0)))
        return np.asarray(blocks, np.int64)

    def _draw_curves(self, cells: Rows, epochs: float, seed: int) -> Floats:
        """`float64[n, c]` up to the checkpoint asked for, each with the noise it would have if asked for."""
        count = _find_checkpoint(epochs, self._surrogate.epochs) + 1
        curves = self._surrogate.predict_curves(cells)[:, :count]
        if self._noise:
            keys = self._surrogate.keys(cells)
            for place in range(count):
                drawn = self._surrogate.draw_noise(keys, place, seed, curves[:, place], curves[:, place])
                noisy = np.clip(curves[:, place] + drawn.valid, 0, 1)
                curves[:, place] = np.where(drawn.diverged, self._spec.chance, noisy)
        return curves

    def close(self) -> None:
        """Nothing is held."""


def _describe_gaps(table: Table, name: str) -> str:
    """Why a table cannot be looked up, and what can be done, in a line."""
    gaps = find_gaps(table)
    counts = ", ".join(f"{held} of the {there} of {name_size(size)}" for size, (held, there) in gaps.items())
    remedies = []
    largest = max(cells_by_blocks(table), default=0)
    if table.recipe.get("trainer") == IMPORTED and gaps and 0 < largest < min(gaps):
        remedies.append(f"import it again with --blocks {largest}")
    if table.surrogates:
        remedies.append("use surrogate")
    elif not remedies:
        remedies.append(f"fit a surrogate (pnas-sim table fit {name}) and use that")
    lacking = f"it has {counts}, not every cell" if gaps else "its file says so"
    return (
        f"table {table.name} is not closed: {lacking}; --table-mode measured needs every cell, "
        f"so {' or '.join(remedies)}"
    )


class MeasuredBackend:
    """Looks cells up among the trained ones of a closed table; an `Evaluator` and a `BulkEvaluator`."""

    def __init__(self, table: Table, blocks: int, name: str) -> None:
        """Readies the index.

        Raises:
            TableError: the table does not hold all of its space.
            BackendError: cells of `blocks` blocks are larger than its space has.
        """
        if not table.closed:
            raise TableError(_describe_gaps(table, name))
        if blocks > table.space.max_blocks:
            raise BackendError(
                f"cells of {blocks} blocks asked for; the table's space has up to {table.space.max_blocks}; "
                f"give --blocks {table.space.max_blocks}"
            )
        self._table = table
        self._index = RowIndex(table.cells)
        order = np.lexsort((table.seeds, table.run_cells))
        self._runs = order
        self._first = np.searchsorted(table.run_cells[order], np.arange(len(table)))
        self._count = np.bincount(table.run_cells, minlength=len(table))
        curves = table.curves.copy()
        curves[:, -1] = table.valid_accuracy
        told = choose_repeats(table)  # without the run that a cell was trained again for
        means = mean_by_cell(table, np.where(told[:, None], curves, np.nan))
        known = np.bincount(table.run_cells, told & ~np.isnan(table.valid_accuracy), minlength=len(table))
        means[known < 2] = np.nan  # one run is no mean over seeds: a winner's luck would be its worth
        self._curves, self._means = curves, means
        self._spec = _spec(table, blocks, {"table": name, "table_mode": "measured"})

    @property
    def spec(self) -> EvaluatorSpec:
        """What this backend declares about itself."""
        return self._spec

    def evaluate_bulk(self, cells: Rows, epochs: float, seed: int) -> Answers:
        """Answers for canonical rows (`uint8[n, width]`) in their order.

        Seed s takes run s modulo the cell's number of runs, in the order of their training seeds.
        `Answers.seed` is the seed asked for, `Answers.seeds` says which one each cell was trained with.

        Raises:
            BackendError: the table has no such checkpoint, or does not hold a cell.
            CellError: a cell is not of the table's space.
            SettingError: a seed that is no whole number in [0, 2**63), or epochs that are no number.
        """
        table, checkpoint = self._table, _find_checkpoint(epochs, self._table.epochs)
        seed = _read_seed(seed)
        places, runs = self._find(cells, seed)
        at = float(table.epochs[checkpoint])
        share = at / self._spec.epochs
        last = checkpoint == len(table.epochs) - 1
        return Answers(
            source=Source.MEASURED,
            epochs=at,
            seed=seed,
            status=table.status[runs],
            valid_accuracy=self._curves[runs, checkpoint],
            expected_valid_accuracy=self._means[places, checkpoint],
            test_accuracy=table.test_accuracy[runs] if last else np.full(len(runs), np.nan),
            examples=np.full(len(runs), at * table.train_images),
            seconds=np.nan_to_num(table.seconds[runs]) * share,
            parameters=table.parameters[places],
            multiply_adds=table.multiply_adds[places],
            extrapolated=np.zeros(len(runs), np.bool_),
            seeds=table.seeds[runs].astype(np.int64),
            errors=np.array([table.errors[run] for run in runs], np.object_),
        )

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """Yields the answers of `evaluate_bulk` one by one, with curve, training seed and error text."""
        answers = self.evaluate_bulk(cells, epochs, seed)
        if not len(answers):
            return
        _, runs = self._find(cells, answers.seed)
        count = _find_checkpoint(epochs, self._table.epochs) + 1
        texts = self._spec.space.format_many(cells)
        yield from _unpack(answers, texts, self._spec.fidelities[:count], self._curves[runs, :count])

    def _find(self, cells: Rows, seed: int) -> tuple[Integers, Integers]:
        """The table's cell and run for each row."""
        rows = self._table.space.fit_width(cells)
        self._table.space.validate(rows)
        places = self._index.find(rows)
        if (places < 0).any():
            text = self._table.space.format(rows[int(np.argmin(places))])
            raise BackendError(f"cell {text} is not in the table; ask for canonical cells of its space")
        return places, self._runs[self._first[places] + seed % self._count[places]]

    def close(self) -> None:
        """Nothing is held."""


def _unpack(
    answers: Answers, texts: list[str], checkpoints: tuple[float, ...], curves: Floats
) -> Iterator[Evaluation]:
    """Arrays as one `Evaluation` after another, with their curves (`float64[n, c]`)."""
    for answer, values in zip(unpack_answers(answers, texts), curves.tolist(), strict=True):
        points = zip(checkpoints, values, strict=True)
        yield replace(answer, curve=tuple((at, value) for at, value in points if not math.isnan(value)))
