"""What `churn init` suspects and what it asks reaches the params file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from churn.leakage import outcome_signs
from helpers import suspected
from helpers.drafts import Drafting
from helpers.people import write_csv


def test_the_table_of_the_outcomes_is_suspect(draft: Drafting, tmp_path: Path) -> None:
    """Half of those who left have a row there, and hardly anybody else; the tickets are not."""
    drafted = draft(*suspected.outcome_tables(tmp_path))
    assert drafted.params.sources["churn_events"].suspect == outcome_signs.TABLE_NAMED
    assert drafted.params.sources["tickets"].suspect is None
    assert not drafted.left_out("accounts") - {"account_id"}
    assert "churn_events" in drafted.said("churn_events: by its name")
    assert "allowed_columns: [churn_events]" in drafted.text


def test_a_table_is_suspect_by_its_shape(draft: Drafting, tmp_path: Path) -> None:
    """Whatever it is called."""
    accounts, events, tickets = suspected.outcome_tables(tmp_path)
    drafted = draft(accounts, events.rename(tmp_path / "batch7.csv"), tickets)
    why = drafted.params.sources["batch7"].suspect
    assert why is not None
    assert why.startswith("shaped as the outcome")


def test_falling_use_is_asked_about_and_kept(draft: Drafting, tmp_path: Path) -> None:
    """Two numbers that tell the answer together are no proof; the file says how to decide."""
    drafted = draft(write_csv(suspected.falling_use(), tmp_path / "members.csv"))
    assert drafted.left_out() == set()
    asked = [one.ask for one in drafted.columns().values() if one.ask]
    assert len(asked) == 1
    assert "visits_average / visits_this_month" in asked[0]
    assert "How to decide" in drafted.text


def test_how_long_the_call_lasted_that_had_the_outcome(draft: Drafting, tmp_path: Path) -> None:
    """Of a campaign it is suspect; where the answer is who left, it is asked."""
    drafted = draft(suspected.campaign(tmp_path), label="y=yes")
    assert drafted.left_out() == {"duration"}
    assert drafted.columns()["duration"].suspect == outcome_signs.SAME_CONTACT
    drafted = draft(suspected.campaign(tmp_path, answer="churn"))
    assert drafted.left_out() == set()
    assert drafted.columns()["duration"].ask is not None


def test_a_planned_end_that_every_customer_has_is_asked(draft: Drafting, tmp_path: Path) -> None:
    """It lies ahead, and may have been known when the contract was signed."""
    drafted = draft(suspected.planned_ends(tmp_path))
    assert drafted.left_out() == set()
    assert "planned" in str(drafted.columns()["date_end"].ask)
    assert drafted.columns()["signed"].ask is None


def test_of_two_dates_of_an_event_the_one_at_which_it_was_known(
    draft: Drafting, tmp_path: Path
) -> None:
    """A payment counts from the day on which it was booked."""
    accounts, _, tickets = suspected.outcome_tables(tmp_path)
    frame = pd.read_csv(tickets)
    day = pd.to_datetime(frame["submitted_at"])
    late = pd.to_timedelta(np.arange(len(frame)) % 9, unit="D")
    frame["payment_date"] = (day - late).dt.strftime("%Y-%m-%d")
    frame = frame.rename(columns={"submitted_at": "booked_date"})
    drafted = draft(accounts, write_csv(frame, tmp_path / "payments.csv"))
    assert drafted.params.sources["payments"].time == "booked_date"
