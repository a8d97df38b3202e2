"""A little company's customers, with features and answers, for tests of model building."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from churn.modelling import encoders
from churn.modelling.candidates import Candidate, Contest
from churn.modelling.splitting import Examples

FEATURES = ["tenure", "price"], ["contract", "payment"]


def make_customers(count: int = 900, seed: int = 0) -> pd.DataFrame:
    """Draw customers whose contract, tenure and price decide how likely they leave;
    prices are missing at times.
    """
    random = np.random.default_rng(seed)
    contract = random.choice(["month", "year"], count, p=[0.6, 0.4])
    tenure, price = random.exponential(24, count), random.uniform(20, 100, count)
    logit = -1.6 + 1.5 * (contract == "month") - 0.05 * tenure + 0.012 * price
    return pd.DataFrame(
        {
            "customerID": [f"{number:05}" for number in range(count)],
            "as_of": np.datetime64("2025-10-01", "us"),
            "churned": random.binomial(1, 1 / (1 + np.exp(-logit))),
            "tenure": tenure,
            "price": np.where(random.random(count) < 0.05, np.nan, price),
            "contract": contract,
            "payment": random.choice(["card", "check", "transfer"], count),
        }
    )


def make_examples(count: int = 900) -> Examples:
    """Return customers to learn from, each in a group of one."""
    frame = make_customers(count)
    features = encoders.as_features(frame, *FEATURES)
    return Examples(features, frame["churned"].to_numpy("int64"), np.arange(count))


def make_contest(
    columns: encoders.Columns | None = None,
    *more: Candidate,
    strengths: tuple[float, ...] = (0.01, 1.0),
    leaves: tuple[int, ...] = (2, 4),
    most_trees: int = 60,
) -> Contest:
    """Return the notebook's candidates with small searches, and more of them behind."""
    columns = columns or encoders.Columns(*FEATURES)
    trees = LGBMClassifier(
        n_estimators=most_trees,
        learning_rate=0.2,
        subsample=0.8,
        subsample_freq=1,
        categorical_column=columns.codes,
        random_state=0,
        deterministic=True,
        force_col_wise=True,
        n_jobs=1,
        verbose=-1,
    )
    linear: Any = encoders.encode_for_linear(columns, knots=5, rare=2, seed=0)
    codes: Any = encoders.encode_for_trees(columns, rare=2, seed=0)
    sizes = {"num_leaves": list(leaves)}
    candidates = [
        Candidate("prior", None, DummyClassifier(strategy="prior")),
        Candidate("logistic_regression", linear, LogisticRegression(), {"C": list(strengths)}),
        Candidate("gradient_boosting", codes, trees, sizes, staged="n_estimators"),
        Candidate("blend", mean_of=["logistic_regression", "gradient_boosting"]),
    ]
    return Contest([*candidates, *more], seed=0, most_rows=20_000)
