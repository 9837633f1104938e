"""A table as a benchmark, in three lines.

    from pnas_tables import Benchmark

    benchmark = Benchmark.load("cifar10-16px")
    frame = benchmark.query(["sep5(-2)+max3(-2) | sep7(-1)+max3(-1)"], seed=0)

Nothing here is needed by a search: it is for notebooks and for other people's tools.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import CellError, SettingError
from pnas_sim.evaluate import Answers, BackendRequest, Status
from pnas_sim.space import CellSpace
from pnas_tables.catalogue import DEFAULT_TABLE, find_table
from pnas_tables.figures import mean_by_cell
from pnas_tables.format import read_table
from pnas_tables.index import RowIndex
from pnas_tables.record import Table

if TYPE_CHECKING:
    import pandas as pd

Rows: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.int64]
Cells: TypeAlias = "str | Sequence[str] | Rows"

ANSWER_COLUMNS = (
    "valid_accuracy",
    "expected_valid_accuracy",
    "test_accuracy",
    "seconds",
    "examples",
    "parameters",
    "multiply_adds",
    "extrapolated",
    "epochs",
)


class Benchmark:
    """A table ready to be asked: predictions by its surrogate, and what was really trained."""

    def __init__(self, table: Table, backend: Any) -> None:
        """Of a table and the backend that answers from it; `load` is the usual way.

        Args:
            table: the table.
            backend: a bulk evaluator, as `pnas_backends.table.create` makes it.
        """
        self.table = table
        self._backend = backend
        self._index = RowIndex(table.cells)
        # one more than there are cells: the place -1 is that of a cell never trained
        self._means = np.append(mean_by_cell(table, table.valid_accuracy), np.nan)

    @classmethod
    def load(cls, table: str = DEFAULT_TABLE, **options: Any) -> Benchmark:
        """Reads a table and its surrogate.

        Args:
            table: a file, or the name of a table that ships.
            options: as the table backend takes them: `surrogate` (its name), `world` (which refit, from 0),
                `noise` (`on` or `off`), `extrapolate`; or `table_mode="measured"` for a closed table.

        Raises:
            TableError: no such table or surrogate, or a damaged one.
            SettingError: an option that does not exist, or out of its range.
        """
        from pnas_backends.table import create

        read = read_table(find_table(str(table)))
        blocks = read.space.max_blocks
        request = BackendRequest(blocks=blocks, options={**options, "table": str(table)})
        return cls(read, create(request, read))

    @property
    def space(self) -> CellSpace:
        """The space whose cells it answers."""
        return self.table.space

    @property
    def epochs(self) -> tuple[float, ...]:
        """The checkpoints that can be asked for; the last is the whole training."""
        return tuple(self.table.epochs.tolist())

    def query(self, cells: Cells, seed: int = 0, epochs: float | None = None) -> pd.DataFrame:
        """What a training of these cells would give, one row for each cell, in their order.

        Args:
            cells: texts (a lone one is one cell), or token rows `uint8[n, width]`, canonical or not.
            seed: the evaluation seed, a whole number in [0, 2**63): another one is another training.
            epochs: a checkpoint; by default the whole training.

        Returns:
            Columns `cell` (canonical text), `valid_accuracy`, `expected_valid_accuracy` (free of seed noise),
            `test_accuracy` (NaN before the whole training), `seconds`, `examples`, `parameters`,
            `multiply_adds`, `extrapolated`, `epochs`, `status`, `source`, `seed` (of the training, where one
            was looked up).

        Raises:
            CellError: a cell is not of the space.
            BackendError: there is no such checkpoint, or a cell is too large.
            SettingError: the seed is no whole number in its range, epochs are no number, or pandas is not
                installed.
        """
        rows = self.read_cells(cells)
        answers = self.answer(rows, seed, epochs)
        columns = {name: getattr(answers, name) for name in ANSWER_COLUMNS}
        seeds = answers.seed if answers.seeds is None else answers.seeds
        status = [Status(int(status)).name.lower() for status in answers.status]
        named = {"status": status, "source": answers.source.value, "seed": seeds}
        return _make_frame({"cell": self.space.format_many(rows), **columns, **named})

    def answer(self, rows: Rows, seed: int = 0, epochs: float | None = None) -> Answers:
        """The same as plain arrays, for canonical token rows (`uint8[n, width]`)."""
        answers: Answers = self._backend.evaluate_bulk(
            rows, self.epochs[-1] if epochs is None else epochs, seed
        )
        return answers

    def find(self, rows: Rows) -> Places:
        """Where in the table each canonical row (`uint8[n, width]`) stands, `int64[n]`; -1: never trained."""
        return self._index.find(rows)

    def look_up(self, rows: Rows) -> Floats:
        """Measured validation accuracy of canonical rows, means over seeds, NaN if never trained; `[n]`."""
        return np.asarray(self._means[self._index.find(rows)], np.float64)

    def measured(self, cells: Cells) -> pd.DataFrame:
        """What was really trained of these cells, one row for each: means over seeds, NaN if never trained.

        Columns `cell`, `runs`, `valid_accuracy`, `test_accuracy`, `seconds`; arguments and errors as `query`.
        """
        rows = self.read_cells(cells)
        places, table = self.find(rows), self.table
        runs = np.bincount(table.run_cells, minlength=len(table))
        columns: dict[str, Any] = {
            "cell": self.space.format_many(rows),
            "runs": np.where(places < 0, 0, runs[places]),
        }
        for name in ("valid_accuracy", "test_accuracy", "seconds"):
            means = mean_by_cell(table, getattr(table, name))
            columns[name] = np.where(places < 0, np.nan, means[places])
        return _make_frame(columns)

    def trainings(self) -> pd.DataFrame:
        """All runs of the table, one row each, with the curve as columns `valid_accuracy_at_E`."""
        table, cells = self.table, self.table.run_cells
        texts = np.array(self.space.format_many(table.cells), object)
        curve = {f"valid_accuracy_at_{at:g}": table.curves[:, place] for place, at in enumerate(self.epochs)}
        return _make_frame(
            {
                "cell": texts[cells],
                "origin": np.array(table.origins, object)[cells],
                "seed": table.seeds,
                "status": [Status(int(status)).name.lower() for status in table.status],
                "valid_accuracy": table.valid_accuracy,
                "test_accuracy": table.test_accuracy,
                "seconds": table.seconds,
                "parameters": table.parameters[cells],
                "multiply_adds": table.multiply_adds[cells],
                **curve,
            }
        )

    def read_cells(self, cells: Cells) -> Rows:
        """Canonical rows of texts (a lone one is one cell), or of rows of any width.

        Raises:
            CellError: one is not a cell of the space.
        """
        if isinstance(cells, np.ndarray) and cells.dtype.kind in "iu":
            rows = self.space.fit_width(cells)
            self.space.validate(rows)
        elif isinstance(cells, str | Iterable):
            texts = [cells] if isinstance(cells, str) else cells
            rows = self.space.parse_many([str(cell) for cell in texts])
        else:
            raise CellError(f"cells are {cells!r}; give texts of cells, or an array of their token rows")
        return self.space.canonical(rows)


def _make_frame(columns: dict[str, Any]) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError:
        raise SettingError(
            'a frame needs pandas, which is not installed: pip install "pnas-sim[pandas]"'
        ) from None
    return pd.DataFrame(columns)
