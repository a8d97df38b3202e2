"""The columns of the merged table: their names, and whether they may be features."""

from __future__ import annotations

from churn.params import Column
from churn.params.merged_columns import describe_columns, name_merged_columns
from helpers.companies import describe_company

LABEL = {"end_date": "EndDate", "begin_date": "BeginDate", "horizon_days": 92}


def test_names_of_training_stay_whatever_columns_come_and_go() -> None:
    """A column that is gone gives its name to no other, nor does one that has come take
    the name of another.
    """
    params = describe_company({"column": "Churn", "positive": "Yes"}, first={}, second={})
    trained = name_merged_columns({"first": ["id", "x"], "second": ["id", "x", "y"]}, params)
    assert trained == {"first": {"id": "id", "x": "x"}, "second": {"x": "x_second", "y": "y"}}
    today = {"first": ["id", "y"], "second": ["id", "x", "y", "z"]}
    assert name_merged_columns(today, params, trained) == {
        "first": {"id": "id", "y": "y_first"},
        "second": {"x": "x_second", "y": "y", "z": "z"},
    }


def test_ids_answers_and_barred_columns_are_no_features() -> None:
    """All else may be a feature, the `present` column included, and the days since a
    date that is no answer.
    """
    contract = {
        "id": Column(type="id"),
        "BeginDate": Column(type="date"),
        "Paid": Column(type="number", feature=False),
        "Signed": Column(type="date"),
        "Type": Column(description="contract term"),
    }
    facts = {"contract": contract, "internet": {"id": Column(type="id"), "Service": Column()}}
    described = describe_columns(
        facts, describe_company(LABEL, contract={}, internet={"present": "HasInternet"})
    )
    features = [name for name, column in described.items() if column["feature"]]
    assert features == ["Signed", "Type", "HasInternet", "Service"]
    assert described["Type"] == {
        "table": "contract",
        "type": "category",
        "description": "contract term",
        "feature": True,
    }
    assert list(described) == [
        "id",
        "BeginDate",
        "Paid",
        "Signed",
        "Type",
        "HasInternet",
        "Service",
    ]
