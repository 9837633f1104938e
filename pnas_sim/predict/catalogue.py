"""Predictors by name. Listing them imports neither torch nor scikit-learn; making one imports its own."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

from pnas_sim.errors import SettingError
from pnas_sim.predict.base import Predictor
from pnas_sim.predict.ridge import RidgePredictor, RidgeSettings
from pnas_sim.predict.settings import NetworkSettings
from pnas_sim.space import CellSpace


@dataclass(frozen=True, slots=True)
class _Entry:
    """A predictor that can be named: how it is described and made, and its own defaults."""

    description: str
    make: Callable[[CellSpace, Any], Predictor]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    settings: type[NetworkSettings] | type[RidgeSettings] = NetworkSettings


def _make_mlp(space: CellSpace, settings: NetworkSettings) -> Predictor:
    from pnas_sim.predict.network import make_mlp

    return make_mlp(space, settings)


def _make_rnn(space: CellSpace, settings: NetworkSettings) -> Predictor:
    from pnas_sim.predict.network import make_rnn

    return make_rnn(space, settings)


# Measured with `bench/predictor_epochs.py` on made-up landscapes (not on trained cells), Spearman on other
# cells of the sizes fitted and one block larger, both averaged over b = 1..4. MLP ensemble, batch 32, 5
# landscapes: .840 and .802 at 5 epochs, .855 and .810 at 20, .856 and .806 at 80; batches of 16 and 64
# differ by .002 at most at 20 epochs. RNN ensemble, batch 32, 3 landscapes: .759 and .674 at 5 epochs, .804
# and .665 at 20, .863 and .703 at 40. The deviation from landscape to landscape is about .1. A first bias
# of 1.8 where accuracies lie about .45 costs the MLP ensemble (20 landscapes) .856 -> .815 and .821 ->
# .393. Finetuning for 10 epochs is as good as 20 from scratch.
_RNN_EPOCHS: Mapping[str, Any] = {"epochs": 40, "finetune_epochs": 20}

_ENTRIES: Mapping[str, _Entry] = {
    "mlp-ensemble": _Entry("mean of five MLPs, each fitted without one fold", _make_mlp),
    "rnn-ensemble": _Entry("mean of five LSTMs, each fitted without one fold", _make_rnn, _RNN_EPOCHS),
    "mlp": _Entry("token embeddings averaged over blocks, two layers", _make_mlp, {"members": 1}),
    "rnn": _Entry("an LSTM over the cell's tokens", _make_rnn, {"members": 1, **_RNN_EPOCHS}),
    "ridge": _Entry(
        "ridge regression on operation counts, the sanity floor", RidgePredictor, {}, RidgeSettings
    ),
}


def list_predictors() -> dict[str, str]:
    """Returns the known names, each with a description of one line."""
    return {name: entry.description for name, entry in _ENTRIES.items()}


def make_predictor(name: str, space: CellSpace, **options: Any) -> Predictor:
    """Makes a predictor for a space.

    Args:
        name: a name of `list_predictors`, or `module:factory` for one of the user's own:
            `factory(space, **options)` returns it.
        space: the cells it will be fitted on and asked about.
        options: fields of `NetworkSettings` (`RidgeSettings` for "ridge"); the others keep their defaults.

    Returns:
        An unfitted predictor.

    Raises:
        SettingError: an unknown name, a factory that cannot be imported, an option unknown or out of range.
    """
    if ":" in name:
        return cast(Predictor, _import_factory(name)(space, **options))
    if name not in _ENTRIES:
        known = ", ".join(_ENTRIES)
        raise SettingError(f"unknown predictor {name!r}: choose from {known}, or name one as module:factory")
    entry = _ENTRIES[name]
    known_options = [known.name for known in fields(entry.settings)]
    for option in options:
        if option not in known_options:
            listed = ", ".join(known_options)
            raise SettingError(f"predictor {name} has no option {option!r}: it has {listed}")
    return entry.make(space, entry.settings(**{**entry.defaults, **options}))


def _import_factory(path: str) -> Callable[..., object]:
    module_name, _, factory_name = path.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingError(f"predictor {path!r} cannot be imported as module:factory: {error}") from error
    if not callable(factory):
        raise SettingError(f"predictor {path!r} is not a function: name one that takes a space")
    return cast(Callable[..., object], factory)
