"""Progressive neural architecture search (Liu et al., ECCV 2018): the engine, its searches and predictors."""

__version__ = "0.1.0"
