"""The contract of a predictor: `check_predictor("module:factory", space)` passes, or says what is broken.

It needs no test framework; call it in a test of any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from pnas_sim.predict import ExpansionPredictor, Prediction, Predictor, make_predictor
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows
from pnas_sim.testing.checks import (
    call_in_second_process,
    find_path,
    other_global_randomness,
    require,
    require_refusal,
    told_as_broken,
)

Factory: TypeAlias = Callable[[CellSpace], Predictor]

TOLERANCE = 1e-5  # between two ways of asking the same; networks compute in single precision


def check_predictor(factory: str | Factory, space: CellSpace, seed: int = 0, **options: Any) -> None:
    """Checks that a predictor does what `pnas_sim.predict.base.Predictor` promises.

    Args:
        factory: a name that `make_predictor` takes, `module:factory` too; or a function of a space. Only what
            has a name can be made in a second process: for a lambda that check is left out.
        space: of at least 2 blocks.
        seed: of the cells, the accuracies and the fits.
        options: given to `make_predictor` with a name; JSON values.

    Raises:
        AssertionError: the contract is broken; the message says where.
    """
    make = _name_maker(factory, options) if isinstance(factory, str) else factory
    predictor = make(space)
    with told_as_broken("the predictor"):
        _check(predictor, make, factory, space, seed, options)


def _check(
    predictor: Predictor,
    make: Factory,
    factory: str | Factory,
    space: CellSpace,
    seed: int,
    options: dict[str, Any],
) -> None:
    rng = np.random.default_rng(seed)
    cells = space.initial()
    accuracies = rng.uniform(0.3, 0.9, len(cells))
    _check_refusals(predictor, space, cells, accuracies)
    _check_fit_keeps_inputs(predictor, cells, accuracies, seed)
    asked = _draw_cells(space, rng)
    given = asked.copy()
    expected = predictor.predict(given)
    require(np.array_equal(given, asked), "predict changes the rows it was given")
    _check_prediction(expected, len(asked))
    require_refusal("a larger cell than the space has", lambda: predictor.predict(_draw_larger(space)))
    _check_ways_of_asking(predictor, asked, expected.mean, rng)
    _check_expansions(predictor, space, cells)
    again = make(space)
    with other_global_randomness(1, "the predictor"):
        again.fit(cells, accuracies, seed)
    require(np.array_equal(again.predict(asked).mean, expected.mean), "the same fit predicts otherwise")
    name = factory if isinstance(factory, str) else find_path(factory)
    if name:
        there = _ask_second_process(name, options, space, cells, accuracies, asked, seed)
        require(np.array_equal(there, expected.mean), "the same fit in another process predicts otherwise")
    _check_small_data(make(space), cells, asked, seed)


def answer_in_second_process(
    name: str,
    options: dict[str, Any],
    operations: list[str],
    max_blocks: int,
    cells: list[list[int]],
    accuracies: list[float],
    asked: list[list[int]],
    seed: int,
) -> list[float]:
    """What `check_predictor` compares of a fit in another process: the means, exactly."""
    predictor = make_predictor(name, CellSpace(tuple(operations), max_blocks), **options)
    predictor.fit(np.array(cells, np.uint8), np.array(accuracies), seed)
    means: list[float] = predictor.predict(np.array(asked, np.uint8)).mean.tolist()
    return means


def _name_maker(name: str, options: dict[str, Any]) -> Factory:
    return lambda space: make_predictor(name, space, **options)


def _draw_cells(space: CellSpace, rng: np.random.Generator) -> Rows:
    """Draws eight raw rows of every block count: most are larger than those fitted, and not canonical."""
    sizes = range(1, space.max_blocks + 1)
    return np.concatenate([space.sample(8, rng, blocks=size, unique=False) for size in sizes])


def _draw_larger(space: CellSpace) -> Rows:
    """Draws as many cells as have one block, each of one block more than the space has."""
    blocks = space.max_blocks + 1
    wider = CellSpace(space.operations, blocks)
    return wider.sample(len(space.initial()), np.random.default_rng(0), blocks=blocks, unique=False)


def _check_refusals(predictor: Predictor, space: CellSpace, cells: Rows, accuracies: Floats) -> None:
    outside = cells.copy()
    outside[0, 2] = len(space.operations)
    unknown = accuracies.copy()
    unknown[-1] = np.nan
    require_refusal("predict before fit", lambda: predictor.predict(cells))
    require_refusal("an operation outside the space", lambda: predictor.fit(outside, accuracies))
    require_refusal("cells larger than the space has", lambda: predictor.fit(_draw_larger(space), accuracies))
    require_refusal("an accuracy that is not a number", lambda: predictor.fit(cells, unknown))
    require_refusal("an accuracy above 1", lambda: predictor.fit(cells, accuracies + 1))
    require_refusal("fewer accuracies than cells", lambda: predictor.fit(cells, accuracies[1:]))
    require_refusal("no cells", lambda: predictor.fit(cells[:0], accuracies[:0]))


def _check_fit_keeps_inputs(predictor: Predictor, cells: Rows, accuracies: Floats, seed: int) -> None:
    cells_before, accuracies_before = cells.copy(), accuracies.copy()
    predictor.fit(cells, accuracies, seed)
    kept = np.array_equal(cells, cells_before) and np.array_equal(accuracies, accuracies_before)
    require(kept, "fit changes the arrays it was given")


def _check_prediction(prediction: Prediction, count: int) -> None:
    mean, std, members = prediction.mean, prediction.std, prediction.members
    require(mean.shape == (count,) and mean.dtype == np.float64, f"mean is not float64[{count}]")
    require(bool(np.isfinite(mean).all()), "a prediction is not finite")
    require(bool((mean >= 0).all() and (mean <= 1).all()), "a prediction lies outside [0, 1]")
    if std is not None:
        require(std.shape == (count,) and bool((std >= 0).all()), f"std is not {count} numbers of at least 0")
    if members is not None:
        require(members.ndim == 2 and members.shape[1] == count, f"members is not [m, {count}]")
        require(bool(np.isfinite(members).all()), "a member's prediction is not finite")


def _check_ways_of_asking(
    predictor: Predictor, asked: Rows, expected: Floats, rng: np.random.Generator
) -> None:
    one_by_one = np.concatenate([predictor.predict(asked[row : row + 1]).mean for row in range(len(asked))])
    _require_close(one_by_one, expected, "cells asked one by one are predicted otherwise than in a batch")
    order = rng.permutation(len(asked))
    shuffled = predictor.predict(asked[order]).mean
    _require_close(shuffled, expected[order], "the order of the cells asked about changes predictions")
    require(len(predictor.predict(asked[:0]).mean) == 0, "no cells are not answered with no predictions")


def _check_expansions(predictor: Predictor, space: CellSpace, cells: Rows) -> None:
    if not isinstance(predictor, ExpansionPredictor):
        return
    parents = cells[:2]
    while int(space.block_counts(parents[:1])[0]) < space.max_blocks:
        children = space.expand(parents).cells
        scored = predictor.predict_expansions(parents)
        _check_prediction(scored, len(children))
        _require_close(
            scored.mean, predictor.predict(children).mean, "predict_expansions differs from predict"
        )
        parents = children[:: len(children) - 1]
    require(len(predictor.predict_expansions(cells[:0]).mean) == 0, "no parents have expansions")
    require_refusal("parents that are full", lambda: predictor.predict_expansions(parents))


def _check_small_data(predictor: Predictor, cells: Rows, asked: Rows, seed: int) -> None:
    for count in (1, 2):
        predictor.fit(cells[:count], np.full(count, 0.5), seed)
        _check_prediction(predictor.predict(asked), len(asked))


def _ask_second_process(
    name: str,
    options: dict[str, Any],
    space: CellSpace,
    cells: Rows,
    accuracies: Floats,
    asked: Rows,
    seed: int,
) -> Floats:
    """Returns the means that the same fit predicts in a process with another hash seed, `float64[n]`."""
    means = call_in_second_process(
        "pnas_sim.testing.predictors:answer_in_second_process",
        name=name,
        options=options,
        operations=space.operations,
        max_blocks=space.max_blocks,
        cells=cells.tolist(),
        accuracies=accuracies.tolist(),
        asked=asked.tolist(),
        seed=seed,
    )
    return np.array(means, np.float64)


def _require_close(values: Floats, expected: Floats, message: str) -> None:
    require(bool(np.allclose(values, expected, rtol=0, atol=TOLERANCE)), message)
