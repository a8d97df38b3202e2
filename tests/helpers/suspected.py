"""Made-up companies of which something looks as if it had seen the answer, rightly or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from helpers.people import write_csv


def outcome_tables(folder: Path, size: int = 1500) -> list[Path]:
    """Accounts, their tickets, and a table of those who left: rows for half of them, and for
    3 per cent of those who stayed. What is known in time tells little.
    """
    random = np.random.default_rng(17)
    ids = np.array([f"A-{n:05}" for n in random.permutation(size)])
    logins = random.poisson(20, size)
    left = random.random(size) < 1 / (1 + np.exp(0.4 + 0.06 * (logins - 20)))
    has_row = random.random(size) < np.where(left, 0.5, 0.03)
    days = pd.Timestamp("2024-09-01") + pd.to_timedelta(random.integers(0, 120, size), unit="D")
    accounts = {"account_id": ids, "seats": random.integers(1, 50, size), "logins": logins}
    events = {
        "account_id": ids,
        "closed_on": days.strftime("%Y-%m-%d"),
        "code": random.choice(["price", "service", "moved"], size),
        "refund": random.gamma(2, 20, size).round(2),
    }
    tickets = {
        "account_id": random.choice(ids, size),
        "submitted_at": days.strftime("%Y-%m-%d"),
        "priority": random.choice(["low", "high"], size),
    }
    return [
        write_csv(pd.DataFrame({**accounts, "churn_flag": left}), folder / "accounts.csv"),
        write_csv(pd.DataFrame(events)[has_row], folder / "churn_events.csv"),
        write_csv(pd.DataFrame(tickets), folder / "tickets.csv"),
    ]


def falling_use(size: int = 1500) -> pd.DataFrame:
    """Members of a club: who comes much less than usual will leave; neither number tells it."""
    random = np.random.default_rng(23)
    usual = random.lognormal(0.5, 0.7, size)
    change = np.exp(random.normal(0, 0.4, size))
    left = change < np.exp(random.normal(-0.2, 0.12, size))
    return pd.DataFrame(
        {
            "member_id": [f"M{n:05}" for n in range(size)],
            "months": random.integers(1, 30, size).astype("float64"),
            "visits_average": usual.round(4),
            "visits_this_month": (usual * change).round(4),
            "age": random.integers(18, 60, size).astype("float64"),
            "churn": left.astype(int),
        }
    )


def campaign(folder: Path, size: int = 2000, answer: str = "y") -> Path:
    """A bank's calls: the longer the call of which the answer came, the likelier a yes."""
    random = np.random.default_rng(31)
    said = random.random(size) < 0.2
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 90, size),
            "contact": random.choice(["cellular", "telephone"], size),
            "campaign": random.integers(1, 8, size),
            "duration": random.gamma(2, np.where(said, 230, 100)).round().astype(int),
            "previous": random.integers(0, 4, size),
            answer: np.where(said, "yes", "no"),
        }
    )
    return write_csv(frame, folder / "calls.csv")


def planned_ends(folder: Path, size: int = 1500) -> Path:
    """Contracts that all end some day, most of them after the last that is known."""
    random = np.random.default_rng(37)
    begin = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 1400, size), unit="D")
    end = pd.Timestamp("2023-12-01") + pd.to_timedelta(random.integers(0, 300, size), unit="D")
    frame = pd.DataFrame(
        {
            "contract": [f"C{n:05}" for n in range(size)],
            "signed": begin.strftime("%Y-%m-%d"),
            "date_end": end.strftime("%Y-%m-%d"),
            "price": random.uniform(10, 99, size).round(2),
            "churn": (random.random(size) < 0.2).astype(int),
        }
    )
    return write_csv(frame, folder / "contracts.csv")
