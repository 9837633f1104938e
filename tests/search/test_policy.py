from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from pnas_sim.errors import SettingError
from pnas_sim.search import SearchRequest, make_search
from pnas_sim.search.base import Diagnosed, Observations
from pnas_sim.search.controller import Controller
from pnas_sim.search.policy import PolicySearch, PolicySettings
from pnas_sim.search.ppo import make_clipped_objective
from pnas_sim.search.reinforce import weigh_log_chances
from pnas_sim.space import CellSpace

SPACE = CellSpace()
TINY = CellSpace(("sep3", "id"), 2)
PPO = make_clipped_objective(0.2)
pytestmark = pytest.mark.usefixtures("one_thread")


def make(space: CellSpace, objective=weigh_log_chances, **settings) -> PolicySearch:
    return PolicySearch(space, PolicySettings(**{"hidden": 16, **settings}), objective)


@pytest.mark.parametrize("baseline", [0.0, 0.4])
def test_reinforce_is_the_gradient_of_the_expected_reward(answer, baseline: float) -> None:
    """Over all 576 raw cells, weighted by their probabilities, the estimate is exact for any baseline."""
    controller = Controller(TINY, hidden=8)
    weights = controller.draw_weights(np.random.default_rng(2))
    rows = np.array(list(itertools.product(*(range(n) for n in (2, 2, 2, 2, 3, 3, 2, 2)))), np.uint8)
    rewards = torch.from_numpy(answer(rows)).float()
    chances = controller.score(weights, rows)[0].sum(dim=1).exp()
    exact = torch.autograd.grad((chances * rewards).sum(), list(weights.values()))
    log_chances, _ = controller.score(weights, rows)
    advantages = (rewards - baseline) * chances.detach() * len(rows)
    gain = weigh_log_chances(log_chances, log_chances.detach(), advantages)
    for found, wanted in zip(torch.autograd.grad(gain, list(weights.values())), exact, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-3)
    assert max(float(one.abs().max()) for one in exact) > 1e-4


@pytest.mark.parametrize(
    ("ratio", "advantage", "gain", "slope"),
    [
        (1.0, 2.0, 2.0, 2.0),
        (1.1, 2.0, 2.2, 2.0),
        (1.5, 2.0, 2.4, 0.0),  # clipped at 1.2: no more gain from going further
        (0.5, 2.0, 1.0, 2.0),  # the worse of the two counts: it may come back
        (0.5, -2.0, -1.6, 0.0),  # clipped at 0.8
        (1.5, -2.0, -3.0, -2.0),
    ],
)
def test_ppo_clips_the_ratio(ratio: float, advantage: float, gain: float, slope: float) -> None:
    before = torch.tensor([[-1.3]])
    now = (before + np.log(ratio)).requires_grad_()
    found = PPO(now, before, torch.tensor([advantage]))
    found.backward()
    assert float(found.detach()) == pytest.approx(gain, rel=1e-5)
    assert float(now.grad) == pytest.approx(slope * ratio, rel=1e-5)  # d ratio / d log chance = ratio


def test_ppo_sums_over_tokens_and_averages_over_cells() -> None:
    before = torch.zeros(2, 3)
    found = PPO(before, before, torch.tensor([1.0, -4.0]))
    assert float(found) == pytest.approx((3 * 1 - 3 * 4) / 2)


def learn_by_hand(trace: list, objective, settings: PolicySettings, space: CellSpace) -> torch.Tensor:
    """What the weights should be after these batches: the formulas in a straight line, Adam by hand."""
    controller = Controller(space, settings.hidden)
    weights = controller.draw_weights(np.random.default_rng(np.random.SeedSequence([settings.seed, 0, 1])))
    first = {name: torch.zeros_like(value) for name, value in weights.items()}
    second = {name: torch.zeros_like(value) for name, value in weights.items()}
    average, step = None, 0
    for proposals, observations in trace:
        rewards = np.where(observations.status == 2, 0.1, observations.valid_accuracy)
        average = rewards.mean() if average is None else average
        advantages = torch.tensor(rewards - average).float()
        average = 0.95 * average + 0.05 * rewards.mean()
        with torch.no_grad():
            before = controller.score(weights, proposals.cells)[0]
        for _ in range(settings.epochs):
            step += 1
            log_chances, entropies = controller.score(weights, proposals.cells)
            loss = -objective(log_chances, before, advantages)
            loss = loss - settings.entropy * entropies.sum() / len(proposals)
            grads = torch.autograd.grad(loss, list(weights.values()))
            for (name, value), grad in zip(weights.items(), grads, strict=True):
                first[name] = 0.9 * first[name] + 0.1 * grad
                second[name] = 0.999 * second[name] + 0.001 * grad**2
                scale = (second[name] / (1 - 0.999**step)).sqrt() + 1e-8
                with torch.no_grad():
                    value -= settings.learning_rate * first[name] / (1 - 0.9**step) / scale
    return torch.cat([value.detach().flatten() for value in weights.values()])


@pytest.mark.parametrize(("objective", "epochs"), [(weigh_log_chances, 1), (PPO, 3)])
def test_learns_as_by_hand(small_space, answer, drive, objective, epochs: int) -> None:
    settings = PolicySettings(hidden=6, learning_rate=0.01, entropy=0.02, epochs=epochs, batch=10, seed=3)
    search = PolicySearch(small_space, settings, objective)

    def fail(cells: np.ndarray) -> np.ndarray:
        return np.where(cells[:, 2] == 2, 2, 0).astype(np.uint8)

    trace = drive(search, answer, 4, fail=fail)
    assert any((told.status == 2).any() for _, told in trace)
    found = torch.cat([value.detach().flatten() for value in search._weights.values()])
    wanted = learn_by_hand(trace, objective, settings, small_space)
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-4)
    fresh = PolicySearch(small_space, settings, objective)
    start = torch.cat([value.detach().flatten() for value in fresh._weights.values()])
    assert float((start - wanted).abs().max()) > 0.02


@pytest.mark.parametrize(("objective", "epochs"), [(weigh_log_chances, 1), (PPO, 3)])
def test_learns_what_is_rewarded(drive, objective, epochs: int) -> None:
    """The share of operations that are the first one: 1/8 by chance."""
    operations = np.arange(20) % 4 >= 2

    def share_of_first(cells: np.ndarray) -> np.ndarray:
        return (cells[:, operations] == 0).mean(axis=1)

    search = make(SPACE, objective, hidden=32, learning_rate=0.01, epochs=epochs, seed=5)
    trace = drive(search, share_of_first, 80)
    assert [len(proposals) for proposals, _ in trace] == [20] * 80
    assert trace[0][1].valid_accuracy.mean() < 0.25
    assert trace[-1][1].valid_accuracy.mean() > 0.6
    entropies = search.diagnostics()["policy_entropy"]
    assert entropies[-1] < entropies[0] - 5


def test_the_entropy_bonus_keeps_the_policy_open(drive) -> None:
    def share_of_first(cells: np.ndarray) -> np.ndarray:
        return (cells[:, 2::4] == 0).mean(axis=1)

    entropy = {}
    for weight in (0.0, 1.0):
        search = make(TINY, learning_rate=0.02, entropy=weight, seed=5)
        drive(search, share_of_first, 60)
        entropy[weight] = search.diagnostics()["policy_entropy"][-5:].mean()
    assert entropy[1.0] > entropy[0.0] + 0.5


def test_diagnostics_say_what_happened(drive) -> None:
    search = make(TINY, batch=30, seed=1)
    assert isinstance(search, Diagnosed)
    assert [len(figures) for figures in search.diagnostics().values()] == [0, 0, 0]
    trace = drive(search, lambda cells: np.full(len(cells), 0.25), 6)
    found = search.diagnostics()
    assert set(found) == {"policy_entropy", "mean_accuracy", "repeat_rate"}
    assert found["mean_accuracy"].tolist() == [0.25] * 6
    seen: list[str] = []
    for (proposals, _), rate in zip(trace, found["repeat_rate"], strict=True):
        texts = [TINY.canonical_text(text) for text in TINY.format_many(proposals.cells)]
        repeats = sum(text in seen + texts[:at] for at, text in enumerate(texts))
        assert rate == pytest.approx(repeats / 30)
        seen += texts
    assert found["repeat_rate"][-1] > 0.1


@pytest.mark.parametrize(("objective", "epochs"), [(weigh_log_chances, 1), (PPO, 3)])
@pytest.mark.parametrize("cut", [1, 5])
def test_replay_goes_on_as_live(small_space, answer, demand_replay, objective, epochs, cut: int) -> None:
    demand_replay(
        lambda: make(small_space, objective, learning_rate=0.02, epochs=epochs, seed=7), answer, 8, cut
    )


def test_all_failed_batches_are_survived(small_space) -> None:
    search = make(small_space)
    for _ in range(3):
        cells = search.ask(5).cells
        failed = np.full(len(cells), 2, np.uint8)
        search.tell(Observations(np.full(len(cells), np.nan), failed))
    assert all(bool(torch.isfinite(value).all()) for value in search._weights.values())
    assert len(search.ask(5)) == 5


@pytest.mark.parametrize("name", ["reinforce", "ppo"])
def test_failed_children_are_told_as_the_evaluators_chance(small_space, name: str) -> None:
    """Of a hundred classes a tenth would be the best there is."""
    search = make_search(name, SearchRequest(space=small_space, chance=0.01))
    count = len(search.ask(8))
    search.tell(Observations(np.full(count, np.nan), np.full(count, 2, np.uint8)))
    assert search.diagnostics()["mean_accuracy"].tolist() == [0.01]


def test_misuse_is_explained(small_space, demand_turns) -> None:
    demand_turns(make(small_space))
    wrong = ({"hidden": 0}, {"batch": 0}, {"epochs": 0}, {"learning_rate": 0.0}, {"learning_rate": 2.0})
    for settings in (*wrong, {"entropy": -1.0}, {"baseline": 1.5}, {"chance": -0.1}):
        with pytest.raises(SettingError, match=f"{next(iter(settings))} is"):
            make(small_space, **settings)
    for clip in (0.0, 1.0):
        with pytest.raises(SettingError, match="clip is"):
            make_clipped_objective(clip)
    with pytest.raises(SettingError, match="seed is -3"):
        make(small_space, seed=-3)
