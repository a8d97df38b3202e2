"""Made-up customers, whose answer follows from what is known of them. All seeded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[Any]


@dataclass
class People:
    """Customers with what makes them leave: values of a random generator that the shapes
    dress up.
    """

    random: np.random.Generator
    churned: Array
    months: Array
    price: Array
    calls: Array
    term: Array

    @property
    def size(self) -> int:
        """How many they are."""
        return len(self.churned)

    def choose(self, *values: Any, p: list[float] | None = None) -> Array:
        """Draw one of these values for each."""
        return self.random.choice(np.array(values, dtype=object), self.size, p=p)

    def number(self, low: float, high: float, digits: int = 2) -> Array:
        """Draw a number for each."""
        return self.random.uniform(low, high, self.size).round(digits)

    def whole(self, low: int, high: int) -> Array:
        """Draw a whole number for each."""
        return self.random.integers(low, high, self.size)

    def blank(self, values: Array, share: float, text: Any = None) -> Array:
        """Put a text, or nothing, in the place of some values."""
        return np.where(self.random.random(self.size) < share, text, values.astype(object))


def people(size: int, seed: int = 7, rate: float = -1.3) -> People:
    """Make customers who leave the likelier, the shorter they are here, the more they
    pay and the more they call.
    """
    random = np.random.default_rng(seed)
    months, price = random.integers(1, 72, size), random.gamma(4, 15, size).round(2) + 5
    calls, term = (
        random.poisson(1.5, size),
        random.choice(["month", "year", "two years"], size, p=[0.55, 0.25, 0.2]),
    )
    logit = (
        rate
        - 0.03 * (months - 30)
        + 0.02 * (price - 65)
        + 0.35 * (calls - 1.5)
        - 1.2 * (term != "month")
    )
    churned = random.random(size) < 1 / (1 + np.exp(-logit))
    return People(random, churned, months, price, calls, term)


def write_csv(frame: pd.DataFrame, path: Path, **options: Any) -> Path:
    """Write a table as text."""
    frame.to_csv(path, index=False, lineterminator="\n", **options)
    return path
