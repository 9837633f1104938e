"""Predictors inside real searches: how well they rank the beam they chose, what of the pool's best is in it.

The pool of a level is every unique cell that the beam before expands to. An evaluator that answers in bulk
says how good all of them are; nobody tells the search, which sees its own beam only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim import __version__
from pnas_sim.errors import SettingError
from pnas_sim.evaluate import BackendRequest, Evaluator
from pnas_sim.files import make_plain
from pnas_sim.predict import make_predictor
from pnas_sim.registry import make_backend
from pnas_sim.search import Observations, Pnas, Proposals
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows
from pnas_sim.study.finished import find_fingerprint, write_whole
from pnas_sim.study.predictors_pools import ask_truth
from pnas_sim.study.predictors_rows import LEAST_CELLS
from pnas_sim.study.predictors_scores import score_spearman

ASKED_AT_ONCE = 65_536  # cells of a pool


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRow:
    """One level of one search.

    Attributes:
        predictor: its name.
        seed: of the search and of the noise.
        blocks: of the level's cells.
        pool: unique cells that the beam before expands to.
        beam: cells chosen.
        rank_correlation: Spearman of predictions and noisy answers on the beam; NaN below 5 cells.
        rank_correlation_noise_free: the same with noise-free answers; NaN where they are not known.
        recall: share of the pool's best (as many as the beam has; noisy truth) that are in the beam.
        recall_noise_free: the same, of the best by noise-free truth; NaN where it is not known.
        by_chance: recall of a beam drawn at random.
    """

    predictor: str
    seed: int
    blocks: int
    pool: int
    beam: int
    rank_correlation: float
    rank_correlation_noise_free: float
    recall: float
    recall_noise_free: float
    by_chance: float

    def flat(self) -> dict[str, Any]:
        """As one flat record."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchJob:
    """One search with one predictor.

    Attributes:
        predictor: its name.
        options: of the predictor.
        backend: that answers; its name.
        backend_options: of the backend.
        blocks: B.
        beam: K.
        seed: of the search and of the noise.
        epochs: the fidelity.
        data: checksum of what answers come from.
    """

    predictor: str
    options: Mapping[str, Any] = field(default_factory=dict)
    backend: str
    backend_options: Mapping[str, Any]
    blocks: int
    beam: int
    seed: int
    epochs: float
    data: str

    @property
    def file_name(self) -> str:
        """Of what it leaves; another for anything that would make it differ."""
        options = {name: str(value) for name, value in self.backend_options.items()}
        decides = {"version": __version__, **asdict(self), "backend_options": options}
        return f"search-{make_plain(self.predictor)}-s{self.seed}-{find_fingerprint(decides)}.json"

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.predictor} in a search, seed {self.seed}"

    def run(self, folder: Path) -> None:
        """Searches and leaves its file.

        Raises:
            PnasError: as the backend or the predictor.
        """
        request = BackendRequest(blocks=self.blocks, options=dict(self.backend_options))
        with closing(make_backend(self.backend, request)) as evaluator:
            rows = [row.flat() for row in follow_search(self, evaluator)]
        text = json.dumps([{k: None if v != v else v for k, v in row.items()} for row in rows])
        write_whole(folder / self.file_name, text.encode())

    def is_done(self, folder: Path) -> bool:
        """Whether its file is there and whole."""
        return self.read(folder) is not None

    def read(self, folder: Path) -> list[SearchRow] | None:
        """What it left; nothing where that is missing or damaged."""
        try:
            rows: list[dict[str, Any]] = json.loads((folder / self.file_name).read_text(encoding="utf-8"))
            known: list[dict[str, Any]] = [
                {k: float("nan") if v is None else v for k, v in row.items()} for row in rows
            ]
            return [SearchRow(**row) for row in known]
        except (OSError, ValueError, TypeError, AttributeError):
            return None


def follow_search(job: SearchJob, evaluator: Evaluator) -> Iterator[SearchRow]:
    """Runs PNAS and looks at every level's whole pool.

    Raises:
        SettingError: all of a level failed.
    """
    space = CellSpace(operations=evaluator.spec.space.operations, max_blocks=job.blocks)
    search = Pnas(
        space, make_predictor(job.predictor, space, **job.options), beam=job.beam, batch=10**9, seed=job.seed
    )
    parents = space.initial()[:0]
    for blocks in range(1, job.blocks + 1):
        asked = search.ask(10**9)
        noisy, expected, usable = ask_truth(evaluator, asked.cells, job.epochs, job.seed)
        if not usable.any():
            raise SettingError(f"all {len(asked)} cells of {blocks} blocks failed; ask another backend")
        if blocks > 1:
            yield _judge_level(job, space, evaluator, asked, parents, noisy, expected, blocks)
        status = np.where(usable, 0, 2).astype(np.uint8)
        search.tell(Observations(np.where(usable, noisy, np.nan), status))
        parents = asked.cells[usable]


def _judge_level(
    job: SearchJob,
    space: CellSpace,
    evaluator: Evaluator,
    asked: Proposals,
    parents: Rows,
    noisy: Floats,
    expected: Floats,
    blocks: int,
) -> SearchRow:
    pool = space.canonical(space.expand(parents).cells)
    pool = pool[space.unique(pool)[0]]
    pool_noisy, pool_expected = _ask_pool(evaluator, pool, job)
    chosen = set(space.list_keys(asked.cells))
    inside = np.array([key in chosen for key in space.list_keys(pool)])
    predicted = np.full(len(asked), np.nan) if asked.predicted is None else asked.predicted
    return SearchRow(
        predictor=job.predictor,
        seed=job.seed,
        blocks=blocks,
        pool=len(pool),
        beam=len(asked),
        rank_correlation=_correlate(predicted, noisy),
        rank_correlation_noise_free=_correlate(predicted, expected),
        recall=_recall(inside, pool_noisy, len(asked)),
        recall_noise_free=_recall(inside, pool_expected, len(asked)),
        by_chance=len(asked) / len(pool),
    )


def _ask_pool(evaluator: Evaluator, pool: Rows, job: SearchJob) -> tuple[Floats, Floats]:
    parts = [
        ask_truth(evaluator, pool[start : start + ASKED_AT_ONCE], job.epochs, job.seed)[:2]
        for start in range(0, len(pool), ASKED_AT_ONCE)
    ]
    noisy, expected = (np.concatenate(column) for column in zip(*parts, strict=True))
    return noisy, expected


def _correlate(predicted: Floats, truth: Floats) -> float:
    known = np.isfinite(predicted) & np.isfinite(truth)
    if known.sum() < LEAST_CELLS:
        return float("nan")
    return score_spearman(predicted[known], truth[known]).value


def _recall(inside: NDArray[np.bool_], truth: Floats, beam: int) -> float:
    """The share of the pool's best `beam` cells that are inside; failed cells are nobody's best."""
    if not np.isfinite(truth).any():
        return float("nan")
    best = np.argsort(-np.where(np.isfinite(truth), truth, -np.inf), kind="stable")[:beam]
    return float(inside[best].mean())
