"""What must not become a feature, and what the analyst is asked to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from churn.leakage import outcome_signs
from helpers import one_table
from helpers.drafts import Drafting
from helpers.people import people, write_csv


def test_dates_that_lie_after_the_snapshot_are_no_features(draft: Drafting, tmp_path: Path) -> None:
    """A last visit until today tells on the as-of day who will still come."""
    (path,) = one_table.subscriptions(tmp_path)
    frame = pd.read_csv(path)
    made = people(len(frame), seed=2)
    ended = pd.to_datetime(frame["cancelled_on"]).fillna(pd.Timestamp("2024-04-01"))
    frame["last_visit"] = (ended - pd.to_timedelta(made.whole(1, 20), unit="D")).dt.strftime(
        "%Y-%m-%d"
    )
    frame["birthday"] = (
        pd.Timestamp("1950-01-01") + pd.to_timedelta(made.whole(0, 18_000), unit="D")
    ).strftime("%Y-%m-%d")
    drafted = draft(write_csv(frame, path))
    assert drafted.left_out() == {"status", "cancel_reason", "last_visit"}
    assert "as-of day or later" in drafted.comment("last_visit")


def test_a_sum_that_gives_the_end_away(draft: Drafting, tmp_path: Path) -> None:
    """All bills so far, divided by the monthly one, count the months until the end: the
    sum is left out, and why.
    """
    made = people(4000, seed=5)
    begin = pd.Timestamp("2020-01-01") + pd.to_timedelta(
        made.random.integers(0, 1200, 4000), unit="D"
    )
    life = pd.to_timedelta(made.random.exponential(900, 4000).astype(int) + 20, unit="D")
    last = pd.Timestamp("2023-12-31")
    end = (begin + life).where(begin + life <= last)
    paid = ((end.fillna(last) if hasattr(end, "fillna") else end) - begin).days / 30.4 * made.price
    frame = pd.DataFrame(
        {
            "account": [f"A{n:06}" for n in range(4000)],
            "opened": begin.strftime("%Y-%m-%d"),
            "closed": end.strftime("%Y-%m-%d"),
            "monthly": made.price,
            "paid in total": paid.to_numpy().round(2),
        }
    )
    drafted = draft(write_csv(frame, tmp_path / "accounts.csv"))
    assert drafted.end_label.end_date == "closed"
    assert drafted.left_out() == {"paid in total"}
    assert "answer away in `paid in total / monthly" in drafted.comment("paid in total")


def test_what_is_missing_tells_the_answer(draft: Drafting, tmp_path: Path) -> None:
    """A column that only those who left have is left out; an honest one with as many gaps is
    not.
    """
    made = people(2000)
    frame = pd.DataFrame(
        {
            "client": [f"c{n:05}" for n in range(2000)],
            "months": made.months,
            "Grund": np.where(made.churned, made.choose("Preis", "Umzug", "Service"), None),
            "rating": made.blank(made.whole(1, 6), 0.7),
            "churn": np.where(made.churned, "ja", "nein"),
        }
    )
    drafted = draft(write_csv(frame, tmp_path / "clients.csv"))
    assert drafted.left_out() == {"Grund"}
    assert "missing" in drafted.said("Grund:")


def test_a_model_that_is_too_good_is_told(draft: Drafting, tmp_path: Path) -> None:
    """Where no column alone is suspect but all together tell the answer, the analyst is
    asked to look.
    """
    made = people(3000)
    noise = made.random.normal(0, 1, (6, 3000))
    answer = noise.sum(axis=0) > 1.5
    frame = pd.DataFrame({f"part {n}": values.round(4) for n, values in enumerate(noise)}).assign(
        churn=answer.astype(int)
    )
    drafted = draft(write_csv(frame, tmp_path / "parts.csv"))
    assert drafted.left_out() == set()
    assert "AUC of 0.9" in drafted.said("a quick model")


def test_a_strong_column_may_be_honest(draft: Drafting, tmp_path: Path) -> None:
    """What is left out for its score alone is named again, with what allows it."""
    made = people(1500)
    score = np.where(made.churned, made.number(50, 110), made.number(0, 60))
    frame = pd.DataFrame(
        {
            "user": range(7000, 8500),
            "idle days": score,
            "months": made.months,
            "churn": made.churned,
        }
    )
    drafted = draft(write_csv(frame, tmp_path / "users.csv"))
    assert drafted.left_out() == {"idle days"}
    assert "allowed_columns: [idle days]" in drafted.said("idle days: if")


def test_a_name_that_the_feature_store_cannot_hold(draft: Drafting, tmp_path: Path) -> None:
    """Columns whose names end in `_y`, or have a colon, are kept out rather than stopping
    the run.
    """
    made = people(800)
    frame = pd.DataFrame(
        {
            "months_y": made.months,
            "a:b": made.price,
            "calls": made.calls,
            "churn": made.churned.astype(int),
        }
    )
    drafted = draft(write_csv(frame, tmp_path / "merged.csv"))
    assert drafted.left_out() == {"months_y", "a:b"}


def test_a_table_of_those_who_left(draft: Drafting, tmp_path: Path) -> None:
    """Who has a row there has left: the whole table is suspect, for already its rows tell the
    answer; by its name, or by its shape.
    """
    made = people(1200)
    ids = np.array([f"A-{n:05}" for n in made.random.permutation(1200)])
    accounts = {
        "account_id": ids,
        "plan": made.term,
        "seats": made.price,
        "churn_flag": made.churned,
    }
    left = np.repeat(ids[made.churned], 2)
    events = {
        "account_id": left,
        "event": [f"C-{n:05}" for n in range(len(left))],
        "reason": "price",
    }
    tickets = {
        "account_id": np.repeat(ids, made.calls),
        "hours": made.random.gamma(2, 9, made.calls.sum()),
    }
    tables = {
        "accounts": accounts,
        "churn_events": events,
        "last_words": {"account_id": ids[made.churned], "vote": 3},
    }
    tables["tickets"] = tickets
    drafted = draft(
        *(
            write_csv(pd.DataFrame(table), tmp_path / f"{name}.csv")
            for name, table in tables.items()
        )
    )
    suspects = {name: source.suspect for name, source in drafted.params.sources.items()}
    assert suspects["churn_events"] == outcome_signs.TABLE_NAMED
    assert str(suspects["last_words"]).startswith("shaped as the outcome: 100%")
    assert suspects["accounts"] is suspects["tickets"] is None
    assert "allowed_columns: [churn_events]" in drafted.text
