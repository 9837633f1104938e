"""Everything that decides a child's accuracy but its cell and its seed, as one record that goes into files.

Defaults are the paper's search settings (sections 4.1 and 5) where it states them: 45,000 / 5,000 images, N =
2, F = 24, 20 epochs, learning rate 0.01, cosine to zero, 40 x 40 upsampling with 32 x 32 crops, flips. It
states neither batch size nor optimiser; momentum 0.9 is NASNet's, batch size 32, weight decay 5e-4 and
clipping at 5 are those of the authors' published training of the final networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pnas_backends.training.layout import MOST_CELLS_PER_STAGE, MOST_FILTERS, MOST_PIXELS, NetworkShape
from pnas_sim.errors import SettingError
from pnas_sim.validation import say_demand


class Recipe(BaseModel):
    """How a child is trained and measured.

    The subset of the data is fixed here, by `subset_seed`: validation images are the first of a permutation
    of the data set's training split, training images the next; test images are drawn from its test split. A
    training seed changes none of that.

    Attributes:
        dataset: name of the data set.
        image_size: pixels that images are resized to.
        channels: of an image.
        classes: in the data set.
        train_images: distinct images trained on.
        valid_images: held out of the training split; measured at the end.
        early_valid_images: the first of these measured at earlier checkpoints; None: all.
        test_images: measured once, at the end; 0: none.
        subset_seed: chooses the images.
        filters: F.
        cells_per_stage: N.
        epochs: E; may be a fraction.
        batch_size: images of a step.
        learning_rate: the highest.
        momentum: Nesterov's.
        weight_decay: on convolutions and the classifier's weights; BatchNorm and biases have none.
        warmup: share of all steps over which the rate rises linearly from 0; then a half cosine to zero.
        clip_norm: largest norm of the gradient; None: any.
        crop: "upsample" resizes to 5/4 and crops at random (measured: the centre), "pad" puts an eighth of
            zeros around and crops at random, "none" does not.
        flip: mirrors half of the images left to right.
        checkpoints: shares of the training after which validation is measured, besides its end.
        threads: of the CPU, for one child.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = "cifar10"
    image_size: int = Field(default=32, ge=4, le=MOST_PIXELS)
    channels: int = Field(default=3, ge=1)
    classes: int = Field(default=10, ge=2)
    train_images: int = Field(default=45_000, ge=1)
    valid_images: int = Field(default=5_000, ge=1)
    early_valid_images: int | None = Field(default=None, ge=1)
    test_images: int = Field(default=10_000, ge=0)
    subset_seed: int = Field(default=0, ge=0)
    filters: int = Field(default=24, ge=1, le=MOST_FILTERS)
    cells_per_stage: int = Field(default=2, ge=1, le=MOST_CELLS_PER_STAGE)
    epochs: float = Field(default=20.0, gt=0, le=100_000, allow_inf_nan=False)
    batch_size: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=0.01, gt=0, allow_inf_nan=False)
    momentum: float = Field(default=0.9, gt=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0, allow_inf_nan=False)
    warmup: float = Field(default=0.0, ge=0, lt=1)
    clip_norm: float | None = Field(default=5.0, gt=0)
    crop: Literal["upsample", "pad", "none"] = "upsample"
    flip: bool = True
    checkpoints: tuple[float, ...] = (0.25, 0.5, 0.75)
    threads: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if list(self.checkpoints) != sorted(set(self.checkpoints)):
            raise ValueError("checkpoints must ascend")
        if any(not 0 < share < 1 for share in self.checkpoints):
            raise ValueError("checkpoints must lie between 0 and 1; the end is always one")
        return self

    @property
    def shape(self) -> NetworkShape:
        """The network but for its cell."""
        return NetworkShape(
            cells_per_stage=self.cells_per_stage,
            filters=self.filters,
            image_size=self.image_size,
            channels=self.channels,
            classes=self.classes,
        )

    @property
    def chance(self) -> float:
        """The accuracy of guessing, of classes that are equally frequent."""
        return 1.0 / self.classes

    @property
    def batch(self) -> int:
        """Images of a step; never more than there are."""
        return min(self.batch_size, self.train_images)

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return max(1, round(self.epochs * self.train_images / self.batch))

    def change(self, **settings: Any) -> Recipe:
        """This recipe with other settings.

        Raises:
            SettingError: one is unknown or out of range.
        """
        return make_recipe({**self.model_dump(), **settings})


def make_recipe(settings: Mapping[str, Any]) -> Recipe:
    """A recipe from settings, those of a file say.

    Raises:
        SettingError: one is unknown or out of range; the message names all that are wrong.
    """
    try:
        return Recipe.model_validate(settings)
    except ValidationError as error:
        wrong = [_explain(complaint) for complaint in error.errors()]
        raise SettingError(f"the training recipe is wrong: {'; '.join(wrong)}") from None


def _explain(complaint: Mapping[str, Any]) -> str:
    """One of pydantic's complaints for a person."""
    name = ".".join(map(str, complaint["loc"]))
    if complaint["type"] == "extra_forbidden":
        return f"it has no setting {name!r}"
    if not name:
        return str(complaint["msg"])
    return f"{name} is {complaint['input']!r}; it must be {say_demand(complaint)}"


PAPER = Recipe()
"""The paper's search."""

DIGITS = Recipe(
    dataset="digits",
    image_size=8,
    channels=1,
    train_images=1_297,
    valid_images=200,
    test_images=300,
    learning_rate=0.05,
    warmup=0.15,
    crop="pad",
    flip=False,
)
"""The embedded default: every image of scikit-learn's digits; no flips, a mirrored 2 is no digit."""

FASHION_MNIST = Recipe(dataset="fashion-mnist", image_size=28, channels=1, train_images=55_000, crop="pad")
"""All of Fashion-MNIST."""

CIFAR10_16PX = Recipe(
    image_size=16,
    train_images=20_000,
    valid_images=10_000,
    early_valid_images=2_000,
    test_images=10_000,
    filters=8,
    cells_per_stage=1,
    epochs=1.0,
    batch_size=100,
    learning_rate=0.1,
    warmup=0.15,
    crop="pad",
)
"""The table that ships: half a minute a child on one core. Warm-up and clipping keep the rate from breaking
cells that are no worse than others: without them, cell means rank quite differently (rank correlation .3)."""

FASHION_16PX = CIFAR10_16PX.change(dataset="fashion-mnist", channels=1)
"""The second table: the same on Fashion-MNIST, so that what was tuned on one is reported on the other."""

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {"digits": DIGITS, "cifar10": PAPER, "fashion-mnist": FASHION_MNIST}
)
"""The default recipe of each named data set."""
