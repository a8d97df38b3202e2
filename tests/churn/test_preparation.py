"""Preparation: duplicates, cleaning counts, left joins and the facts of the columns;
and the notebook, on real data.
"""

from __future__ import annotations

import pandas as pd
import pytest

from churn import preparation
from churn.params import Column, FileSource, ParameterError, Source
from churn.params.merged_columns import describe_columns, name_merged_columns
from churn.tables.encoded import Table, encode_table
from helpers.companies import describe_company, frame_of


def join(
    customers: pd.DataFrame,
    name: str,
    table: Table,
    source: Source,
    names: dict[str, str] | None = None,
) -> preparation.Joined:
    """Left-join a table whose first column is the id; its columns keep their names unless
    others are given.
    """
    key, *others = table
    names = names or {other: other for other in others}
    return preparation.left_join(customers, name, table, source, keys=[key], names=names)


def test_each_change_by_cleaning_is_counted() -> None:
    """Spaces, other spellings, blanks, `none` texts and unreadable values are counted apart."""
    facts = {
        "kind": Column(values=["Yes"], codes={"Y": "Yes"}),
        "end": Column(type="date", none=["No"]),
        "price": Column(type="number"),
    }
    raw = frame_of(kind=["Yes ", "Y", "Yes"], end=["No", "", "2020-01-01"], price=["x", " ", "1"])
    changes = preparation.count_changes(encode_table(raw, facts))
    assert changes.loc["kind"].tolist() == [1, 1, 0, 0, 0]
    assert changes.loc["end"].tolist() == [0, 0, 1, 1, 0]
    assert changes.loc["price"].tolist() == [0, 0, 1, 0, 1]


@pytest.fixture
def internet() -> FileSource:
    """A source without a row for each customer."""
    absent = {"Service": "No", "Speed": "0", "*": "No internet service"}
    return FileSource(file="internet.csv", absent=absent, present="HasInternet")


INTERNET = {
    "id": Column(type="id"),
    "Service": Column(),
    "Security": Column(),
    "Speed": Column(type="number"),
    "Used": Column(type="number"),
}


def test_a_left_join_keeps_every_customer_and_adds_none(internet: FileSource) -> None:
    """A customer without a row gets the `absent` values; a blank within a row stays
    missing; coverage is counted.
    """
    texts = frame_of(
        id=["b", "z"],
        Service=["DSL", "DSL"],
        Security=[None, "Yes"],
        Speed=["5", "6"],
        Used=["1", "2"],
    )
    table = encode_table(texts, INTERNET)
    found = join(frame_of(id=["a", "b"]), "internet", table, internet)
    joined, coverage = found.customers, found.coverage
    assert found.has_row.tolist() == [False, True]
    assert joined.columns.tolist() == ["id", "HasInternet", "Service", "Security", "Speed", "Used"]
    assert joined.iloc[0].tolist()[:5] == ["a", "No", "No", "No internet service", 0.0]
    assert joined.isna().to_numpy().tolist() == [
        [False] * 5 + [True],
        [False] * 3 + [True, False, False],
    ]
    assert (coverage["customers with a row"], coverage["customers without"]) == (1, 1)
    assert coverage["rows without a customer"] == 1


def test_a_repeated_customer_cannot_multiply_rows(internet: FileSource) -> None:
    """A join with an unresolved duplicate raises instead of adding a row."""
    texts = frame_of(
        id=["a", "a"],
        Service=["DSL", "No"],
        Security=["No", "No"],
        Speed=["1", "1"],
        Used=["1", "1"],
    )
    with pytest.raises(pd.errors.MergeError):
        join(frame_of(id=["a"]), "internet", encode_table(texts, INTERNET), internet)


@pytest.mark.parametrize(
    ("absent", "told"),
    [
        ({"Servise": "No"}, r"internet\.absent: .*'Servise'.*'Service'"),
        ({"Speed": "none"}, r"internet\.absent\.Speed: 'none' .*number"),
    ],
)
def test_an_absent_value_that_fits_no_column_is_told(absent: dict[str, str], told: str) -> None:
    """A typo in `absent`, or a text for a number, names its place in `params.yaml`."""
    with pytest.raises(ParameterError, match=told):
        preparation.read_absent("internet", INTERNET, absent)


def test_a_present_column_must_have_a_new_name(internet: FileSource) -> None:
    """`present` never overwrites a column that was received."""
    table = encode_table(
        frame_of(id=["a"], HasInternet=["x"]), {"id": Column(type="id"), "HasInternet": Column()}
    )
    source = FileSource(file="internet.csv", present="HasInternet")
    with pytest.raises(ParameterError, match=r"internet\.present: .*'HasInternet'"):
        join(frame_of(id=["a"]), "internet", table, source)


def test_two_columns_of_one_name_are_both_kept() -> None:
    """The later table's column gets the table's name, in the data and in the facts
    alike; an answer stays barred.
    """
    facts = {
        "first": {"id": Column(type="id"), "Churn": Column()},
        "second": {"id": Column(type="id"), "Churn": Column()},
    }
    params = describe_company({"column": "Churn", "positive": "Yes"}, first={}, second={})
    first, second = (
        frame_of(id=["a"], Churn=["Yes"]),
        encode_table(frame_of(id=["a"], Churn=["No"]), facts["second"]),
    )
    names = name_merged_columns(facts, params)
    source = params.sources["second"]
    joined = join(first, "second", second, source, names["second"]).customers
    described = describe_columns(facts, params, names)
    assert joined.to_dict("list") == {"id": ["a"], "Churn": ["Yes"], "Churn_second": ["No"]}
    assert list(described) == ["id", "Churn", "Churn_second"]
    assert not any(column["feature"] for column in described.values())


@pytest.mark.parametrize(
    ("today", "trained", "named"),
    [
        ([], ["crm", "calls"], []),
        (["crm", "calls"], ["crm", "calls"], []),
        (["crm"], ["crm", "calls"], ["calls"]),
        (["crm", "calls"], ["crm"], ["calls"]),
        (["calls"], ["calls"], ["crm"]),
    ],
)
def test_tables_are_joined_on_the_day_as_in_training(
    today: list[str], trained: list[str], named: list[str]
) -> None:
    """A table that holds the as-of day now and did not then, or the other way round, is
    named; so is a first table without it. That no table holds it is no problem.
    """
    problems = preparation.find_day_problems(today, trained, "crm")
    assert [problem.split()[0] for problem in problems] == named


def test_categories_are_compared_by_the_churn_of_their_groups() -> None:
    """Small groups are left out, and categories with one group or too many; the largest
    difference comes first.
    """
    churned = pd.Series([True] * 5 + [False] * 5)
    customers = frame_of(
        plan=list("aaabbbbbbb"), sex=list("mmmmmfffff"), one=["x"] * 10, many=list("aabbccddee")
    )
    customers["rare"] = [*"aaaaabbbb", "c"]
    groups = preparation.compare_groups(customers, churned, smallest_share=0.2, most_groups=3)
    assert groups["group"].tolist() == [
        *("sex: f", "sex: m"),
        *("rare: a", "rare: b"),
        *("plan: a", "plan: b"),
    ]
    assert groups["churned"].round(1).tolist() == [0, 100, 100, 0, 100, 28.6]
    assert preparation.compare_groups(
        customers[["one"]], churned, smallest_share=0, most_groups=3
    ).empty
