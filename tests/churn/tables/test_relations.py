"""Whose rows are whose: orphans, lacking customers, dates in order, and who churns."""

from __future__ import annotations

import datetime
from typing import Any

import pandas as pd
import pytest

from churn.params import AsOfColumn, Column, ColumnLabel, EndDateLabel, FileSource, Params
from churn.tables import relations
from churn.tables.encoded import encode_table
from churn.tables.relations import Customers
from churn.validation import answers
from churn.validation.answers import ALL
from helpers.companies import frame_of

LABEL = EndDateLabel(end_date="EndDate", begin_date="BeginDate", horizon_days=92)
FACTS = {
    "id": Column(type="id"),
    "BeginDate": Column(type="date", required=False),
    "EndDate": Column(type="date", none=["No"], required=False),
    "month": Column(type="date", format="%Y-%m"),
    "Churn": Column(),
}


def encode(**frames: dict[str, list[str | None]]) -> tuple[relations.Tables, Customers]:
    """Return tables of texts, encoded, and their customers."""
    tables = {
        name: encode_table(frame, {column: FACTS[str(column)] for column in frame})
        for name, frame in (
            (name, pd.DataFrame(columns).astype("str")) for name, columns in frames.items()
        )
    }
    return tables, Customers.of_tables(tables, "id")


def count(
    label: ColumnLabel | EndDateLabel, as_of: Any, **frames: dict[str, list[str | None]]
) -> Any:
    """Return the counts of the label: as-of date -> churned, stayed, unknown."""
    sources = {name: FileSource(file=f"{name}.csv") for name in frames}
    params = Params(name="Tiny", customer_id="id", label=label, as_of=as_of, sources=sources)
    return answers.count_label(*encode(**frames), params).T.to_dict("list")


def test_no_usable_row_is_nobody_who_churns() -> None:
    """Where all rows were set aside, the counts are 0; they are not lacking, as where
    customers are to be scored.
    """
    nobody = {"id": [None], "Churn": [None]}
    assert count(ColumnLabel(column="Churn", positive="Yes"), None, first=nobody) == {
        ALL: [0, 0, 0]
    }


def test_keys_are_texts() -> None:
    """`7` is not the customer `007`, spaces do not count, and a missing key is no orphan."""
    _, customers = encode(first={"id": ["007 ", None, "8"]}, other={"id": [" 007", "7", None]})
    assert customers.find_orphans("other", "first").tolist() == [1]
    assert customers.count_lacking("other", "first") == (2, 1)


def test_customers_of_a_part_of_the_rows() -> None:
    """Orphans and lacking customers are counted among the rows that are left."""
    tables, customers = encode(first={"id": ["a", "b"]}, other={"id": ["a", "b", "c"]})
    kept = {
        "first": pd.Series([True, False]).to_numpy(),
        "other": pd.Series([True, False, True]).to_numpy(),
    }
    part = customers.only(kept)
    assert part.find_orphans("other", "first").tolist() == [1]
    assert part.count_lacking("other", "first") == (1, 0)
    usable = {name: table.only(kept[name]) for name, table in tables.items()}
    none = {name: pd.Series(dtype="str") for name in tables}
    related = relations.relate_tables(
        usable, customers, part, {"first": ["id"], "other": None}, none
    )
    assert related["other"] == relations.Relation(
        2, None, 0, owned=3, orphans=1, customers=1, lacking=0
    )
    assert related["first"].key == ("id",)


def test_the_last_row_of_a_customer_counts() -> None:
    """A value is looked up in the first table that has the column; a customer without a
    row has none.
    """
    tables, customers = encode(
        first={"id": ["a", "b", "c"]}, other={"id": ["a", "b", "a"], "Churn": ["1", "2", "3"]}
    )
    assert relations.look_up(tables, customers, "Churn").fillna("-").tolist() == ["3", "2", "-"]


def test_an_end_before_the_begin_is_found_across_tables() -> None:
    """The begin date may stand in another table than the end date."""
    ended = {
        "id": ["a", "b", "c", None],
        "EndDate": ["2020-01-01", "2020-01-01", "No", "1999-01-01"],
    }
    begun = {"id": ["b", "a", "c"], "BeginDate": ["2020-01-01", "2020-01-02", "2021-01-01"]}
    table, rows = relations.find_reversed_dates(*encode(ended=ended, begun=begun), LABEL)
    assert (table, rows.tolist()) == ("ended", [0])


def test_duplicates_of_a_table_with_many_rows_are_exact() -> None:
    """Without keys only a row that repeats another in every column is one."""
    tables, _ = encode(calls={"id": ["a", "a", "a ", "b"], "Churn": ["1", "2", "1", "1"]})
    assert relations.find_duplicates(tables["calls"], None).to_dict() == {0: "exact"}
    assert relations.find_duplicates(tables["calls"], ["id"]).to_dict() == {
        0: "exact",
        1: "conflicting",
    }


def test_dates_after_a_day_are_counted() -> None:
    """The earliest and the latest day of each date column; without a day nothing is counted."""
    tables, _ = encode(t={"id": ["a", "b"], "EndDate": ["2024-01-01", "2024-06-01"]})
    listed = relations.list_dates(tables)
    assert [*listed.iloc[0, :2]] == ["t", "EndDate"]
    assert [f"{day:%Y-%m-%d}" for day in listed.iloc[0, 2:]] == ["2024-01-01", "2024-06-01"]
    later = relations.count_later_dates(tables, pd.Timestamp("2024-03-01"))
    assert later.to_numpy().tolist() == [["t", "EndDate", 1]]
    assert relations.count_later_dates(tables, None).empty


CUSTOMERS = {
    "id": ["late", "gone", "first", "last", "after", "runs", "odd"],
    "BeginDate": [
        "2024-01-01",
        "2023-01-01",
        "2023-12-31",
        "2023-01-01",
        "2023-01-01",
        "2023-01-01",
        None,
    ],
    "EndDate": ["No", "2023-12-31", "2024-01-01", "2024-04-02", "2024-04-03", "No", "No"],
}


def test_the_end_date_label_counts_the_customers_of_the_as_of_day() -> None:
    """Begun before the day; not ended before it; churned when the end lies in the
    horizon, both ends included.
    """
    assert count(LABEL, datetime.date(2024, 1, 1), t=CUSTOMERS) == {"2024-01-01": [2, 2, 1]}


def test_each_as_of_day_is_counted() -> None:
    """In order, each with its own customers."""
    days = [datetime.date(2024, 4, 3), datetime.date(2023, 12, 31)]
    assert count(LABEL, days, t=CUSTOMERS) == {"2023-12-31": [1, 3, 1], "2024-04-03": [1, 2, 1]}


def test_the_end_date_label_without_a_begin_date() -> None:
    """Every customer of the first table counts who has not ended; without a row for the
    end they have not.
    """
    label = EndDateLabel(end_date="EndDate", horizon_days=30)
    ended = {"id": ["a", "b"], "EndDate": ["2024-01-10", "2023-05-05"]}
    found = count(label, datetime.date(2024, 1, 1), t={"id": ["a", "b", "c"]}, ended=ended)
    assert found == {"2024-01-01": [1, 1, 0]}


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (ColumnLabel(column="Churn", positive="Yes"), [1, 2, 1]),
        (ColumnLabel(column="Churn", positive="Yes", negative="No"), [1, 1, 2]),
    ],
)
def test_the_column_label_counts_its_values(label: ColumnLabel, expected: list[int]) -> None:
    """The last row of a customer counts; what is missing, or neither positive nor
    negative, is unknown.
    """
    table = {"id": ["a", "a", "b", "c", "d"], "Churn": ["No", "Yes", "No", None, "Dormant"]}
    assert count(label, None, t=table) == {ALL: expected}


def test_a_number_as_label_is_the_text_in_params() -> None:
    """`1`, `1.0` and `01` are the positive value `1` of a column that was taken for numbers."""
    table = {"id": ["a", "b", "c", "d"], "Churn": ["1.0", "1", "0", ""]}
    assert count(ColumnLabel(column="Churn", positive="1"), None, t=table) == {ALL: [2, 1, 1]}


def test_snapshots_of_a_column_are_counted_by_month() -> None:
    """Each row is a customer on the day of its column, here a month; a day's row
    repeats only its own day's.
    """
    table = {
        "id": ["a", "a", "a", "b", "b"],
        "month": ["2024-03", "2024-04", "2024-04", "2024-03", ""],
        "Churn": ["No", "No", "Yes", "No", "Yes"],
    }
    found = count(ColumnLabel(column="Churn", positive="Yes"), AsOfColumn(column="month"), t=table)
    assert found == {"2024-03-01": [0, 2, 0], "2024-04-01": [1, 0, 0]}


def test_answers_row_by_row() -> None:
    """Each row of the first table has its customer's answer; of who is no customer on
    the day, and nobody, none.
    """
    customers = {name: [*column, None] for name, column in CUSTOMERS.items()}
    params = Params(
        name="Tiny",
        customer_id="id",
        label=LABEL,
        as_of=datetime.date(2024, 1, 1),
        sources={"t": FileSource(file="t.csv")},
    )
    table, found = answers.mark_churned(*encode(t=customers), params)
    assert table == "t"
    assert found.astype("object").where(found.notna(), None).tolist() == [
        None, None, True, True, False, False, None, None,
    ]  # fmt: skip


def test_the_last_row_received_stays() -> None:
    """Exact repetitions and contradictions are told apart, and each customer keeps the last
    row.
    """
    frame = frame_of(id=["a", "b", "a", "b", "c", "b"], price=["1", "1", "1", "2", "1", "1"])
    kinds = relations.find_replaced_rows(frame, ["id"])
    assert kinds.to_dict() == {0: "exact", 1: "exact", 3: "conflicting"}
    assert frame.drop(kinds.index).to_dict("list") == {
        "id": ["a", "c", "b"],
        "price": ["1", "1", "1"],
    }


def test_the_first_row_may_stay_instead() -> None:
    """Where sources put corrections first, later rows with the same keys go."""
    frame = frame_of(id=["a", "b", "a", "b"], price=["1", "1", "1", "2"])
    kinds = relations.find_replaced_rows(frame, ["id"], keep="first")
    assert kinds.to_dict() == {2: "exact", 3: "conflicting"}


def test_a_table_without_duplicates_loses_no_row() -> None:
    """Nothing is named when each customer has one row."""
    assert relations.find_replaced_rows(frame_of(id=["a", "b"]), ["id"]).empty


def test_a_missing_key_matches_no_missing_key() -> None:
    """Rows without an id never belong together, and `7` is not `007`."""
    known = pd.Series(["007", "x", "x", None], dtype="str")
    assert relations.match_keys(pd.Series(["x", None, "7"], dtype="str"), known).tolist() == [
        True,
        False,
        False,
    ]
