"""An answer made of inactivity, through the notebooks: who counts, and that nothing of what
came later is known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churn.tables.files import read_table
from helpers.companies import frame_of, run_stage, write_company
from helpers.orders import make_orders
from helpers.transforming import features_of, score_with, write_prepared

AS_OF = pd.Timestamp("2022-01-01")
PARAMS = """\
name: Orders
customer_id: customer
as_of: DAYS
label: {table: orders, inactive_days: 90, active_days: 270}
sources:
  orders: {file: orders.csv, many: true, time: day}
"""
FACTS = {
    "time": "day",
    "columns": {
        name: {"type": kind, "description": "", "feature": True}
        for name, kind in {"day": "date", "number": "number", "amount": "number"}.items()
    },
}
COLUMNS = {"customer": {"table": "orders", "type": "id", "description": "", "feature": False}}


def prepare(root: Path, orders: pd.DataFrame, days: str = "2022-01-01") -> dict[str, str]:
    """Write orders as preparation does, of which the customers are known by them alone."""
    root.mkdir()
    ids = sorted(orders["customer"].unique())
    customers = pd.DataFrame({"customer": pd.Series(ids, dtype="str")})
    orders = orders.astype({"number": "float64", "customer": "str"})
    params = PARAMS.replace("DAYS", days)
    return write_prepared(root, customers, COLUMNS, params, orders=(FACTS, orders))


def values_of(found: dict[str, Any]) -> pd.DataFrame:
    """Return the features of each customer that a notebook computed."""
    return found["values"].set_axis(found["customers"]["customer"])


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    """Orders of 3,000 customers, with times within the day."""
    made = make_orders(3_000)
    return made.assign(day=made["day"] + pd.to_timedelta(made.index % 24, unit="h"))


def test_nothing_from_the_day_on_is_known(tmp_path: Path, orders: pd.DataFrame) -> None:
    """With none of the later orders, or ten times as many, the features are the same and
    the answers are not.
    """
    is_before = orders["day"] < AS_OF
    later = orders[is_before].assign(day=AS_OF, amount=1e6, number=77)
    many = features_of(
        prepare(tmp_path / "many", pd.concat([orders, later])), "features", min_churned=0
    )
    found = features_of(prepare(tmp_path / "as_is", orders), "features")
    pd.testing.assert_frame_equal(values_of(many), values_of(found))
    assert (many["churned_count"], found["churned_count"] > 100) == (0, True)
    last = orders[is_before].groupby("customer")["day"].max()
    assert sorted(last.index[last >= AS_OF - pd.Timedelta(days=270)]) == sorted(
        values_of(found).index
    )


def test_each_day_has_its_customers(tmp_path: Path, orders: pd.DataFrame) -> None:
    """A customer has a row of each day on which they are one, all in one group; the answers
    are those of a plain count.
    """
    days = [AS_OF, pd.Timestamp("2022-03-01")]
    given = prepare(tmp_path / "two", orders, "[2022-01-01, 2022-03-01]")
    found = features_of(given, "twins")
    made = found["snapshot"]
    for day in days:
        times = orders["day"]
        before = orders[(times >= day - pd.Timedelta(days=270)) & (times < day)]["customer"]
        after = orders[(times >= day) & (times < day + pd.Timedelta(days=90))]["customer"]
        of_day = made[made["as_of"] == day].set_index("customer")["churned"]
        assert set(of_day.index) == set(before)
        assert set(of_day.index[of_day == 0]) == set(before) & set(after)
    assert (made.groupby("customer")["twin_group"].nunique() == 1).all()


def test_today_s_customers_need_no_answer(tmp_path: Path, orders: pd.DataFrame) -> None:
    """Scoring takes the day after the last order, and who ordered in the days before it."""
    given = prepare(tmp_path / "trained", orders)
    decisions = features_of(given, "features")["stage"]._decisions
    found = score_with(given, decisions, tmp_path)
    today = orders["day"].max().normalize() + pd.Timedelta(days=1)
    assert found["as_of"].unique().tolist() == [today]
    recent = orders[orders["day"] >= today - pd.Timedelta(days=270)]["customer"]
    assert set(found["customers"]["customer"]) == set(recent)


def test_days_that_the_data_do_not_reach_stop_the_run(tmp_path: Path, orders: pd.DataFrame) -> None:
    """Whoever came back after the end of the data would count as churned."""
    given = prepare(tmp_path / "late", orders, "2022-06-01")
    with pytest.raises(Exception, match=r"2022-06-01.*ends on 2022-08-29.*inactive_days"):
        features_of(given, "horizon-gate")


def test_raw_orders_become_customers(tmp_path: Path) -> None:
    """Validation says what the answer is made of and counts it; preparation makes a
    customer of each id, and keeps all orders: two equal ones may both have been made.
    """
    made = make_orders(400)
    texts = {name: made[name].astype("str").tolist() for name in ("customer", "number", "amount")}
    raw = frame_of(day=made["day"].dt.strftime("%Y-%m-%d").tolist(), **texts)
    raw = pd.concat([raw, raw.tail(1)], ignore_index=True)
    given = write_company(
        tmp_path / "raw_orders", {"orders": raw}, PARAMS.replace("DAYS", "2022-01-01")
    )
    report, results = run_stage("02_validation", given, tmp_path)
    before = made[made["day"].between(AS_OF - pd.Timedelta(days=270), AS_OF, inclusive="left")]
    after = made[made["day"].between(AS_OF, AS_OF + pd.Timedelta(days=90), inclusive="left")]
    stayed = set(before["customer"]) & set(after["customer"])
    churned = before["customer"].nunique() - len(stayed)
    assert (results["customers_churned"], results["customers_stayed"]) == (churned, len(stayed))
    told = str(report.cells)
    assert f"{churned:,} of {before['customer'].nunique():,} customers churn" in told
    assert "no row in orders in 90 days" in told
    _, results = run_stage("03_preparation", given, tmp_path)
    assert (results["customers"], results["churned"]) == (400, churned)
    assert results["rows_orders"] == len(made) + 1
    customers = read_table(given["prepared_dir"], "customers")
    assert customers.columns.tolist() == ["customer"]
    assert customers["customer"].tolist() == sorted(made["customer"].unique())
