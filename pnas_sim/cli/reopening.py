"""A run that is to go on past its end: with a larger budget, or to train again what failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from pnas_sim.budget import Budget
from pnas_sim.cli.folder import RunFolder, write_whole
from pnas_sim.cli.settings import read_toml
from pnas_sim.cli.toml import format_toml
from pnas_sim.errors import RunError, SettingError
from pnas_sim.runlog import RunLog

BY_BUDGET = frozenset(("budget", "proposals"))  # ends that another budget moves


def demand_more(given: str, begun: str, result: Mapping[str, Any] | None) -> None:
    """Checks that a budget takes a run further than the one it has.

    Args:
        given: the new budget, as typed.
        begun: the run's.
        result: of the run, if it has ended.

    Raises:
        SettingError: it is no budget, counts something else, or is not larger.
        RunError: the run ended by itself.
    """
    new, old = astuple(Budget.parse(given)), astuple(Budget.parse(begun))
    if [one is None for one in new] != [one is None for one in old]:
        raise SettingError(f"--budget is {given}, the run's is {begun}; give more of the same unit")
    if max(one for one in new if one is not None) <= max(one for one in old if one is not None):
        raise SettingError(f"--budget is {given}, the run's is {begun}; give more than that")
    if result is not None and result.get("stopped") not in BY_BUDGET:
        raise RunError(f"the run ended by itself ({result.get('stopped')}): no budget takes it further")


def reopen(folder: RunFolder, budget: str | None, retry_failed: bool) -> None:
    """Has a run go on that may have ended: its result goes, what is asked for is written down.

    The result goes first: a run that was stopped in between comes to an end again. Otherwise nothing is
    written.

    Args:
        folder: of the run.
        budget: a larger one, which `demand_more` let pass.
        retry_failed: children that failed are forgotten, and so trained again.

    Raises:
        RunError: another process is at work on the run, no child of it failed, or the settings cannot be
            written.
        WorkError: the disk is full.
    """
    with RunLog(folder.log) as log:  # held, so that no other process goes on with it meanwhile
        if retry_failed and not log.count_failed():
            raise RunError(f"no child of the run in {folder.path} failed; leave --retry-failed out")
        folder.result.unlink(missing_ok=True)
        if retry_failed:
            log.forget_failed()
        if budget is not None:
            record = read_toml(folder.settings, "the run's")
            record["settings"]["budget"] = budget
            write_whole(folder.settings, format_toml(record))
