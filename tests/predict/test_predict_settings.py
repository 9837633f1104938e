from __future__ import annotations

import pytest

from pnas_sim.errors import SettingError
from pnas_sim.predict.ridge import RidgeSettings
from pnas_sim.predict.settings import NetworkSettings


@pytest.mark.parametrize(
    "name", ["members", "epochs", "batch_size", "embedding", "hidden", "finetune_epochs"]
)
@pytest.mark.parametrize("value", [0, -3, 1.5, "7", True])
def test_counts_are_whole_numbers_of_at_least_one(name: str, value: object) -> None:
    with pytest.raises(SettingError, match=f"{name} is {value!r}"):
        NetworkSettings(**{name: value})


@pytest.mark.parametrize("name", ["first_learning_rate", "learning_rate"])
@pytest.mark.parametrize("value", [0, -0.1, 1.01, float("nan"), "0.1"])
def test_learning_rates_lie_above_zero(name: str, value: object) -> None:
    with pytest.raises(SettingError, match=name):
        NetworkSettings(**{name: value})


@pytest.mark.parametrize("value", ["median", float("inf"), None, True])
def test_bias_is_mean_or_a_finite_number(value: object) -> None:
    with pytest.raises(SettingError, match="bias"):
        NetworkSettings(bias=value)


def test_refit_is_one_of_two() -> None:
    with pytest.raises(SettingError, match="scratch, finetune"):
        NetworkSettings(refit="continue")


def test_what_goes_on_from_its_weights_has_no_cells_left_out_to_watch() -> None:
    with pytest.raises(SettingError, match="patience is 3 with refit finetune"):
        NetworkSettings(refit="finetune", patience=3)


def test_defaults_are_the_papers() -> None:
    settings = NetworkSettings()
    assert (settings.members, settings.embedding, settings.hidden) == (5, 100, 100)
    assert (settings.first_learning_rate, settings.learning_rate, settings.refit) == (0.01, 0.002, "scratch")


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), "1", True])
def test_ridge_alpha_is_above_zero(value: object) -> None:
    with pytest.raises(SettingError, match="alpha"):
        RidgeSettings(alpha=value)
