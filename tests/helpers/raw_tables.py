"""Raw tables of one column each, and the limits that validation looks at them with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from churn.params import Column
from churn.tables.encoded import Table, encode_table

RNG = np.random.default_rng(7)
ROWS = 2000
AGES = RNG.integers(18, 91, ROWS)
PRICES = RNG.uniform(18, 118, ROWS).round(2)
COUNTS = RNG.poisson(1.5, ROWS)
BALANCES = np.where(np.arange(ROWS) % 3 == 0, 0, RNG.normal(120_000, 30_000, ROWS).round(2))


def table_of(kind: str = "number", **columns: Sequence[object]) -> dict[str, Table]:
    """Return one table of columns of one type."""
    frame = pd.DataFrame(columns).astype("str")
    return {"t": encode_table(frame, {str(name): Column(type=kind) for name in frame})}  # type: ignore[arg-type]


def plant(values: Sequence[object], value: object, every: int = 40) -> list[object]:
    """Write a value into each so many rows."""
    return [value if place % every == 0 else one for place, one in enumerate(values)]
