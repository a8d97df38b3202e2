"""How many trees a model should have: its log loss after each of them, from one fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from churn.modelling.metrics import log_loss

Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# What trees in a row may bring nothing, counted in learning rates: 50 of 0.05, 25 of 0.1. After
# them no more are fitted. The smaller the steps, the more of them a rise may last by chance.
RATES_IN_VAIN = 2.5


def can_tell(model: Any) -> bool:
    """Whether a model can say what it would predict with fewer trees."""
    return hasattr(model, "staged_predict_proba") or _is_lightgbm(model)


def measure_stages(model: Any, train: tuple[Any, Labels], asked: tuple[Any, Labels]) -> Floats:
    """Fit an unfitted model, and return its log loss on other rows after each tree.

    LightGBM fits no more when the loss has not fallen for a while (`RATES_IN_VAIN`);
    scikit-learn's models and those with their methods fit all of them.
    """
    if _is_lightgbm(model):
        from lightgbm import early_stopping

        stop = early_stopping(round(RATES_IN_VAIN / model.learning_rate), verbose=False)
        evaluated = {"eval_X": asked[0], "eval_y": asked[1], "eval_metric": "binary_logloss"}
        model.fit(*train, **evaluated, callbacks=[stop])
        ((losses,),) = [each.values() for each in model.evals_result_.values()]
        return np.asarray(losses, dtype=np.float64)
    model.fit(*train)
    stages = model.staged_predict_proba(asked[0])
    return np.array([log_loss(asked[1], probability[:, 1]) for probability in stages])


def average(losses: Sequence[Floats]) -> Floats:
    """Return the mean loss after each tree over several fits; one that stopped early keeps
    its last loss.
    """
    most = max(map(len, losses))
    same_length = [np.pad(each, (0, most - len(each)), "edge") for each in losses]
    means: Floats = np.mean(same_length, axis=0)
    return means


def _is_lightgbm(model: Any) -> bool:
    return type(model).__module__.partition(".")[0] == "lightgbm"
