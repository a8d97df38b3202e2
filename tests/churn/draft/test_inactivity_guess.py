"""Where nothing says who has left: an answer made of inactivity."""

from __future__ import annotations

import datetime
from pathlib import Path

import pandas as pd
import pytest

from churn.draft.column_types import look_at
from churn.draft.inactivity_guess import find_inactivity
from churn.draft.keys_and_joins import Key
from churn.draft.table_reading import Table
from churn.params import ColumnLabel, InactivityLabel
from helpers.drafts import Drafting, draft_here
from helpers.orders import make_orders, write_spaced
from helpers.people import people, write_csv


def inactivity(drafted: object) -> InactivityLabel:
    """Return the label, which has to be made of inactivity."""
    label = drafted.params.label  # type: ignore[attr-defined]
    assert isinstance(label, InactivityLabel)
    return label


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    """Orders of 1,500 customers over a year and a half."""
    return make_orders(1_500)


def test_a_lone_table_of_orders(draft: Drafting, tmp_path: Path, orders: pd.DataFrame) -> None:
    """Padded with spaces and without names: four columns, the first names the customers,
    the second the day; as many days behind the as-of day as data before it.
    """
    write_spaced(orders, str(tmp_path / "orders.txt"))
    drafted = draft(tmp_path / "orders.txt")
    (source,) = drafted.params.sources.values()
    assert (source.many, source.time, drafted.params.customer_id) == (True, "column_2", "column_1")
    assert len(source.columns) == 4
    end = orders["day"].max() + pd.Timedelta(days=1)
    label = inactivity(drafted)
    (day,) = drafted.params.as_of_dates
    assert day + datetime.timedelta(days=label.inactive_days) == end.date()
    assert label.inactive_days == (end - orders["day"].min()).days // 2
    assert "of those who have one" in drafted.said("label: inactivity")
    assert "counts as churned: is that so" in drafted.said("nothing says who has left")


def test_an_order_number_is_no_customer(
    draft: Drafting, tmp_path: Path, orders: pd.DataFrame
) -> None:
    """Though it is unique; it becomes no feature."""
    numbered = orders.assign(order_id=[f"B{number:06}" for number in range(len(orders))])
    columns = ["order_id", "customer", "day", "amount"]
    path = write_csv(
        numbered.rename(columns={"customer": "customer_id"})[
            [*columns[:1], "customer_id", *columns[2:]]
        ],
        tmp_path / "sales.csv",
    )
    drafted = draft(path)
    assert drafted.params.customer_id == "customer_id"
    assert inactivity(drafted).table == "sales"
    assert drafted.left_out() == {"order_id"}


def test_beside_a_table_of_customers(draft: Drafting, tmp_path: Path, orders: pd.DataFrame) -> None:
    """Orders by their name show who is still there; tickets do not: they are offered, and
    `--label` takes them.
    """
    made = people(1_500)
    known = pd.DataFrame(
        {"customer_id": sorted(orders["customer"].unique()), "plan": made.choose("a", "b", "c")}
    )
    renamed = orders.rename(columns={"customer": "customer_id"})
    paths = [write_csv(known, tmp_path / "customers.csv")]
    drafted = draft(*paths, write_csv(renamed, tmp_path / "orders.csv"))
    assert list(drafted.params.sources) == ["customers", "orders"]
    assert inactivity(drafted).table == "orders"
    tickets = write_csv(renamed[["customer_id", "day"]], tmp_path / "tickets.csv")
    out = tmp_path / "offered.yaml"
    assert draft_here(tmp_path, out, *paths, tickets) == 1
    assert "# label: {table: tickets, inactive_days: " in out.read_text()
    assert inactivity(draft(*paths, tickets, label="tickets")).table == "tickets"


def test_an_answer_in_a_column_goes_first(
    draft: Drafting, tmp_path: Path, orders: pd.DataFrame
) -> None:
    """Whoever is known to have left need not be guessed."""
    made = people(1_500)
    known = pd.DataFrame(
        {"customer_id": sorted(orders["customer"].unique()), "churned": made.choose("yes", "no")}
    )
    renamed = orders.rename(columns={"customer": "customer_id"})
    paths = [
        write_csv(known, tmp_path / "customers.csv"),
        write_csv(renamed, tmp_path / "orders.csv"),
    ]
    assert isinstance(draft(*paths).params.label, ColumnLabel)


def guess(orders: pd.DataFrame, day: datetime.date | None = None) -> tuple[object, ...]:
    """Return days, as-of day, customers and churned that are guessed of orders."""
    frame = orders.astype("str")
    table = Table("orders", {}, frame, len(frame), "orders.csv")
    table.columns = look_at(frame)
    key = Key("orders", "customer", len(frame), frame["customer"].nunique())
    (found,) = find_inactivity([table, table], None, [key], None, day)
    return found.label.inactive_days, found.as_of, found.customers, found.churned


def test_the_days_follow_the_gaps() -> None:
    """Customers who come each week are gone after a month; the half who stopped in time
    have churned, also by hand.
    """
    days = pd.date_range("2024-01-01", "2024-12-29", freq="7D")
    rows = [
        (f"{number:03}", day)
        for number in range(40)
        for day in days
        if number % 2 or day < pd.Timestamp("2024-11-20")
    ]
    orders = pd.DataFrame(rows, columns=["customer", "day"])
    assert guess(orders) == (30, datetime.date(2024, 11, 24), 40, 20)


def test_a_day_far_ahead_is_a_mistake() -> None:
    """The data does not end in 2099 for a slip of the pen, and `--as-of` is heard."""
    orders = make_orders(300)[["customer", "day"]]
    end = orders["day"].max().date()
    wrong = pd.DataFrame({"customer": ["00001"], "day": [pd.Timestamp("2099-01-01")]})
    both = pd.concat([orders, wrong], ignore_index=True)
    assert guess(both)[1] < end
    day = end - datetime.timedelta(days=59)
    assert guess(both, day)[:2] == (60, day)
