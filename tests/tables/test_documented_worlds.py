"""FORMAT.md's account of worlds and noise, followed in plain Python from what a file holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from pnas_backends.table import SurrogateBackend
from pnas_sim.evaluate import Status
from pnas_tables.costs import describe_cells
from pnas_tables.forest import ForestSettings
from pnas_tables.record import Table
from pnas_tables.surrogate import FitSettings, Surrogate, fit_surrogate
from pnas_tables.testing import CHECKPOINTS

WHOLE = 2**64
WORLD, SEED, CHANCE = 1, 7, 0.1


def code(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def mix(key: int, value: int) -> int:
    key = (key * 0x9E3779B97F4A7C15 + value + 1) % WHOLE
    key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9 % WHOLE
    key = (key ^ (key >> 27)) * 0x94D049BB133111EB % WHOLE
    return key ^ (key >> 31)


def key_of(row: list[int], operations: tuple[str, ...]) -> int:
    key = code("cell")
    for place, token in enumerate(row):
        if token != 255:
            key = mix(key, token if place % 4 < 2 else code(operations[token]))
    return key


def noise(key: int, epochs: float, number: int, word: str) -> float:
    key = mix(key, code(f"{word} {epochs!r} {number}"))
    one, two = (((mix(key, half) >> 12) + 0.5) / 2**52 for half in (1, 2))
    return math.sqrt(-2 * math.log(one)) * math.cos(2 * math.pi * two)


def shape(z: float, points: Mapping[str, list[float]]) -> float:
    return float(np.interp(z, points["normal"], points["drawn"])) if points["normal"] else z


def scale(score: float, about: Mapping[str, Any]) -> float:
    if about["kind"] == "logit":
        share = 1 / (1 + math.exp(-(score * about["spread"] + about["center"])))
        return about["floor"] + (1 - about["floor"]) * share
    scores, accuracies = about["scores"], about["accuracies"]
    inner = max(1, len(scores) // 10)
    found = float(np.interp(score, scores, accuracies))
    if score < scores[0]:
        found += (score - scores[0]) * (accuracies[inner] - accuracies[0]) / (scores[inner] - scores[0])
    if score > scores[-1]:
        rise = accuracies[-1] - accuracies[-1 - inner]
        found += (score - scores[-1]) * rise / (scores[-1] - scores[-1 - inner])
    return min(1.0, max(0.0, found))


def deviation(about: Mapping[str, float], accuracy: float) -> float:
    held = min(about["highest"], max(about["lowest"], accuracy))
    return about["middle"] * math.exp(about["slope"] * (held - about["center"]) / (2 * about["spread"]))


@pytest.fixture(scope="module", params=["normal", "logit"])
def fitted(request: pytest.FixtureRequest, table: Table) -> Table:
    status = table.status.copy()
    status[::7] = Status.DIVERGED  # so that runs diverge in the noise too
    settings = FitSettings(
        worlds=2, shares=(), scale=request.param, forest=ForestSettings(forests=2, trees=20)
    )
    return fit_surrogate(replace(table, status=status), settings=settings)


def tell_valid(about: Mapping[str, Any], key: int, score: float, size: int, place: int, line: float) -> float:
    """A cell's validation accuracy at a checkpoint, of the model's score and the checkpoint's own line."""
    z = noise(key, 1.0, WORLD, "effect")
    score += about["effects"][str(size)] * shape(z, about["effect_shape"])
    if CHECKPOINTS[place] < 1.0:
        effect = about["extras"]["curve_effects"][place]
        score += line + effect * noise(key, CHECKPOINTS[place], WORLD, "effect")
    return scale(score, about["scales"][place])


def tell_test(about: Mapping[str, Any], key: int, valid: float) -> float:
    own = about["extras"]["test_effect"] * noise(key, 1.0, WORLD, "test effect")
    return valid + about["extras"]["test_gap"] + own


def disturb(about: Mapping[str, Any], key: int, place: int, valid: float, test: float) -> tuple[float, float]:
    """Both accuracies with the noise of a seed."""
    seeds = about["noise"]
    if NormalDist().cdf(noise(key, 0.0, SEED, "divergence")) < seeds["divergence"]:
        return CHANCE, CHANCE
    own = [noise(key, at, SEED, "valid") for at in CHECKPOINTS]
    first = sum(weight * one for weight, one in zip(seeds["mixing"][place], own, strict=True))
    share = seeds["correlation"]
    mixed = share * first + math.sqrt(1 - share**2) * noise(key, 1.0, SEED, "test")
    return valid + deviation(seeds["valid"][place], valid) * first, test + deviation(
        seeds["test"], test
    ) * mixed


@pytest.mark.parametrize("place", range(len(CHECKPOINTS)))
def test_worlds_and_noise_are_what_the_document_says(fitted: Table, place: int) -> None:
    stored = fitted.surrogates["lightgbm"]
    about, lines = stored.metadata, stored.arrays["extra-lines"]
    assert len(about["effect_shape"]["normal"]) > 50 and about["noise"]["divergence"] > 0
    features, _, _ = describe_cells(fitted.space, None, fitted.cells)
    scores = Surrogate.from_table(fitted, "lightgbm", WORLD)._model.predict(fitted.cells, features)
    sizes, found = fitted.space.block_counts(fitted.cells), []
    for row, score, size, x in zip(fitted.cells.tolist(), scores.tolist(), sizes, features, strict=True):
        key = key_of(row, fitted.space.operations)
        line = float(x @ lines[place, :-1] + lines[place, -1])
        valid = tell_valid(about, key, score, size, place, line)
        test = tell_test(about, key, valid)
        found.append((valid, test, *disturb(about, key, place, valid, test)))
    quiet, noisy = (
        SurrogateBackend(fitted, 3, "fitted", world=WORLD, noise=on).evaluate_bulk(
            fitted.cells, CHECKPOINTS[place], SEED
        )
        for on in (False, True)
    )
    told = [quiet.valid_accuracy, quiet.test_accuracy, noisy.valid_accuracy, noisy.test_accuracy]
    if CHECKPOINTS[place] < 1.0:  # where the test accuracy is not told
        told, found = told[::2], [one[::2] for one in found]
    np.testing.assert_allclose(np.stack(told, axis=1), found, rtol=0, atol=1e-12)
