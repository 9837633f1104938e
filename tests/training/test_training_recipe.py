from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pnas_backends.training.layout import NetworkShape
from pnas_backends.training.recipe import CIFAR10_16PX, DIGITS, PAPER, RECIPES, Recipe, make_recipe
from pnas_sim.errors import SettingError


@settings(deadline=None, max_examples=50)
@given(
    st.builds(
        Recipe,
        epochs=st.floats(0.01, 1000),
        learning_rate=st.floats(1e-9, 10),
        clip_norm=st.none() | st.floats(0.1, 10),
        early_valid_images=st.none() | st.integers(1, 100),
        crop=st.sampled_from(["upsample", "pad", "none"]),
        flip=st.booleans(),
        checkpoints=st.sets(st.floats(0.01, 0.99), max_size=4).map(lambda shares: tuple(sorted(shares))),
    )
)
def test_json_round_trip(recipe: Recipe) -> None:
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert make_recipe(recipe.model_dump(mode="json")) == recipe


def test_defaults_are_the_papers() -> None:
    assert (PAPER.train_images, PAPER.valid_images) == (45_000, 5_000)
    assert (PAPER.filters, PAPER.cells_per_stage, PAPER.epochs, PAPER.learning_rate) == (24, 2, 20, 0.01)
    assert (PAPER.crop, PAPER.flip, PAPER.warmup) == ("upsample", True, 0.0)
    assert PAPER.shape == NetworkShape()


def test_digits_are_never_flipped_and_all_used() -> None:
    assert not DIGITS.flip
    assert DIGITS.train_images + DIGITS.valid_images + DIGITS.test_images == 1_797


def test_the_shipped_recipe_passes_once_over_its_images() -> None:
    assert CIFAR10_16PX.steps == 200
    assert (CIFAR10_16PX.chance, CIFAR10_16PX.batch) == (0.1, 100)
    assert all(name == recipe.dataset for name, recipe in RECIPES.items())


def test_a_batch_is_never_larger_than_the_training_set() -> None:
    assert PAPER.change(train_images=5, batch_size=32, epochs=0.1).batch == 5
    assert PAPER.change(train_images=5, batch_size=32, epochs=0.1).steps == 1


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"momentun": 0.9}, "it has no setting 'momentun'"),
        ({"epochs": 0}, "epochs is 0; it must be above 0"),
        ({"epochs": float("nan")}, "epochs is nan; it must be a finite number"),
        ({"epochs": 1e300}, "epochs is 1e.300; it must be at most 100000"),
        ({"image_size": 10**9}, "image_size is 1000000000; it must be at most 2048"),
        ({"filters": 10**11}, "filters is 100000000000; it must be at most 4096"),
        ({"cells_per_stage": 10**10}, "cells_per_stage is 10000000000; it must be at most 100"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        (
            {"learning_rate": -1, "warmup": 1},
            "learning_rate is -1; it must be above 0; warmup is 1; it must be below 1",
        ),
        ({"crop": "zoom"}, "crop is 'zoom'; it must be 'upsample', 'pad' or 'none'"),
        ({"checkpoints": (0.5, 0.25)}, "checkpoints must ascend"),
        ({"checkpoints": (0.5, 0.5)}, "checkpoints must ascend"),
        ({"checkpoints": (0.5, 1.0)}, "between 0 and 1"),
    ],
)
def test_wrong_settings_are_named(settings_: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message) as error:
        PAPER.change(**settings_)
    assert "\n" not in str(error.value)


def test_recipes_do_not_change() -> None:
    with pytest.raises(ValidationError):
        PAPER.epochs = 3.0  # type: ignore[misc]
