"""The one tree of errors that this project raises on purpose.

    PnasError
    |-- RequestError          the request was wrong: one line says what, exit code 2
    |   |-- CellError         cell text, tokens or operations that the space does not hold
    |   |-- SettingError      an option or argument out of its range
    |   |-- BackendError      a backend that is unknown, or cannot serve what is asked
    |   |-- DataError         image data that is missing or not what it says
    |   |-- TableError        a table file that is missing, damaged, or of another schema, space or recipe
    |   `-- RunError          a run folder that is missing, of another run, or from another table
    `-- WorkError             the work failed on the way (a full disk, say): exit code 1
        `-- BudgetSpentError  a budget does not reach for what was asked

Every message is one line that names the value, the limit and the remedy. `RequestError` is a
`ValueError`, so library users need not know the tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pnas_sim.evaluate import Answers


class PnasError(Exception):
    """Root of all errors raised on purpose."""


class RequestError(PnasError, ValueError):
    """The request cannot be served as it stands."""


class CellError(RequestError):
    """Cell text, tokens or operations outside the space."""


class SettingError(RequestError):
    """An option or argument out of its range."""


class BackendError(RequestError):
    """A backend that is unknown or cannot serve what is asked."""


class DataError(RequestError):
    """Image data that is missing or not what it says it is."""


class TableError(RequestError):
    """A table file that is missing, damaged, or of another schema, space or recipe."""


class RunError(RequestError):
    """A run folder that is missing, holds another run, or belongs to another table."""


class WorkError(PnasError):
    """The work itself failed on the way."""


class BudgetSpentError(WorkError):
    """A budget does not reach for all cells that were asked.

    Attributes:
        answers: for the first of the cells, those that the budget reached for, where they were asked as
            arrays; None where they were yielded one by one already.
    """

    def __init__(self, message: str, answers: Answers | None = None) -> None:
        Exception.__init__(self, message)
        self.answers = answers
