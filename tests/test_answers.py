"""The two forms of an answer say the same, training seeds and reasons included."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.answers import (
    ask_whole,
    list_errors,
    list_seeds,
    pack_answers,
    put_answers,
    select_answers,
    unpack_answers,
)
from pnas_sim.errors import BackendError
from pnas_sim.evaluate import Evaluation, EvaluatorSpec, Source, Status
from pnas_sim.space import CellSpace

SEED, SPACE = 5, CellSpace(("sep3", "id"), 2)
one = st.builds(
    Evaluation,
    cell=st.sampled_from(["a", "b"]),
    status=st.sampled_from(Status),
    valid_accuracy=st.floats(0, 1) | st.just(float("nan")),
    expected_valid_accuracy=st.floats(0, 1),
    test_accuracy=st.floats(0, 1),
    epochs=st.just(2.0),
    examples=st.floats(0, 1e9),
    seconds=st.floats(0, 1e9),
    parameters=st.integers(-1, 2**62),
    multiply_adds=st.integers(-1, 2**62),
    seed=st.sampled_from([SEED, SEED, 6]),
    extrapolated=st.booleans(),
    error=st.sampled_from(["", "", "killed"]),
)
many = st.lists(one, max_size=8)


def pack(evaluations: list[Evaluation]) -> Any:
    return pack_answers(evaluations, Source.TRAINED, 2.0, SEED)


def unpack(answers: Any, evaluations: list[Evaluation]) -> str:
    return repr(list(unpack_answers(answers, [one.cell for one in evaluations])))


@given(evaluations=many)
@settings(max_examples=50, deadline=None)
def test_packing_and_unpacking_are_inverse(evaluations: list[Evaluation]) -> None:
    answers = pack(evaluations)
    assert unpack(answers, evaluations) == repr(evaluations)  # repr: NaN equals NaN
    assert list_seeds(answers).tolist() == [one.seed for one in evaluations]
    assert list_errors(answers).tolist() == [one.error for one in evaluations]


def test_what_is_the_same_for_all_takes_no_array() -> None:
    answers = pack([Evaluation(cell="a", seed=SEED)] * 3)
    assert answers.seeds is None
    assert answers.errors is None
    assert list_seeds(answers).tolist() == [SEED] * 3
    assert list_errors(answers).tolist() == [""] * 3


@given(evaluations=many, data=st.data())
@settings(max_examples=50, deadline=None)
def test_some_are_selected_or_replaced(evaluations: list[Evaluation], data: st.DataObject) -> None:
    answers, count = pack(evaluations), len(evaluations)
    places = data.draw(st.lists(st.integers(0, count - 1), unique=True) if count else st.just([]))
    others = [data.draw(one) for _ in places]
    chosen = [evaluations[place] for place in places]
    assert unpack(select_answers(answers, np.array(places, np.intp)), chosen) == repr(chosen)
    assert unpack(select_answers(answers, slice(1, 3)), evaluations[1:3]) == repr(evaluations[1:3])
    before = repr(answers)
    put = put_answers(answers, np.array(places, np.intp), pack(others))
    expected = list(evaluations)
    for place, other in zip(places, others, strict=True):
        expected[place] = replace(other, cell=evaluations[place].cell)
    assert unpack(put, evaluations) == repr(expected)
    assert repr(answers) == before


class OneByOne:
    """Looks cells up, the last one first; `dumb` ones say nothing of the first cell."""

    spec = EvaluatorSpec(name="slow", space=SPACE, epochs=1.0, train_images=10, checksum="abc")

    def __init__(self, dumb: bool = False) -> None:
        self.dumb, self.asked = dumb, 0

    def evaluate(self, cells: Any, epochs: float, seed: int) -> Any:
        self.asked += len(cells)
        for cell in reversed(SPACE.format_many(cells)[self.dumb :]):
            yield Evaluation(cell=cell, source=Source.MEASURED, valid_accuracy=len(cell) / 100, seed=seed)

    def close(self) -> None:
        """Nothing is held."""


def test_all_cells_are_answered_in_their_order_and_asked_for_once() -> None:
    slow, cells = (
        OneByOne(),
        SPACE.canonical(SPACE.sample(6, np.random.default_rng(0), blocks=2))[[0, 3, 0, 5]],
    )
    answers = ask_whole(slow, cells, 1.0, SEED)
    assert answers.valid_accuracy.tolist() == [len(cell) / 100 for cell in SPACE.format_many(cells)]
    assert (answers.source, answers.epochs, answers.seed, slow.asked) == (Source.MEASURED, 1.0, SEED, 3)
    assert len(ask_whole(slow, cells[:0], 1.0, SEED)) == 0


def test_a_cell_without_an_answer_is_the_backends_fault() -> None:
    with pytest.raises(BackendError, match="backend slow did not answer for "):
        ask_whole(OneByOne(dumb=True), SPACE.initial(), 1.0, SEED)
