"""A table as a benchmark, in three lines.

    from pnas_tables import Benchmark

    benchmark = Benchmark.load("cifar10-16px")
    frame = benchmark.query(["sep5(-2)+max3(-2) | sep7(-1)+max3(-1)"], seed=0)

Nothing here is needed by a search: it is for notebooks and for other people's tools. Frames are pandas
DataFrames, one row for each cell (or run) in the order given, numbered from 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Answers, BackendRequest, BulkEvaluator
from pnas_sim.frames import make_frame
from pnas_sim.space import CellSpace, name_size
from pnas_sim.space.arrays import Floats, Rows
from pnas_sim.space.rows import MOST_BLOCKS
from pnas_tables.catalogue import DEFAULT_TABLE, find_table
from pnas_tables.features import cell_features, feature_names
from pnas_tables.figures import mean_by_cell
from pnas_tables.format import read_table
from pnas_tables.frames import frame_answers, frame_means, frame_runs, list_sealed
from pnas_tables.given_cells import Cells, read_cells
from pnas_tables.index import RowIndex
from pnas_tables.record import Table
from pnas_tables.surrogate import DEFAULT_SURROGATE, OWN, SHARED

if TYPE_CHECKING:
    import pandas as pd

Places: TypeAlias = NDArray[np.int64]

Seeds: TypeAlias = "int | Sequence[int] | NDArray[np.integer[Any]]"

# as the table backend has them: only what differs is passed on, for some have no meaning in the other mode
DEFAULTS: Mapping[str, Any] = {
    "surrogate": DEFAULT_SURROGATE,
    "world": 0,
    "effects": OWN,
    "noise": True,
    "extrapolate": False,
    "table_mode": "surrogate",
}


class Benchmark:
    """A table ready to be asked: what its surrogate predicts, and what was really trained.

    `query`, `answer` and `evaluator` need a surrogate (or a closed table and `table_mode="measured"`); all
    else works on any table. A benchmark can be pickled, so joblib and process pools take it.

    Wherever `cells` are asked for, they are a text (`"sep3(-1)+max3(-2) | id(1)+id(-1)"`), the name of a
    published cell (`"PNASNet-5"`), a `Cell` of any space, or several of them in any iterable; or token rows
    as an integer array `[n, width]` or `[width]`, whose operations are positions in `space.operations`. They
    need not be canonical; frames have canonical texts.

    Attributes:
        table: as it was read.
        space: what may be asked about: the table's operations, and cells of up to so many blocks.
    """

    def __init__(self, table: Table, request: BackendRequest) -> None:
        """Of a table that was read; `load` is the usual way.

        Args:
            table: the table.
            request: what its evaluator is made from, once it is needed: `pnas_backends.table.create`.
        """
        self.table = table
        self.space = CellSpace(operations=table.space.operations, max_blocks=request.blocks)
        self._request = request
        self._widest = max(self.space, table.space, key=lambda space: space.max_blocks)
        self._index = RowIndex(self._widest.fit_width(table.cells))

    @classmethod
    def load(
        cls,
        table: str | Path = DEFAULT_TABLE,
        *,
        surrogate: str = DEFAULT_SURROGATE,
        world: int = 0,
        effects: Literal["own", "shared"] = OWN,
        noise: bool = True,
        extrapolate: bool = False,
        blocks: int | None = None,
        table_mode: Literal["surrogate", "measured"] = "surrogate",
    ) -> Benchmark:
        """Reads a table. What is asked of its surrogate beyond the defaults is checked at once.

        Args:
            table: a file, or the name of a table that ships.
            surrogate: which of its surrogates answers.
            world: which refit of the surrogate, from 0.
            effects: what the surrogate does not know of a cell is its `own`, or `shared` with near cells.
            noise: whether seed noise is added to predictions.
            extrapolate: whether cells larger than any the surrogate was fitted on are answered, and marked.
            blocks: the largest cells that may be asked about, 1 to 10; by default those of the table's space,
                with `extrapolate` 10.
            table_mode: `surrogate` always predicts, cells that were trained too; `measured` looks them up
                (seed s takes run s modulo the cell's runs), in a table that holds its whole space.

        Raises:
            TableError: no such table or surrogate, or a damaged one, or `measured` of a table that is not
                closed.
            SettingError: an argument out of its range, or without a meaning in this mode.
            BackendError: cells of `blocks` blocks are larger than the table's, without `extrapolate`.
        """
        given = {"surrogate": surrogate, "world": world, "effects": effects, "noise": noise}
        given |= {"extrapolate": extrapolate, "table_mode": table_mode}
        changed = {name: value for name, value in given.items() if value != DEFAULTS[name]}
        read = read_table(find_table(str(table)))
        default = MOST_BLOCKS if extrapolate else read.space.max_blocks
        largest = default if blocks is None else blocks
        benchmark = cls(read, BackendRequest(blocks=largest, options={**changed, "table": str(table)}))
        if changed or blocks is not None:
            _ = benchmark.evaluator  # whoever asks for something of it is told now what is wrong with that
        return benchmark

    def __repr__(self) -> str:
        has = f"{len(self.table)} cells, {len(self.table.seeds)} trainings"
        mode = "measured" if self._option("table_mode") == "measured" else "no surrogate"
        by = mode if self.surrogate is None else f"surrogate {self.surrogate}, world {self.world}"
        by += ", shared effects" if self._option("effects") == SHARED else ""
        return f"Benchmark({self.table.name}: {has}; up to {name_size(self.space.max_blocks)}; {by})"

    # What it is

    @cached_property
    def evaluator(self) -> BulkEvaluator:
        """The evaluator that answers, for `run_search` and whatever else takes one; made on first need.

        Raises:
            TableError: the table has no such surrogate.
            BackendError: it does not answer cells as large as the space's.
        """
        from pnas_backends.table import create

        return create(self._request, self.table)

    @property
    def epochs(self) -> tuple[float, ...]:
        """The checkpoints that can be asked for; the last is the whole training."""
        return tuple(self.table.epochs.tolist())

    @property
    def surrogates(self) -> tuple[str, ...]:
        """Names of the surrogates that the table has."""
        return tuple(sorted(self.table.surrogates))

    @property
    def surrogate(self) -> str | None:
        """Which of them answers; None where none does: answers are measured, or the table has none."""
        name = self._option("surrogate")
        predicts = self._option("table_mode") == "surrogate" and name in self.table.surrogates
        return name if predicts else None

    @property
    def world(self) -> int | None:
        """Which of the surrogate's worlds answers, from 0; None without a surrogate."""
        return None if self.surrogate is None else self._option("world")

    @property
    def worlds(self) -> int:
        """How many worlds the surrogate has; 0 without one."""
        if self.surrogate is None:
            return 0
        return int(self.table.surrogates[self.surrogate].metadata["settings"]["worlds"])

    def _option(self, name: str) -> Any:
        return self._request.options.get(name, DEFAULTS[name])

    # What a training would give

    def query(self, cells: Cells, seed: Seeds = 0, epochs: float | None = None) -> pd.DataFrame:
        """What a training of these cells would give.

        Args:
            cells: see the class.
            seed: the evaluation seed, a whole number in [0, 2**63): another one is another training. Of
                several, the rows of all cells for the first come first, then those for the next.
            epochs: a checkpoint; by default the whole training.

        Returns:
            Columns `cell` (canonical text), `valid_accuracy`, `expected_valid_accuracy` (free of seed noise)
            and `test_accuracy` (NaN before the whole training), all in [0, 1], `seconds` and `examples` of
            the training, `parameters`, `multiply_adds`, `extrapolated`, `epochs`, `status`, `source`, and
            `seed` (where answers are measured: of the training that was looked up).

        Raises:
            CellError: a cell is not of the space.
            TableError: the table has no such surrogate.
            BackendError: there is no such checkpoint, or a cell is too large.
            SettingError: a seed is no whole number in its range, epochs are no number, or pandas is not
                installed.
        """
        rows = self.read_cells(cells)
        answers = [self.answer(rows, one, epochs) for one in _list_seeds(seed)]
        return frame_answers(self.space.format_many(rows), answers)

    def answer(self, rows: Rows, seed: int = 0, epochs: float | None = None) -> Answers:
        """The same as plain arrays, for canonical rows of the space (`uint8[n, width]`) and one seed."""
        return self.evaluator.evaluate_bulk(rows, self.epochs[-1] if epochs is None else epochs, seed)

    def features(self, cells: Cells) -> pd.DataFrame:
        """What a surrogate sees of these cells but their costs: one column for each structural feature.

        Columns as `pnas_tables.features.feature_names` says, numbers; arguments and errors as `query`.
        """
        values = cell_features(self.space, self.read_cells(cells))
        return make_frame(dict(zip(feature_names(self.space.operations), values.T, strict=True)))

    # What was trained

    def measured(self, cells: Cells) -> pd.DataFrame:
        """What was really trained of these cells: means over their runs, NaN where none is known.

        Columns `cell` (canonical text), `runs` (0: never trained), `sealed` (of the test set, see
        `trainings`), `valid_accuracy`, `test_accuracy`, `seconds`; arguments and errors as `query`.
        """
        rows = self.read_cells(cells)
        return frame_means(self.table, self.space.format_many(rows), self.find(rows))

    def trainings(self, sealed: bool = False) -> pd.DataFrame:
        """The runs of the table, one row each, without those of its test set.

        Args:
            sealed: whether the runs of sealed cells are among them. On these no surrogate that ships was
                fitted; a model that is to be compared with one must not see them either.

        Returns:
            Columns `cell` (canonical text), `blocks`, `origin` (why it was chosen; FORMAT.md), `sealed`,
            `seed` (of the training), `status`, `valid_accuracy` and `test_accuracy` in [0, 1] (NaN if
            unknown), `seconds`, `parameters`, `multiply_adds` (-1 if unknown), and the curve as
            `valid_accuracy_at_E` for each checkpoint E.

        Raises:
            SettingError: pandas is not installed.
        """
        told = sealed | ~list_sealed(self.table)[self.table.run_cells]
        return frame_runs(self.table, np.flatnonzero(told))

    # Rows

    def read_cells(self, cells: Cells) -> Rows:
        """Canonical rows of cells in any form, `uint8[n, space.width]`, in their order; see the class.

        Raises:
            CellError: one is not a cell of the space, or there are numbers outside an integer array.
        """
        return read_cells(cells, self.space)

    def find(self, rows: Rows) -> Places:
        """Where in the table each canonical row (`uint8[n, width]`) stands, `int64[n]`; -1: never trained."""
        return self._index.find(self._widest.fit_width(rows))

    def look_up(self, rows: Rows) -> Floats:
        """Measured validation accuracy of canonical rows, means over seeds, NaN if never trained; `[n]`."""
        return np.asarray(self._means[self.find(rows)], np.float64)

    @cached_property
    def _means(self) -> Floats:
        return np.append(mean_by_cell(self.table, self.table.valid_accuracy), np.nan)


def _list_seeds(seed: Any) -> list[Any]:
    """Seeds as a list, each yet to be checked by whoever answers."""
    given = seed.tolist() if isinstance(seed, np.ndarray) else seed
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        return [given]
    seeds = list(given)
    if not seeds:
        raise SettingError("seed is an empty list; give a whole number, or at least one of them")
    return seeds
