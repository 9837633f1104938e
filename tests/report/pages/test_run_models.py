from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pnas_sim.errors import CellError
from pnas_sim.evaluate import Evaluation, Status
from pnas_sim.ledger import FIGURES
from pnas_sim.logged import LoggedBatch, LoggedRun, read_log
from pnas_sim.report.pages.run_models import count_operations, follow_best, rank_models, replay_log
from pnas_sim.search import Proposals
from pnas_sim.space import PAPER_OPERATIONS, CellSpace

OPERATIONS = ("sep3", "id", "max3", "conv1x7")


def log_batches(
    batches: Sequence[Sequence[str]],
    answers: dict[str, float],
    predicted: Sequence[float] | None = None,
    epochs: float | None = None,
) -> LoggedRun:
    """A log of texts; the last batch has the predictions."""
    logged = []
    for number, texts in enumerate(batches):
        guesses = np.array(predicted) if predicted is not None and number == len(batches) - 1 else None
        rows = np.zeros((len(texts), 4), np.uint8)  # as proposed: of no account here
        logged.append(LoggedBatch(Proposals(rows, epochs, guesses, 10, 9), list(texts)))
    evaluations = {
        (text, epochs or 1.0): Evaluation(cell=text, valid_accuracy=value, epochs=1.0)
        for text, value in answers.items()
    }
    return LoggedRun(logged, evaluations)


FIRST = ["id(-2)+id(-1)", "id(-1)+id(-1)"]
SECOND = ["id(-2)+id(-1) | id(-1)+id(1)", "id(-1)+id(-1) | id(-1)+id(1)", "id(-2)+id(-2) | id(1)+id(1)"]


def test_a_whole_run_is_counted_as_the_engine_counts(made_up_log: Path) -> None:
    replayed = replay_log(read_log(made_up_log), OPERATIONS, None)
    found = replayed.sum_up()
    assert found.models_evaluated == 36 + 8 + 8 == len(replayed.models)
    assert [level.blocks for level in found.levels] == [1, 2, 3]
    assert found.levels[0].rank_correlation is None
    assert found.levels[1].candidates > 1000
    assert found.stopped == "unfinished"
    assert list(replayed.guesses) == [2, 3]
    assert len(replayed.guesses[2].predicted) == 8
    again = replay_log(read_log(made_up_log), None, None)
    assert [one.cell for one in again.models] == [one.cell for one in replayed.models]
    assert again.sum_up().levels == found.levels


def test_a_stopped_run_has_what_was_answered() -> None:
    answers = dict.fromkeys(FIRST, 0.5) | {SECOND[1]: 0.7}
    replayed = replay_log(log_batches([FIRST, SECOND], answers, [0.1, 0.2, 0.3]), None, None)
    assert [one.cell for one in replayed.models] == [*FIRST, SECOND[1]]
    assert replayed.guesses[2].predicted.tolist() == [0.2]
    assert replayed.guesses[2].answered.tolist() == [0.7]
    assert [level.evaluated for level in replayed.sum_up().levels] == [2, 1]


def test_an_empty_log_is_a_run_without_models() -> None:
    replayed = replay_log(LoggedRun([], {}), None, None)
    assert len(replayed.models) == 0
    assert replayed.guesses == {}
    assert replayed.sum_up().levels == ()
    assert follow_best(replayed.models.figures, "valid_accuracy") == ([], [])
    assert rank_models(replayed.models).tolist() == []


def test_operations_are_the_papers_or_those_of_the_cells() -> None:
    paper = replay_log(log_batches([FIRST], {}), None, None)
    assert paper.models.space.operations == PAPER_OPERATIONS
    other = replay_log(log_batches([["swish(-1)+id(-1)"]], {}), None, None)
    assert other.models.space.operations == ("swish", "id")
    with pytest.raises(CellError, match="swish"):
        replay_log(log_batches([["swish(-1)+id(-1)"]], {}), OPERATIONS, None)


def test_epochs_are_those_of_the_answers_where_no_batch_names_them() -> None:
    log = log_batches([FIRST], dict.fromkeys(FIRST, 0.5), epochs=None)
    far = LoggedRun(log.batches, {(cell, 7.0): answer for (cell, _), answer in log.evaluations.items()})
    assert len(replay_log(far, None, None).models) == 2
    assert len(replay_log(far, None, 7.0).models) == 2
    named = log_batches([FIRST], dict.fromkeys(FIRST, 0.5), epochs=3.0)
    assert len(replay_log(named, None, 7.0).models) == 2


def test_best_cells_are_of_the_last_level_of_a_growing_search() -> None:
    answers = {FIRST[0]: 0.9, FIRST[1]: 0.5, SECOND[0]: 0.6, SECOND[1]: 0.7, SECOND[2]: 0.7}
    grown = replay_log(log_batches([FIRST, SECOND], answers), None, None).models
    assert [grown[int(place)].cell for place in rank_models(grown)] == [SECOND[1], SECOND[2], SECOND[0]]
    mixed = replay_log(log_batches([SECOND, FIRST], answers), None, None).models
    assert mixed[int(rank_models(mixed)[0])].cell == FIRST[0]
    failed = {cell: float("nan") for cell in FIRST}
    assert rank_models(replay_log(log_batches([FIRST], failed), None, None).models).tolist() == []


def test_the_best_so_far_goes_up_and_takes_its_own_noise_free_value() -> None:
    figures = np.zeros(5, FIGURES)
    figures["valid_accuracy"] = [np.nan, 0.5, 0.4, 0.7, 0.7]
    figures["expected_valid_accuracy"] = [0.9, 0.6, 0.8, 0.3, 0.2]
    assert follow_best(figures, "valid_accuracy") == ([2, 4, 5], [0.5, 0.7, 0.7])
    assert follow_best(figures, "expected_valid_accuracy") == ([2, 4, 5], [0.6, 0.3, 0.3])


def test_operations_are_counted_by_halves() -> None:
    texts = ["id(-2)+sep3(-1)", "id(-1)+id(-1) | id(-1)+max3(1)"]
    models = replay_log(log_batches([texts], dict.fromkeys(texts, 0.5)), OPERATIONS, None).models
    np.testing.assert_allclose(count_operations(models, np.arange(2)), [1 / 6, 4 / 6, 1 / 6, 0])
    np.testing.assert_allclose(count_operations(models, np.arange(1)), [0.5, 0.5, 0, 0])
    assert count_operations(models, np.zeros(0, np.intp)).tolist() == [0, 0, 0, 0]


def test_children_that_diverged_have_no_accuracy() -> None:
    log = log_batches([FIRST], {FIRST[0]: 0.5})
    log.evaluations[FIRST[1], 1.0] = Evaluation(cell=FIRST[1], status=Status.DIVERGED, valid_accuracy=0.1)
    values = replay_log(log, None, None).models.figures["valid_accuracy"]
    np.testing.assert_array_equal(values, [0.5, np.nan])
    assert CellSpace(PAPER_OPERATIONS, 1).parse(FIRST[0]).shape == (4,)
