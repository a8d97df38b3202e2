"""A set of features: values, meaning and origin in one call, and what a model needs of it."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from churn.features import feature_set
from churn.features.feature_set import Feature, FeatureSet
from churn.stage import GateError


def make_set() -> FeatureSet:
    """Return a set of three features of two customers."""
    features = FeatureSet(2)
    features.add("plan", pd.Series(["a", None], dtype="str"), meaning="the plan", table="crm")
    features.add("is_new", pd.Series([True, False]), meaning="came lately", origin=["begin"])
    features.add("fee", pd.Series([1, 2]), meaning="monthly fee", origin=["plan"])
    return features


def test_a_feature_is_added_by_one_call() -> None:
    """Its type is found from its values: numbers and conditions, or a category."""
    features = make_set()
    assert features.described() == [
        Feature("plan", "crm", "category", "the plan"),
        Feature("is_new", "derived", "number", "came lately"),
        Feature("fee", "derived", "number", "monthly fee"),
    ]
    frame = features.frame()
    assert [str(dtype) for dtype in frame.dtypes] == ["str", "float64", "float64"]
    assert frame["is_new"].tolist() == [1.0, 0.0]
    assert frame["plan"].isna().tolist() == [False, True]
    assert features.origins == {"plan": [], "is_new": ["begin"], "fee": ["plan"]}
    assert (list(features), len(features)) == (["plan", "is_new", "fee"], 3)
    assert features.meaning("fee") == "monthly fee"


def test_a_name_taken_twice_and_a_wrong_length_are_refused() -> None:
    """Each by name, with the numbers."""
    features = make_set()
    with pytest.raises(ValueError, match="'plan' already, of crm"):
        features.add("plan", pd.Series(["x", "y"]), meaning="")
    with pytest.raises(ValueError, match=r"'age' .*\b3 values\b.*\b2 rows"):
        features.add("age", pd.Series([1, 2, 3]), meaning="")
    assert len(features) == 3


def test_scoring_keeps_the_features_of_training_in_their_order() -> None:
    """What came since then is dropped; the decision passes through JSON."""
    features = make_set()
    trained = [one for one in features.describe() if one["name"] != "is_new"][::-1]
    features.keep(json.loads(json.dumps(trained)))
    assert list(features) == list(features.frame()) == ["fee", "plan"]


@pytest.mark.parametrize(
    ("trained", "named"),
    [
        ({"name": "fees", "table": "derived", "type": "number"}, "'fees', of derived.*'fee'"),
        ({"name": "plan", "table": "other", "type": "category"}, "'plan', of other"),
        ({"name": "plan", "table": "crm", "type": "number"}, "plan is no number.*category"),
    ],
)
def test_a_feature_that_the_data_does_not_give_is_named(
    trained: dict[str, str], named: str
) -> None:
    """With its table, and the nearest name; a name of another table or type is no match."""
    with pytest.raises(GateError, match=named):
        make_set().keep([trained | {"description": "what it was"}])


def test_the_store_has_names_of_its_own_for_what_it_cannot_hold() -> None:
    """They are those of the described features; the set keeps the names of the data."""
    features = FeatureSet(1)
    features.add("size:shirt", pd.Series([1.0]), meaning="")
    assert features.renamed == {"size:shirt": "size_shirt_"}
    assert [one.name for one in features.described()] == ["size_shirt_"]
    assert list(features.frame()) == ["size:shirt"]
    empty = FeatureSet(0)
    assert empty.frame().empty


@pytest.mark.parametrize("name", ["a:b", "a@v1", "total_y", "event_timestamp", "churned"])
def test_a_name_that_the_store_cannot_hold_is_told_before(name: str) -> None:
    """Feast would lose such a column or refuse it with a message of its own."""
    assert feature_set.find_unfit_names(["plan", "plan 2", name])[0].startswith(repr(name))
    assert feature_set.find_unfit_names(["plan", "plan 2"]) == []
    assert "two features" in feature_set.find_unfit_names(["plan", "plan"])[0]


def test_names_that_the_store_cannot_hold_are_changed() -> None:
    """Each gets another name that nothing else has."""
    assert feature_set.fit_names(["plan", "a:b", "total_y", "a_b_"]) == {
        "a:b": "a_b__",
        "total_y": "total_y_",
    }
