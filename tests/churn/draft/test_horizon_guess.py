"""End dates, and the day of the snapshot and the horizon that fit them."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import one_table
from helpers.drafts import Drafting
from helpers.people import people, write_csv


def test_ends_that_are_planned(draft: Drafting, tmp_path: Path) -> None:
    """Where contracts have an end long before it comes, the horizon ends with what is
    known, not what is planned.
    """
    made = people(3000)
    begin = pd.Timestamp("2020-01-01") + pd.to_timedelta(
        made.random.integers(0, 1500, 3000), unit="D"
    )
    term = pd.to_timedelta(made.choose(365, 730), unit="D")
    frame = pd.DataFrame(
        {
            "contract_no": np.arange(100_000, 103_000),
            "begin": begin.strftime("%d.%m.%Y"),
            "end": pd.Series((begin + term).strftime("%d.%m.%Y")).mask(made.calls == 0),
            "price": made.price,
        }
    )
    drafted = draft(write_csv(frame, tmp_path / "contracts.csv"))
    label = drafted.end_label
    last = drafted.params.as_of_dates[0] + datetime.timedelta(days=label.horizon_days)
    assert last == begin.max().date()


def test_the_begin_is_no_day_that_moves_on(draft: Drafting, tmp_path: Path) -> None:
    """The last visit lies before the end too, but is no begin; without one every customer
    counts.
    """
    (path,) = one_table.subscriptions(tmp_path, 1500)
    frame = pd.read_csv(path).rename(columns={"signup_date": "last_seen"}).drop(columns="status")
    drafted = draft(write_csv(frame, path))
    assert drafted.end_label.begin_date is None


def test_all_that_is_known_ends_where_the_ends_begin(draft: Drafting, tmp_path: Path) -> None:
    """Events that were cut at the day of the snapshot, and ends after it: that day is
    found, and events keep time.
    """
    made = people(1500)
    day = pd.Timestamp("2024-06-01")
    ends = pd.Series(day + pd.to_timedelta(made.whole(0, 80), unit="D")).where(
        pd.Series(made.churned)
    )
    begins = day - pd.to_timedelta(made.months * 30, unit="D")
    frame = pd.DataFrame(
        {"account_id": range(1500), "price": made.price, "started_at": begins, "ended_at": ends}
    )
    owner = np.repeat(np.arange(1500), made.calls + 1)
    when = day - pd.to_timedelta(made.random.integers(1, 60, len(owner)), unit="D")
    events = pd.DataFrame({"account_id": owner, "at": when, "kind": "login"})
    drafted = draft(
        write_csv(frame, tmp_path / "accounts.csv"), write_csv(events, tmp_path / "events.csv")
    )
    assert drafted.params.as_of_dates == [datetime.date(2024, 6, 1)]
    assert drafted.end_label.horizon_days == 79
    later = write_csv(events.assign(at=when + pd.Timedelta(days=45)), tmp_path / "events.csv")
    assert drafted.params.sources["events"].time == "at"
    assert draft(tmp_path / "accounts.csv", later).columns("events")["at"].feature
