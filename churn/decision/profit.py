"""Decision by money: what contacting a customer is expected to bring, whom to contact,
and how good a model is at it.

The campaign is that of Verbraken, Verbeke and Baesens, A Novel Profit Maximizing Metric
for Measuring Classification Performance of Customer Churn Prediction Models, IEEE
Transactions on Knowledge and Data Engineering 25(5), 2013. Each contact costs
`contact_cost` and carries an offer that costs `offer_cost` if it is taken. A customer
who would have stayed takes it; one who would have left takes it, and stays, with the
probability `keep_chance`: his value is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import beta  # type: ignore[import-untyped]
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_curve

from churn.params import suggest

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Money:
    """What a campaign costs and brings, all in one unit. The defaults are those of the
    source: a contact costs 1.

    `value_column`, if it is given, holds the value of each customer, to be multiplied
    with `value_times`; it stands in for `customer_value`. `keep_trials` says how well
    `keep_chance` is known: as from so many customers tried.
    """

    contact_cost: float = 1.0
    offer_cost: float = 10.0
    keep_chance: float = 0.3
    customer_value: float = 200.0
    value_column: str = ""
    value_times: float = 1.0
    keep_trials: float = 20.0

    def facts(self) -> dict[str, Any]:
        """Return them as plain values, as a model's facts keep them; `Money(**facts)`
        makes them again.
        """
        return asdict(self)

    def problems(self, known: pd.DataFrame) -> Iterator[str]:
        """Yield what keeps a campaign from making sense, for customers with these columns."""
        for name in ("contact_cost", "offer_cost"):
            if not getattr(self, name) >= 0:
                yield f"{name} is {getattr(self, name)}: expected a cost of at least 0"
        if not 0 < self.keep_chance < 1:
            yield f"keep_chance is {self.keep_chance}: expected a probability between 0 and 1"
        if not self.keep_trials > 0:
            yield f"keep_trials is {self.keep_trials}: expected a number above 0"
        if self.value_column and self.value_column not in known:
            near = suggest(self.value_column, [str(name) for name in known])
            absent = f"there is no column {self.value_column!r} in the training set"
            yield f"value_column: {absent}{near}"
        elif self.value_column and not pd.api.types.is_numeric_dtype(known[self.value_column]):
            yield f"value_column: {self.value_column!r} is not a column of numbers"
        elif not self.value_column and not self.customer_value > self.offer_cost:
            least = f"expected more than the offer costs ({self.offer_cost})"
            yield f"customer_value is {self.customer_value}: {least}"


def values_of(frame: pd.DataFrame, money: Money) -> Floats:
    """Return the value of each customer; where it is missing, that of the middle
    customer; never below 0.
    """
    if not money.value_column:
        return np.full(len(frame), money.customer_value, dtype=np.float64)
    values = frame[money.value_column].astype("float64")
    filled = values.fillna(values.median()).fillna(0.0).clip(lower=0) * money.value_times
    return np.asarray(filled, dtype=np.float64)


def expected_gain(probability: Floats, values: Floats, money: Money) -> Floats:
    """Return what contacting each customer is expected to bring, given the probability
    that he leaves.
    """
    kept = money.keep_chance * (values - money.offer_cost)
    gain: Floats = probability * kept - (1 - probability) * money.offer_cost - money.contact_cost
    return gain


def actual_gain(churned: Labels, values: Floats, money: Money) -> Floats:
    """Return what contacting each customer would have brought, now that it is known who left."""
    return expected_gain(churned.astype("float64"), values, money)


def best_thresholds(values: Floats, money: Money) -> Floats:
    """Return the probability above which contacting each customer pays; 1 where it never does.

    Without an offer it is `contact_cost / (keep_chance * value)`.
    """
    stakes = money.keep_chance * (values - money.offer_cost) + money.offer_cost
    cost = money.contact_cost + money.offer_cost
    thresholds: Floats = np.divide(cost, stakes, out=np.ones(len(values)), where=stakes > cost)
    return thresholds


def typical_threshold(values: Floats, money: Money) -> float:
    """Return the probability above which contacting the middle customer pays."""
    return float(best_thresholds(np.array([np.median(values)]), money)[0])


def campaign(churned: Labels, probability: Floats, values: Floats, money: Money) -> pd.DataFrame:
    """Return what comes of contacting the best 0, 1, 2, … customers, by expected gain.

    Returns:
        At most 501 rows with `share` and `customers` contacted, `expected` and
        `actual`: profit per customer of all. Customers with equal expected gain bring
        the mean of their group, so that no order among them is assumed.
    """
    expected = expected_gain(probability, values, money)
    actual = (
        pd.Series(actual_gain(churned, values, money))
        .groupby(expected)
        .transform("mean")
        .to_numpy()
    )
    order = np.argsort(-expected, kind="stable")
    contacted = np.unique(np.linspace(0, len(order), min(len(order) + 1, 501)).astype(int))
    totals = [
        np.concatenate([[0.0], np.cumsum(gain[order])])[contacted] / len(order)
        for gain in (expected, actual)
    ]
    return pd.DataFrame(
        {
            "share": contacted / len(order),
            "customers": contacted,
            "expected": totals[0],
            "actual": totals[1],
        }
    )


def maximum_profit(
    churned: Labels, probability: Floats, money: Money, value: float
) -> dict[str, float]:
    """Return MP and EMPC, the largest profit per customer that some threshold gives,
    and the shares to contact for it.

    For MP `keep_chance` is known; for EMPC, the expected maximum profit, it follows a
    beta distribution of that mean, worth `keep_trials` trials. The formulas are those
    of the source (see the module), on the convex hull of the ROC curve, with one
    `value` for all customers. Keys: mp, mp_share, empc, empc_share.
    """
    left, stayed = _hull(churned, probability)
    rate = float(np.mean(churned))
    # Shares of all customers: contacted, and would leave or stay.
    hits, misses = rate * left, (1 - rate) * stayed
    worth = hits * (value - money.offer_cost)  # if all of them were kept
    costs = (hits + misses) * money.contact_cost + misses * money.offer_cost
    at_known = money.keep_chance * worth - costs
    best = int(np.argmax(at_known))
    chance, kept = _expect_between(_crossings(worth, costs), money)
    return {
        "mp": float(at_known[best]),
        "mp_share": float((hits + misses)[best]),
        "empc": float(np.sum(worth * kept - costs * chance)),
        "empc_share": float(np.sum((hits + misses) * chance)),
    }


def _hull(churned: Labels, probability: Floats) -> tuple[Floats, Floats]:
    """Return true and false positive rates of the corners of the ROC curve's convex
    hull, from (0, 0) to (1, 1).

    The steps of isotonic regression are the segments of that hull.
    """
    score = IsotonicRegression(out_of_bounds="clip").fit_transform(probability, churned)
    false_positive, true_positive, _ = roc_curve(churned, score, drop_intermediate=True)
    return np.asarray(true_positive), np.asarray(false_positive)


def _crossings(worth: Floats, costs: Floats) -> Floats:
    """Return from which `keep_chance` on each corner of the hull is the best one, with
    1 behind the last.
    """
    more, dearer = np.diff(worth), np.diff(costs)
    from_where = np.divide(dearer, more, out=np.full(len(more), np.inf), where=more > 0)
    return np.concatenate([[0.0], np.maximum.accumulate(np.clip(from_where, 0, 1)), [1.0]])


def _expect_between(bounds: Floats, money: Money) -> tuple[Floats, Floats]:
    """Return the probability that `keep_chance` lies between two bounds, and its share of
    the mean.
    """
    a, b = money.keep_chance * money.keep_trials, (1 - money.keep_chance) * money.keep_trials
    chance = np.diff(beta.cdf(bounds, a, b))
    kept = money.keep_chance * np.diff(beta.cdf(bounds, a + 1, b))
    return chance, kept


def profit_interval(
    churned: Labels,
    contacted: Flags,
    values: Floats,
    money: Money,
    *,
    groups: npt.NDArray[Any],
    samples: int,
    seed: int,
) -> dict[str, float]:
    """Return the profit per customer of contacting some customers, with its 95 %
    interval (bootstrap percentiles; rows of one group are drawn together).
    """
    gains = actual_gain(churned, values, money) * contacted
    code = pd.factorize(groups)[0]
    totals, sizes = np.bincount(code, weights=gains), np.bincount(code)
    random, means = np.random.default_rng(seed), []
    for _ in range(samples):
        drawn = random.integers(len(totals), size=len(totals))
        means.append(float(totals[drawn].sum() / sizes[drawn].sum()))
    low, high = np.quantile(means, [0.025, 0.975])
    return {"profit": float(np.mean(gains)), "low": float(low), "high": float(high)}


def compare_policies(
    churned: Labels,
    probability: Floats,
    values: Floats,
    money: Money,
    *,
    groups: npt.NDArray[Any],
    samples: int,
    seed: int,
) -> pd.DataFrame:
    """Compare whom one could contact: nobody, all, and whom the model's probabilities
    make worth it. `groups` are the numbers of the rows that belong together.

    Returns:
        A row for each policy: share contacted, share of the churners reached, expected
        profit, profit, low, high; a profit is per customer, the interval as in
        `profit_interval`.
    """
    expected = expected_gain(probability, values, money)
    policies: Mapping[str, Flags] = {
        "contact nobody": np.zeros(len(churned), dtype=bool),
        "contact all": np.ones(len(churned), dtype=bool),
        "contact whom the model says": expected > 0,
    }
    how: dict[str, Any] = {"groups": groups, "samples": samples, "seed": seed}
    rows = {
        name: {
            "contacted": chosen.mean(),
            "churners reached": churned[chosen].sum() / max(int(churned.sum()), 1),
            "expected profit": float(np.mean(expected * chosen)),
            **profit_interval(churned, chosen, values, money, **how),
        }
        for name, chosen in policies.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def name_metrics(
    policies: pd.DataFrame, most: Mapping[str, float], threshold: float
) -> dict[str, float]:
    """Name the figures of the decision as MLflow and the run's record call them;
    profits are per customer.

    Args:
        policies: see `compare_policies`; the last is the model's.
        most: see `maximum_profit`.
        threshold: the probability from which on to contact.
    """
    best = policies.iloc[-1].astype(float)
    return {
        "threshold": threshold,
        "contact_share": best["contacted"],
        "churners_reached": best["churners reached"],
        "expected_profit": best["profit"],
        "expected_profit_low": best["low"],
        "expected_profit_high": best["high"],
        "empc": most["empc"],
    }
