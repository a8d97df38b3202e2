"""The promotion gate: luck does not promote, a better model is promoted, and each rule can keep the champion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.special import expit, logit

from decision import profit, promotion
from decision.promotion import Effort, Ground
from params import Promotion

CUSTOMERS = 1400
EFFORTS = [Effort(10.0, 50_000), Effort(12.0, 60_000)]
QUICK = Promotion(samples=300)


def simulate(seed: int, customers: int = CUSTOMERS) -> tuple[Ground, promotion.Floats]:
    """Draw customers, their true probabilities and whether they left."""
    random = np.random.default_rng(seed)
    truth = expit(random.normal(-1.3, 1.4, customers))
    money = profit.Money()
    ground = Ground(
        random.binomial(1, truth),
        np.arange(customers),
        np.full(customers, money.customer_value),
        pd.DataFrame({"region": random.choice(["north", "south", "west"], customers)}),
        money,
    )
    return ground, truth


def blur(truth: promotion.Floats, seed: int, noise: float) -> promotion.Floats:
    """Return what a model says that knows the truth but for some noise, calibrated all the same."""
    odds = logit(truth) + np.random.default_rng(seed).normal(0, noise, len(truth))
    return np.asarray(expit(odds / (1 + noise**2 / 4)))


def test_luck_does_not_promote() -> None:
    """Of 200 challengers as good as the champion, at most 5 % are promoted."""
    promoted = 0
    for seed in range(200):
        ground, truth = simulate(seed)
        champion, challenger = blur(truth, seed + 1000, 0.5), blur(truth, seed + 2000, 0.5)
        promoted += promotion.compare(ground, champion, challenger, QUICK, EFFORTS, seed).promoted
    assert promoted <= 10


def test_a_clearly_better_model_is_promoted() -> None:
    """Of 20 challengers that know clearly more, nearly all are promoted, with evidence for each check."""
    decisions = []
    for seed in range(20):
        ground, truth = simulate(seed)
        decisions.append(
            promotion.compare(ground, blur(truth, seed + 1000, 1.2), truth, Promotion(samples=300), EFFORTS, seed)
        )
    assert sum(decision.promoted for decision in decisions) >= 18
    evidence = decisions[0].evidence
    assert list(evidence.columns) == promotion.COLUMNS
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
    ground, truth = simulate(0)
    champion = blur(truth, 1, 1.2)
    rules = Promotion(metric=metric, samples=100)  # type: ignore[arg-type]
    row = promotion.compare(ground, champion, truth, rules, EFFORTS).evidence.loc[metric]
    assert row["champion"] == pytest.approx(usual[metric](ground.churned, champion))
    assert row["challenger"] == pytest.approx(usual[metric](ground.churned, truth))
    assert row["difference"] > row["at worst"] > 0


def test_the_same_model_again_is_not_promoted_unless_a_margin_allows_it() -> None:
    """A model equal to the champion is no improvement; with a margin it is good enough."""
    ground, truth = simulate(0)
    decision = promotion.compare(ground, truth, truth.copy(), QUICK, EFFORTS)
    assert not decision.promoted
    assert "that is no improvement" in decision.sentence
    assert promotion.compare(ground, truth, truth.copy(), Promotion(margin=0.01, samples=100), EFFORTS).promoted


def break_calibration(truth: promotion.Floats, ground: Ground) -> promotion.Floats:
    """Order all customers by who left, with probabilities that are much too high."""
    return np.clip(np.where(ground.churned == 1, 0.97, truth * 0.6 + 0.17), 0, 1)


def test_a_rule_that_is_broken_is_named() -> None:
    """Better by far, but too slow, or too large: the champion stays, and the sentence says for what."""
    ground, truth = simulate(0)
    champion = blur(truth, 1, 1.2)
    slow = [EFFORTS[0], Effort(5_000.0, 60_000)]
    decision = promotion.compare(ground, champion, truth, QUICK, slow)
    assert (decision.promoted, decision.failed) == (False, ["ms per 1,000 customers"])
    assert "but ms per 1,000 customers 10 -> 5e+03 (at most 1000 ms)" in decision.sentence
    large = [EFFORTS[0], Effort(5.0, 200_000_000)]
    assert promotion.compare(ground, champion, truth, QUICK, large).failed == ["MB of the model"]
    uncalibrated = promotion.compare(ground, champion, break_calibration(truth, ground), QUICK, EFFORTS)
    assert "calibration error" in uncalibrated.failed


def test_a_segment_that_gets_much_worse_keeps_the_champion() -> None:
    """Better over all, but blind in the north."""
    ground, truth = simulate(0, 4000)
    north = (ground.cuts["region"] == "north").to_numpy()
    champion = blur(truth, 1, 1.5)
    challenger = np.where(ground.churned == 1, truth * 0.5 + 0.5, truth * 0.5)
    challenger[north] = ground.churned[north].mean() + np.random.default_rng(3).normal(0, 0.01, north.sum())
    decision = promotion.compare(ground, champion, challenger, QUICK, EFFORTS)
    assert "AUC, region = north" in decision.failed
    assert not decision.promoted


def test_money_that_is_lost_keeps_the_champion() -> None:
    """A challenger with fewer squared errors that contacts the wrong customers."""
    ground, _ = simulate(0)
    rich = Ground(ground.churned, ground.groups, ground.values * 20, ground.cuts, profit.Money(customer_value=4_000))
    challenger = np.where(ground.churned == 1, 0.9, 0.05)
    missed = np.flatnonzero(ground.churned)[:60]
    challenger[missed] = 0.0005
    rules = Promotion(metric="brier", samples=100, calibration=1)
    decision = promotion.compare(rich, np.full(CUSTOMERS, 0.5), challenger, rules, EFFORTS)
    assert decision.failed == ["profit per customer"]


def test_few_customers_are_not_enough() -> None:
    """The sentence says how many there are, and how many it takes."""
    ground, truth = simulate(0, 80)
    decision = promotion.compare(ground, truth, truth, QUICK, EFFORTS)
    assert decision.sentence == "too few to compare: 80 customers untouched by both, where it takes 100"
    assert not decision.promoted


def test_rows_of_one_customer_are_drawn_together() -> None:
    """Ten copies of each customer make no better evidence."""
    ground, truth = simulate(0, 300)
    champion = blur(truth, 1, 0.7)
    copies = Ground(
        np.tile(ground.churned, 10),
        np.tile(ground.groups, 10),
        np.tile(ground.values, 10),
        pd.concat([ground.cuts] * 10, ignore_index=True),
        ground.money,
    )
    one = promotion.compare(ground, champion, truth, QUICK, EFFORTS).evidence.loc["log_loss", "at worst"]
    ten = promotion.compare(copies, np.tile(champion, 10), np.tile(truth, 10), QUICK, EFFORTS)
    assert ten.evidence.loc["log_loss", "at worst"] == pytest.approx(one)


CUSTOMERS_SPLIT: dict[str, Any] = {"how": "customers", "salt": "s", "test_share": 0.2, "test_from": None}
TIME_SPLIT: dict[str, Any] = {"how": "time", "salt": "s", "test_share": 0.2, "test_from": "2025-06-01"}


def test_untouched_are_the_customers_that_neither_was_trained_on() -> None:
    """By place where customers were put away, by day where days were; whatever the challenger did."""
    places, days = np.array([0.05, 0.15, 0.25]), pd.Series(pd.to_datetime(["2025-05-01", "2025-06-01", "2025-07-01"]))
    less = CUSTOMERS_SPLIT | {"test_share": 0.1}
    found = [
        promotion.find_untouched(champion, CUSTOMERS_SPLIT, places, days)[0].tolist()
        for champion in (CUSTOMERS_SPLIT, less, TIME_SPLIT)
    ]
    assert found == [[True, True, False], [True, False, False], [False, True, True]]


@pytest.mark.parametrize(
    ("champion", "reason"),
    [
        ({}, "how its test set was drawn is not recorded"),
        (CUSTOMERS_SPLIT | {"salt": "other"}, "its test set was drawn with another salt"),
        (TIME_SPLIT, "its test set was drawn by time, and today's customers have no as-of day"),
    ],
)
def test_splits_that_cannot_be_compared_say_why(champion: dict[str, Any], reason: str) -> None:
    """Nobody is untouched for certain."""
    rows, said = promotion.find_untouched(champion, CUSTOMERS_SPLIT, np.array([0.1]), None)
    assert (rows.tolist(), said) == ([False], reason)


def test_calibration_error_is_the_mean_distance_of_the_rates() -> None:
    """0 for a model that is right in each group; what it is off, where it is off everywhere by the same."""
    churned = np.tile([1, 0, 0, 0], 100)
    assert promotion.calibration_error(churned, np.full(400, 0.25)) == pytest.approx(0)
    assert promotion.calibration_error(churned, np.full(400, 0.35)) == pytest.approx(0.1)


def test_rules_are_checked() -> None:
    """An unknown metric and a confidence that is none are refused."""
    with pytest.raises(ValidationError):
        Promotion(metric="accuracy")  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Promotion(confidence=0.3)
