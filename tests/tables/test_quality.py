from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from pnas_tables.quality import MEASURES, measure_figures, measure_quality


def test_quality_of_an_oracle_is_its_ceiling() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0.5, 0.05, 600)
    noise = np.full(600, 0.02)
    found = measure_figures(truth, truth + noise * rng.standard_normal(600), noise)
    for name, tolerance in zip(MEASURES, (0.05, 0.08, 0.2, 0.25, 0.05, 0.05), strict=True):
        assert found[name] == pytest.approx(found[f"ceiling_{name}"], abs=tolerance), name
    assert found["rmse"] == pytest.approx(0.02, rel=0.1)


def test_figures_by_hand() -> None:
    measured = np.arange(100.0)
    predicted = measured.copy()
    predicted[[95, 10]] = predicted[
        [10, 95]
    ]  # one of the best five is thought bad, and one is put in its place
    found = measure_figures(predicted, measured, np.zeros(100))
    assert found["precision_at_5"] == pytest.approx(0.8)
    for name, part in (("kendall_tau", 0), ("kendall_tau_top_half", 50), ("kendall_tau_top_tenth", 90)):
        assert found[name] == pytest.approx(kendalltau(predicted[part:], measured[part:]).statistic)
    assert found["ceiling_kendall_tau"] == pytest.approx(1.0)
    assert found["r2"] < found["ceiling_r2"] == pytest.approx(1.0)


def test_quality_of_too_few_cells_is_unknown() -> None:
    found = measure_quality(np.arange(9.0), np.arange(9.0), np.zeros(9), np.array([1] * 8 + [2]))
    assert found["by_blocks"]["2"]["kendall_tau"] is None and found["by_blocks"]["2"]["cells"] == 1
    assert found["by_blocks"]["1"]["kendall_tau"] == pytest.approx(1.0)
    assert found["overall"]["precision_at_5"] is None and found["overall"]["kendall_tau_top_tenth"] is None


def test_a_constant_prediction_has_no_rank_correlation() -> None:
    found = measure_figures(np.full(50, 0.4), np.arange(50.0), np.zeros(50))
    assert found["kendall_tau"] is None and found["spearman"] is None
    assert found["rmse"] > 0
