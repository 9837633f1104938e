"""A predictor study as one JSON object and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pnas_sim.predict import PredictorInfo
from pnas_sim.study.predictors import Study, StudySettings

SCHEMA = 1


def describe_study(
    study: Study,
    settings: StudySettings,
    infos: Sequence[PredictorInfo],
    about: Mapping[str, Any],
    surrogate_kind: str,
) -> dict[str, Any]:
    """The study as JSON values, NaN among them.

    Args:
        study: what was found.
        settings: what was asked.
        infos: of the predictors.
        about: of the table and the command.
        surrogate_kind: of what answers in source "surrogate"; empty if it is no model.
    """
    circular = {info.name for info in infos if info.is_favoured(surrogate_kind)}
    return {
        "kind": "predictors",
        "schema": SCHEMA,
        **about,
        "trials": settings.trials,
        "seed": settings.seed,
        "resamples": settings.resamples,
        "predictors": [_describe_predictor(info, info.name in circular) for info in infos],
        "rows": [
            {
                **row.flat(),
                "shares_surrogate_family": row.predictor in circular,
                "circular": row.source == "surrogate" and row.predictor in circular,
            }
            for row in study.rows
        ],
        "ceilings": [ceiling.flat() for ceiling in study.ceilings],
        "searches": [
            {**search.flat(), "circular": search.predictor in circular} for search in study.searches
        ],
    }


def _describe_predictor(info: PredictorInfo, circular: bool) -> dict[str, Any]:
    return {
        "name": info.name,
        "description": info.description,
        "family": info.family,
        "shares_surrogate_family": circular,
    }


def format_csv(result: Mapping[str, Any]) -> str:
    """The rows as CSV with a head; unknown figures are empty, those of single trials left out."""
    out = io.StringIO()
    rows = result["rows"]
    if rows:
        columns = [name for name in rows[0] if name != "by_trial"]
        writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: "" if is_unknown(value) else value for key, value in row.items()} for row in rows
        )
    return out.getvalue()


def is_unknown(value: Any) -> bool:
    """Whether a value of a result says nothing: null, or NaN."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))
