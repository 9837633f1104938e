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


_ENTRIES: Mapping[str, _Entry] = {
    "mlp-ensemble": _Entry("mean of five MLPs, each fitted without one fold", _make_mlp),
    "rnn-ensemble": _Entry("mean of five LSTMs, each fitted without one fold", _make_rnn),
    "mlp": _Entry("token embeddings averaged over blocks, two layers", _make_mlp, {"members": 1}),
    "rnn": _Entry("an LSTM over the cell's tokens", _make_rnn, {"members": 1}),
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
