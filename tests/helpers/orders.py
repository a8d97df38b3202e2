"""Orders of customers who buy at their own pace until, unseen, they stop."""

from __future__ import annotations

import numpy as np
import pandas as pd

START = pd.Timestamp("2021-01-01")


def make_orders(
    customers: int = 23_570, *, weeks: int = 78, cohort_weeks: int = 12, seed: int = 1
) -> pd.DataFrame:
    """Make orders of the BG/NBD model: a row an order, with `customer`, `day`, `number` of
    items and `amount`, in the order of customer and day.

    Customers first buy within `cohort_weeks`. From then on they buy as a Poisson process,
    whose rate a week is drawn from a gamma distribution, and after each repeated order stop
    with a probability drawn from a beta distribution. The four parameters are those that
    Fader, Hardie and Lee estimated for CDNOW (2005, *"Counting Your Customers" the Easy
    Way: An Alternative to the Pareto/NBD Model*, Marketing Science 24(2), table 2); the size
    is that of CDNOW's master file. Amounts are lognormal, around a mean of each customer's.
    """
    random = np.random.default_rng(seed)
    rate = random.gamma(0.243, 1 / 4.414, customers)
    stops = random.beta(0.793, 2.426, customers)
    usual = random.normal(3.2, 0.6, customers)
    time = random.uniform(0, cohort_weeks, customers)
    who, waves = np.arange(customers), []
    while len(who):
        waves.append(pd.DataFrame({"customer": who, "time": time}))
        is_repeated = len(waves) > 1
        goes_on = random.random(len(who)) >= stops[who] * is_repeated
        who, time = who[goes_on], time[goes_on]
        time = time + random.exponential(1, len(who)) / rate[who]
        who, time = who[time < weeks], time[time < weeks]
    orders = pd.concat(waves).sort_values(["customer", "time"], ignore_index=True)
    amount = np.exp(random.normal(usual[orders["customer"]], 0.4)).round(2)
    return pd.DataFrame(
        {
            "customer": [f"{number:05}" for number in orders["customer"]],
            "day": START + pd.to_timedelta(np.floor(7 * orders["time"]), unit="D"),
            "number": 1 + random.poisson(amount / 20),
            "amount": amount,
        }
    )


def write_spaced(orders: pd.DataFrame, path: str) -> None:
    """Write orders as old programs do: columns padded with spaces, without names."""
    with open(path, "w", encoding="ascii") as out:
        for row in orders.itertuples(index=False):
            out.write(f" {row.customer} {row.day:%Y%m%d} {row.number:2} {row.amount:8.2f}\n")
