"""How the network predictors are made and fitted; the paper's figures where it gives any."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from pnas_sim.errors import SettingError

Refit: TypeAlias = Literal["scratch", "finetune"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """Settings of an MLP or RNN predictor, or of an ensemble of them (sections 4.2 and 5.1 of the paper).

    The paper names neither epochs nor batch size: these were chosen by `bench/predictor_epochs.py` on the
    table fashion-16px and reported on cifar10-16px; all figures are in `bench/predictor_epochs.json`. Below:
    Spearman on cells one block larger than those fitted, mean over fits of 1 to 4 blocks, and the difference
    from 40 epochs in batches of 32 with its standard error over trials.

    Epochs were chosen on as many cells as a search fits (100 to 868), answered by each table's surrogate with
    noise, a world a trial (n = 6). MLP ensemble: .387 on fashion-16px, where 20 epochs are .010 +- .002
    better and 400 .010 +- .003 worse; .487 on cifar10-16px, .008 +- .003 and .013 +- .003. RNN ensemble: .317
    on fashion-16px, where 20 are .017 +- .001 worse, 80 .039 +- .005 and 400 .052 +- .010; .470 on
    cifar10-16px, where 20 are .005 +- .007 worse, 80 .054 +- .005 and 400 .067 +- .009. So 40 lose nothing to
    ten times as many, and .010 at most to any.

    The rest was chosen on trained cells of fashion-16px (229 at most in a fit): for the MLP ensemble (n = 10)
    no other batch size, rate or patience is better than .320; a first bias of 1.8 where accuracies lie about
    .78 costs .045 +- .006 (MLP) and .074 +- .010 (RNN, n = 5). So few cells want more epochs: 20 are .020 +-
    .004 worse there (MLP), 80 .033 +- .008 better (RNN).

    Attributes:
        members: networks in the ensemble, each fitted without one of as many folds; 1 is a single network
            fitted on everything.
        epochs: passes over the fitted cells.
        batch_size: cells in a minibatch, at most; an epoch is cut into minibatches of equal size.
        first_learning_rate: Adam's rate while all fitted cells have one block.
        learning_rate: Adam's rate afterwards.
        embedding: dimensions of the token embeddings, drawn from U[-0.1, 0.1].
        hidden: units of each hidden layer, or of the LSTM.
        bias: the last layer's first bias: "mean" is the logit of the mean fitted accuracy; the paper's own
            is 1.8, the logit of .858, the mean accuracy of its one-block cells.
        refit: "scratch" draws new weights at every fit (section 5.1), "finetune" goes on from the present
            ones, as Algorithm 1 does, but with all cells so far and not the new ones alone. Folds are drawn
            anew at each fit: members that go on have seen most cells.
        finetune_epochs: passes over the cells of every fit but the first, with `refit="finetune"`.
        patience: epochs without a smaller error on the folds left out, after which a fit of several members
            stops; each member then keeps the weights that were best on its fold. 0 runs all epochs. Not with
            "finetune", whose members know their folds from before.
    """

    members: int = 5
    epochs: int = 40
    batch_size: int = 32
    first_learning_rate: float = 0.01
    learning_rate: float = 0.002
    embedding: int = 100
    hidden: int = 100
    bias: float | Literal["mean"] = "mean"
    refit: Refit = "scratch"
    finetune_epochs: int = 20
    patience: int = 0

    def __post_init__(self) -> None:
        """Refuses values out of range.

        Raises:
            SettingError: one line naming the setting, its value and its limit.
        """
        for name in ("members", "epochs", "batch_size", "embedding", "hidden", "finetune_epochs"):
            demand_count(name, getattr(self, name))
        for name in ("first_learning_rate", "learning_rate"):
            demand_share(name, getattr(self, name))
        if self.bias != "mean" and not _is_finite_number(self.bias):
            raise SettingError(f"bias is {self.bias!r}: give 'mean' or a finite number such as 1.8")
        if self.patience != 0:
            demand_count("patience", self.patience)
            if self.members == 1:
                told = f"patience is {self.patience} with 1 member, which leaves no fold out"
                raise SettingError(f"{told}: give patience 0, or 2 members or more")
            if self.refit == "finetune":
                told = f"patience is {self.patience} with refit finetune, whose members know the folds"
                raise SettingError(f"{told}: give patience 0, or refit scratch")
        if self.refit not in get_args(Refit):
            raise SettingError(f"refit is {self.refit!r}: give one of {', '.join(get_args(Refit))}")


def demand_count(name: str, value: object, least: int = 1) -> None:
    """Checks one setting of a predictor.

    Raises:
        SettingError: it is not a whole number of at least `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingError(f"{name} is {value!r}: give a whole number of at least {least}")


def demand_share(name: str, value: object) -> None:
    """Checks one setting of a predictor.

    Raises:
        SettingError: it is not a number above 0 and at most 1.
    """
    if not (_is_finite_number(value) and 0 < value <= 1):  # type: ignore[operator]
        raise SettingError(f"{name} is {value!r}: give a number above 0 and at most 1")


def _is_finite_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
