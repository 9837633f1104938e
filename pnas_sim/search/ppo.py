"""Proximal policy optimisation (Schulman et al. 2017, 1707.06347) on the controller of NASNet.

NASNet names PPO, its learning rate, entropy weight, baseline and batch, but neither clip nor epochs. Here
every token is an action with the advantage of its whole cell; the clip of 0.2 is Schulman et al.'s best, and
3 epochs on each batch of 20 are those of their Atari experiments. Both are ours for this search.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pnas_sim.errors import SettingError
from pnas_sim.search.base import SearchRequest
from pnas_sim.search.policy import Objective, PolicySearch, PolicySettings


def make_clipped_objective(clip: float) -> Objective:
    """The clipped objective (equation 7 of Schulman et al.), summed over tokens, averaged over cells.

    Args:
        clip: how far a token's probability may move from what it was, as a share, before its gradient ends.

    Raises:
        SettingError: clip is not above 0 and below 1.
    """
    if not 0 < clip < 1:
        raise SettingError(f"clip is {clip!r}; it must be above 0 and below 1")

    def clip_ratios(log_chances: Tensor, before: Tensor, advantages: Tensor) -> Tensor:
        ratios = torch.exp(log_chances - before)
        clipped = ratios.clamp(1 - clip, 1 + clip)
        gains = torch.minimum(ratios * advantages[:, None], clipped * advantages[:, None])
        return gains.sum(dim=1).mean()

    return clip_ratios


def create(request: SearchRequest) -> PolicySearch:
    """PPO; options as in `PolicySettings`, and `clip`; `chance` is the request's."""
    options = dict(request.options)
    objective = make_clipped_objective(options.pop("clip"))
    settings = PolicySettings(**options, chance=request.chance, seed=request.seed)
    return PolicySearch(request.space, settings, objective)
