"""Evaluators that ship: the precomputed table and the training backend."""
