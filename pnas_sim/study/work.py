"""The jobs of a comparison and the process that does them. Each finished job leaves one file.

A worker makes the evaluator of a world once and keeps it for its next jobs there.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pnas_sim.budget import Budget
from pnas_sim.errors import PnasError, RunError, WorkError
from pnas_sim.evaluate import BackendRequest, Evaluator
from pnas_sim.plugins import describe_error
from pnas_sim.registry import make_backend
from pnas_sim.search.ablations import read_model, read_oracle
from pnas_sim.search.base import SearchRequest
from pnas_sim.search.catalogue import make_search
from pnas_sim.space import CellSpace
from pnas_sim.study.finished import Place, read_run, write_run, write_whole
from pnas_sim.study.landmarks import Landmarks, find_landmarks
from pnas_sim.study.recording import record_run
from pnas_sim.study.settings import CompareSettings
from pnas_sim.threads import set_threads

RUNS, LANDMARKS = "runs", "landmarks"
THREADS = 1  # of a search, so that the same seed gives the same one whatever the workers
SAFE_PATH = "PYTHONSAFEPATH"


class OtherSettingsError(RunError):
    """What a folder holds was made with other settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run, or the landmarks of a world.

    Attributes:
        settings: of the comparison.
        place: which run; for landmarks its label is empty.
        fingerprint: of the settings that decide its outcome.
        options: of the search, with defaults filled in.
        folder: of the comparison.
    """

    settings: CompareSettings
    place: Place
    fingerprint: str
    options: Mapping[str, Any] = field(default_factory=dict)
    folder: Path

    @property
    def path(self) -> Path:
        """Of the file that it leaves."""
        if not self.place.label:
            return self.folder / LANDMARKS / f"w{self.place.world}.json"
        return self.folder / RUNS / self.place.file_name

    @property
    def name(self) -> str:
        """For people."""
        if not self.place.label:
            return f"landmarks of world {self.place.world}"
        return f"{self.place.label}, world {self.place.world}, seed {self.place.seed}"

    def is_done(self, data: str) -> bool:
        """Whether its file is there.

        Args:
            data: checksum of what answers come from now.

        Raises:
            OtherSettingsError: it is there, but of other settings.
            RunError: it is damaged, or from other data.
        """
        if not self.path.exists():
            return False
        found, fingerprint = self._read_stamps()
        if found != data:
            raise RunError(
                f"{self.path} is of data with checksum {found[:12] or 'none'}, the table's is "
                f"{data[:12] or 'none'}; bring the old table back or give another --out"
            )
        if fingerprint != self.fingerprint:
            raise OtherSettingsError(
                f"{self.path} was made with other settings of {self.place.label or 'landmarks'}, or by a "
                "version that gave all worlds the same seeds; give the old settings, or another --out"
            )
        return True

    def _read_stamps(self) -> tuple[str, str]:
        if self.place.label:
            facts = read_run(self.path).facts
            return facts.data, facts.fingerprint
        landmarks, fingerprint = read_landmarks(self.path)
        return landmarks.data, fingerprint


def request_search(
    settings: CompareSettings, evaluator: Evaluator, options: Mapping[str, Any], seed: int
) -> SearchRequest:
    """What a search of a comparison is made from; the ablation that is told the truth finds it here.

    No search may train for longer than the others: fidelities end at the epochs of the comparison.
    """
    spec = evaluator.spec
    most = settings.epochs or spec.epochs
    return SearchRequest(
        space=CellSpace(operations=spec.space.operations, max_blocks=settings.blocks),
        seed=seed,
        fidelities=tuple(at for at in spec.fidelities if at <= most),
        chance=spec.chance,
        options=options,
        oracle=read_oracle(evaluator, settings.epochs, seed),
        model=read_model(evaluator),
    )


def prepare_worker(safe_path: str | None) -> None:
    """Readies a worker process: Ctrl-C is the parent's business, which ends its workers itself.

    A parent that is killed cannot do so; its workers leave when they see that it is gone. What a worker
    prints goes to standard error: standard output is for what the command has to say.

    Args:
        safe_path: `PYTHONSAFEPATH` as programs that the worker starts shall have it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    sys.stdout = sys.stderr
    set_variable(SAFE_PATH, safe_path)
    set_threads(THREADS)


def set_variable(name: str, value: str | None) -> None:
    """Sets a variable of the environment; None: unsets it."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class Worker:
    """Does jobs one after the other.

    Keeps the evaluator of the last world, so that a table is read once for the many jobs in it.
    """

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._evaluator: Evaluator | None = None

    def do(self, job: Job) -> None:
        """Does a job and leaves its file.

        Raises:
            PnasError: as what it is made of.
            WorkError: a search or backend raised something that is no error of this project.
        """
        try:
            self._do(job)
        except PnasError:
            raise
        except Exception as error:
            raise WorkError(
                f"{job.name} failed: {describe_error(error)}; mend it and give the same command again"
            ) from error

    def close(self) -> None:
        """Lets go of the evaluator."""
        if self._evaluator is not None:
            self._evaluator.close()
        self._key, self._evaluator = (), None

    def _do(self, job: Job) -> None:
        evaluator, settings = self._open(job), job.settings
        if not job.place.label:
            found = find_landmarks(
                evaluator,
                job.place.world,
                blocks=settings.blocks,
                sample=settings.sample,
                local=settings.local,
                epochs=settings.epochs,
            )
            write_landmarks(job.path, found, job.fingerprint)
            return
        request = request_search(settings, evaluator, job.options, job.place.run_seed)
        run = record_run(
            make_search(settings.searches[job.place.label].search, request),
            evaluator,
            job.place,
            budget=Budget.parse(settings.budget),
            fingerprint=job.fingerprint,
            epochs=settings.epochs,
        )
        write_run(job.path, run)

    def _open(self, job: Job) -> Evaluator:
        options = job.settings.options_for_backend(job.place.world)
        key = (job.settings.backend, job.settings.blocks, sorted(options.items(), key=str))
        if self._evaluator is None or key != self._key:
            self.close()
            request = BackendRequest(blocks=job.settings.blocks, options=options)
            self._evaluator, self._key = make_backend(job.settings.backend, request), key
        return self._evaluator


_WORKER = Worker()  # of this process, if it is one of a pool


def do_in_pool(job: Job) -> None:
    """Does a job in a worker process."""
    _WORKER.do(job)


def write_landmarks(path: Path, landmarks: Landmarks, fingerprint: str) -> None:
    """Writes a world's landmarks, whole or not at all.

    Raises:
        WorkError: they cannot be written.
    """
    text = json.dumps({"fingerprint": fingerprint, "landmarks": landmarks.as_json()}, indent=2)
    write_whole(path, f"{text}\n".encode())


def read_landmarks(path: Path) -> tuple[Landmarks, str]:
    """A world's landmarks and the fingerprint of what they were made with.

    Raises:
        RunError: the file is damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return Landmarks(**value["landmarks"]), str(value["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        raise RunError(f"{path} is damaged; remove it and give the same command again") from None
