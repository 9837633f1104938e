from __future__ import annotations

import json

import numpy as np
import pytest

from pnas_tables.extras import Extras, fit_extras, fit_line, within_variance
from pnas_tables.record import Table, take_runs
from pnas_tables.sample import gather_sample
from pnas_tables.scale import fit_scale
from pnas_tables.testing import NOISE


def test_a_line_is_found_and_its_residuals_are_of_cells_left_out() -> None:
    rng = np.random.default_rng(0)
    features = np.column_stack([rng.normal(size=(120, 3)), np.ones(120)])  # one that never varies
    targets = 2 + features[:, 0] - 0.5 * features[:, 1] + rng.normal(0, 0.1, 120)
    line, residuals = fit_line(features, targets)
    np.testing.assert_allclose(line.weights, [1, -0.5, 0, 0], atol=0.06)
    others, _ = fit_line(np.delete(features, 7, axis=0), np.delete(targets, 7))
    assert residuals[7] == pytest.approx(targets[7] - others.at(features[7:8])[0], abs=0.01)
    assert residuals.std() == pytest.approx(0.1, rel=0.2)


def test_the_variance_between_seeds_is_pooled(table: Table) -> None:
    noise = NOISE * np.random.default_rng(0).standard_normal(len(table.seeds))
    found = within_variance(table, table.run_cells + noise)
    assert found == pytest.approx(NOISE**2, rel=0.4)


def test_nothing_is_known_of_seeds_where_each_cell_has_one(table: Table) -> None:
    once = take_runs(table, np.flatnonzero(table.seeds == 0))
    assert within_variance(once, once.valid_accuracy) is None
    assert within_variance(table, np.zeros(len(table.seeds))) == 0.0


def test_extras_are_stored_as_numbers(table: Table) -> None:
    sample = gather_sample(table)
    scales = [fit_scale("logit", column, table.chance) for column in sample.accuracies.T]
    extras = fit_extras(table, sample, scales)
    arrays, about = extras.as_arrays()
    again = Extras.read(arrays, json.loads(json.dumps(about, allow_nan=False)))
    assert len(again.curves) == 2 and again.seconds is not None and extras.seconds is not None
    assert again.test_gap == extras.test_gap and again.curve_effects == extras.curve_effects
    np.testing.assert_array_equal(again.seconds.at(sample.features), extras.seconds.at(sample.features))
    np.testing.assert_array_equal(again.curves[1].at(sample.features), extras.curves[1].at(sample.features))
    # accuracies at the first checkpoint are .6 of the last: in scores of each column much the same
    assert np.abs(extras.curves[0].at(sample.features)).mean() < 0.3
