"""What the engine demands of parts that somebody else wrote, before anything of it is logged or counted.

A log is never mended: what is wrong in it would end every later attempt to go on. So a wrong answer, or a
wrong batch of cells, is one line that names the part, what it gave and what it should give.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np

from pnas_sim.answers import ARRAYS, OPTIONAL
from pnas_sim.errors import BackendError, PnasError, SettingError
from pnas_sim.evaluate import Answers, Evaluation, Evaluator, EvaluatorSpec, Source, Status
from pnas_sim.search.base import Proposals, Strategy
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows

_NUMBER, _WHOLE = (int, float, np.integer, np.floating), (int, np.integer)
_NUMBERS = ("valid_accuracy", "expected_valid_accuracy", "test_accuracy", "epochs", "examples", "seconds")
_FIELDS = {
    **dict.fromkeys(_NUMBERS, _NUMBER),
    **dict.fromkeys(("parameters", "multiply_adds", "seed"), _WHOLE),
}
_KINDS = {  # of arrays, as NumPy names them; of the others numbers
    **dict.fromkeys(("status", "parameters", "multiply_adds", "seeds"), "iu"),
    "extrapolated": "b",
    "errors": "OU",
}
_WORDS = {"fiu": "number", "iu": "whole number", "b": "bool", "OU": "text"}
SHARES = ("expected_valid_accuracy", "test_accuracy")
COSTS = ("examples", "seconds")


def check_parts(strategy: object, evaluator: object) -> None:
    """Checks that a search and an evaluator are such.

    Raises:
        SettingError: one is something else, a text or a class say.
    """
    if isinstance(strategy, type) or not isinstance(strategy, Strategy):
        raise SettingError(
            f"strategy is {strategy!r:.60}, without ask, tell and replay; give a search, as "
            "pnas_sim.search.make_search makes"
        )
    if isinstance(evaluator, type) or not isinstance(evaluator, Evaluator):
        raise SettingError(
            f"evaluator is {evaluator!r:.60}, without spec, evaluate and close; give an evaluator, as "
            "pnas_sim.registry.make_backend or FunctionEvaluator makes"
        )
    if not isinstance(spec := evaluator.spec, EvaluatorSpec):
        raise SettingError(f"evaluator has the spec {spec!r:.60}; give pnas_sim.evaluate.EvaluatorSpec")


def check_proposals(proposals: object, space: CellSpace) -> Rows:
    """Checks a batch of a search; its rows (`uint8[n, width]`) in the space's width, not yet canonical.

    Raises:
        SettingError: it is no `Proposals`, a cell lies outside the space, or predictions or epochs are none.
    """
    if not isinstance(proposals, Proposals):
        raise SettingError(
            f"the search proposed {type(proposals).__name__}; give pnas_sim.search.base.Proposals"
        )
    count, epochs, predicted = len(proposals), proposals.epochs, proposals.predicted
    try:
        rows = space.fit_width(proposals.cells)
        space.validate(rows)
    except (PnasError, AttributeError, TypeError, ValueError, IndexError) as error:
        raise SettingError(f"the search proposed what are no cells of the space: {error}; mend it") from error
    if predicted is not None and not (
        isinstance(predicted, np.ndarray) and predicted.shape == (count,) and np.isfinite(predicted).all()
    ):
        shape = predicted.shape if isinstance(predicted, np.ndarray) else type(predicted).__name__
        raise SettingError(
            f"the search gave predictions of shape {shape} for {count} cells; give float64[{count}], all "
            "finite, or None"
        )
    if epochs is not None and not 0 < epochs < np.inf:
        raise SettingError(f"the search asked for {epochs} epochs; give a positive number, or None")
    return rows


def check_answer(backend: str, answer: object) -> Evaluation:
    """Checks one answer.

    Raises:
        BackendError: it is no `Evaluation`, or a field of it is out of its range.
    """
    if not isinstance(answer, Evaluation):
        raise BackendError(
            f"backend {backend} answered with {type(answer).__name__}; give pnas_sim.evaluate.Evaluation"
        )
    for name, kinds in _FIELDS.items():
        if not isinstance(getattr(answer, name), kinds) or isinstance(getattr(answer, name), bool):
            wanted = "a whole number" if kinds is _WHOLE else "a number"
            raise BackendError(
                f"backend {backend} gave a child {name} {getattr(answer, name)!r}; give {wanted}"
            )
    if answer.status == Status.OK and not 0 <= answer.valid_accuracy <= 1:
        raise _explain_accuracy(backend, answer.valid_accuracy)
    for name in SHARES:
        value = getattr(answer, name)
        if not (0 <= value <= 1 or isnan(value)):
            raise _explain_share(backend, name, value)
    for name in COSTS:
        value = getattr(answer, name)
        if not 0 <= value < np.inf:
            raise _explain_cost(backend, name, value)
    for name, kind in (("status", Status), ("source", Source)):
        try:
            kind(getattr(answer, name))
        except ValueError:
            given, known = getattr(answer, name), ", ".join(f"{kind.__name__}.{one.name}" for one in kind)
            raise BackendError(f"backend {backend} gave a child the {name} {given!r}; give {known}") from None
    try:
        [(float(at), float(value)) for at, value in answer.curve]
    except (TypeError, ValueError):
        curve = f"{answer.curve!r:.60}"
        raise BackendError(
            f"backend {backend} gave the curve {curve}; give (epochs, accuracy) pairs"
        ) from None
    return answer


def check_answers(backend: str, answers: object, asked: int) -> Answers:
    """Checks the answers to so many cells.

    Raises:
        BackendError: they are no `Answers`, not one a cell, or a field is out of its range.
    """
    if not isinstance(answers, Answers):
        raise BackendError(
            f"backend {backend} answered with {type(answers).__name__}; give pnas_sim.evaluate.Answers"
        )
    for name in (*ARRAYS, *OPTIONAL):
        values = getattr(answers, name)
        if values is None and name in OPTIONAL:
            continue
        kinds = _KINDS.get(name, "fiu")
        if not isinstance(values, np.ndarray) or values.shape != (asked,) or values.dtype.kind not in kinds:
            given = f"{values.dtype}{list(values.shape)}" if isinstance(values, np.ndarray) else type(values)
            raise BackendError(
                f"backend {backend} gave {name} as {given} for {asked} cells; give one {_WORDS[kinds]} a cell"
            )
    strange = answers.status[~np.isin(answers.status, tuple(Status))]
    if len(strange):
        raise BackendError(f"backend {backend} gave a child the status {strange[0]}; give one of Status")
    if answers.source not in tuple(Source):
        raise BackendError(f"backend {backend} gave the source {answers.source!r}; give one of Source")
    accuracies = answers.valid_accuracy[answers.status == Status.OK]
    if len(wrong := _list_outside(accuracies)):
        raise _explain_accuracy(backend, wrong[0])
    for name in SHARES:
        values = getattr(answers, name)
        if len(wrong := _list_outside(values[~np.isnan(values)])):
            raise _explain_share(backend, name, wrong[0])
    for name in COSTS:
        values = getattr(answers, name)
        if len(wrong := values[~((values >= 0) & (values < np.inf))]):
            raise _explain_cost(backend, name, wrong[0])
    return answers


def _list_outside(values: Floats) -> Floats:
    """Those that are no shares."""
    return values[~((values >= 0) & (values <= 1))]


def _explain_accuracy(backend: str, accuracy: float) -> BackendError:
    """What is wrong with the accuracy that drives a search."""
    return BackendError(
        f"backend {backend} gave a child that ended well the accuracy {accuracy:g}; "
        "give a share from 0 to 1, or another status"
    )


def _explain_share(backend: str, name: str, value: float) -> BackendError:
    return BackendError(f"backend {backend} gave a child {name} {value:g}; give a share from 0 to 1, or NaN")


def _explain_cost(backend: str, name: str, value: float) -> BackendError:
    return BackendError(
        f"backend {backend} gave a child {value:g} {name}; give a finite number of at least 0 (0: unknown)"
    )


def check_spec(spec: EvaluatorSpec, blocks: int) -> None:
    """Checks what an evaluator declares about itself, for searches of cells of up to so many blocks.

    Raises:
        BackendError: a field is of another type or out of its range, or its space has smaller cells.
    """
    for broken, complaint in _list_faults(spec):
        if broken:
            raise BackendError(f"backend {spec.name or '?'} declares {complaint}; mend its spec")
    if spec.space.max_blocks < blocks:
        raise BackendError(
            f"backend {spec.name} has cells of up to {spec.space.max_blocks} blocks, asked for are {blocks}; "
            f"give --blocks {spec.space.max_blocks}"
        )


def _list_faults(spec: EvaluatorSpec) -> Sequence[tuple[bool, str]]:
    if not isinstance(spec.space, CellSpace):
        return [(True, f"a space that is {type(spec.space).__name__}, no CellSpace")]
    numbers = (spec.epochs, *spec.fidelities, spec.chance, spec.train_images)
    if not all(isinstance(one, int | float | np.number) for one in numbers):
        return [(True, f"epochs, fidelities, chance or train_images that are no numbers: {numbers}")]
    rising = all(one < two for one, two in zip(spec.fidelities, spec.fidelities[1:], strict=False))
    return [
        (not spec.name, "no name"),
        (not 0 < spec.epochs < np.inf, f"epochs {spec.epochs:g}, no positive number"),
        (not rising, f"fidelities {spec.fidelities}, not ascending"),
        (any(not at > 0 for at in spec.fidelities), f"fidelities {spec.fidelities}, not all above 0"),
        (
            bool(spec.fidelities) and spec.epochs not in spec.fidelities,
            f"epochs {spec.epochs:g}, none of its fidelities {spec.fidelities}",
        ),
        (not 0 <= spec.chance < 1, f"chance {spec.chance:g}, outside [0, 1)"),
        (spec.train_images < 0, f"{spec.train_images} train_images"),
        (not isinstance(spec.continues, bool), f"continues {spec.continues!r}, neither True nor False"),
    ]
