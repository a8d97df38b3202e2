"""Customers who stand in several rows: copies are dropped, and other rows are a group."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from helpers import repeating
from helpers.drafts import Drafting
from helpers.people import write_csv


def test_a_customer_with_rows_of_their_own_is_a_group(draft: Drafting, tmp_path: Path) -> None:
    """The id is the customer's though it repeats, and whoever reads is told what follows."""
    drafted = draft(write_csv(repeating.panel(), tmp_path / "usage.csv"))
    assert (drafted.params.customer_id, drafted.params.group) == ("customer_id", "customer_id")
    assert drafted.params.repeats_customers
    assert "600 customers" in drafted.said("customer id: customer_id")
    assert "600 values in 2,400 rows" in drafted.said("customer_id: 600")
    assert "customer_id" not in drafted.left_out()


def test_copies_do_not_hide_the_customer_id(draft: Drafting, tmp_path: Path) -> None:
    """Rows that are the same in every column are dropped before an id is judged; validation
    is told that they are many.
    """
    drafted = draft(write_csv(repeating.copied(), tmp_path / "customers.csv"))
    assert (drafted.params.customer_id, drafted.params.group) == ("customer_id", None)
    assert "400 repeat another" in drafted.said("customer id: customer_id")
    settings = drafted.params.stages["validation"]
    assert settings == {"max_duplicates_share": 0.45}
    assert "40.0%" in drafted.said("validation.max_duplicates_share")


def test_contracts_of_one_customer_are_a_group(draft: Drafting, tmp_path: Path) -> None:
    """Where a contract has an id of its own, it is scored, and its customer is the group."""
    drafted = draft(write_csv(repeating.contracts(), tmp_path / "contracts.csv"))
    assert (drafted.params.customer_id, drafted.params.group) == ("contract_no", "customer_id")
    assert not drafted.params.repeats_customers


def test_customers_of_the_answer_may_repeat_beside_other_tables(
    draft: Drafting, tmp_path: Path
) -> None:
    """Their calls are joined to each of their rows."""
    rows = repeating.panel()
    calls = pd.DataFrame({"customer_id": rows["customer_id"].iloc[::2], "minutes": rows["hours"]})
    calls = calls.dropna().assign(call_no=range(len(calls.dropna())))
    drafted = draft(
        write_csv(rows, tmp_path / "usage.csv"), write_csv(calls, tmp_path / "calls.csv")
    )
    assert next(iter(drafted.params.sources)) == "usage"
    assert drafted.params.repeats_customers
    assert drafted.params.sources["calls"].many
