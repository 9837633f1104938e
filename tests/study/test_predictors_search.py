from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Status
from pnas_sim.predict import Prediction
from pnas_sim.space import CellSpace
from pnas_sim.study import predictors_search
from pnas_sim.study.predictors_search import SearchJob, follow_search
from pnas_tables.testing import made_up_accuracy

SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)
JOB = SearchJob(
    predictor="ridge",
    backend="table",
    backend_options={},
    blocks=3,
    beam=10,
    seed=1,
    epochs=1.0,
    data="abc",
)


class Oracle:
    """Predicts the made-up truth itself, or its opposite."""

    def __init__(self, space: CellSpace, sign: float = 1.0) -> None:
        self.space, self.sign = space, sign

    def fit(self, cells, accuracies, seed=0) -> None: ...

    def predict(self, cells) -> Prediction:
        return Prediction(0.5 + self.sign * (made_up_accuracy(self.space, cells) - 0.5))


class Exact:
    """Answers the made-up truth, without noise."""

    def __init__(self, bulk) -> None:
        self.bulk, self.spec, self.evaluate, self.close = bulk, bulk.spec, bulk.evaluate, bulk.close

    def evaluate_bulk(self, cells, epochs, seed):
        truth = made_up_accuracy(self.spec.space, cells)
        answers = self.bulk.evaluate_bulk(cells, epochs, seed)
        return replace(answers, valid_accuracy=truth, expected_valid_accuracy=truth)


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 1.0), (-1.0, 0.0)])
def test_who_knows_the_truth_finds_all_of_the_best(made_up_bulk, monkeypatch, sign, expected) -> None:
    monkeypatch.setattr(predictors_search, "make_predictor", lambda name, space: Oracle(space, sign))
    rows = list(follow_search(JOB, Exact(made_up_bulk(SPACE))))
    assert [(row.blocks, row.beam) for row in rows] == [(2, 10), (3, 10)]
    for row in rows:
        assert row.recall == row.recall_noise_free == pytest.approx(expected, abs=0.11)
        assert row.rank_correlation == pytest.approx(sign, abs=0.02)
        assert row.by_chance == 10 / row.pool
    assert rows[0].pool == SPACE.count_unique(2)


def test_noise_is_told_apart_from_truth(made_up_bulk) -> None:
    rows = list(follow_search(JOB, made_up_bulk(SPACE, noise=0.05)))
    assert any(row.recall != row.recall_noise_free for row in rows)
    assert all(0 <= row.recall <= 1 and -1 <= row.rank_correlation <= 1 for row in rows)
    again = list(follow_search(JOB, made_up_bulk(SPACE, noise=0.05)))
    assert again == rows


def test_failed_cells_have_no_children(made_up_bulk) -> None:
    bulk = made_up_bulk(SPACE)

    class Failing(Exact):
        def evaluate_bulk(self, cells, epochs, seed):
            answers = super().evaluate_bulk(cells, epochs, seed)
            status = np.where(np.arange(len(cells)) % 2, Status.FAILED, Status.OK).astype(np.uint8)
            return replace(answers, status=status)

    rows = list(follow_search(JOB, Failing(bulk)))
    assert rows[1].pool < 5 * len(SPACE.expansion_blocks(2)) + 1

    class Dead(Exact):
        def evaluate_bulk(self, cells, epochs, seed):
            answers = super().evaluate_bulk(cells, epochs, seed)
            return replace(answers, status=np.full(len(cells), Status.FAILED, np.uint8))

    with pytest.raises(SettingError, match="all 21 cells of 1 blocks failed"):
        list(follow_search(JOB, Dead(bulk)))


def test_a_job_leaves_its_rows(made_up_bulk, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(predictors_search, "make_backend", lambda name, request: made_up_bulk(SPACE))
    assert not JOB.is_done(tmp_path)
    JOB.run(tmp_path)
    rows = JOB.read(tmp_path)
    assert rows == list(follow_search(JOB, made_up_bulk(SPACE)))
    json.loads((tmp_path / JOB.file_name).read_text())
    (tmp_path / JOB.file_name).write_text("[{")
    assert not JOB.is_done(tmp_path)


def test_unknown_correlations_are_null_and_come_back(made_up_bulk, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(predictors_search, "make_backend", lambda name, request: made_up_bulk(SPACE))
    small = replace(JOB, beam=3)  # too few for a rank correlation
    small.run(tmp_path)
    assert "null" in (tmp_path / small.file_name).read_text()
    rows = small.read(tmp_path)
    assert rows is not None and all(np.isnan(row.rank_correlation) for row in rows)
    assert small.file_name != JOB.file_name
