"""The two forms of an answer say the same, training seeds and reasons included."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.answers import (
    list_errors,
    list_seeds,
    pack_answers,
    put_answers,
    select_answers,
    unpack_answers,
)
from pnas_sim.evaluate import Evaluation, Source, Status

SEED = 5
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
