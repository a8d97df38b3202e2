"""Decision by money: thresholds and profits of simulated customers whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from churn.decision import profit
from churn.decision.profit import Money

SIMPLE = Money(contact_cost=4, offer_cost=0, keep_chance=0.25, customer_value=80)


def simulate(count: int = 40_000, seed: int = 0) -> tuple[profit.Labels, profit.Floats]:
    """Draw customers whose probability of leaving is known, and whether they left."""
    random = np.random.default_rng(seed)
    probability = random.beta(1, 3, count)
    return random.binomial(1, probability), probability


def test_the_best_threshold_is_cost_over_what_is_saved() -> None:
    """Without an offer it is cost / (chance x value): 4 / (0.25 x 80) = 0.2; nobody is
    worth 4 who is worth 10.
    """
    thresholds = profit.best_thresholds(np.array([80.0, 160.0, 10.0]), SIMPLE)
    assert thresholds == pytest.approx([0.2, 0.1, 1.0])


def test_the_stated_threshold_is_the_best_one_found_by_trying() -> None:
    """With known probabilities no other threshold brings clearly more, with an offer too."""
    churned, probability = simulate()
    for money in (SIMPLE, Money()):
        values = np.full(len(churned), float(money.customer_value))
        gains = profit.actual_gain(churned, values, money)
        (stated,) = np.unique(profit.best_thresholds(values, money))
        tried = np.linspace(0.02, 0.9, 89)
        brings = np.array([np.mean(gains * (probability > threshold)) for threshold in tried])
        at_stated = np.mean(gains * (probability > stated))
        assert abs(tried[brings.argmax()] - stated) <= 0.03
        assert at_stated >= brings.max() - 0.01 * abs(brings.max())


def test_the_best_number_of_customers_is_where_the_expected_gain_ends() -> None:
    """The campaign's expected profit peaks at the share of customers above the
    threshold, and what happens agrees.
    """
    churned, probability = simulate()
    curve = profit.campaign(churned, probability, np.full(len(churned), 80.0), SIMPLE)
    assert curve.loc[curve["expected"].idxmax(), "share"] == pytest.approx(
        np.mean(probability > 0.2), abs=0.003
    )
    assert curve["actual"].max() == pytest.approx(curve["expected"].max(), rel=0.1)
    assert curve.iloc[0].tolist() == [0, 0, 0, 0]
    assert curve["actual"].iloc[-1] == pytest.approx(
        profit.actual_gain(churned, np.full(len(churned), 80.0), SIMPLE).mean()
    )


def test_customers_of_more_value_are_contacted_at_less_risk() -> None:
    """A column gives the value of each: missing ones count as the middle customer's,
    and negative ones as nothing.
    """
    frame = pd.DataFrame({"monthly": [10.0, 100.0, np.nan, -5.0]})
    money = Money(
        contact_cost=1, offer_cost=0, keep_chance=0.5, value_column="monthly", value_times=12
    )
    values = profit.values_of(frame, money)
    assert values.tolist() == [120, 1200, 120, 0]
    assert profit.best_thresholds(values, money) == pytest.approx([1 / 60, 1 / 600, 1 / 60, 1])
    assert (profit.expected_gain(np.full(4, 0.01), values, money) > 0).tolist() == [
        False,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "money", [Money(), SIMPLE, Money(offer_cost=30, keep_chance=0.6, keep_trials=3)]
)
def test_empc_is_the_integral_of_the_maximum_profit(money: Money) -> None:
    """The formula on the hull agrees with maximising over all thresholds for each
    chance, and integrating.
    """
    churned, probability = simulate(400, seed=3)
    probability = probability.round(2)
    values = np.full(len(churned), money.customer_value)

    def best(chance: float) -> float:
        gains = profit.actual_gain(
            churned, values, Money(**money.facts() | {"keep_chance": chance})
        )
        by_score = pd.Series(gains).groupby(-probability).sum().cumsum() / len(gains)
        return max(0.0, float(by_score.max()))

    a, b = money.keep_chance * money.keep_trials, (1 - money.keep_chance) * money.keep_trials
    integral, _ = quad(
        lambda chance: best(chance) * beta.pdf(chance, a, b), 0, 1, limit=100, epsabs=1e-4
    )
    found = profit.maximum_profit(churned, probability, money, money.customer_value)
    assert found["empc"] == pytest.approx(integral, rel=1e-3, abs=1e-4)
    assert found["mp"] == pytest.approx(best(money.keep_chance), abs=1e-9)
    # Who may choose once the chance is known earns no less.
    assert found["empc"] >= found["mp"] - 1e-9
    assert 0 <= found["empc_share"] <= 1


def test_a_model_that_knows_nothing_brings_what_contacting_all_brings_or_nothing() -> None:
    """With one probability for all there is nothing to choose."""
    churned, _ = simulate(1000)
    flat = np.full(1000, 0.25)
    everybody = profit.actual_gain(churned, np.full(1000, 80.0), SIMPLE).mean()
    assert profit.maximum_profit(churned, flat, SIMPLE, 80)["mp"] == pytest.approx(
        max(0, everybody)
    )


def test_policies_are_compared_with_an_interval_that_covers_the_truth() -> None:
    """The model's policy beats both others; its profit's interval holds the expected
    one and is reproducible.
    """
    churned, probability = simulate(5000)
    values = np.full(5000, 80.0)
    how = {"groups": np.arange(5000), "samples": 200, "seed": 1}
    table = profit.compare_policies(churned, probability, values, SIMPLE, **how)
    chosen = table.loc["contact whom the model says"]
    assert chosen["profit"] > max(0, table.loc["contact all", "profit"])
    assert chosen["low"] < chosen["expected profit"] < chosen["high"]
    assert table.loc["contact nobody", ["profit", "low", "high"]].tolist() == [0, 0, 0]
    again = profit.compare_policies(churned, probability, values, SIMPLE, **how)
    pd.testing.assert_frame_equal(table, again)


def test_copies_of_customers_make_the_profit_no_surer() -> None:
    """Of four copies of each customer the interval is that of the customers themselves."""
    churned, probability = simulate(500)
    values, how = np.full(500, 80.0), {"samples": 400, "seed": 1}
    once = profit.compare_policies(
        churned, probability, values, SIMPLE, groups=np.arange(500), **how
    )
    copied = [np.tile(each, 4) for each in (churned, probability, values, np.arange(500))]
    copies = profit.compare_policies(*copied[:3], SIMPLE, groups=copied[3], **how)
    pd.testing.assert_frame_equal(copies, once)


def test_settings_that_make_no_sense_are_named() -> None:
    """Each problem names the parameter, its value and what was expected."""
    known = pd.DataFrame({"name": ["a"], "price": [1.0]})
    assert list(Money().problems(known)) == []
    assert list(Money(value_column="price").problems(known)) == []
    wrong = Money(contact_cost=-1, keep_chance=1.2, customer_value=5, keep_trials=0)
    assert len(list(wrong.problems(known))) == 4
    (problem,) = Money(value_column="prize").problems(known)
    assert problem.startswith("value_column: ")
    assert "no column 'prize'" in problem
    assert "did you mean 'price'?" in problem
    assert "not a column of numbers" in next(Money(value_column="name").problems(known))
