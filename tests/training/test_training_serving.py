"""The worker's side: what it says of a child that failed, and of its device."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pnas_backends.training import process, serving, train
from pnas_backends.training.data import Images
from pnas_backends.training.messages import Failure, Task, WorkerSetup
from pnas_backends.training.process import Worker
from pnas_backends.training.recipe import Recipe
from pnas_backends.training.serving import describe_error, images_part, is_broken, train_or_fail
from pnas_sim.evaluate import Evaluation
from pnas_sim.space import CellSpace

TRAINED = Evaluation(cell="trained")


def make_setup(device: str = "cpu", shares: bool = False) -> WorkerSetup:
    return WorkerSetup(CellSpace(), None, device, None, shares)


def make_task(recipe: Recipe) -> Task:
    return Task(0, CellSpace().initial()[0], recipe, 1)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of CUDA, which is there and answers."""
    asked: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: asked.append(f"synchronize {device}"))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: asked.append("empty_cache"))
    return asked


def make_refuse(error: Exception) -> Callable[..., Evaluation]:
    def refuse(*_: object) -> Evaluation:
        raise error

    return refuse


def test_a_device_is_broken_where_it_answers_no_more(
    cuda: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_broken("cuda:1")
    assert cuda == ["synchronize cuda:1"]
    monkeypatch.setattr(torch.cuda, "synchronize", make_refuse(RuntimeError("CUDA error: unspecified")))
    assert is_broken("cuda:1")
    assert not is_broken("cpu") and not is_broken("mps")


@pytest.mark.parametrize(
    ("error", "broken", "machine", "late"),
    [
        (RuntimeError("CUDA error: an illegal memory access"), True, True, False),
        (RuntimeError("CUDA error: no kernel image"), False, False, False),
        (torch.OutOfMemoryError("CUDA out of memory"), False, True, False),
        (train.TimeLimitError("time limit of 3 s"), False, False, True),
        (train.TimeLimitError("time limit of 3 s"), True, True, False),
    ],
)
def test_a_child_is_told_apart_from_its_device(
    error: Exception,
    broken: bool,
    machine: bool,
    late: bool,
    recipe: Recipe,
    images: Images,
    cuda: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(train, "train_child", make_refuse(error))
    if broken:
        refuse = make_refuse(RuntimeError("CUDA error"))
        monkeypatch.setattr(torch.cuda, "synchronize", refuse)
        monkeypatch.setattr(torch.cuda, "empty_cache", refuse)
    answer = train_or_fail(make_task(recipe), images, make_setup("cuda:0"))
    assert isinstance(answer, Failure)
    assert (answer.machine, answer.last, answer.late) == (machine, broken, late)
    assert broken or cuda == ["synchronize cuda:0", "empty_cache"]


@pytest.mark.parametrize(
    ("device", "shares", "emptied"),
    [("cuda:0", True, ["empty_cache"]), ("cuda:0", False, []), ("cpu", True, []), ("mps", True, [])],
)
def test_memory_is_given_back_where_others_are_on_the_gpu(
    device: str,
    shares: bool,
    emptied: list[str],
    recipe: Recipe,
    images: Images,
    cuda: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(train, "train_child", lambda *_: TRAINED)
    assert train_or_fail(make_task(recipe), images, make_setup(device, shares)) is TRAINED
    assert cuda == emptied


def test_a_worker_leaves_after_its_last_words(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (
        "import sys, pnas_backends.training.serving as serving; serving._load = lambda *_: None; "
        "serving.train_or_fail = lambda *_: serving.Failure('broken', last=True); "
        "serving.serve(int(sys.argv[1]))"
    )
    monkeypatch.setattr(process, "START", broken)
    worker = Worker(make_setup())
    worker.give(make_task(recipe))
    assert worker.hear() is None and worker.ready
    assert worker.hear() == Failure("broken", last=True)
    assert worker._process.wait(30) == 1
    worker.leave()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out of memory (MemoryError)"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried"),
            "out of memory (OutOfMemoryError: CUDA out of memory. Tried)",
        ),
        (
            RuntimeError("[enforce fail] can't allocate memory: you tried"),
            "out of memory (RuntimeError: [enforce fail] ",
        ),
        (RuntimeError("CUDA error: out of memory"), "out of memory (RuntimeError: CUDA error"),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling"), "out of memory (RuntimeError: CUBLAS"),
        (ValueError("first line\nsecond line"), "ValueError: first line"),
        (train.TimeLimitError("time limit of 3 s"), "time limit of 3 s"),
    ],
)
def test_errors_of_a_child_become_one_line(
    error: Exception, reason: str, recipe: Recipe, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "train_child", make_refuse(error))
    outcome = serving.train_or_fail(make_task(recipe), images, make_setup())
    assert isinstance(outcome, Failure)
    assert outcome.reason.startswith(reason)
    assert "\n" not in outcome.reason
    assert outcome.machine == reason.startswith("out of memory")
    assert outcome.late == isinstance(error, train.TimeLimitError)


def test_an_error_without_text_has_a_name() -> None:
    assert describe_error(KeyError()) == "KeyError"
    assert describe_error(TimeoutError()) == "TimeoutError"


def test_only_what_chooses_images_loads_them_anew(recipe: Recipe) -> None:
    assert images_part(recipe) == images_part(recipe.change(epochs=7, filters=9, flip=True, threads=2))
    for change in ({"image_size": 16}, {"train_images": 9}, {"subset_seed": 5}, {"crop": "upsample"}):
        assert images_part(recipe) != images_part(recipe.change(**change))


@pytest.mark.parametrize(("demanded", "outcome"), [("1", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_gpu_is_a_failure_where_one_is_demanded(
    demanded: str,
    outcome: type[BaseException],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("PNAS_REQUIRE_CUDA", demanded)
    with pytest.raises(outcome, match="torch finds no CUDA device"):
        request.getfixturevalue("gpu")
