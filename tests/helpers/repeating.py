"""Customers who stand in several rows: of their own, or copies. All seeded."""

from __future__ import annotations

import pandas as pd

from helpers.people import people


def panel(customers: int = 600, rows: int = 4) -> pd.DataFrame:
    """Make several rows for each customer, without a day, shuffled: use differs, age and
    plan do not, and who churns is drawn for each customer from nothing.
    """
    made = people(customers)
    frame = pd.DataFrame(
        {
            "customer_id": [f"k{number:05}" for number in made.random.permutation(customers)],
            "age": made.whole(18, 90),
            "plan": made.term,
            "fee": made.price,
            "churn": (made.random.random(customers) < 0.3).astype(int),
        }
    )
    frame = frame.loc[frame.index.repeat(rows)].reset_index(drop=True)
    frame.insert(3, "hours", made.random.gamma(2, 20, len(frame)).round(4))
    return frame.sample(frac=1, random_state=1).reset_index(drop=True)


def copied(customers: int = 600, rows: int = 1000) -> pd.DataFrame:
    """Make customers of whom some stand in the table twice or more, the same in every column."""
    made = people(customers)
    frame = pd.DataFrame(
        {
            "customer_id": [f"k{number:05}" for number in range(customers)],
            "months": made.months,
            "price": made.price,
            "calls": made.calls,
            "churn": made.churned.astype(int),
        }
    )
    again = made.random.integers(0, customers, rows - customers)
    both = pd.concat([frame, frame.iloc[again]], ignore_index=True)
    return both.sample(frac=1, random_state=1).reset_index(drop=True)


def contracts(customers: int = 600) -> pd.DataFrame:
    """Make contracts with an id of their own, some customers having two or three."""
    frame = panel(customers, 3).drop_duplicates(["customer_id", "hours"])
    kept = frame["hours"].rank(pct=True) > 0.35  # about two of three remain
    frame = frame[kept].reset_index(drop=True)
    frame.insert(0, "contract_no", [f"c-{number:06}" for number in range(len(frame))])
    return frame
