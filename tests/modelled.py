"""A little company's customers, with features and answers, for tests of model building."""

from __future__ import annotations

import numpy as np
import pandas as pd


def make_customers(count: int = 900, seed: int = 0) -> pd.DataFrame:
    """Draw customers whose contract, tenure and price decide how likely they leave; prices are missing at times."""
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
