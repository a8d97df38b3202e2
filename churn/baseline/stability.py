"""The population stability index: how far the shares of a column's values have moved.

Needs neither pandas nor numpy: the notebooks use it, and the comparison of runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

# Siddiqi, N. (2006), Credit Risk Scorecards, Wiley: below the first a column is stable,
# above the second it has shifted much.
SOME, LARGE = 0.1, 0.25

_SMALLEST_SHARE = 1e-4  # an empty bin counts as this much, so that the logarithm stays finite


def measure_psi(expected: Iterable[float], found: Iterable[float]) -> float:
    """Return the population stability index of two lists of shares, bin by bin: the sum
    of (found - expected) ln(found / expected).

    Source: Siddiqi (2006), as above.

    Raises:
        ValueError: one has more bins than the other.
    """
    pairs = [
        (max(old, _SMALLEST_SHARE), max(new, _SMALLEST_SHARE))
        for old, new in zip(expected, found, strict=True)
    ]
    return float(sum((new - old) * math.log(new / old) for old, new in pairs))
