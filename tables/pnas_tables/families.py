"""The families of surrogates: different models on the same cells, scores and worlds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError, TableError
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Integers, Rows
from pnas_tables.forest import ForestModel, ForestSettings, fit_forests
from pnas_tables.process import ProcessModel, ProcessSettings, fit_process
from pnas_tables.sample import Sample

Arrays: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How a surrogate is fitted.

    Attributes:
        worlds: how many, the first on all cells, each other one on a bootstrap of them.
        scale: the scores that are fitted: `normal` or `logit`; see `pnas_tables.scale`. All nine surrogates
            that ship are on `normal`, which `pnas-sim table fit --tune` leaves only for one that is ahead by
            `pnas_tables.tune.SCALE_MARGIN` of tau. On the 1,893 cells of cifar10-16px `normal` is ahead by
            .003 for `gp`, `logit` by .002 for `lightgbm` and .0002 for `mean`; on the 2,214 of
            cifar10-16px-mini `logit` by .0005 for `gp`, `normal` by .0006 and .0003; on the 336 of
            fashion-16px `normal` by .007, .006 and .001, though there all outer folds of `lightgbm` and
            `mean` took `logit`. No difference is clear but that of `gp` on the last.
        shares: of the training cells, for which held-out figures are given beside those of all of them.
        forest: of the families `lightgbm` and `mean`.
        process: of the families `gp` and `mean`.
    """

    worlds: int = 10
    scale: str = "normal"
    shares: tuple[float, ...] = (0.25, 0.5, 0.75)
    forest: ForestSettings = field(default_factory=ForestSettings)
    process: ProcessSettings = field(default_factory=ProcessSettings)

    def as_json(self) -> dict[str, Any]:
        """All of them as JSON values."""
        return asdict(self) | {"shares": list(self.shares)}

    @classmethod
    def from_json(cls, about: Mapping[str, Any]) -> FitSettings:
        """What `as_json` described."""
        return cls(
            worlds=int(about["worlds"]),
            scale=str(about["scale"]),
            shares=tuple(about["shares"]),
            forest=ForestSettings(**about["forest"]),
            process=ProcessSettings(**about["process"]),
        )


class ScoreModel(Protocol):
    """One world of one surrogate."""

    @property
    def width(self) -> int:
        """Number of features it wants."""
        ...

    def predict(self, cells: Rows, features: Floats) -> Floats:
        """Mean score, `float64[n]`, of cells `uint8[n, width]` with features `float64[n, f]`.

        The score of one cell does not depend on the others, to the last bit.
        """
        ...


@dataclass(frozen=True, slots=True)
class Family:
    """How one kind of model is fitted and read.

    Attributes:
        name: of the family, and of its surrogate unless it is given another.
        kind: stored with it; another way to read its arrays needs another one.
        fit: (sample, scores `[n]`, draws `[w, n]`, settings, seed) to the arrays of each world.
        load: (arrays, world, settings, space, number of features) to the model.
    """

    name: str
    kind: str
    fit: Callable[[Sample, Floats, Integers, FitSettings, int], list[dict[str, NDArray[Any]]]]
    load: Callable[[Arrays, int, FitSettings, CellSpace, int], ScoreModel]


def _fit_forests(
    sample: Sample, scores: Floats, draws: Integers, settings: FitSettings, seed: int
) -> list[dict[str, NDArray[Any]]]:
    return fit_forests(sample, scores, draws, settings.forest, seed)


def _load_forest(arrays: Arrays, world: int, settings: FitSettings, *_: object) -> ScoreModel:
    return ForestModel(arrays, world, settings.forest.forests)


def _fit_process(
    sample: Sample, scores: Floats, draws: Integers, settings: FitSettings, seed: int
) -> list[dict[str, NDArray[Any]]]:
    return fit_process(sample, scores, draws, settings.process, seed)


def _load_process(
    arrays: Arrays, world: int, settings: FitSettings, space: CellSpace, width: int
) -> ScoreModel:
    return ProcessModel(arrays, world, space, width)


class MeanModel:
    """The mean of several models' scores: each errs where the others do not."""

    def __init__(self, models: Sequence[ScoreModel]) -> None:
        """Of models that want the same features."""
        self._models = models
        self.width = models[0].width

    def predict(self, cells: Rows, features: Floats) -> Floats:
        """See `ScoreModel.predict`."""
        scores = [model.predict(cells, features) for model in self._models]
        return np.asarray(sum(scores[1:], start=scores[0]) / len(scores), np.float64)


_PARTS = {
    "forest": Family("lightgbm", "lightgbm-bagged-2", _fit_forests, _load_forest),
    "process": Family("gp", "gp-structural-1", _fit_process, _load_process),
}


def _fit_mean(
    sample: Sample, scores: Floats, draws: Integers, settings: FitSettings, seed: int
) -> list[dict[str, NDArray[Any]]]:
    worlds: list[dict[str, NDArray[Any]]] = [{} for _ in draws]
    for part, family in _PARTS.items():
        for world, arrays in zip(worlds, family.fit(sample, scores, draws, settings, seed), strict=True):
            world.update({f"{part}-{name}": values for name, values in arrays.items()})
    return worlds


def _load_mean(arrays: Arrays, world: int, settings: FitSettings, space: CellSpace, width: int) -> ScoreModel:
    models = []
    for part, family in _PARTS.items():
        start = f"{part}-"
        own = {name.removeprefix(start): values for name, values in arrays.items() if name.startswith(start)}
        models.append(family.load(own, world, settings, space, width))
    return MeanModel(models)


FAMILIES = {
    family.name: family
    for family in (*_PARTS.values(), Family("mean", "mean-of-lightgbm-and-gp-1", _fit_mean, _load_mean))
}


FAMILIES_BY_KIND = {family.kind: family for family in FAMILIES.values()}


def find_family(name: str) -> Family:
    """The family of this name.

    Raises:
        SettingError: there is none.
    """
    if name not in FAMILIES:
        raise SettingError(f"surrogate family {name!r} is unknown; known are: {', '.join(FAMILIES)}")
    return FAMILIES[name]


def find_kind(kind: object) -> Family:
    """The family that a stored surrogate of this kind is of.

    Raises:
        TableError: there is none.
    """
    if str(kind) not in FAMILIES_BY_KIND:
        known = ", ".join(FAMILIES_BY_KIND)
        raise TableError(f"the surrogate is of kind {kind!r}; this version knows {known}")
    return FAMILIES_BY_KIND[str(kind)]
