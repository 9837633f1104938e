"""Predictors by name. Listing them imports neither torch nor scikit-learn; making one imports its own.

Other packages add theirs by an entry point of the group `pnas_sim.predictors`, users by an import path
`package.module:factory`; either way `factory(space, **options)` returns a `Predictor`. A factory may carry an
attribute `model_family`, a few words: a benchmark whose surrogate is of that family favours the predictor.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, cast

from pnas_sim.errors import SettingError
from pnas_sim.plugins import Family, find_plugin, list_plugins, load_plugin, make_plugin
from pnas_sim.predict.base import Predictor
from pnas_sim.space import CellSpace

UNKNOWN_FAMILY = "unknown"
# model families of the tables' surrogates, by the words of what a surrogate says is its kind: that of a mean
# of several models (`mean-of-lightgbm-and-gp-1`) names each of them
SURROGATE_FAMILIES: Mapping[str, str] = MappingProxyType(
    {"lightgbm": "regression trees", "gp": "Gaussian process"}
)


@dataclass(frozen=True, slots=True)
class PredictorInfo:
    """What is known of a predictor without making it.

    Attributes:
        name: as users write it.
        description: one line.
        family: its kind of model; "unknown" for what other packages bring, as long as it is not loaded.
        package: what brings it; empty for an import path.
    """

    name: str
    description: str
    family: str
    package: str

    def is_favoured(self, surrogate_kind: str) -> bool:
        """Whether it shares a model family of a surrogate of this kind, which then favours it."""
        return self.family in {SURROGATE_FAMILIES.get(word) for word in surrogate_kind.split("-")}


@dataclass(frozen=True, slots=True)
class _Own:
    """A predictor that ships: `make(space, settings)` of a module, and the class of its settings there."""

    description: str
    family: str
    module: str
    make: str
    settings: str
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"{self.module}:{self.make}"


_NETWORKS = "pnas_sim.predict.network"
_MEASURES = "pnas_sim.predict.measures"
_TREES = "pnas_sim.predict.trees"

_OWN: Mapping[str, _Own] = MappingProxyType(
    {
        "mlp-ensemble": _Own(
            "mean of five MLPs, each fitted without one fold",
            "neural network",
            _NETWORKS,
            "make_mlp",
            "NetworkSettings",
        ),
        "rnn-ensemble": _Own(
            "mean of five LSTMs, each fitted without one fold",
            "neural network",
            _NETWORKS,
            "make_rnn",
            "NetworkSettings",
        ),
        "mlp": _Own(
            "token embeddings averaged over blocks, two layers",
            "neural network",
            _NETWORKS,
            "make_mlp",
            "NetworkSettings",
            {"members": 1},
        ),
        "rnn": _Own(
            "an LSTM over the cell's tokens",
            "neural network",
            _NETWORKS,
            "make_rnn",
            "NetworkSettings",
            {"members": 1},
        ),
        "gbt": _Own(
            "mean of five gradient-boosted trees on structural features, each without one fold",
            "regression trees",
            _TREES,
            "make_gbt",
            "BoostingSettings",
        ),
        "forest": _Own(
            "mean of five random forests on structural features, each without one fold",
            "regression trees",
            _TREES,
            "make_forest",
            "ForestSettings",
        ),
        "gp": _Own(
            "Gaussian process with a Weisfeiler-Lehman kernel on the cell's graph",
            "Gaussian process",
            "pnas_sim.predict.gaussian",
            "make_gp",
            "GaussianSettings",
        ),
        "knn": _Own(
            "mean of the cells nearest in their operations' shares, the floor of what learns",
            "nearest neighbours",
            "pnas_sim.predict.neighbours",
            "make_knn",
            "NeighbourSettings",
        ),
        "ridge": _Own(
            "ridge regression on operation counts, the sanity floor",
            "linear",
            "pnas_sim.predict.ridge",
            "RidgePredictor",
            "RidgeSettings",
        ),
        "log-parameters": _Own(
            "a line in the logarithm of the network's parameters",
            "one measure",
            _MEASURES,
            "make_log_parameters",
            "CostSettings",
        ),
        "multiply-adds": _Own(
            "a line in the logarithm of the network's multiply-adds",
            "one measure",
            _MEASURES,
            "make_multiply_adds",
            "CostSettings",
        ),
        "depth": _Own(
            "a line in the longest path through the cell",
            "one measure",
            _MEASURES,
            "make_depth",
            "NoSettings",
        ),
    }
)

PREDICTORS = Family(
    "predictor",
    SettingError,
    "pnas_sim.predictors",
    {name: own.path for name, own in _OWN.items()},
)


def list_predictors() -> list[PredictorInfo]:
    """Returns every predictor that has a name, those that ship first; imports none of them."""
    found = []
    for plugin in list_plugins(PREDICTORS):
        own = _OWN.get(plugin.name)
        description = own.description if own else f"a predictor of {plugin.package}"
        family = own.family if own else UNKNOWN_FAMILY
        found.append(PredictorInfo(plugin.name, description, family, plugin.package))
    return found


def describe_predictor(name: str) -> PredictorInfo:
    """Returns what is known of one predictor; imports it if it is not one that ships.

    Raises:
        SettingError: an unknown name, or a factory that cannot be imported.
    """
    plugin = find_plugin(PREDICTORS, name)
    if name in _OWN:
        return next(info for info in list_predictors() if info.name == name)
    factory = load_plugin(PREDICTORS, plugin)
    first_line = (factory.__doc__ or "").strip().partition("\n")[0]
    family = str(getattr(factory, "model_family", UNKNOWN_FAMILY))
    return PredictorInfo(name, first_line or "no description", family, plugin.package)


def make_predictor(name: str, space: CellSpace, **options: Any) -> Predictor:
    """Makes a predictor for a space.

    Args:
        name: a name of `list_predictors`, or `package.module:factory` for one of the user's own:
            `factory(space, **options)` returns it.
        space: the cells it will be fitted on and asked about.
        options: fields of the predictor's settings (`NetworkSettings` of an MLP or RNN, `RidgeSettings` of
            "ridge", and so on); the others keep their defaults.

    Returns:
        An unfitted predictor.

    Raises:
        SettingError: an unknown name, a factory that cannot be imported or makes no predictor, an option
            unknown or out of range.
    """
    if name not in _OWN:
        return cast(Predictor, make_plugin(PREDICTORS, name, Predictor, space, **options))
    own = _OWN[name]
    module = importlib.import_module(own.module)
    settings_class = getattr(module, own.settings)
    known = [setting.name for setting in fields(settings_class)]
    for option in options:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise SettingError(f"predictor {name} has no option {option!r}; its options are: {listed}")
    settings = settings_class(**{**own.defaults, **options})
    return cast(Predictor, getattr(module, own.make)(space, settings))
