"""What guesses accuracy: predictors by name, what they return, and the seam for one's own.

`make_predictor("mlp-ensemble", space)` is the paper's best; `list_predictors()` names the others. A new one
needs `fit` and `predict` as `Predictor` says, and passes `pnas_sim.testing.predictors.check_predictor`.
"""

from pnas_sim.predict.base import ExpansionPredictor, Prediction, Predictor
from pnas_sim.predict.catalogue import PredictorInfo, describe_predictor, list_predictors, make_predictor

__all__ = [
    "ExpansionPredictor",
    "Prediction",
    "Predictor",
    "PredictorInfo",
    "describe_predictor",
    "list_predictors",
    "make_predictor",
]
