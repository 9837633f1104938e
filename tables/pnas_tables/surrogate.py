"""The surrogate of a table: answers every cell up to the table's largest size.

A model of one of the families (`pnas_tables.families`) predicts a score of a cell's accuracy from its
structure; the score is mapped back to an accuracy. It is never one of the search's own predictors, which it
would favour.

A file holds several *worlds*. Each is a refit on another bootstrap of the trained cells, with a fixed effect
for each cell: what the model cannot know of it, drawn once for (world, cell) and the same for every seed: the
cell's *own*, or to some part *shared* with near cells (`pnas_tables.kinship`).
Error bars over searches in one world leave out that the benchmark itself is uncertain; those over worlds
do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from pnas_sim.errors import SettingError, TableError
from pnas_sim.noise import Keys, cell_keys, standard_noise
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Integers, Rows
from pnas_sim.space.rows import count_blocks
from pnas_tables.costs import CostRule, describe_cells, find_cost_rule
from pnas_tables.effects import Effects
from pnas_tables.extras import Extras
from pnas_tables.families import FitSettings, ScoreModel, find_kind
from pnas_tables.features import FEATURE_VERSION, feature_names
from pnas_tables.fit import fit_model
from pnas_tables.kinship import draw_field, share_effects
from pnas_tables.record import StoredSurrogate, Table
from pnas_tables.scale import read_scale
from pnas_tables.seeds import Drawn, SeedNoise

__all__ = ["Answer", "FitSettings", "Surrogate", "fit_surrogate"]


DEFAULT_SURROGATE = "lightgbm"
OWN: Final = "own"
SHARED: Final = "shared"
EFFECTS = (OWN, SHARED)


def fit_surrogate(
    table: Table,
    name: str | None = None,
    seed: int = 0,
    settings: FitSettings | None = None,
    family: str = DEFAULT_SURROGATE,
    tuning: Mapping[str, Any] | None = None,
) -> Table:
    """The table with a freshly fitted surrogate of this family and name; other surrogates stay.

    Same table, seed, settings, machine and versions: the same model, whatever the process. The name is the
    family's unless another is given; `tuning` says how the settings were chosen, for the record.

    Raises:
        SettingError: there is no such family.
        TableError: the table has too few cells to fit anything on.
    """
    stored = fit_model(table, family, seed, settings or FitSettings(), tuning)
    return replace(table, surrogates={**table.surrogates, name or family: stored})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a surrogate says of n cells, free of seed noise.

    Attributes:
        keys: `uint64[n]`, what their noise belongs to; for `Surrogate.draw_noise`.
        valid_accuracy: `float64[n]`, the world's value at the checkpoint asked for.
        test_accuracy: `float64[n]`, NaN where the table has none: the validation accuracy of the last
            checkpoint, the mean difference found between the two, and the cell's own departure from it.
        seconds: `float64[n]`, of the whole training, 0 where the table has none.
        parameters: `int64[n]`, counted, not predicted; -1 where the recipe does not say what network it is.
        multiply_adds: `int64[n]`, likewise.
    """

    keys: Keys
    valid_accuracy: Floats
    test_accuracy: Floats
    seconds: Floats
    parameters: Integers
    multiply_adds: Integers


class Surrogate:
    """One world of a fitted surrogate. It holds no state: the same question has the same answer."""

    def __init__(
        self,
        stored: StoredSurrogate,
        space: CellSpace,
        recipe: Mapping[str, Any],
        epochs: Floats,
        world: int = 0,
        effects: str = OWN,
    ) -> None:
        """Reads the stored model.

        Args:
            stored: as `fit_surrogate` made it.
            space: the table's; rows of any width over its operations are answered.
            recipe: the table's.
            epochs: `float64[c]`, the table's checkpoints.
            world: which of its worlds.
            effects: what cells' effects are, one of `EFFECTS`.

        Raises:
            SettingError: it has no such world, or there are no such effects.
            TableError: it is of another kind or version than this code reads.
        """
        if effects not in EFFECTS:
            raise SettingError(f"effects is {effects!r}; it must be one of: {', '.join(EFFECTS)}")
        about = stored.metadata
        family = find_kind(about.get("kind"))
        _demand(about.get("features") == FEATURE_VERSION, "was fitted on other features; fit it again")
        try:
            settings = FitSettings.from_json(about["settings"])
            self.worlds, self.largest = settings.worlds, int(about["largest_blocks"])
            self.noise = SeedNoise.from_json(about["noise"])
            self._scales = [read_scale(scale) for scale in about["scales"]]
            self._extras = Extras.read(stored.arrays, about["extras"])
            self._effects = Effects.from_json(about["effects"], about.get("effect_shape"))
            self._costs: CostRule | None = find_cost_rule(recipe) if about["costs"] else None
            _demand_world(world, self.worlds)
            wanted = len(feature_names(space.operations)) + (2 if self._costs else 0)
            self._model: ScoreModel = family.load(stored.arrays, world, settings, space, wanted)
        except (SettingError, TableError):
            raise
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            raise TableError(f"the surrogate's contents are incomplete ({error!r}); fit it again") from None
        _demand(
            not about["costs"] or self._costs, "needs the costs of networks that the recipe does not tell"
        )
        _demand(len(self._scales) == len(epochs), "has another number of checkpoints than the table")
        _demand(self._model.width == wanted, f"wants {self._model.width} features, there are {wanted}")
        self.metadata, self.epochs, self.world = about, epochs, world
        self._space, self._shared = space, effects == SHARED

    @classmethod
    def from_table(
        cls, table: Table, name: str = DEFAULT_SURROGATE, world: int = 0, effects: str = OWN
    ) -> Surrogate:
        """The table's surrogate of this name, in this world with these effects.

        Raises:
            SettingError: it has no such world, or there are no such effects.
            TableError: the table has none of this name, or this version does not read it.
        """
        if name not in table.surrogates:
            known = ", ".join(sorted(table.surrogates)) or "none; `pnas-sim table fit` makes one"
            raise TableError(f"surrogate {name!r} is not in table {table.name}; it has: {known}")
        return cls(table.surrogates[name], table.space, table.recipe, table.epochs, world, effects)

    def predict(self, cells: Rows, checkpoint: int = -1) -> Answer:
        """Answers for canonical rows (`uint8[n, width]`) of any width and size, of the table's operations.

        Args:
            cells: the rows.
            checkpoint: which of `epochs`.
        """
        features, parameters, multiply_adds = describe_cells(self._space, self._costs, cells)
        keys, scores = self.keys(cells), self._model.predict(cells, features)
        last = self._accuracies(cells, keys, features, scores, -1)
        at_end = checkpoint % len(self.epochs) == len(self.epochs) - 1
        valid = last if at_end else self._accuracies(cells, keys, features, scores, checkpoint)
        seconds = np.zeros(len(cells)) if self._extras.seconds is None else self._extras.seconds.at(features)
        if self._extras.seconds is not None:
            seconds = np.exp(seconds)
        return Answer(keys, valid, self._test_accuracies(keys, last), seconds, parameters, multiply_adds)

    def predict_accuracy(self, cells: Rows) -> Floats:
        """The world's validation accuracy of canonical rows after the whole training; `float64[n]`."""
        features, _, _ = describe_cells(self._space, self._costs, cells)
        return self._accuracies(cells, self.keys(cells), features, self._model.predict(cells, features), -1)

    def predict_mean(self, cells: Rows) -> Floats:
        """What the model itself says of rows, without the cells' own effects, `float64[n]`.

        Held-out figures are of this; a search's optimism against real trainings is measured with it.
        """
        features, _, _ = describe_cells(self._space, self._costs, cells)
        return self._scales[-1].to_accuracies(self._model.predict(cells, features))

    def predict_curves(self, cells: Rows) -> Floats:
        """The world's validation accuracy at every checkpoint, `float64[n, c]`, of canonical rows."""
        features, _, _ = describe_cells(self._space, self._costs, cells)
        keys, scores = self.keys(cells), self._model.predict(cells, features)
        places = range(len(self.epochs))
        return np.stack([self._accuracies(cells, keys, features, scores, c) for c in places], axis=1)

    def draw_noise(self, keys: Keys, checkpoint: int, seed: int, valid: Floats, test: Floats) -> Drawn:
        """Seed noise of cells with these noise-free accuracies; see `pnas_tables.seeds.SeedNoise.draw`."""
        epochs = [float(at) for at in self.epochs]
        return self.noise.draw(keys, epochs, checkpoint % len(epochs), seed, valid, test)

    def keys(self, cells: Rows) -> Keys:
        """What noise and effects belong to: one key for each canonical row."""
        return cell_keys(self._space.operations, cells)

    def _accuracies(
        self, cells: Rows, keys: Keys, features: Floats, scores: Floats, checkpoint: int
    ) -> Floats:
        """The world's accuracies: model, the cell's effect, before the end the curve with an effect too."""
        place, last = checkpoint % len(self.epochs), len(self.epochs) - 1
        fixed = standard_noise(keys, float(self.epochs[last]), self.world, "effect")
        if self._shared:
            fixed = share_effects(draw_field(self._space.operations, cells, self.world), fixed)
        scores = scores + self._effects.draw(count_blocks(cells), fixed)
        if place < last:
            own = standard_noise(keys, float(self.epochs[place]), self.world, "effect")
            scores = (
                scores + self._extras.curves[place].at(features) + self._extras.curve_effects[place] * own
            )
        return self._scales[place].to_accuracies(scores)

    def _test_accuracies(self, keys: Keys, valid: Floats) -> Floats:
        if self._extras.test_gap is None:
            return np.full(len(keys), np.nan)
        own = standard_noise(keys, float(self.epochs[-1]), self.world, "test effect")
        return np.clip(valid + self._extras.test_gap + self._extras.test_effect * own, 0, 1)


def _demand_world(world: int, worlds: int) -> None:
    if not 0 <= world < worlds:
        limit = f"the surrogate has the worlds 0 to {worlds - 1}, {worlds} in all"
        raise SettingError(f"world is {world}; {limit}: choose among them")


def _demand(fulfilled: object, complaint: str) -> None:
    if not fulfilled:
        raise TableError(f"the surrogate {complaint}")
