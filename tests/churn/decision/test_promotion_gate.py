"""The promotion gate: luck does not promote, a better model is promoted, and each rule
can keep the champion.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.special import expit, logit

from churn.decision import profit, promotion_gate
from churn.decision.promotion_gate import Effort, UntouchedCustomers
from churn.params import Promotion

CUSTOMERS = 1400
EFFORTS = [Effort(10.0, 50_000), Effort(12.0, 60_000)]
QUICK = Promotion(samples=300)


def simulate(seed: int, count: int = CUSTOMERS) -> tuple[UntouchedCustomers, promotion_gate.Floats]:
    """Draw customers, their true probabilities and whether they left."""
    random = np.random.default_rng(seed)
    truth = expit(random.normal(-1.3, 1.4, count))
    money = profit.Money()
    customers = UntouchedCustomers(
        random.binomial(1, truth),
        np.arange(count),
        np.full(count, money.customer_value),
        pd.DataFrame({"region": random.choice(["north", "south", "west"], count)}),
        money,
    )
    return customers, truth


def blur(truth: promotion_gate.Floats, seed: int, noise: float) -> promotion_gate.Floats:
    """Return what a model says that knows the truth but for some noise, calibrated all the same."""
    odds = logit(truth) + np.random.default_rng(seed).normal(0, noise, len(truth))
    return np.asarray(expit(odds / (1 + noise**2 / 4)))


def test_luck_does_not_promote() -> None:
    """Of 200 challengers as good as the champion, at most 5 % are promoted."""
    promoted = 0
    for seed in range(200):
        customers, truth = simulate(seed)
        champion, challenger = blur(truth, seed + 1000, 0.5), blur(truth, seed + 2000, 0.5)
        promoted += promotion_gate.compare(
            customers, champion, challenger, QUICK, EFFORTS, seed
        ).promoted
    assert promoted <= 10


def test_a_clearly_better_model_is_promoted() -> None:
    """Of 20 challengers that know clearly more, nearly all are promoted, with evidence
    for each check.
    """
    decisions = []
    for seed in range(20):
        customers, truth = simulate(seed)
        decisions.append(
            promotion_gate.compare(
                customers,
                blur(truth, seed + 1000, 1.2),
                truth,
                Promotion(samples=300),
                EFFORTS,
                seed,
            )
        )
    assert sum(decision.promoted for decision in decisions) >= 18
    evidence = decisions[0].evidence
    assert list(evidence.columns) == promotion_gate.COLUMNS
    assert evidence.index[0] == "log_loss"
    assert evidence["passed"].all()


@pytest.mark.parametrize("metric", ["log_loss", "brier", "roc_auc", "average_precision"])
def test_each_metric_is_the_usual_one_and_higher_differences_are_better(metric: str) -> None:
    """Log loss and Brier score are better when lower; the difference says so."""
    from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

    usual = {
        "log_loss": log_loss,
        "brier": brier_score_loss,
        "roc_auc": roc_auc_score,
        "average_precision": average_precision_score,
    }
    customers, truth = simulate(0)
    champion = blur(truth, 1, 1.2)
    rules = Promotion(metric=metric, samples=100)  # type: ignore[arg-type]
    row = promotion_gate.compare(customers, champion, truth, rules, EFFORTS).evidence.loc[metric]
    assert row["champion"] == pytest.approx(usual[metric](customers.churned, champion))
    assert row["challenger"] == pytest.approx(usual[metric](customers.churned, truth))
    assert row["difference"] > row["at worst"] > 0


def test_the_same_model_again_is_not_promoted_unless_a_margin_allows_it() -> None:
    """A model equal to the champion is no improvement; with a margin it is good enough."""
    customers, truth = simulate(0)
    decision = promotion_gate.compare(customers, truth, truth.copy(), QUICK, EFFORTS)
    assert not decision.promoted
    assert "that is no improvement" in decision.sentence
    assert promotion_gate.compare(
        customers, truth, truth.copy(), Promotion(margin=0.01, samples=100), EFFORTS
    ).promoted


def break_calibration(
    truth: promotion_gate.Floats, customers: UntouchedCustomers
) -> promotion_gate.Floats:
    """Order all customers by who left, with probabilities that are much too high."""
    return np.clip(np.where(customers.churned == 1, 0.97, truth * 0.6 + 0.17), 0, 1)


def test_a_rule_that_is_broken_is_named() -> None:
    """Better by far, but too slow, or too large: the champion stays, and the sentence
    says for what.
    """
    customers, truth = simulate(0)
    champion = blur(truth, 1, 1.2)
    slow = [EFFORTS[0], Effort(5_000.0, 60_000)]
    decision = promotion_gate.compare(customers, champion, truth, QUICK, slow)
    assert (decision.promoted, decision.failed) == (False, ["ms per 1,000 customers"])
    assert "10 -> 5e+03" in decision.sentence
    assert "1000 ms" in decision.sentence
    large = [EFFORTS[0], Effort(5.0, 200_000_000)]
    assert promotion_gate.compare(customers, champion, truth, QUICK, large).failed == [
        "MB of the model"
    ]
    uncalibrated = promotion_gate.compare(
        customers, champion, break_calibration(truth, customers), QUICK, EFFORTS
    )
    assert "calibration error" in uncalibrated.failed


def test_a_segment_that_gets_much_worse_keeps_the_champion() -> None:
    """Better over all, but blind in the north."""
    customers, truth = simulate(0, 4000)
    north = (customers.cuts["region"] == "north").to_numpy()
    champion = blur(truth, 1, 1.5)
    challenger = np.where(customers.churned == 1, truth * 0.5 + 0.5, truth * 0.5)
    challenger[north] = customers.churned[north].mean() + np.random.default_rng(3).normal(
        0, 0.01, north.sum()
    )
    decision = promotion_gate.compare(customers, champion, challenger, QUICK, EFFORTS)
    assert "AUC, region = north" in decision.failed
    assert not decision.promoted


def test_money_that_is_lost_keeps_the_champion() -> None:
    """A challenger with fewer squared errors that contacts the wrong customers."""
    customers, _ = simulate(0)
    rich = UntouchedCustomers(
        customers.churned,
        customers.groups,
        customers.values * 20,
        customers.cuts,
        profit.Money(customer_value=4_000),
    )
    challenger = np.where(customers.churned == 1, 0.9, 0.05)
    missed = np.flatnonzero(customers.churned)[:60]
    challenger[missed] = 0.0005
    rules = Promotion(metric="brier", samples=100, calibration=1)
    decision = promotion_gate.compare(rich, np.full(CUSTOMERS, 0.5), challenger, rules, EFFORTS)
    assert decision.failed == ["profit per customer"]


def test_few_customers_are_not_enough() -> None:
    """The sentence says how many there are, and how many it takes."""
    customers, truth = simulate(0, 80)
    decision = promotion_gate.compare(customers, truth, truth, QUICK, EFFORTS)
    assert not decision.promoted
    assert re.search(r"\b80 customers.*\b100\b", decision.sentence)


def test_rows_of_one_customer_are_drawn_together() -> None:
    """Ten copies of each customer make no better evidence."""
    customers, truth = simulate(0, 300)
    champion = blur(truth, 1, 0.7)
    copies = UntouchedCustomers(
        np.tile(customers.churned, 10),
        np.tile(customers.groups, 10),
        np.tile(customers.values, 10),
        pd.concat([customers.cuts] * 10, ignore_index=True),
        customers.money,
    )
    one = promotion_gate.compare(customers, champion, truth, QUICK, EFFORTS).evidence.loc[
        "log_loss", "at worst"
    ]
    ten = promotion_gate.compare(copies, np.tile(champion, 10), np.tile(truth, 10), QUICK, EFFORTS)
    assert ten.evidence.loc["log_loss", "at worst"] == pytest.approx(one)


CUSTOMERS_SPLIT: dict[str, Any] = {
    "how": "customers",
    "salt": "s",
    "test_share": 0.2,
    "test_from": None,
}
TIME_SPLIT: dict[str, Any] = {
    "how": "time",
    "salt": "s",
    "test_share": 0.2,
    "test_from": "2025-06-01",
}


def test_untouched_are_the_customers_that_neither_was_trained_on() -> None:
    """By place where customers were put away, by day where days were."""
    places, days = (
        np.array([0.05, 0.15, 0.25]),
        pd.Series(pd.to_datetime(["2025-05-01", "2025-06-01", "2025-07-01"])),
    )
    less = CUSTOMERS_SPLIT | {"test_share": 0.1}
    found = [
        promotion_gate.find_untouched(champion, CUSTOMERS_SPLIT, places, days)[0].tolist()
        for champion in (CUSTOMERS_SPLIT, less, TIME_SPLIT)
    ]
    assert found == [[True, True, False], [True, False, False], [False, True, True]]


@pytest.mark.parametrize(
    ("champion", "reason"),
    [
        ({}, "not recorded"),
        (CUSTOMERS_SPLIT | {"salt": "other"}, "another salt"),
        (TIME_SPLIT, "no as-of day"),
    ],
)
def test_splits_that_cannot_be_compared_say_why(champion: dict[str, Any], reason: str) -> None:
    """Nobody is untouched for certain."""
    rows, said = promotion_gate.find_untouched(champion, CUSTOMERS_SPLIT, np.array([0.1]), None)
    assert rows.tolist() == [False]
    assert reason in said


def test_rules_are_checked() -> None:
    """An unknown metric and a confidence that is none are refused."""
    with pytest.raises(ValidationError):
        Promotion(metric="accuracy")  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Promotion(confidence=0.3)


def test_rows_that_belong_together_are_one_customer() -> None:
    """Eighty customers of five rows each are too few where it takes a hundred."""
    customers, truth = simulate(0, 400)
    grouped = replace(customers, groups=np.repeat(np.arange(80), 5))
    decision = promotion_gate.compare(grouped, blur(truth, 1, 1.2), truth, QUICK, EFFORTS)
    assert not decision.promoted
    assert "80 customers untouched by both" in decision.sentence
