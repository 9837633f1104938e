"""The command line: the one place where searches, backends and tables meet."""

from pnas_sim.cli.main import main, pnas_sim

__all__ = ["main", "pnas_sim"]
