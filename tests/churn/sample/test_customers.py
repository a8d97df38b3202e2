"""The customers that are drawn: how their tables relate, and what their churn follows."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer

from churn.sample import clean_tables
from churn.sample.customers import (
    BLOCK,
    NETS,
    PAYMENTS,
    TYPES,
    WINDOW_END,
    WINDOW_START,
)
from helpers.sample_tables import Tables, make_clean

AS_OF = pd.Timestamp("2025-10-01")


HORIZON = pd.Timedelta(days=92)


@pytest.mark.parametrize("customers", [1_000, 7_000])
def test_clean_rows_relate_as_in_the_real_tables(customers: int) -> None:
    """Before dirt, ids are unique, everyone has a person and a service, and no service
    row lacks its contract.
    """
    tables = make_clean(customers, seed=7)
    ids = {name: set(table["customerID"]) for name, table in tables.items()}
    assert all(len(ids[name]) == len(table) for name, table in tables.items())
    assert len(ids["contract"]) == customers
    assert ids["personal"] == ids["contract"] == ids["internet"] | ids["phone"]
    assert 0.7 < len(ids["internet"]) / customers < 0.9
    assert 0.8 < len(ids["phone"]) / customers < 0.98
    assert all(re.fullmatch(r"\d{4}-[A-Z]{5}", name) for name in ids["contract"])


@pytest.mark.parametrize("customers", [1_000, 7_000])
def test_contracts_begin_and_end_all_over_the_window(customers: int) -> None:
    """Contracts begin up to six years before the window and on any of its days, and end
    on any of its days.
    """
    contract = make_clean(customers, seed=7)["contract"]
    begin = pd.to_datetime(contract["BeginDate"], format="%Y-%m-%d")
    end = pd.to_datetime(contract["EndDate"].where(contract["EndDate"] != "No"), format="%Y-%m-%d")
    ended = end.notna()
    assert begin.min() >= pd.Timestamp("2018-01-01")
    assert begin.max() < pd.Timestamp(WINDOW_END)
    assert end[ended].between(pd.Timestamp(WINDOW_START), pd.Timestamp(WINDOW_END)).all()
    assert (end[ended] > begin[ended]).all()
    within = begin[begin >= pd.Timestamp(WINDOW_START)]
    for days in (within, end[ended]):
        assert days.dt.to_period("M").nunique() == 24
        assert days.dt.day.nunique() == 31


def test_long_contracts_end_mostly_at_their_renewal() -> None:
    """Contracts of one and two years end mostly on the day of the month on which they
    renew, some on an anniversary.
    """
    contract = make_clean(BLOCK, seed=7)["contract"].query("EndDate != 'No'")
    begin, end = contract["BeginDate"].str, contract["EndDate"].str
    same_day = (begin[8:] == end[8:]).groupby(contract["Type"]).mean()
    anniversary = (begin[5:] == end[5:]).groupby(contract["Type"]).mean()
    for term in TYPES[1:]:
        assert same_day[term] > 0.6
        assert anniversary[term] > 0.15
    assert same_day["Month-to-month"] < 0.06
    assert anniversary["Month-to-month"] < 0.01


def test_total_charges_accumulate() -> None:
    """The total is about the monthly charge times the months until the contract or the
    window ends.
    """
    contract = make_clean(7_000, seed=7)["contract"]
    end = pd.to_datetime(contract["EndDate"].replace("No", str(WINDOW_END)))
    days = (end - pd.to_datetime(contract["BeginDate"])).dt.days
    months = np.maximum(np.ceil(days / 30.4375), 1)
    ratio: pd.Series = (
        contract["TotalCharges"].astype(float) / contract["MonthlyCharges"].astype(float) / months
    )
    assert ratio.between(0.85, 1.15).all()
    assert 0.005 < ratio.std() < 0.03


def test_ids_differ_up_to_ten_million_customers() -> None:
    """No two of ten million customers, and no orphan behind them, share an id (looked
    at in samples of the range).
    """
    numbers = np.unique(
        np.random.default_rng(0).integers(0, 2 * clean_tables.MOST_CUSTOMERS, size=200_000)
    )
    numbers = np.union1d(
        numbers,
        np.arange(2 * clean_tables.MOST_CUSTOMERS - 50_000, 2 * clean_tables.MOST_CUSTOMERS),
    )
    for seed in (0, 7, 2**63):
        assert len(set(clean_tables.customer_ids(seed, numbers))) == len(numbers)


def churn_model() -> Pipeline:
    """Logistic regression with splines on the numbers, one-hot on the rest."""
    encode = make_column_transformer(
        (SplineTransformer(n_knots=6), ["tenure", "MonthlyCharges"]),
        remainder=OneHotEncoder(handle_unknown="ignore"),
    )
    return make_pipeline(encode, LogisticRegression(C=0.5, max_iter=1_000))


def snapshot(tables: Tables) -> tuple[pd.DataFrame, pd.Series]:
    """Return what is known of the active customers at the as-of date, and whether they
    leave within the horizon.
    """
    table = tables["contract"]
    for name in ("personal", "internet", "phone"):
        table = table.merge(tables[name], on="customerID", how="left", validate="one_to_one")
    begin = pd.to_datetime(table["BeginDate"])
    end = pd.to_datetime(table["EndDate"].where(table["EndDate"] != "No"))
    active = (begin < AS_OF) & (end.isna() | (end >= AS_OF))
    numbers = {
        "tenure": (AS_OF - begin).dt.days / 30.4375,
        "MonthlyCharges": table["MonthlyCharges"].astype(float),
    }
    features = (
        table.drop(columns=["customerID", "BeginDate", "EndDate", "TotalCharges"])
        .assign(**numbers)
        .fillna("none")
    )
    return features[active], end[active].le(AS_OF + HORIZON)


@pytest.mark.parametrize("seed", [7, 2025])
def test_honest_model_reaches_a_believable_auc(seed: int) -> None:
    """A logistic regression on what is known at the as-of date reaches an AUC of 0.80
    to 0.88; 15 to 25 % leave.
    """
    features, churned = snapshot(make_clean(7_000, seed))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_score(churn_model(), features, churned, cv=folds, scoring="roc_auc")
    assert 0.80 < scores.mean() < 0.88
    assert 0.15 < churned.mean() < 0.25
    assert len(churned) > 2_500


def test_churn_follows_what_analysts_expect() -> None:
    """New, monthly, fiber, electronic-check customers without security leave more often
    than the others.
    """
    features, churned = snapshot(make_clean(BLOCK, 7))
    has_internet = features["InternetService"] != "none"

    def rate(mask: pd.Series) -> float:
        return float(churned[mask].mean())

    assert rate(features["tenure"] < 3) > 2 * rate(features["tenure"] > 24)
    rates = [rate(features["Type"] == term) for term in TYPES]
    assert rates == sorted(rates, reverse=True)
    rates = [rate(features["InternetService"] == net) for net in NETS]
    assert rates == sorted(rates)
    assert rate(features["PaymentMethod"] == PAYMENTS[0]) > 1.2 * rate(
        features["PaymentMethod"] != PAYMENTS[0]
    )
    for protection in ("OnlineSecurity", "TechSupport"):
        unprotected = rate(has_internet & (features[protection] == "No"))
        assert rate(has_internet & (features[protection] == "Yes")) < 0.8 * unprotected
    for column in ("Partner", "Dependents"):
        assert rate(features[column] == "Yes") < rate(features[column] == "No")
    assert rate(features["SeniorCitizen"] == "1") > rate(features["SeniorCitizen"] == "0")
    assert rate(features["PaperlessBilling"] == "Yes") > rate(features["PaperlessBilling"] == "No")
