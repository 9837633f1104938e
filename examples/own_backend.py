"""A backend of one's own, checked and searched. Run: `python examples/own_backend.py`.

From the command line: `PYTHONPATH=examples pnas-sim run --backend own_backend:create --blocks 3 --beam 16`.
Under a name, once a package says so: `[project.entry-points."pnas_sim.backends"] own = "own_backend:create"`.
"""

from __future__ import annotations

from collections.abc import Iterator

from pnas_sim.engine import Budget, run_search
from pnas_sim.errors import SettingError
from pnas_sim.evaluate import BackendRequest, Evaluation, EvaluatorSpec, Rows, Source, check_request
from pnas_sim.predict import make_predictor
from pnas_sim.registry import make_backend
from pnas_sim.search import Pnas
from pnas_sim.space import Cell, CellSpace
from pnas_sim.testing import check_evaluator


def judge(cell: Cell) -> float:
    """A made-up accuracy: put your own training here."""
    return 0.5 + 0.05 * cell.text.count("sep5") - 0.02 * len(cell.unused_inputs)


class OwnBackend:
    """Answers cells one after another; says what it is, and holds nothing that must be closed."""

    def __init__(self, space: CellSpace) -> None:
        self.spec = EvaluatorSpec(name="own", space=space, epochs=1.0, train_images=1000)

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """Yields each answer as soon as it is known."""
        check_request(self.spec, cells, epochs, seed)
        for cell in map(self.spec.space.cell, cells):
            yield Evaluation(
                cell=cell.text,
                source=Source.PREDICTED,
                valid_accuracy=judge(cell),
                epochs=epochs,
                examples=1000 * epochs,
                seconds=60 * epochs,
                seed=seed,
            )

    def close(self) -> None:
        """Nothing is held."""


def create(request: BackendRequest) -> OwnBackend:
    """The factory that the entry point names."""
    if request.options:
        raise SettingError(f"backend own has no option {min(request.options)!r}; it has none")
    return OwnBackend(CellSpace(max_blocks=request.blocks))


if __name__ == "__main__":
    check_evaluator("own_backend:create", blocks=3)
    backend = make_backend("own_backend:create", BackendRequest(blocks=3))
    search = Pnas(backend.spec.space, make_predictor("ridge", backend.spec.space), beam=16)
    result = run_search(search, backend, budget=Budget(seconds=3 * 3600))
    print(f"{result.models_evaluated} cells in {result.child_seconds / 3600:.1f} hours of made-up training")
    if best := result.best:  # of children that failed there may be none
        print(f"the best is {best.cell} at {best.valid_accuracy:.2f}")
