"""The contract of an evaluator: `check_evaluator(factory)` passes, or says what is broken.

It needs no test framework; call it in a test of any:

    def test_my_backend_keeps_the_contract() -> None:
        check_evaluator("my_package.backend:create", blocks=2, per_size=1)

Where every answer is a training, few and small cells will do: each is answered about six times.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from pnas_sim.answers import ARRAYS, unpack_answers
from pnas_sim.errors import BackendError
from pnas_sim.evaluate import (
    Answers,
    BackendRequest,
    BulkEvaluator,
    Evaluation,
    Evaluator,
    EvaluatorSpec,
    Source,
    Status,
)
from pnas_sim.registry import make_backend
from pnas_sim.seam_checks import check_spec
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_sim.testing.checks import (
    call_in_second_process,
    find_path,
    other_global_randomness,
    require,
    require_refusal,
)

Factory: TypeAlias = Callable[[BackendRequest], Evaluator]
Found: TypeAlias = dict[str, Evaluation]

# What must be the same whenever the same is asked; seconds never are, and examples of a repeat may be 0.
_SAME = tuple(name for name in Evaluation.__dataclass_fields__ if name not in ("examples", "seconds"))
_BULK = (*(name for name in ARRAYS if name not in ("examples", "seconds")), "seed")
_TYPES = {"status": np.uint8, "parameters": np.int64, "multiply_adds": np.int64, "extrapolated": np.bool_}


@dataclass(frozen=True, slots=True)
class _Case:
    """What is asked, at what epochs and with what seed."""

    cells: Rows
    epochs: float
    seed: int


def check_evaluator(
    factory: str | Factory,
    *,
    blocks: int = 2,
    cells: Rows | None = None,
    per_size: int = 3,
    seed: int = 0,
    **options: Any,
) -> None:
    """Checks that a backend does what `pnas_sim.evaluate.Evaluator` promises.

    Each cell asked is answered once, with values in range; whole arrays are answered in the order of asking,
    as they are one by one; bad requests are refused in one line. Where it declares itself deterministic, the
    same question has the same answer: again, in another order, cell by cell, from another evaluator, whatever
    the global generators hold, and in another process.

    Args:
        factory: a name that `make_backend` takes, `module:factory` too; or a function of a `BackendRequest`.
            Only what can be imported can be made in a second process: for a lambda that check is left out.
        blocks: of the request.
        cells: canonical rows to ask about, no two the same; by default drawn from all sizes of the space.
        per_size: cells drawn of each size.
        seed: of evaluation, and of the cells drawn.
        options: of the request; JSON values.

    Raises:
        AssertionError: the contract is broken; the message says where.
    """
    request = BackendRequest(blocks=blocks, options=options)
    with closing(_make(factory, request)) as evaluator:
        spec = evaluator.spec
        _check_spec(spec, blocks)
        asked = _draw_cells(spec.space, per_size, seed) if cells is None else cells
        case = _Case(asked, spec.epochs, seed)
        found = _ask(evaluator, case)
        _check_other_questions(evaluator, case)
        _check_refusals(evaluator, case)
        if isinstance(evaluator, BulkEvaluator):
            _check_bulk(evaluator, case, found)
        if spec.deterministic:
            _check_same(_ask_one_by_one(evaluator, case), found, "asked one by one")
        _check_giving_up(evaluator, case)
    evaluator.close()  # twice, as it may be
    if spec.deterministic:
        path = factory if isinstance(factory, str) else find_path(factory)
        _check_another(factory, request, case, found)
        if path:
            _check_second_process(path, request, case, found)


def _make(factory: str | Factory, request: BackendRequest) -> Evaluator:
    made = make_backend(factory, request) if isinstance(factory, str) else factory(request)
    require(isinstance(made, Evaluator), f"{type(made).__name__} lacks spec, evaluate or close")
    return made


def _draw_cells(space: CellSpace, per_size: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    drawn = [space.sample(per_size, rng, blocks=size) for size in range(1, space.max_blocks + 1)]
    rows = np.concatenate(drawn)
    return rows[space.unique(rows)[0]]


# One by one


def _ask(evaluator: Evaluator, case: _Case, order: Any = slice(None)) -> Found:
    """The answers by cell, once they are seen to be one for each and in range."""
    cells = case.cells[order]
    given = cells.copy()
    waiting = set(evaluator.spec.space.format_many(cells))
    found: Found = {}
    for answer in evaluator.evaluate(given, case.epochs, case.seed):
        require(isinstance(answer, Evaluation), f"an answer is {type(answer).__name__}, no Evaluation")
        require(answer.cell not in found, f"{answer.cell} is answered twice")
        require(answer.cell in waiting, f"{answer.cell} is answered, but its canonical text was not asked")
        _check_answer(evaluator.spec, answer, case)
        found[answer.cell] = answer
    missing = sorted(waiting - set(found))
    require(not missing, f"{len(missing)} cells are not answered: {missing[:1]}")
    require(np.array_equal(given, cells), "evaluate changes the rows it was given")
    return found


def _ask_one_by_one(evaluator: Evaluator, case: _Case) -> Found:
    found: Found = {}
    for place in range(len(case.cells)):
        found |= _ask(evaluator, case, slice(place, place + 1))
    return found


def _check_answer(spec: EvaluatorSpec, answer: Evaluation, case: _Case) -> None:
    where = f"the answer to {answer.cell}"
    require(isinstance(answer.status, Status), f"{where}: its status is {answer.status!r}")
    require(isinstance(answer.source, Source), f"{where}: its source is {answer.source!r}")
    for name in ("valid_accuracy", "expected_valid_accuracy", "test_accuracy"):
        value = getattr(answer, name)
        require(math.isnan(value) or 0 <= value <= 1, f"{where}: {name} is {value}, outside [0, 1]")
    known = not math.isnan(answer.valid_accuracy)
    require(known or answer.status != Status.OK, f"{where} is ok, but has no valid_accuracy")
    require(not known or answer.status != Status.FAILED, f"{where} is failed, but has an accuracy")
    lost = answer.status == Status.FAILED and not answer.error
    require(not lost, f"{where} is failed, but does not say why")
    require(len(answer.error.splitlines()) <= 1, f"{where}: its error has several lines")
    close = math.isclose(answer.epochs, case.epochs, rel_tol=1e-9)
    require(close, f"{where} is of {answer.epochs:g} epochs; {case.epochs:g} were asked for")
    examples = case.epochs * spec.train_images
    right = answer.examples == 0 or not examples or math.isclose(answer.examples, examples, rel_tol=1e-9)
    require(right, f"{where}: {answer.examples:g} examples, not {examples:g}")
    for name in ("examples", "seconds"):
        value = getattr(answer, name)
        require(math.isfinite(value) and value >= 0, f"{where}: {name} is {value}")
    require(min(answer.parameters, answer.multiply_adds) >= -1, f"{where}: a cost is below -1")
    own = answer.source == Source.MEASURED or answer.seed == case.seed
    require(own, f"{where} is of seed {answer.seed}; {case.seed} was asked for")
    _check_curve(answer, where)


def _check_curve(answer: Evaluation, where: str) -> None:
    at = [epochs for epochs, _ in answer.curve]
    ascending = at == sorted(set(at)) and all(0 < one <= answer.epochs * (1 + 1e-9) for one in at)
    require(ascending, f"{where}: its curve is at {at}, not ascending up to {answer.epochs:g}")
    legal = all(math.isnan(value) or 0 <= value <= 1 for _, value in answer.curve)
    require(legal, f"{where}: its curve leaves [0, 1]")


# Whole arrays


def _check_bulk(evaluator: BulkEvaluator, case: _Case, found: Found) -> None:
    spec, count = evaluator.spec, len(case.cells)
    texts = spec.space.format_many(case.cells)
    answers = evaluator.evaluate_bulk(case.cells.copy(), case.epochs, case.seed)
    _check_arrays(answers, count)
    for single, bulk in zip((found[text] for text in texts), unpack_answers(answers, texts), strict=True):
        for name in _BULK if spec.deterministic else ("parameters", "multiply_adds"):
            same = _equal(getattr(single, name), getattr(bulk, name))
            require(same, f"{name} of {single.cell} differs between evaluate and evaluate_bulk")
    require(answers.seed == case.seed, f"evaluate_bulk answers with seed {answers.seed}, not {case.seed}")
    order = np.arange(count)[::-1]
    backwards = evaluator.evaluate_bulk(case.cells[order], case.epochs, case.seed)
    same = np.array_equal(backwards.valid_accuracy, answers.valid_accuracy[order], equal_nan=True)
    require(same or not spec.deterministic, "the order of asking changes what evaluate_bulk answers")
    _check_arrays(evaluator.evaluate_bulk(case.cells[:0], case.epochs, case.seed), 0)


def _check_arrays(answers: Answers, count: int) -> None:
    for name in ARRAYS:
        values, wanted = getattr(answers, name), np.dtype(_TYPES.get(name, np.float64))
        right = values.shape == (count,) and values.dtype == wanted
        require(right, f"{name} is {values.dtype}{list(values.shape)}, not {wanted}[{count}]")


# Other questions


def _check_spec(spec: EvaluatorSpec, blocks: int) -> None:
    require(isinstance(spec, EvaluatorSpec), f"its spec is {type(spec).__name__}, no EvaluatorSpec")
    try:
        check_spec(spec, blocks)
    except BackendError as error:
        raise AssertionError(str(error)) from error
    try:
        json.dumps(dict(spec.settings))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"its settings are not JSON: {error}") from error


def _check_other_questions(evaluator: Evaluator, case: _Case) -> None:
    """No cells, another seed, and the shortest training."""
    require(_ask(evaluator, case, slice(0, 0)) == {}, "no cells have an answer")
    shortest = evaluator.spec.fidelities[:1] or (case.epochs,)
    _ask(evaluator, _Case(case.cells[:1], shortest[0], case.seed + 1))


def _check_refusals(evaluator: Evaluator, case: _Case) -> None:
    outside = case.cells[:1].copy()
    outside[0, 2] = len(evaluator.spec.space.operations)
    questions = {
        "rows of another width": (case.cells[:1, :-1], case.epochs, case.seed),
        "an operation outside the space": (outside, case.epochs, case.seed),
        "0 epochs": (case.cells[:1], 0.0, case.seed),
        "epochs that are not a number": (case.cells[:1], math.nan, case.seed),
        "a seed below 0": (case.cells[:1], case.epochs, -1),
    }
    if evaluator.spec.fidelities:
        beyond = 1.37 * evaluator.spec.fidelities[-1]
        questions["epochs beyond the last fidelity"] = (case.cells[:1], beyond, case.seed)
    for what, question in questions.items():
        require_refusal(what, partial(_exhaust, evaluator, *question))
        if isinstance(evaluator, BulkEvaluator):
            require_refusal(f"{what}, of evaluate_bulk,", partial(evaluator.evaluate_bulk, *question))


def _exhaust(evaluator: Evaluator, cells: Rows, epochs: float, seed: int) -> None:
    """Takes all answers: what is raised may come in place of the first."""
    deque(evaluator.evaluate(cells, epochs, seed), maxlen=0)


def _check_giving_up(evaluator: Evaluator, case: _Case) -> None:
    """Answers that are given up leave the evaluator in order."""
    answers = evaluator.evaluate(case.cells, case.epochs, case.seed)
    next(answers)
    del answers
    _ask(evaluator, case, slice(0, 1))


# The same again


def _check_same(again: Found, found: Found, when: str) -> None:
    for text, answer in again.items():
        for name in _SAME:
            same = _equal(getattr(answer, name), getattr(found[text], name))
            require(same, f"{name} of {text} differs when {when}")


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other) or repr(one) == repr(other)  # nan equals nan, in curves too


def _check_another(factory: str | Factory, request: BackendRequest, case: _Case, found: Found) -> None:
    """Another evaluator, asked backwards after another global seed."""
    with closing(_make(factory, request)) as another:
        _ask(another, case, slice(0, 1))  # imports whatever it needs: some libraries draw global numbers then
        with other_global_randomness(1, "the evaluator"):
            again = _ask(another, case, slice(None, None, -1))
    _check_same(again, found, "asked again, in another order")


def _check_second_process(path: str, request: BackendRequest, case: _Case, found: Found) -> None:
    there = call_in_second_process(
        "pnas_sim.testing.evaluators:answer_elsewhere",
        path=path,
        blocks=request.blocks,
        options=dict(request.options),
        cells=case.cells.tolist(),
        epochs=case.epochs,
        seed=case.seed,
    )
    here = {text: _describe(answer) for text, answer in found.items()}
    for text, answer in here.items():
        require(there[text] == answer, f"{text} is answered otherwise in another process")


def answer_elsewhere(
    path: str, blocks: int, options: dict[str, Any], cells: list[list[int]], epochs: float, seed: int
) -> dict[str, str]:
    """What `check_evaluator` compares of the answers in another process, by cell."""
    with closing(make_backend(path, BackendRequest(blocks=blocks, options=options))) as evaluator:
        answers = evaluator.evaluate(np.array(cells, np.uint8), epochs, seed)
        return {answer.cell: _describe(answer) for answer in answers}


def _describe(answer: Evaluation) -> str:
    values = asdict(answer)
    return repr([values[name] for name in _SAME])
