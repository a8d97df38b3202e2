"""The columns of a raw table as its source names them: the customer id under another name or
by the order of rows, and months that stand in two columns.
"""

from __future__ import annotations

import re

import pandas as pd
import pytest

from churn.params import Column, FileSource, ParameterError, Params
from churn.tables.raw_columns import rename_key, shape_table


def test_the_key_gets_the_name_that_it_has_elsewhere() -> None:
    """The column is renamed in its place, and its facts with it; without `key` nothing changes."""
    frame = pd.DataFrame({"plan": ["a"], "cust": ["007"]})
    source = FileSource(
        file="a.csv", key="cust", columns={"cust": Column(type="id"), "plan": Column()}
    )
    renamed = rename_key(frame, source, "account")
    assert renamed.to_dict("list") == {"plan": ["a"], "account": ["007"]}
    assert list(source.columns_by_name("account")) == ["account", "plan"]
    assert source.columns_by_name("account")["account"].type == "id"
    assert rename_key(frame, FileSource(file="a.csv"), "account") is frame
    assert rename_key(frame, FileSource(file="a.csv", key="cust"), "cust") is frame


def test_a_key_that_is_not_there_is_suggested() -> None:
    """The table, the name that is wrong, and the nearest that is right."""
    frame = pd.DataFrame({"customer_no": ["007"], "plan": ["a"]})
    with pytest.raises(ParameterError) as caught:
        rename_key(frame, FileSource(file="a.csv", key="custmer_no"), "id", "crm")
    assert re.match(r"crm\.key: .*'custmer_no'.*'customer_no'", str(caught.value))


def test_two_columns_that_could_be_the_id_are_refused() -> None:
    """Renaming would make two columns of one name: which of them is the id, nobody can tell."""
    frame = pd.DataFrame({"id": ["1"], "cust": ["007"]})
    with pytest.raises(ParameterError, match=r"'cust'.*'id', the customer id"):
        rename_key(frame, FileSource(file="a.csv", key="cust"), "id", "crm")


def test_a_year_and_a_month_are_a_date() -> None:
    """Numbers or names; blank where one is; what is no month stays, so that a rule breaks."""
    frame = pd.DataFrame(
        {
            "id": list("abcdef"),
            "year": ["2018", "2018.0", " 2019 ", "", "2018", "2018"],
            "month": ["3", "11.0", "Mar", "4", "", "13"],
        }
    )
    months = {"ended": {"year": "year", "month": "month"}}
    source = FileSource.model_validate({"file": "a.csv", "months": months})
    made = shape_table(frame, source, "id")
    assert made.to_dict("list") == {
        "id": list("abcdef"),
        "ended": ["2018-03", "2018-11", "2019-03", "", "", "2018-13"],
    }
    column = source.columns_by_name("id")["ended"]
    assert (column.type, column.format, column.required) == ("date", "%Y-%m", False)
    assert source.names_after(["id", "year", "plan", "month"], "id") == ["id", "plan", "ended"]
    with pytest.raises(ParameterError, match=r"crm\.months\.ended: no column 'year'.*'yeer'"):
        shape_table(frame.rename(columns={"year": "yeer"}), source, "id", "crm")


def test_rows_in_the_same_order_have_the_same_customers() -> None:
    """Only where it is said, and only if there are as many."""
    first = pd.DataFrame({"id": ["7", "007"], "plan": ["a", "b"]})
    answers = pd.DataFrame({"churned": ["1", "0"]})
    source = FileSource(file="labels.csv", same_order=True)
    made = shape_table(answers, source, "id", "labels", first)
    assert made.to_dict("list") == {"id": ["7", "007"], "churned": ["1", "0"]}
    assert shape_table(answers, FileSource(file="labels.csv"), "id", "labels", first) is answers
    with pytest.raises(ParameterError, match=r"labels\.same_order: it has 2 rows.* 1,"):
        shape_table(answers, source, "id", "labels", first.head(1))


@pytest.mark.parametrize(
    "sources",
    [
        {"first": {"same_order": True}, "labels": {}},
        {"first": {}, "labels": {"same_order": True, "many": True}},
        {"first": {}, "labels": {"same_order": True, "key": "x"}},
    ],
)
def test_where_the_same_order_says_nothing(sources: dict[str, dict[str, object]]) -> None:
    """The first table has no other, several rows a customer no order, and a key needs none."""
    files = {name: {"file": "a.csv", **facts} for name, facts in sources.items()}
    facts = {"name": "x", "customer_id": "id", "label": {"column": "c", "positive": "1"}}
    with pytest.raises(ValueError, match="same_order"):
        Params.model_validate(facts | {"sources": files})


def test_numbered_rows_need_the_same_order() -> None:
    """Without a customer id several tables can be joined by nothing else."""
    label = {"column": "churned", "positive": "1"}
    files = {"crm": {"file": "a.csv"}, "labels": {"file": "b.csv", "same_order": True}}
    facts = {"name": "x", "label": label, "sources": files}
    assert Params.model_validate(facts).numbers_rows
    files["labels"] = {"file": "b.csv"}
    with pytest.raises(ValueError, match=r"customer_id.*same_order: true"):
        Params.model_validate(facts)
