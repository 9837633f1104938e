"""The ledger: what is a model, what a repeat, and what everyone is told."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.answers import pack_answers
from pnas_sim.evaluate import Answers, Evaluation, Source, Status
from pnas_sim.ledger import Entry, Ledger, add_up
from pnas_sim.search import Proposals
from pnas_sim.space import CellSpace

SPACE = CellSpace(("sep3", "id", "max3"), 2)
ONES = SPACE.initial()  # 21 cells
CHANCE = 0.1


def make_ledger(known: dict[tuple[str, float], Evaluation] | None = None) -> Ledger:
    return Ledger(SPACE, CHANCE, known or {})


def enter(ledger: Ledger, *places: int, epochs: float = 1.0, **given: Any) -> Entry:
    rows = ONES[list(places)]
    return ledger.enter(Proposals(rows, **given), rows, epochs)


def answer(place: int, accuracy: float = 0.5, **given: Any) -> Evaluation:
    given = {"examples": 10.0, "seconds": 2.0, "epochs": 1.0, **given}
    return Evaluation(cell=SPACE.format(ONES[place]), valid_accuracy=accuracy, **given)


def as_arrays(answers: list[Evaluation]) -> Answers:
    return pack_answers(answers, Source.TRAINED, 1.0, 0)


def test_a_batch_counts_new_models_and_repeats() -> None:
    ledger = make_ledger()
    first = enter(ledger, 3, 5, 3, 4)
    assert (first.new.tolist(), first.places.tolist()) == ([0, 1, 3], [0, 1, 0, 2])
    second = enter(ledger, 4, 6, 6, 3)
    assert (second.new.tolist(), second.places.tolist()) == ([1], [2, 3, 3, 0])
    assert (ledger.proposals, ledger.repeats, ledger.models, ledger.stale) == (8, 4, 0, 0)
    for times in (1, 2):
        enter(ledger, 3, 4)
        assert ledger.stale == times
    enter(ledger, 7)
    assert ledger.stale == 0


def test_other_epochs_are_another_model() -> None:
    ledger = make_ledger()
    enter(ledger, 0, epochs=1.0)
    assert len(enter(ledger, 0, epochs=0.5).new) == 1
    assert len(enter(ledger, 0, epochs=1.0).new) == 0
    assert len(enter(ledger, 0, epochs=0.25).new) == 1, "short trainings are told apart, too"


def test_each_model_has_its_own_number_of_blocks() -> None:
    """Also where a batch of several sizes begins with what is known."""
    ledger = make_ledger()
    rows = np.concatenate([ONES[:2], SPACE.canonical(SPACE.expand(ONES[:1]).cells[:2])])
    ledger.enter(Proposals(rows[:1]), rows[:1], 1.0)
    entry = ledger.enter(Proposals(rows), rows, 1.0)
    assert ledger.figures["blocks"].tolist() == [1, 1, 2, 2]
    assert entry.places.tolist() == [0, 1, 2, 3]


@given(batches=st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=9), max_size=12))
@settings(max_examples=50, deadline=None)
def test_places_are_in_order_of_first_proposal(batches: list[list[int]]) -> None:
    ledger = make_ledger()
    order: list[int] = []
    for batch in batches:
        entry = enter(ledger, *batch)
        fresh = list(dict.fromkeys(place for place in batch if place not in order))
        assert [batch[at] for at in entry.new] == fresh
        assert all(place not in batch[:at] for at, place in enumerate(batch) if at in entry.new)
        order += fresh
        assert [order[place] for place in entry.places] == batch
        for at in entry.new:
            ledger.add(int(entry.places[at]), answer(batch[at], accuracy=batch[at] / 100))
    assert [model.valid_accuracy * 100 for model in ledger.read_models()] == pytest.approx(order)
    assert (ledger.models, ledger.repeats) == (len(order), sum(map(len, batches)) - len(order))


def test_what_is_counted_adds_up() -> None:
    ledger = make_ledger()
    entry = enter(ledger, 0, 1, 2)
    ledger.add(0, answer(0, 0.5, seconds=1.0))
    assert not ledger.is_complete(entry)
    ledger.add_all(entry.places[1:], as_arrays([answer(1, 0.7, seconds=2.0), answer(2, 0.6, seconds=4.0)]))
    assert ledger.is_complete(entry)
    assert (ledger.models, ledger.examples, ledger.seconds, ledger.best) == (3, 30.0, 7.0, 0.7)


def test_diverged_children_are_told_as_chance_and_failed_ones_as_nothing() -> None:
    ledger = make_ledger()
    assert isnan(ledger.best)
    entry = enter(ledger, 0, 1, 2, 0)
    ledger.add(0, answer(0, 0.05, status=Status.DIVERGED))
    ledger.add(1, answer(1, 0.9, status=Status.FAILED, error="killed"))
    ledger.add(2, answer(2, 0.05))
    told = ledger.observe(entry)
    np.testing.assert_equal(told.valid_accuracy, [CHANCE, nan, 0.05, CHANCE])
    assert told.status.tolist() == [1, 2, 0, 1]
    assert ledger.best == CHANCE
    assert ledger.models == 3


@given(
    draws=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e6), st.sampled_from(Status)), max_size=21),
    cut=st.integers(0, 21),
)
@settings(max_examples=50, deadline=None)
def test_arrays_count_like_one_after_another(draws: list[tuple[float, float, Status]], cut: int) -> None:
    answers = [
        answer(
            place,
            value,
            seconds=seconds,
            examples=seconds / 3,
            status=status,
            seed=place % 3,
            error=status.name,
        )
        for place, (value, seconds, status) in enumerate(draws)
    ]
    one_by_one, at_once = make_ledger(), make_ledger()
    for ledger in (one_by_one, at_once):
        if answers:
            enter(ledger, *range(len(answers)))
    for place, one in enumerate(answers):
        one_by_one.add(place, one)
    for part in (slice(0, cut), slice(cut, None)):
        if answers[part]:
            at_once.add_all(np.arange(len(answers))[part], as_arrays(answers[part]))
    assert repr(list(one_by_one.read_models())) == repr(list(at_once.read_models()))
    for name in ("models", "examples", "seconds", "best"):
        np.testing.assert_equal(getattr(one_by_one, name), getattr(at_once, name))


def test_answers_of_a_log_are_counted_when_their_cells_are_proposed() -> None:
    known = {(SPACE.format(ONES[place]), 1.0): answer(place, 0.3) for place in (1, 2, 9)}
    ledger = make_ledger(known)
    entry = enter(ledger, 0, 1, 2, 1)
    assert ledger.models == 0
    assert ledger.recall(entry, entry.new[:2]).tolist() == [0]  # the third new one is past the budget
    assert (ledger.models, ledger.best) == (1, 0.3)
    other = enter(ledger, 9, epochs=2.0)
    assert ledger.recall(other, other.new).tolist() == [0]


def test_models_are_evaluations_when_asked() -> None:
    ledger = make_ledger()
    enter(ledger, 4, 5, 6)
    full = answer(
        6, 0.25, curve=((0.5, 0.2), (1.0, 0.25)), error="slow", parameters=7, multiply_adds=8, seed=3
    )
    full = replace(full, source=Source.MEASURED, extrapolated=True, test_accuracy=0.2, status=Status.DIVERGED)
    ledger.add(0, answer(4))
    ledger.add(2, full)
    models = ledger.read_models()
    assert (len(models), repr(models)) == (2, "<2 models>")
    assert repr(models[0]) == repr(answer(4))
    assert repr(models[-1]) == repr(models[1]) == repr(replace(full, valid_accuracy=CHANCE))
    assert [model.cell for model in models] == SPACE.format_many(ONES[[4, 6]])
    with pytest.raises(IndexError):
        models[2]


def test_no_models_are_none() -> None:
    models = make_ledger().read_models()
    assert not models
    assert list(models) == []


def test_rounds_keep_what_the_strategy_said() -> None:
    ledger = make_ledger()
    predicted = np.array([0.1, 0.2])
    enter(ledger, 4, 5, predicted=predicted, candidates=7, unique=6)
    (only,) = ledger.rounds
    assert (only.blocks, only.candidates, only.unique) == (1, 7, 6)
    assert only.predicted is predicted


@given(values=st.lists(st.floats(0, 1e9), max_size=30), cut=st.integers(0, 30), start=st.floats(0, 1e9))
@settings(max_examples=50, deadline=None)
def test_sums_do_not_depend_on_pieces(values: list[float], cut: int, start: float) -> None:
    whole = add_up(start, np.array(values))
    first = add_up(start, np.array(values[:cut]))
    second = add_up(float(first[-1]), np.array(values[cut:]))
    assert whole.tolist() == [*first[:-1], *second]
    total = start
    for value in values:
        total += value
    assert whole[-1] == total


def test_models_are_sliced_into_evaluations() -> None:
    ledger = make_ledger()
    enter(ledger, 4, 5, 6)
    for place in range(3):
        ledger.add(place, answer(4 + place, place / 10))
    models = ledger.read_models()
    assert repr(models[1:]) == repr([models[1], models[2]])
    assert models[:0] == []
    assert [one.valid_accuracy for one in models[::-1]] == [0.2, 0.1, 0.0]


def test_a_frame_has_what_was_predicted_beside_what_was_answered() -> None:
    ledger = make_ledger()
    enter(ledger, 4, 5)
    enter(ledger, 5, 6, 7, predicted=np.array([0.9, 0.6, 0.7]))
    ledger.add(0, answer(4, 0.4))
    ledger.add(1, answer(5, 0.05, status=Status.DIVERGED))
    ledger.add(2, answer(6, 0.5, status=Status.FAILED, error="killed", seconds=2.0))
    frame = ledger.read_models().to_frame()
    assert frame["cell"].tolist() == SPACE.format_many(ONES[4:7])
    assert frame["batch"].tolist() == [0, 0, 1]
    assert frame["blocks"].tolist() == [1, 1, 1]
    np.testing.assert_array_equal(frame["predicted"], [nan, nan, 0.6])  # of its first batch
    np.testing.assert_array_equal(frame["valid_accuracy"], [0.4, CHANCE, nan])
    assert frame["status"].tolist() == ["ok", "diverged", "failed"]
    assert set(frame["source"]) == {str(answer(4).source)}
    assert frame["error"].tolist() == ["", "", "killed"]
    assert frame["seconds"].tolist()[2] == 2.0
    assert len(make_ledger().read_models().to_frame()) == 0


@settings(deadline=None, max_examples=40)
@given(
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=6),
    epochs=st.lists(st.sampled_from([None, 0.5, 1.0]), min_size=6, max_size=6),
    seed=st.integers(0, 99),
)
def test_a_model_knows_how_many_cells_were_proposed_until_it_was(
    sizes: list[int], epochs: list[float | None], seed: int
) -> None:
    space = CellSpace(operations=("sep3", "id"), max_blocks=1)
    rng, batches = np.random.default_rng(seed), []
    for size, at in zip(sizes, epochs, strict=False):
        batches.append(Proposals(space.sample(size, rng, unique=False), epochs=at))
    seen: dict[tuple[str, float], int] = {}
    number = 0
    for batch in batches:
        for text in space.format_many(space.canonical(batch.cells)) if len(batch) else []:
            number += 1
            seen.setdefault((text, batch.epochs or 1.0), number)
    ledger = Ledger(space, 0.1, {})
    for batch in filter(len, batches):
        ledger.enter(batch, space.canonical(batch.cells), batch.epochs or 1.0)
    assert ledger.figures["proposed"].tolist() == list(seen.values())


def test_a_training_that_goes_on_costs_what_it_takes_beyond_the_one_before() -> None:
    ledger = Ledger(SPACE, CHANCE, {}, whole=4.0)
    for epochs, cost in ((1.0, 10.0), (2.0, 20.0), (4.0, 40.0)):
        entry = enter(ledger, 0, epochs=epochs)
        given = answer(0, examples=cost, seconds=cost / 5, epochs=epochs)
        priced = ledger.price(entry.rows[0], given)
        (same,) = ledger.price_all(entry.rows, as_arrays([given])).examples
        assert (priced.examples, priced.seconds) == (max(10.0, cost / 2), max(2.0, cost / 10))
        assert same == priced.examples
        ledger.add(int(entry.places[0]), priced)
    assert (ledger.models, ledger.examples, ledger.seconds) == (3, 40.0, 8.0)


def test_another_cell_and_one_that_failed_are_gone_on_from_by_none() -> None:
    ledger = Ledger(SPACE, CHANCE, {}, whole=4.0)
    entry = enter(ledger, 0, 1, epochs=1.0)
    ledger.add(int(entry.places[0]), answer(0))
    ledger.add(int(entry.places[1]), answer(1, nan, status=Status.FAILED))
    entry = enter(ledger, 1, 2, epochs=4.0)
    for at, place in enumerate((1, 2)):
        given = answer(place, examples=40.0, epochs=4.0)
        assert ledger.price(entry.rows[at], given) == given


def test_where_no_training_goes_on_each_costs_all_of_itself() -> None:
    ledger = make_ledger()
    ledger.add(int(enter(ledger, 0, epochs=1.0).places[0]), answer(0))
    given = answer(0, examples=40.0, epochs=4.0)
    assert ledger.price(ONES[0], given) == given
