"""Which column names the customer, and which tables join it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.drafts import Drafting
from helpers.people import people, write_csv


@pytest.mark.parametrize(
    "name", ["phone number", "Account_No", "msisdn", "Kundennummer", "id_client", "account"]
)
def test_ids_by_other_names(draft: Drafting, tmp_path: Path, name: str) -> None:
    """What names the customer may be a phone or account number."""
    made = people(700)
    numbers = [
        f"{n // 10_000:03}-{n % 10_000:04}" for n in made.random.permutation(9_000_000)[:700]
    ]
    frame = pd.DataFrame(
        {
            "months": made.months,
            name: numbers,
            "price": made.price,
            "churn": made.churned.astype(int),
        }
    )
    drafted = draft(write_csv(frame, tmp_path / "customers.csv"))
    assert drafted.params.customer_id == name
    assert "700" in drafted.said(f"customer id: {name}")


def test_an_id_that_starts_anew_in_each_part(draft: Drafting, tmp_path: Path) -> None:
    """Ids that repeat name nobody: the rows are numbered, and the column is no feature."""
    made = people(2000)
    frame = pd.DataFrame(
        {
            "CustomerID": [*range(1, 1201), *range(1, 801)],
            "months": made.months,
            "price": made.price,
            "Churn": made.churned.astype(int),
        }
    )
    parts = [
        write_csv(frame[:1200], tmp_path / "part-a.csv"),
        write_csv(frame[1200:], tmp_path / "part-b.csv"),
    ]
    drafted = draft(*parts)
    assert drafted.params.numbers_rows
    assert drafted.left_out() == {"CustomerID"}


def test_a_table_of_more_customers_than_the_first(draft: Drafting, tmp_path: Path) -> None:
    """Members without an answer cannot be joined, which validation is told to allow,
    and the analyst to look at.
    """
    made = people(3000)
    ids = np.array([f"m{n:05}" for n in range(3000)])
    write_csv(
        pd.DataFrame({"msno": ids, "city": made.choose("a", "b"), "age": made.whole(18, 90)}),
        tmp_path / "members.csv",
    )
    answers = pd.DataFrame({"msno": ids[:1800], "is_churn": made.churned[:1800].astype(int)})
    drafted = draft(write_csv(answers, tmp_path / "train.csv"), tmp_path / "members.csv")
    assert list(drafted.params.sources) == ["train", "members"]
    assert 0.5 < drafted.params.stages["validation"]["min_key_match"] < 0.6
    assert "members" in drafted.said("validation.min_key_match")


def test_ids_that_are_written_otherwise(draft: Drafting, tmp_path: Path) -> None:
    """A table whose ids have leading zeros elsewhere, or the answer in a column of its
    own, is left out with a hint.
    """
    made = people(800)
    frame = pd.DataFrame(
        {"customer_id": [f"{n:06}" for n in range(800)], "churn": made.churned.astype(int)}
    )
    other = pd.DataFrame({"customer_id": range(800), "months": made.months})
    alone = pd.DataFrame({"answer of": made.choose("a", "b")})
    files = [
        write_csv(part, tmp_path / f"{name}.csv")
        for name, part in (("a", frame), ("b", other), ("c", alone))
    ]
    drafted = draft(*files)
    assert {"customer_id", "a.csv"} <= set(drafted.said("b.csv: its").replace(",", "").split())
    assert "a.csv" in drafted.said("c.csv:")


def test_accounts_are_no_counts(draft: Drafting, tmp_path: Path) -> None:
    """`account_id` names the customer, also of whole numbers in their order, and an
    answer of accounts is one.
    """
    made = people(900)
    frame = pd.DataFrame(
        {
            "account_id": range(1, 901),
            "price": made.price,
            "account_closed": made.churned.astype(int),
        }
    )
    usage = pd.DataFrame({"account_id": range(1, 901), "calls": made.calls})
    drafted = draft(
        write_csv(frame, tmp_path / "crm.csv"), write_csv(usage, tmp_path / "usage.csv")
    )
    assert drafted.params.customer_id == "account_id"
    assert list(drafted.params.sources) == ["crm", "usage"]
    assert drafted.column_label.column == "account_closed"
    assert "sure" in drafted.said("label: account_closed, churned = 1 ")


def test_events_of_customers_are_no_customers(draft: Drafting, tmp_path: Path) -> None:
    """Neither is a time stamp the customer's id; where a user has many rows, a file of
    the users is asked for.
    """
    random = np.random.default_rng(5)
    events = {
        "ts": 1_538_352_000_000 + random.permutation(4000) * 1_000,
        "userId": random.integers(0, 200, 4000),
        "page": random.choice(["Home", "Song", "Help"], 4000),
        "auth": random.choice(["Logged In", "Cancelled"], 4000, p=[0.9, 0.1]),
    }
    drafted = draft(write_csv(pd.DataFrame(events), tmp_path / "events.csv"))
    assert drafted.params.numbers_rows
    assert "events.csv" in drafted.said("userId: 200 values in 4,000 rows")


def test_the_id_of_a_document_store(draft: Drafting, tmp_path: Path) -> None:
    """`_id.$oid` names the customer, rather than the phone."""
    made = people(600)
    names = {
        "_id.$oid": [f"{n:024x}" for n in range(600)],
        "profile.phone": [f"+4930{n:07}" for n in range(600)],
    }
    frame = pd.DataFrame({**names, "months": made.months, "churned": made.churned})
    assert draft(write_csv(frame, tmp_path / "customers.csv")).params.customer_id == "_id.$oid"


def test_a_file_beside_another(draft: Drafting, tmp_path: Path) -> None:
    """The answers in a file of their own, without a key, are left out, and it is said
    what to do with them.
    """
    made = people(900)
    frame = pd.DataFrame(
        {"months": made.months, "price": made.price, "is_active": 1 - made.churned.astype(int)}
    )
    labels = tmp_path / "answers.csv"
    labels.write_text("\n".join(np.where(made.churned, "1", "-1")) + "\n", encoding="utf-8")
    drafted = draft(write_csv(frame, tmp_path / "customers.csv"), labels)
    assert "customers.csv" in drafted.said("answers.csv: one column")
