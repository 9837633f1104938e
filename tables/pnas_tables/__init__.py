"""Benchmark tables: the file format, their building from trained cells, and the surrogate fitted on them."""

from pnas_tables.benchmark import Benchmark

__all__ = ["Benchmark"]
