"""Predictors by name. Listing them imports neither torch nor scikit-learn; making one imports its own.

Other packages add theirs by an entry point of the group `pnas_sim.predictors`, users by an import path
`package.module:factory`; either way `factory(space, **options)` returns a `Predictor`. From Python a factory
or a predictor itself will do wherever a name does. A factory may carry an attribute `model_family`, a few
words: a benchmark whose surrogate is of that family favours the predictor.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, TypeAlias, cast

from pnas_sim.errors import SettingError
from pnas_sim.plugins import Family, call_factory, find_plugin, list_plugins, load_plugin, make_plugin
from pnas_sim.predict.asking import demand_predictor
from pnas_sim.predict.base import Predictor
from pnas_sim.space import CellSpace

Factory: TypeAlias = Callable[..., Predictor]  # of a space, and of options if it has any

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

    @property
    def options(self) -> Mapping[str, Any]:
        """What `make_predictor` takes with this name, with defaults; empty where only its factory knows.

        Imports the module of its settings, whose class says what each means.
        """
        return _OWN[self.name].read_options() if self.name in _OWN else MappingProxyType({})

    def is_favoured(self, surrogate_kind: str) -> bool:
        """Whether it shares a model family of a surrogate of this kind, which then favours it."""
        return self.family in list_model_families(surrogate_kind)


def list_model_families(surrogate_kind: str) -> frozenset[str]:
    """Model families that a surrogate of this kind is made of; none of a kind that is not known."""
    words = surrogate_kind.split("-")
    return frozenset(SURROGATE_FAMILIES[word] for word in words if word in SURROGATE_FAMILIES)


@dataclass(frozen=True, slots=True)
class _Own:
    """A predictor that ships: `module:make`, of a space and settings, and `module:class` of its settings."""

    description: str
    family: str
    path: str
    settings: str
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def read_options(self) -> dict[str, Any]:
        """Every setting with its default."""
        return {setting.name: setting.default for setting in fields(_load(self.settings))} | {**self.defaults}


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


_OWN: Mapping[str, _Own] = MappingProxyType(
    {
        "mlp-ensemble": _Own(
            "mean of five MLPs, each fitted without one fold",
            "neural network",
            "pnas_sim.predict.network:make_mlp",
            "pnas_sim.predict.settings:NetworkSettings",
        ),
        "rnn-ensemble": _Own(
            "mean of five LSTMs, each fitted without one fold",
            "neural network",
            "pnas_sim.predict.network:make_rnn",
            "pnas_sim.predict.settings:NetworkSettings",
        ),
        "mlp": _Own(
            "token embeddings averaged over blocks, two layers",
            "neural network",
            "pnas_sim.predict.network:make_mlp",
            "pnas_sim.predict.settings:NetworkSettings",
            {"members": 1},
        ),
        "rnn": _Own(
            "an LSTM over the cell's tokens",
            "neural network",
            "pnas_sim.predict.network:make_rnn",
            "pnas_sim.predict.settings:NetworkSettings",
            {"members": 1},
        ),
        "gbt": _Own(
            "mean of five gradient-boosted trees on structural features, each without one fold",
            "regression trees",
            "pnas_sim.predict.trees:make_gbt",
            "pnas_sim.predict.trees:BoostingSettings",
        ),
        "forest": _Own(
            "mean of five random forests on structural features, each without one fold",
            "regression trees",
            "pnas_sim.predict.trees:make_forest",
            "pnas_sim.predict.trees:ForestSettings",
        ),
        "gp": _Own(
            "Gaussian process with a Weisfeiler-Lehman kernel on the cell's graph",
            "Gaussian process",
            "pnas_sim.predict.gaussian:make_gp",
            "pnas_sim.predict.gaussian:GaussianSettings",
        ),
        "knn": _Own(
            "mean of the cells nearest in their operations' shares, the floor of what learns",
            "nearest neighbours",
            "pnas_sim.predict.neighbours:make_knn",
            "pnas_sim.predict.neighbours:NeighbourSettings",
        ),
        "ridge": _Own(
            "ridge regression on operation counts, the sanity floor",
            "linear",
            "pnas_sim.predict.ridge:RidgePredictor",
            "pnas_sim.predict.ridge:RidgeSettings",
        ),
        "log-parameters": _Own(
            "a line in the logarithm of the network's parameters",
            "one measure",
            "pnas_sim.predict.measures:make_log_parameters",
            "pnas_sim.predict.measures:CostSettings",
        ),
        "multiply-adds": _Own(
            "a line in the logarithm of the network's multiply-adds",
            "one measure",
            "pnas_sim.predict.measures:make_multiply_adds",
            "pnas_sim.predict.measures:CostSettings",
        ),
        "depth": _Own(
            "a line in the longest path through the cell",
            "one measure",
            "pnas_sim.predict.measures:make_depth",
            "pnas_sim.predict.measures:NoSettings",
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


def make_predictor(name: str | Factory | Predictor, space: CellSpace, **options: Any) -> Predictor:
    """Makes a predictor for a space.

    Args:
        name: a name of `list_predictors`, or one of the user's own: `package.module:factory`, or the factory
            itself, of which `factory(space, **options)` is a predictor; or a predictor, which is returned as
            it is, with what it has learnt.
        space: the cells it will be fitted on and asked about.
        options: as `describe_predictor(name).options` has them (fields of `NetworkSettings` of an MLP or RNN,
            of `RidgeSettings` of "ridge", and so on); the others keep their defaults.

    Returns:
        An unfitted predictor, unless one was given.

    Raises:
        SettingError: an unknown name, a factory that cannot be imported or makes no predictor, what is no
            predictor, an option unknown or out of range.
    """
    if not isinstance(name, str):
        return _make_given(name, space, options)
    if name not in _OWN:
        return demand_predictor(make_plugin(PREDICTORS, name, Predictor, space, **options))
    own = _OWN[name]
    known = own.read_options()
    for option in options:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise SettingError(f"predictor {name} has no option {option!r}; its options are: {listed}")
    settings = _load(own.settings)(**{**own.defaults, **options})
    return cast(Predictor, _load(own.path)(space, settings))


def _make_given(given: Factory | Predictor, space: CellSpace, options: Mapping[str, Any]) -> Predictor:
    """By a factory, or as it is given."""
    if callable(given) and (isinstance(given, type) or not isinstance(given, Predictor)):
        title = f"predictor {getattr(given, '__qualname__', type(given).__qualname__)}"
        return demand_predictor(call_factory(PREDICTORS, title, given, Predictor, space, **options))
    if options:
        raise SettingError(f"a predictor that is made takes no option {min(options)!r}; give its factory")
    return demand_predictor(given)
