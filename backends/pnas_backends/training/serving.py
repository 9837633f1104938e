"""The worker's side: a process that is told what to train and answers each child, until its pipe ends."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from pnas_backends.training.messages import Failure, LoadFailure, Outcome, Task, WorkerSetup
from pnas_backends.training.process import JOB_SIGNALS
from pnas_backends.training.recipe import Recipe
from pnas_sim.errors import DataError

if TYPE_CHECKING:
    from pnas_backends.training.data import Images

NO_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")  # of PyTorch, CUDA, cuBLAS, MPS


def serve(handle: int) -> None:
    """Runs a worker: receives its setup, then tasks, and answers each, until the pipe ends.

    A device whose context is broken answers nothing any more: the process leaves, and a new one takes over.
    """
    for number in JOB_SIGNALS:  # the parent's business, which then closes the pipes
        signal.signal(number, signal.SIG_IGN)
    connection = Connection(handle)
    setup: WorkerSetup = connection.recv()
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, tasks), daemon=True).start()
    loaded: tuple[Recipe, Images] | None = None
    while True:
        task = tasks.get()
        if loaded is None or loaded[0] != images_part(task.recipe):
            try:
                loaded = images_part(task.recipe), _load(task.recipe, setup)
            except DataError as error:
                connection.send(error)
                continue
            except Exception as error:
                connection.send(LoadFailure(describe_error(error)))
                continue
            connection.send(None)
        answer = train_or_fail(task, loaded[1], setup)
        connection.send(answer)
        if isinstance(answer, Failure) and answer.last:
            os._exit(1)


def _receive(connection: Connection, tasks: queue.SimpleQueue[Task]) -> None:
    """Takes in tasks; ends the process with the pipe, in mid-training too: nobody waits for it."""
    try:
        while True:
            tasks.put(connection.recv())
    except (EOFError, OSError):
        os._exit(0)


def images_part(recipe: Recipe) -> Recipe:
    """The recipe with everything that does not choose images put back to its default."""
    kept = ("dataset", "image_size", "channels", "classes", "train_images", "valid_images", "test_images")
    return Recipe(**{name: getattr(recipe, name) for name in (*kept, "subset_seed", "crop")})


def _load(recipe: Recipe, setup: WorkerSetup) -> Images:
    from pnas_backends.training.data import load_images

    return load_images(recipe, setup.data).to(setup.device)


def train_or_fail(task: Task, images: Images, setup: WorkerSetup) -> Outcome:
    """Trains a child; whatever goes wrong becomes a `Failure` with one line of reason."""
    import torch

    from pnas_backends.training.train import TimeLimitError, train_child

    begun, on_gpu = time.process_time(), torch.device(setup.device).type == "cuda"
    try:
        answer: Outcome = train_child(
            task.row, task.recipe, images, task.seed, setup.device, setup.space, setup.time_limit
        )
    except Exception as error:
        reason, seconds = describe_error(error), time.process_time() - begun
        broken = is_broken(setup.device)
        memory = reason.startswith("out of memory")
        late = isinstance(error, TimeLimitError) and not broken
        answer = Failure(reason, seconds, machine=broken or memory, last=broken, late=late)
    if on_gpu and (setup.shares or isinstance(answer, Failure)):
        with suppress(RuntimeError):  # what is cached here is missing to the others on this device
            torch.cuda.empty_cache()
    return answer


def is_broken(device: str) -> bool:
    """Whether a CUDA device answers this process no more: an error on it may last as long as the process."""
    import torch

    if torch.device(device).type != "cuda":
        return False
    try:
        torch.cuda.synchronize(torch.device(device))
    except RuntimeError:
        return True
    return False


def describe_error(error: Exception) -> str:
    """One line on an error; running out of memory is named as such."""
    lines = str(error).strip().splitlines()
    line = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    if isinstance(error, TimeoutError) and lines:
        return lines[0]
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"} or any(words in line for words in NO_MEMORY):
        return f"out of memory ({line})"
    return line
