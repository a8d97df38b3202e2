"""The population stability index."""

from __future__ import annotations

import math

import pytest

from churn.baseline import stability


def test_the_index_is_siddiqis() -> None:
    """A worked example: 0.2 and 0.8 against 0.5 and 0.5; equal shares have not moved."""
    found = stability.measure_psi([0.5, 0.5], [0.2, 0.8])
    assert found == pytest.approx(0.3 * math.log(0.5 / 0.2) + 0.3 * math.log(0.8 / 0.5))
    assert stability.measure_psi([0.5, 0.5], [0.5, 0.5]) == 0


def test_an_empty_bin_is_finite() -> None:
    """A value that came or went counts as one row of ten thousand."""
    assert stability.measure_psi([1.0, 0.0], [0.5, 0.5]) == pytest.approx(
        0.5 * math.log(2) + (0.5 - 1e-4) * math.log(0.5 / 1e-4)
    )


def test_other_bins_are_refused() -> None:
    """Shares of other bins cannot be compared."""
    with pytest.raises(ValueError, match="shorter"):
        stability.measure_psi([0.5, 0.5], [1.0])
