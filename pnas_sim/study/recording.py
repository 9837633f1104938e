"""Runs one search and keeps what a comparison needs of it."""

from __future__ import annotations

import struct

import numpy as np

from pnas_sim.budget import Budget
from pnas_sim.engine import RunResult, run_search
from pnas_sim.evaluate import Evaluator, Floats, Source
from pnas_sim.search.base import Diagnosed, Observations, Proposals, Rows, Strategy
from pnas_sim.space import CellSpace
from pnas_sim.space.rows import list_keys
from pnas_sim.study.finished import Facts, FinishedRun, Integers, Place


class Recording:
    """A strategy that passes everything on and remembers what was proposed.

    Args:
        strategy: that is asked and told.

    Attributes:
        batches: everything proposed, in order.
    """

    def __init__(self, strategy: Strategy) -> None:
        self.batches: list[Proposals] = []
        self._strategy = strategy

    def ask(self, n: int) -> Proposals:
        """As the strategy."""
        proposals = self._strategy.ask(n)
        self.batches.append(proposals)
        return proposals

    def tell(self, observations: Observations) -> None:
        """As the strategy."""
        self._strategy.tell(observations)

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """As the strategy."""
        self.batches.append(proposals)
        self._strategy.replay(proposals, observations)


def record_run(
    strategy: Strategy,
    evaluator: Evaluator,
    place: Place,
    *,
    budget: Budget,
    fingerprint: str,
    epochs: float | None = None,
    batch: int = 256,
) -> FinishedRun:
    """Runs a search to its end.

    A model that was trained for fewer epochs counts and costs as one, but has no accuracy to be compared: a
    point of the curve is no full training, and the same cell would stand twice among the best.

    Args:
        strategy: fresh.
        evaluator: answers for cells.
        place: which run it is; its run seed is that of the evaluations.
        budget: when to stop.
        fingerprint: of everything that decides its course but world and seed.
        epochs: of proposals that name none, and of a full training; by default the evaluator's own.
        batch: cells asked for at a time.

    Raises:
        BackendError: as `run_search`.
    """
    recording = Recording(strategy)
    result = run_search(
        recording, evaluator, budget=budget, evaluation_seed=place.run_seed, epochs=epochs, batch=batch
    )
    models, spec = result.evaluations, evaluator.spec
    figures, full = models.figures, epochs or spec.epochs
    whole = figures["epochs"] >= full
    return FinishedRun(
        facts=_describe_facts(place, fingerprint, spec.checksum, result, strategy),
        cells=models.cells,
        blocks=figures["blocks"].astype(np.int64),
        values=np.where(whole, figures["valid_accuracy"], np.nan),
        expected=np.where(whole, figures["expected_valid_accuracy"], np.nan),
        examples=figures["examples"].copy(),
        seconds=figures["seconds"].copy(),
        proposals=count_proposals(spec.space, recording.batches, full, (models.cells, figures["epochs"])),
    )


def _describe_facts(
    place: Place, fingerprint: str, data: str, result: RunResult, strategy: Strategy
) -> Facts:
    models = result.evaluations
    return Facts(
        label=place.label,
        world=place.world,
        seed=place.seed,
        fingerprint=fingerprint,
        data=data,
        proposals=result.proposals,
        repeats=result.repeats,
        failed=result.failed,
        stopped=result.stopped,
        seconds=result.seconds,
        source=str(models[0].source if len(models) else Source.PREDICTED),
        **_find_entropies(strategy),
    )


def _find_entropies(strategy: Strategy) -> dict[str, float]:
    """The entropy of a policy at the beginning and at the end; nothing of a search without one."""
    course = strategy.diagnostics().get("policy_entropy") if isinstance(strategy, Diagnosed) else None
    if course is None or len(course) == 0:
        return {}
    return {"first_entropy": float(course[0]), "last_entropy": float(course[-1])}


def count_proposals(
    space: CellSpace, batches: list[Proposals], epochs: float, answered: tuple[Rows, Floats] | None = None
) -> Integers:
    """For each model in the order it was first proposed, the cells proposed until then, itself included.

    Args:
        space: of the evaluator.
        batches: proposed.
        epochs: of batches that name none.
        answered: canonical rows and epochs of the models that were answered, by default all. Where children
            end in any order, a budget of seconds leaves gaps in the last batch.
    """
    filled = [batch for batch in batches if len(batch)]
    if not filled:
        return np.zeros(0, np.int64)
    rows = space.canonical(np.concatenate([space.fit_width(batch.cells) for batch in filled]))
    fidelities = np.repeat([batch.epochs or epochs for batch in filled], [len(batch) for batch in filled])
    keys = list_keys(np.hstack([_as_bytes(fidelities), rows]))
    first: dict[bytes, int] = {}
    for number, key in enumerate(keys, start=1):
        first.setdefault(key, number)
    if answered is None or len(answered[0]) == len(first):
        return np.fromiter(first.values(), np.int64, len(first))
    known = list_keys(np.hstack([_as_bytes(answered[1]), answered[0]]))
    return np.array([first[key] for key in known], np.int64)


def _as_bytes(values: Floats) -> Rows:
    """The eight bytes of each number, `uint8[n, 8]`."""
    packed = struct.pack(f"<{len(values)}d", *values.tolist())
    return np.frombuffer(packed, np.uint8).reshape(len(values), 8)
