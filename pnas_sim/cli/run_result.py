"""What a run came to, as the object of its `result.json` and of `--json`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnas_sim.budget import Budget
from pnas_sim.cli.output import strict
from pnas_sim.evaluate import Evaluation, EvaluatorSpec
from pnas_sim.search.base import Diagnosed, Strategy
from pnas_sim.search.catalogue import count_first_cells

if TYPE_CHECKING:
    from pnas_sim.cli.settings import RunSettings
    from pnas_sim.engine import RunResult

SCHEMA = 1
MOST_POINTS = 500  # of a course


def describe_run(
    settings: RunSettings, spec: EvaluatorSpec, strategy: Strategy, result: RunResult, folder: Path
) -> dict[str, Any]:
    """The `--json` object of a run.

    Args:
        settings: with all defaults filled in.
        spec: of its evaluator.
        strategy: at its end.
        result: of the engine.
        folder: of the run.
    """
    return {
        "kind": "run",
        "schema": SCHEMA,
        "search": settings.search,
        "predictor": settings.search_options.get("predictor"),
        "backend": settings.backend,
        "source": str(result.evaluations[0].source) if result.evaluations else None,
        "seed": settings.seed,
        "evaluation_seed": settings.evaluation_seed,
        "space": {"operations": list(spec.space.operations), "max_blocks": settings.blocks},
        "models_evaluated": result.models_evaluated,
        "proposals": result.proposals,
        "repeats": result.repeats,
        "failed": result.failed,
        "examples": result.examples,
        "seconds": result.seconds,
        "child_seconds": result.child_seconds,
        "stopped": result.stopped,
        "levels": [strict(asdict(level)) for level in result.levels],
        "best": _describe_best(result.best),
        **_describe_course(strategy),
        "notes": [
            *_note_budget(settings, spec, result),
            *_note_seconds(settings, result),
            *result.notes,
            *_note_repeats(spec),
        ],
        "out": str(folder),
    }


def _note_budget(settings: RunSettings, spec: EvaluatorSpec, result: RunResult) -> Iterator[str]:
    """Says if a run's budget ended before the search could learn.

    Such a run is no wrong request: a few children show that a backend trains, and nobody knows beforehand how
    far a budget of seconds goes.
    """
    first = count_first_cells(settings.search, settings.search_options, spec.space, settings.blocks)
    if result.stopped == "budget" and result.proposals <= first:
        yield (
            f"the budget ended within the first {first} models ({result.models_evaluated} evaluated): "
            f"{settings.search} never learnt from any; raise --budget"
        )


def _note_seconds(settings: RunSettings, result: RunResult) -> Iterator[str]:
    """Says if a budget of time could not be counted."""
    counted = result.child_seconds > 0 or not result.models_evaluated
    if Budget.parse(settings.budget).seconds is not None and not counted:
        yield (
            f"budget is {settings.budget}, but backend {settings.backend} tells no time of children: it was "
            "not counted"
        )


def _note_repeats(spec: EvaluatorSpec) -> Iterator[str]:
    """Says if the same run again need not be the same."""
    if not spec.deterministic:
        yield (
            f"backend {spec.name} does not repeat itself there: the same seed gives a child other "
            "accuracies, and a run that is resumed or repeated may take another course"
        )


def _describe_course(strategy: Strategy) -> dict[str, Any]:
    """A search's own word on its course (a policy's entropy, say); a point is the mean of `every` batches."""
    if not isinstance(strategy, Diagnosed):
        return {}
    figures = strategy.diagnostics()
    batches = max((len(values) for values in figures.values()), default=0)
    every = max(1, -(-batches // MOST_POINTS))
    course: dict[str, Any] = {"every": every}
    for name, values in figures.items():
        chunks = [values[begin : begin + every] for begin in range(0, len(values), every)]
        course[name] = [strict(float(chunk.mean())) for chunk in chunks]
    return {"diagnostics": course}


def _describe_best(best: Evaluation | None) -> dict[str, Any] | None:
    """The best cell, with its noise-free value: the best of many noisy ones is biased."""
    if best is None:
        return None
    known = {
        "cell": best.cell,
        "valid_accuracy": best.valid_accuracy,
        "expected_valid_accuracy": best.expected_valid_accuracy,
        "test_accuracy": best.test_accuracy,
        "parameters": best.parameters if best.parameters >= 0 else None,
        "multiply_adds": best.multiply_adds if best.multiply_adds >= 0 else None,
        "extrapolated": best.extrapolated,
    }
    return {name: strict(value) for name, value in known.items()}
