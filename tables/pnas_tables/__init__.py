"""Benchmark tables: the file format, their building from trained cells, and the surrogate fitted on them."""
