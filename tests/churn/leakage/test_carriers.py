"""What carries a very good model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from churn.leakage import carriers, strength

LIMITS = carriers.Limits(alone=0.85, share=0.8, jump=0.25)


def make_customers(**more: float) -> tuple[pd.DataFrame, pd.Series, np.ndarray, pd.Series]:
    """Make features, answers, groups and AUCs of customers whose churn many numbers tell together,
    with columns that tell it by themselves: name -> noise around the answer.
    """
    random = np.random.default_rng(3)
    size = 3_000
    numbers = pd.DataFrame(random.normal(size=(size, 6))).add_prefix("n")
    churned = (numbers.sum(axis=1) + random.normal(0, 4, size) > 4).astype("int64")
    for name, noise in more.items():
        numbers[name] = churned + random.normal(0, noise, size)
    folds = strength.fold_groups(np.arange(size))
    alone = strength.separate_each(numbers, churned, folds)["AUC"]
    return numbers, churned, np.arange(size), alone


def test_many_columns_that_tell_much_together_are_not_suspicious() -> None:
    """No single one carries what they tell."""
    assert carriers.find_carriers(*make_customers(), LIMITS, in_time=()) == []
    (told,) = carriers.describe([], asked=True)
    assert "suspicious" not in told.casefold()


def test_a_column_without_which_the_model_falls_carries_it() -> None:
    """With a copy of it too, which must not hide it; but not where it is known in time."""
    (found,) = carriers.find_carriers(*make_customers(late=0.3), LIMITS, in_time=())
    assert found.name == "late"
    assert found.with_it > 0.95 > found.without + 0.05
    assert {
        one.name
        for one in carriers.find_carriers(*make_customers(a=0.3, b=0.3), LIMITS, in_time=())
    }
    assert carriers.find_carriers(*make_customers(late=0.3), LIMITS, in_time=["late"]) == []
    (told,) = carriers.describe([found], asked=True)
    assert told.startswith("Suspicious: late carries")


def test_a_column_that_tells_far_less_than_the_model_does_not_carry_it() -> None:
    """Though much is lost without it, others have to do with it: a strong honest column."""
    customers = make_customers(complaints=0.7)
    assert 0.8 < customers[-1]["complaints"] < 0.9
    limits = carriers.Limits(alone=0.8, share=0.95, jump=0.01)
    assert carriers.find_carriers(*customers, limits, in_time=()) == []
    assert carriers.find_carriers(*customers, replace(limits, share=0.5), in_time=())


def test_the_card_says_what_a_model_would_be_with_what_is_withheld() -> None:
    """With both figures; nothing where nothing is withheld, or nobody looked."""
    judged = {"withheld": {"churn_date": "x"}, "with_them": 0.758, "without": 0.56}
    (told,) = carriers.list_withheld(judged)
    assert all(part in told for part in ("churn_date", "0.758", "0.560"))
    assert carriers.list_withheld({}) == carriers.list_withheld({"withheld": {}}) == []
