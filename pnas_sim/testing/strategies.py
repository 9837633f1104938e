"""The contract of a search: `check_strategy(factory, space)` passes, or says what is broken.

It needs no test framework; call it in a test of any:

    def test_my_search_keeps_the_contract() -> None:
        check_strategy("my_package.search:create", CellSpace(max_blocks=3), n=16, batches=10)

Choose `n` and `batches` so that a search that learns gets past its first, undirected batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np

from pnas_sim.errors import RequestError, SettingError
from pnas_sim.evaluate import Status
from pnas_sim.search.base import Observations, Proposals, SearchRequest, Strategy
from pnas_sim.search.catalogue import make_search
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_sim.testing.checks import (
    call_in_second_process,
    find_path,
    other_global_randomness,
    require,
    require_refusal,
)

Factory: TypeAlias = Callable[[SearchRequest], Strategy]
Trace: TypeAlias = list[tuple[Proposals, Observations]]

CHANCE = 0.1


@dataclass(frozen=True, slots=True)
class _Case:
    """A strategy under test: how it is made, and how long it is driven."""

    factory: str | Factory
    request: SearchRequest
    n: int
    batches: int
    faulty: bool = False

    @property
    def space(self) -> CellSpace:
        return self.request.space

    def make(self) -> Strategy:
        if isinstance(self.factory, str):
            return make_search(self.factory, self.request)
        return self.factory(self.request)


def check_strategy(
    factory: str | Factory,
    space: CellSpace,
    *,
    seed: int = 0,
    seed_matters: bool = True,
    n: int = 8,
    batches: int = 6,
    fidelities: Sequence[float] = (),
    **options: Any,
) -> None:
    """Checks that a search does what `pnas_sim.search.base.Strategy` promises.

    Batches are legal cells, at most n, empty only (and then for good) when the search is finished. The same
    seed asks for the same cells: beside another search, whatever the global generators hold, in another
    process, and after a replay of any number of logged batches. Children that failed or diverged do not end
    it, and asking and telling out of turn is a `SettingError` that leaves no mark.

    Args:
        factory: a name that `make_search` takes, `module:factory` too; or a function of a `SearchRequest`.
            Only what can be imported can be made in a second process: for a lambda that check is left out.
        space: searched.
        seed: of the search.
        seed_matters: whether another seed asks for other cells within `batches`; not so of PNAS on level 1.
        n: cells asked for at a time.
        batches: the search is driven for, if it is not finished before.
        fidelities: the epochs it may ask for, if not any.
        options: in the request; JSON values.

    Raises:
        AssertionError: the contract is broken; the message says where.
    """
    request = SearchRequest(space=space, seed=seed, fidelities=tuple(fidelities), options=options)
    case = _Case(factory, request, n, batches)
    trace = _drive(case)  # imports whatever it needs: some libraries draw global numbers on import
    require(bool(trace), "the search asks for nothing")
    if seed_matters:
        other = _digest(_drive(replace(case, request=replace(request, seed=seed + 1))))
        require(other != _digest(trace), f"seeds {seed} and {seed + 1} ask for the same cells")
    _check_beside_another(case, trace)
    _check_misuse(case, trace)
    _check_replay(case, trace)
    _check_one_at_a_time(replace(case, n=1))
    faulty = replace(case, faulty=True)
    _check_replay(faulty, _drive(faulty))
    path = factory if isinstance(factory, str) else find_path(factory)
    if path:
        _check_second_process(path, case, trace)


# Driving


def _drive(case: _Case) -> Trace:
    """Asks and tells; checks every batch and that the search leaves what it is given alone."""
    strategy = case.make()
    trace: Trace = []
    given_out: list[Rows] = []
    for number in range(case.batches):
        proposals = _ask(case, strategy, number)
        if len(proposals) == 0:
            require(len(strategy.ask(case.n)) == 0, "a finished search asks for cells again")
            break
        kept = replace(proposals, cells=proposals.cells.copy())
        observations = _judge(case, proposals.cells, proposals.epochs, number)
        given = observations.valid_accuracy.copy()
        strategy.tell(observations)
        same = np.array_equal(observations.valid_accuracy, given, equal_nan=True)
        require(same, f"batch {number}: tell changes the accuracies it was given")
        trace.append((kept, observations))
        given_out.append(proposals.cells)
    for number, ((kept, _), cells) in enumerate(zip(trace, given_out, strict=True)):
        require(np.array_equal(cells, kept.cells), f"batch {number}: its cells change after the ask")
    return trace


def _ask(case: _Case, strategy: Strategy, number: int) -> Proposals:
    """The next batch, once it is seen to be a legal one."""
    proposals = strategy.ask(case.n)
    require(isinstance(proposals, Proposals), f"batch {number} is no Proposals")
    cells = proposals.cells
    shape = f"uint8[n, {case.space.width}]"
    right = cells.dtype == np.uint8 and cells.ndim == 2 and cells.shape[1] == case.space.width
    require(right, f"batch {number}: cells are {cells.dtype}{list(cells.shape)}, not {shape}")
    require(len(cells) <= case.n, f"batch {number}: {len(cells)} cells where at most {case.n} were asked for")
    try:
        case.space.validate(cells)
    except RequestError as error:
        raise AssertionError(f"batch {number} holds a cell outside the space: {error}") from error
    _check_remarks(case, proposals, number)
    return proposals


def _check_remarks(case: _Case, proposals: Proposals, number: int) -> None:
    """Checks what a batch says beside its cells."""
    epochs, predicted = proposals.epochs, proposals.predicted
    if epochs is not None:
        require(bool(np.isfinite(epochs)) and epochs > 0, f"batch {number}: epochs is {epochs}")
        known = case.request.fidelities
        require(not known or epochs in known, f"batch {number}: epochs is {epochs}, none of {list(known)}")
    if predicted is not None:
        right = predicted.dtype == np.float64 and predicted.shape == (len(proposals),)
        require(right, f"batch {number}: predicted is not float64[{len(proposals)}]")
        require(bool(np.isfinite(predicted).all()), f"batch {number}: a prediction is not finite")
    counts = 0 <= proposals.unique <= proposals.candidates
    require(counts, f"batch {number}: {proposals.unique} unique of {proposals.candidates} candidates")


def _judge(case: _Case, cells: Rows, epochs: float | None, number: int) -> Observations:
    """Made-up accuracies of canonical cells; in a faulty case some children failed or diverged."""
    hashes = case.space.hash_rows(case.space.canonical(cells))
    worth = (hashes % np.uint64(1009)).astype(np.float64) / 1009
    valid = 0.3 + 0.5 * worth + (0.0 if epochs is None else 0.1 * epochs / (1 + epochs))
    status = np.full(len(cells), Status.OK, np.uint8)
    if case.faulty:
        kind = hashes % np.uint64(3)
        status[kind == 0] = Status.FAILED
        status[kind == 1] = Status.DIVERGED
        if number % 2:
            status[:] = Status.FAILED
    told = np.where(status == Status.DIVERGED, CHANCE, valid)
    return Observations(np.where(status == Status.FAILED, np.nan, told), status)


# Checks


def _check_beside_another(case: _Case, trace: Trace) -> None:
    """Two more of the same seed, turn by turn, after another global seed."""
    with other_global_randomness(1, "the search"):
        pair = (case.make(), case.make())
        for number, (expected, observations) in enumerate(trace):
            for strategy in pair:
                where = f"batch {number}: the same seed asks for other cells beside another search"
                _require_same(strategy.ask(case.n), expected, where)
                strategy.tell(observations)


def _check_misuse(case: _Case, trace: Trace) -> None:
    """Calls out of turn are refused, and the search goes on as if they had not been."""
    strategy = case.make()
    (first, told), rest = trace[0], trace[1:]
    shorter = Observations.ok(told.valid_accuracy[1:])
    longer = Observations.ok(np.append(told.valid_accuracy, 0.5))
    require_refusal("tell before ask", lambda: strategy.tell(told), SettingError)
    require_refusal("ask for 0 cells", lambda: strategy.ask(0), SettingError)
    _require_same(strategy.ask(case.n), first, "batch 0: the same seed asks for other cells after a refusal")
    require_refusal("ask without tell", lambda: strategy.ask(case.n), SettingError)
    require_refusal("fewer answers than cells", lambda: strategy.tell(shorter), SettingError)
    require_refusal("more answers than cells", lambda: strategy.tell(longer), SettingError)
    strategy.tell(told)
    require_refusal("telling twice", lambda: strategy.tell(told), SettingError)
    for expected, observations in rest[:1]:
        _require_same(strategy.ask(case.n), expected, "batch 1 differs after calls that were refused")
        strategy.tell(observations)


def _check_replay(case: _Case, trace: Trace) -> None:
    """A fresh search that replays the first batches goes on with the next, wherever the log ends."""
    for cut in sorted({0, 1, len(trace) // 2, len(trace) - 1, len(trace)}):
        if not 0 <= cut <= len(trace):
            continue
        strategy = case.make()
        for proposals, observations in trace[:cut]:
            strategy.replay(proposals, observations)
        for number, (expected, observations) in enumerate(trace[cut:], cut):
            where = f"batch {number} differs after a replay of the first {cut}"
            _require_same(_ask(case, strategy, number), expected, where)
            strategy.tell(observations)
        if len(trace) < case.batches:
            ended = len(strategy.ask(case.n)) == 0
            require(ended, f"a search that was finished goes on after a replay of {cut} batches")


def _check_one_at_a_time(case: _Case) -> None:
    """Asked for single cells, it gives single cells, and goes on."""
    trace = _drive(case)
    require(bool(trace), "a search that is asked for one cell at a time gives none")


def _check_second_process(path: str, case: _Case, trace: Trace) -> None:
    request = case.request
    there = call_in_second_process(
        "pnas_sim.testing.strategies:trace_elsewhere",
        path=path,
        operations=request.space.operations,
        max_blocks=request.space.max_blocks,
        seed=request.seed,
        fidelities=request.fidelities,
        options=dict(request.options),
        n=case.n,
        batches=case.batches,
    )
    require(there == _digest(trace), "the same seed asks for other cells in another process")


def trace_elsewhere(
    path: str,
    operations: list[str],
    max_blocks: int,
    seed: int,
    fidelities: list[float],
    options: dict[str, Any],
    n: int,
    batches: int,
) -> list[str]:
    """What `check_strategy` compares of a drive in another process: a digest of each batch."""
    space = CellSpace(tuple(operations), max_blocks)
    request = SearchRequest(space=space, seed=seed, fidelities=tuple(fidelities), options=options)
    return _digest(_drive(_Case(path, request, n, batches)))


def _digest(trace: Trace) -> list[str]:
    return [
        blake2b(proposals.cells.tobytes() + repr(proposals.epochs).encode(), digest_size=8).hexdigest()
        for proposals, _ in trace
    ]


def _require_same(found: Proposals, expected: Proposals, where: str) -> None:
    require(np.array_equal(found.cells, expected.cells), where)
    require(found.epochs == expected.epochs, f"{where}: its epochs")
    both = found.predicted is not None and expected.predicted is not None
    same = (
        np.array_equal(found.predicted, expected.predicted)  # type: ignore[arg-type]
        if both
        else found.predicted is expected.predicted
    )
    require(same, f"{where}: its predictions")
    counts = (found.candidates, found.unique) == (expected.candidates, expected.unique)
    require(counts, f"{where}: its counts of candidates")
