"""The tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011), as Optuna ships it.

Needs the extra `optuna`: `pip install 'pnas-sim[optuna]'`.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Status
from pnas_sim.search.base import Observations, Proposals, SearchRequest
from pnas_sim.search.turns import Turns, demand_at_least
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_sim.space.rows import PAD, TOKENS_PER_BLOCK, token_limits

if TYPE_CHECKING:
    from optuna.trial import Trial

_TOKENS = ("input1", "input2", "operation1", "operation2")


class TpeSearch:
    """Optuna's TPE over the tokens of a cell of the largest size, each a category.

    The sampler has Optuna's defaults (10 random cells first, 24 candidates of each draw) but for its seed: a
    fresh sampler draws each batch, and knows the study's trials, so that a search can be replayed. Cells are
    raw rows, as categories know no symmetries; a cell may come again. Failed children are failed trials,
    which TPE leaves out. Each draw looks at all trials so far: thousands of models take minutes.

    Args:
        space: searched.
        startup: random cells before the first model.
        batch: cells of an `ask`, at most; 1 is TPE as published. In larger ones Optuna takes the cells that
            are still running for bad ones (its `constant_liar`).
        seed: batch k draws with a seed from `SeedSequence([seed, k])`.

    Raises:
        SettingError: Optuna is not installed, startup or batch is below 1, or a seed is below 0.
    """

    def __init__(self, space: CellSpace, startup: int = 10, batch: int = 1, seed: int = 0) -> None:
        demand_at_least(1, startup=startup, batch=batch)
        self._turns = Turns(seed)
        self._optuna: Any = import_optuna()
        self._space, self._startup, self._batch = space, startup, batch
        limits = token_limits(space.max_blocks, len(space.operations)).ravel().tolist()
        category = self._optuna.distributions.CategoricalDistribution
        self._distributions = {
            f"{_TOKENS[at % TOKENS_PER_BLOCK]}_{at // TOKENS_PER_BLOCK + 1}": category(tuple(range(limit)))
            for at, limit in enumerate(limits)
        }
        self._study = self._make_study()
        self._running: list[Trial] = []

    def ask(self, n: int) -> Proposals:
        """The next cells, at most n and at most `batch`.

        Raises:
            SettingError: n is below 1, or the last batch was not told yet.
        """
        self._turns.begin(n)
        seed = self._turns.draw_seed()
        self._study.sampler = self._optuna.samplers.TPESampler(n_startup_trials=self._startup, seed=seed)
        asked = min(n, self._batch)
        self._running = [self._study.ask(self._distributions) for _ in range(asked)]
        cells = np.full((asked, self._space.width), PAD, np.uint8)
        for row, trial in zip(cells, self._running, strict=True):
            row[: len(self._distributions)] = [trial.params[name] for name in self._distributions]
        return self._turns.give(Proposals(cells=cells))

    def tell(self, observations: Observations) -> None:
        """Ends the last batch's trials with their accuracies.

        Raises:
            SettingError: there is no such batch, or it has another number of cells.
        """
        self._turns.take(observations)
        values, failed = observations.valid_accuracy.tolist(), observations.status == Status.FAILED
        for trial, value, lost in zip(self._running, values, failed, strict=True):
            if lost:
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
            else:
                self._study.tell(trial, value)
        self._running = []

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """Adds a logged batch to the study; samples nothing."""
        self._turns.give(proposals)
        self._turns.take(observations)
        for row, value, status in zip(
            proposals.cells, observations.valid_accuracy.tolist(), observations.status, strict=True
        ):
            self._study.add_trial(self._finish_trial(row, value, status == Status.FAILED))

    def _finish_trial(self, row: Rows, value: float, failed: bool) -> Any:
        states = self._optuna.trial.TrialState
        tokens = row[: len(self._distributions)].tolist()
        return self._optuna.trial.create_trial(
            params=dict(zip(self._distributions, tokens, strict=True)),
            distributions=self._distributions,
            value=None if failed else value,
            state=states.FAIL if failed else states.COMPLETE,
        )

    def _make_study(self) -> Any:
        """An empty study in memory; Optuna would tell of it on standard error."""
        logging = self._optuna.logging
        verbosity = logging.get_verbosity()
        logging.set_verbosity(logging.WARNING)
        try:
            return self._optuna.create_study(direction="maximize")
        finally:
            logging.set_verbosity(verbosity)


def import_optuna() -> ModuleType:
    """Optuna, imported when a search needs it.

    Raises:
        SettingError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise SettingError("search tpe needs Optuna; pip install 'pnas-sim[optuna]'") from error
    return optuna


def create(request: SearchRequest) -> TpeSearch:
    """Optuna's TPE; options as for `TpeSearch`."""
    return TpeSearch(request.space, **request.options, seed=request.seed)
