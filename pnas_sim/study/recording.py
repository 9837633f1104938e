"""Runs one search and keeps what a comparison needs of it."""

from __future__ import annotations

import numpy as np

from pnas_sim.budget import Budget
from pnas_sim.engine import RunResult, run_search
from pnas_sim.evaluate import Evaluator, Source
from pnas_sim.search.base import Diagnosed, Strategy
from pnas_sim.study.finished import Facts, FinishedRun, Place

BATCH = 256  # cells that a search is asked for at a time


def record_run(
    strategy: Strategy,
    evaluator: Evaluator,
    place: Place,
    *,
    budget: Budget,
    fingerprint: str,
    epochs: float | None = None,
    batch: int = BATCH,
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
    result = run_search(
        strategy, evaluator, budget=budget, evaluation_seed=place.run_seed, epochs=epochs, batch=batch
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
        proposals=figures["proposed"].copy(),
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
