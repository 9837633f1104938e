"""Evaluators around an evaluator: each changes one thing and passes the rest on.

    Noisy     adds seed noise
    Retried   asks failed children again
    Budgeted  stops when a budget is spent
    Memoized  answers from memory what was asked before

A usual order is `Memoized(Budgeted(Retried(Noisy(evaluator, 0.005), 2), Budget(models=500)))`: repeats reach
neither budget nor evaluator, and what is remembered of a child is its last attempt. The command line wraps
nothing: its engine has a memo and a budget of its own, the table backend noise.

Each keeps the array form of the evaluator inside: `evaluate_bulk` is None where that has none, which is how
`isinstance(wrapper, BulkEvaluator)` tells. `spec` is the inner one's; the list `wrappers` in its settings
says what is around it, from the inside out. `close` closes the inner one.
"""

from pnas_sim.wrappers.budgeted import Budgeted, Spending
from pnas_sim.wrappers.memoized import Memoized
from pnas_sim.wrappers.noisy import Noisy
from pnas_sim.wrappers.retried import Retried

__all__ = ["Budgeted", "Memoized", "Noisy", "Retried", "Spending"]
