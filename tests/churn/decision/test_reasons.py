"""Reasons per customer: learned from a model whose effects are known, told in words,
quick for many customers.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn.decision import reasons
from churn.modelling import encoders
from helpers.modelled import make_customers

DESCRIBED = {"contract": "contract term", "tenure": "months as a customer", "price": ""}


class Additive:
    """A classifier whose probability is a sum of known effects."""

    def predict_proba(self, features: pd.DataFrame) -> np.ndarray[Any, Any]:
        """Add 30 points for a monthly contract, and 20 points for a tenure below 10; a
        missing price adds 5.
        """
        contract, tenure, price = (features[name] for name in ("contract", "tenure", "price"))
        probability = (
            0.1 + 0.3 * (contract == "month") + 0.2 * (tenure < 10) + 0.05 * price.isna()
        ).to_numpy()
        return np.column_stack([1 - probability, probability])


@pytest.fixture(scope="module")
def customers() -> pd.DataFrame:
    """Features of a little company's customers."""
    return encoders.as_features(make_customers(2000), ["tenure", "price"], ["contract", "payment"])


@pytest.fixture(scope="module")
def learned(customers: pd.DataFrame) -> dict[str, Any]:
    """What is learned from the additive model."""
    return reasons.learn(Additive(), customers, DESCRIBED)


def test_effects_are_those_of_the_model_around_their_mean(
    customers: pd.DataFrame, learned: dict[str, Any]
) -> None:
    """A monthly contract lies 30 points above a yearly one; the mean over the customers is 0."""
    effects = learned["features"]["contract"]["effects"]
    assert effects["month"] - effects["year"] == pytest.approx(0.3, abs=1e-5)
    assert customers["contract"].map(effects).mean() == pytest.approx(0, abs=1e-5)
    assert set(learned["features"]["payment"]["effects"].values()) == {0.0}
    tenure = learned["features"]["tenure"]
    assert tenure["effects"][0] - tenure["effects"][-1] == pytest.approx(0.2, abs=1e-5)
    price = learned["features"]["price"]
    assert price["missing"] - price["effects"][0] == pytest.approx(0.05, abs=1e-5)


def test_what_is_learned_survives_json_and_is_the_same_twice(
    customers: pd.DataFrame, learned: dict[str, Any]
) -> None:
    """It stands in a file beside the model, of which equal models have equal bytes."""
    text = json.dumps(learned, allow_nan=False)
    assert json.loads(text) == learned
    assert json.dumps(reasons.learn(Additive(), customers, DESCRIBED)) == text


def test_reasons_are_the_strongest_that_raise_the_probability(learned: dict[str, Any]) -> None:
    """Strongest first, named by description and column; what lowers it is no reason,
    and there may be none.
    """
    frame = pd.DataFrame(
        {
            "tenure": [2.0, 60.0, 60.0],
            "price": [np.nan, 50.0, 50.0],
            "contract": ["month", "month", "year"],
            "payment": "card",
        },
        index=[7, 8, 9],
    )
    told = reasons.give(frame, learned)
    assert told.index.tolist() == [7, 8, 9]
    strong, weak, none = (text.split("; ") for text in told)
    assert [one.split(":")[0] for one in strong] == [
        "months as a customer (tenure)",
        "contract term (contract)",
        "price",
    ]
    assert weak[0].startswith("contract term (contract): month, +12 points")
    assert none == [""]
    assert reasons.give(frame, learned, most=1)[7].count(";") == 0


def test_values_never_seen_and_missing_ones_have_a_reason_of_their_own(
    learned: dict[str, Any],
) -> None:
    """They do not fail, nor do features that are absent, or numbers that came as text."""
    frame = pd.DataFrame({"contract": ["decade", None], "price": ["70", None]})
    told = reasons.give(frame, learned)
    assert told[0] == ""
    assert told[1].startswith("price: missing, +5 points")


def test_a_real_pipeline_gives_reasons(customers: pd.DataFrame) -> None:
    """With missing numbers, rare and many categories, and a column with nothing in it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    table = customers.assign(
        town=[f"town {number % 300}" for number in range(len(customers))],
        empty=np.nan,
        nothing=pd.Series([np.nan] * len(customers), dtype=object),
        visits=np.arange(len(customers)) % 3.0,
    )
    numbers, categories = (
        ["tenure", "price", "empty", "visits"],
        ["contract", "payment", "town", "nothing"],
    )
    features = encoders.as_features(table, numbers, categories)
    columns = encoders.sort_columns(features, numbers, categories, most=30)
    encoder = encoders.encode_for_linear(columns, knots=5, rare=5, seed=0)
    churned = make_customers(2000)["churned"].to_numpy()
    model = make_pipeline(encoder, LogisticRegression(solver="newton-cholesky")).fit(
        features, churned
    )
    learned = reasons.learn(model, features, {}, most_rows=100)
    assert len(learned["features"]["town"]["effects"]) == reasons.MOST_VALUES
    assert learned["features"]["visits"]["texts"] == ["0", "1", "2"]
    told = reasons.give(features, learned)
    risky = model.predict_proba(features)[:, 1] > 0.5
    assert told[risky].str.contains("contract: month").mean() > 0.9
    assert (told[risky] != "").all()


def test_many_customers_take_no_loop(learned: dict[str, Any]) -> None:
    """A hundred thousand customers have the texts of their few different kinds."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "tenure": random.exponential(24, 100_000),
            "contract": random.choice(["month", "year"], 100_000),
        }
    )
    told = reasons.give(frame, learned)
    assert told.nunique() <= 2 * (reasons.BINS + 1)
    assert (told[frame["contract"] == "month"] != "").all()


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([1.0, 1.0, 2.0, 5.0], ["1", "2", "5"]),
        ([np.nan, np.nan], ["any"]),
        ([3.0, np.nan], ["3"]),
    ],
)
def test_numbers_with_few_values_have_a_name_for_each(
    values: list[float], names: list[str]
) -> None:
    """And a number that is always missing has one for what may come."""
    assert reasons._bin_number(pd.Series(values))[2] == names


def test_bins_of_a_number_cover_all_values_and_are_filled() -> None:
    """Also where most customers have the same value."""
    skewed = pd.Series(
        np.concatenate([np.zeros(900), np.random.default_rng(0).exponential(100, 100)])
    )
    edges, typical, names = reasons._bin_number(skewed)
    assert len(edges) + 1 == len(typical) == len(names)
    assert np.bincount(reasons._place(skewed, edges), minlength=len(names)).min() > 0
