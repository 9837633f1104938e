from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.errors import SettingError
from pnas_sim.study.accounts import Account, Reranking, Spent, count_examples, speed_up_in_examples
from pnas_sim.study.paper import PAPER_ROWS, PaperRow

E1 = 20 * 45_000.0  # the paper's 20 epochs of 45,000 images


def spend(models: float, each: float = E1, reranks: bool = False) -> Spent:
    return Spent(models, models * each, reranks)


def recompute(row: PaperRow, account: Account) -> float:
    policy = spend(row.rl_models, reranks=True)
    return float(speed_up_in_examples(spend(row.pnas_models), policy, E1, account))


@pytest.mark.parametrize("row", PAPER_ROWS, ids=lambda row: f"{row.predictor}-{row.top}")
def test_papers_table_follows_from_its_models(row: PaperRow) -> None:
    assert recompute(row, Account.PAPER) == pytest.approx(row.speed_up_examples, abs=0.05)
    # 3654 / 1160 = 3.15 is printed as 3.2
    assert row.rl_models / row.pnas_models == pytest.approx(row.speed_up_models, abs=0.0501)


def test_printed_speed_ups_are_the_issues() -> None:
    printed = [round(recompute(row, Account.PAPER), 1) for row in PAPER_ROWS]
    assert printed == [8.2, 6.8, 6.4, 5.1, 5.4, 5.7]


def test_charging_both_or_none_changes_the_papers_best_figure() -> None:
    best = PAPER_ROWS[0]
    assert recompute(best, Account.BOTH) == pytest.approx(1.9, abs=0.05)
    assert recompute(best, Account.NONE) == pytest.approx(5.0, abs=0.05)


def test_cost_of_nasnet_search_is_table_3s() -> None:
    searched = spend(20_000)
    assert count_examples(searched, E1, Reranking()) == pytest.approx(21.4e9, rel=0.005)


def test_no_more_are_reranked_than_were_evaluated() -> None:
    assert count_examples(spend(100, 10.0), 10.0, Reranking(250, 15.0)) == 100 * 10 + 100 * 150


def test_low_fidelity_is_charged_as_spent() -> None:
    half = Spent(100, 100 * 0.5 * E1)
    assert speed_up_in_examples(spend(100), half, E1, Account.NONE) == pytest.approx(0.5)


def test_what_is_not_reached_costs_infinitely_much() -> None:
    never = Spent(math.inf, math.inf)
    for account in Account:
        assert speed_up_in_examples(spend(1160), never, E1, account) == math.inf


@pytest.mark.parametrize("account", list(Account))
def test_where_no_examples_are_known_neither_is_the_speed_up(account: Account) -> None:
    own, other = Spent(1160.0, 0.0), Spent(np.array([1160.0, 5808.0, np.inf]), np.zeros(3))
    assert np.isnan(speed_up_in_examples(own, other, 0.0, account)).all()


def test_arrays_are_taken_at_once() -> None:
    models = np.array([row.rl_models for row in PAPER_ROWS], np.float64)
    together = speed_up_in_examples(spend(1160), Spent(models, models * E1, True), E1, Account.PAPER)
    assert together.tolist() == [recompute(row, Account.PAPER) for row in PAPER_ROWS]


@settings(deadline=None, max_examples=50)
@given(
    own=st.integers(1, 10_000),
    other=st.integers(1, 10_000),
    each=st.floats(1, 1e6),
    stage=st.builds(Reranking, st.integers(0, 500), st.floats(0, 30)),
)
def test_accounts_are_ordered(own: int, other: int, each: float, stage: Reranking) -> None:
    paper, none, both = (
        float(speed_up_in_examples(spend(own, each), spend(other, each, True), each, account, stage))
        for account in Account
    )
    assert paper >= none * (1 - 1e-12)
    assert paper >= both * (1 - 1e-12)
    assert none == pytest.approx(other / own)
    reranked = min(other, stage.models) * stage.factor
    assert paper == pytest.approx((other + reranked) / own)
    if own == other:
        assert both == pytest.approx(1.0)


@pytest.mark.parametrize(("models", "factor"), [(-1, 15.0), (250, -0.5)])
def test_negative_stage_is_refused(models: int, factor: float) -> None:
    with pytest.raises(SettingError, match="at least 0"):
        Reranking(models, factor)


def test_the_paper_charges_reinforcement_learning_alone() -> None:
    """Neither evolution measured against PNAS, nor PNAS measured against a policy's runs."""
    assert speed_up_in_examples(spend(100), spend(300), E1, Account.PAPER) == pytest.approx(3)
    policy = spend(100, reranks=True)
    assert speed_up_in_examples(policy, spend(300), E1, Account.PAPER) == pytest.approx(
        300 / (100 + 100 * 15)
    )
    assert speed_up_in_examples(policy, spend(300), E1, Account.NONE) == pytest.approx(3)
