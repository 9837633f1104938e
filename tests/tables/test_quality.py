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


def test_parts_are_of_the_measured_best_whatever_was_predicted() -> None:
    rng = np.random.default_rng(1)
    measured, predicted = rng.normal(size=171), rng.normal(size=171)
    found = measure_figures(predicted, measured, np.zeros(171))
    for name, count in (("kendall_tau_top_half", 86), ("kendall_tau_top_tenth", 18)):
        best = measured >= np.sort(measured)[-count]
        assert found[name] == pytest.approx(kendalltau(predicted[best], measured[best]).statistic)


def test_r2_counts_what_predictions_are_off_by() -> None:
    """Predictions in the right order, but too high, explain less: 1 less the squared errors' share."""
    measured = np.linspace(0.4, 0.6, 41)
    found = measure_figures(measured + 0.1, measured, np.zeros(41))
    assert found["r2"] == pytest.approx(1 - 0.1**2 / np.var(measured))
    assert found["rmse"] == pytest.approx(0.1) and found["spearman"] == pytest.approx(1.0)


def test_a_twentieth_is_rounded_up() -> None:
    """Of 50 cells the best three, of which two are found; of two both would be."""
    measured = np.arange(50.0)
    predicted = measured.copy()
    predicted[47] = -1
    assert measure_figures(predicted, measured, np.zeros(50))["precision_at_5"] == pytest.approx(2 / 3)


def test_ceilings_are_of_a_truth_that_with_its_noise_is_as_spread_as_what_was_measured() -> None:
    """Half the variance is noise: an oracle explains the other half, and correlates by its root."""
    rng = np.random.default_rng(2)
    truth = rng.normal(0.5, 0.03, 800)
    found = measure_figures(truth, truth + rng.normal(0, 0.03, 800), np.full(800, 0.03))
    assert found["ceiling_r2"] == pytest.approx(0.5, abs=0.05)
    assert found["ceiling_spearman"] == pytest.approx(6 / np.pi * np.arcsin(np.sqrt(0.5) / 2), abs=0.03)
    all_noise = measure_figures(truth, truth, np.full(800, 0.1))
    assert all_noise["ceiling_kendall_tau"] is None and all_noise["ceiling_r2"] < 0.01


def test_each_size_has_its_own_noise() -> None:
    rng = np.random.default_rng(3)
    blocks, measured = np.repeat([1, 2], 60), rng.normal(0.5, 0.03, 120)
    noise = np.where(blocks == 1, 0.0, 0.025)
    found = measure_quality(measured, measured, noise, blocks)["by_blocks"]
    assert found["1"]["ceiling_spearman"] == pytest.approx(1.0)
    assert found["2"] == measure_figures(measured[60:], measured[60:], noise[60:])
    assert found["2"]["ceiling_spearman"] < 0.8


def test_quality_of_too_few_cells_is_unknown() -> None:
    found = measure_quality(np.arange(9.0), np.arange(9.0), np.zeros(9), np.array([1] * 8 + [2]))
    assert found["by_blocks"]["2"]["kendall_tau"] is None and found["by_blocks"]["2"]["cells"] == 1
    assert found["by_blocks"]["1"]["kendall_tau"] == pytest.approx(1.0)
    assert found["overall"]["precision_at_5"] is None and found["overall"]["kendall_tau_top_tenth"] is None


def test_a_constant_prediction_has_no_rank_correlation() -> None:
    found = measure_figures(np.full(50, 0.4), np.arange(50.0), np.zeros(50))
    assert found["kendall_tau"] is None and found["spearman"] is None
    assert found["rmse"] > 0
