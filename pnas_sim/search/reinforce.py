"""REINFORCE (Williams 1992) on the controller of NASNet, the plainer of the two RL baselines."""

from __future__ import annotations

from torch import Tensor

from pnas_sim.search.base import SearchRequest
from pnas_sim.search.policy import PolicySearch, PolicySettings


def weigh_log_chances(log_chances: Tensor, before: Tensor, advantages: Tensor) -> Tensor:
    """The mean over cells of advantage times log probability, whose gradient is REINFORCE's estimate.

    Args:
        log_chances: of each token, `[n, T]`.
        before: not used: with one step a batch they are the same.
        advantages: reward less baseline, `[n]`.
    """
    return (log_chances.sum(dim=1) * advantages).mean()


def create(request: SearchRequest) -> PolicySearch:
    """REINFORCE; options as in `PolicySettings` but `epochs` (one step a batch) and `chance`, the request's.

    Learning rate 0.00035 is NASNet's for PPO and that of REINFORCE in ENAS (Pham et al. 2018, 1802.03268).
    """
    settings = PolicySettings(**request.options, chance=request.chance, seed=request.seed)
    return PolicySearch(request.space, settings, weigh_log_chances)
