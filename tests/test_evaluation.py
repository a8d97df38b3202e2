"""Evaluation: metrics, nested cross-validation, intervals, and whether more customers would help."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from modelled import make_customers

import candidates
import encoders
import evaluation
import splitting

FEATURES = ["tenure", "price"], ["contract", "payment"]


def make_space(**changes: Any) -> candidates.Space:
    """Return a small search."""
    settings: dict[str, Any] = {"knots": 5, "rare": 5, "seed": 0, "strengths": (0.01, 1.0), "trees": {3: (5, 20)}}
    settings |= {"learning_rate": 0.2, "most_rows": 20_000} | changes
    return candidates.Space(encoders.Columns(*FEATURES), **settings)


def make_task(count: int = 900) -> tuple[pd.DataFrame, evaluation.Labels, evaluation.Labels]:
    """Return features, answers, and groups of one customer each."""
    frame = make_customers(count)
    return encoders.as_features(frame, *FEATURES), frame["churned"].to_numpy("int64"), np.arange(count)


def plan(churned: evaluation.Labels, repeats: int = 1) -> list[splitting.Split]:
    """Return three folds of customers who each stand alone."""
    return splitting.make_folds(churned, np.arange(len(churned)), folds=3, repeats=repeats, seed=1)


def test_lift_is_the_rate_on_top_over_the_rate_of_all() -> None:
    """Of ten customers four churn; both of the top two do, two of the top three, so 20 % lift 2.5 and 30 % 1.67."""
    churned = np.array([1, 1, 0, 0, 1, 0, 0, 1, 0, 0])
    probability = np.linspace(0.9, 0.1, 10)
    assert evaluation.lift(churned, probability, 0.2) == pytest.approx(2.5)
    assert evaluation.lift(churned, probability, 0.3) == pytest.approx((2 / 3) / 0.4)
    assert evaluation.lift(churned, probability, 0.25) == pytest.approx((2 / 2.5) / 0.4)


def test_lift_of_customers_with_equal_probability_is_one() -> None:
    """No order is assumed among customers with equal probability."""
    assert evaluation.lift(np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0]), np.full(10, 0.2)) == pytest.approx(1)


def test_standard_error_allows_for_folds_that_share_customers() -> None:
    """With 5 folds and 10 values the factor is the root of 1/10 + 1/4, not of 1/10."""
    values = pd.DataFrame({"roc_auc": [0.8, 0.9] * 5})
    expected = values["roc_auc"].std() * np.sqrt(1 / 10 + 1 / 4)
    assert evaluation.standard_error(values, folds=5)["roc_auc"] == pytest.approx(expected)


def test_threshold_is_where_f1_is_highest() -> None:
    """Calling the top three gives F1 6/7, more than the top two (0.8) or the top five (0.75)."""
    churned, probability = np.array([1, 1, 0, 1, 0, 0]), np.array([0.9, 0.8, 0.3, 0.7, 0.6, 0.1])
    threshold = evaluation.best_f1_threshold(churned, probability)
    assert threshold == pytest.approx(0.7)
    found = evaluation.at_threshold(churned, probability, threshold)
    assert found == pytest.approx({"precision": 1, "recall": 1, "f1": 1, "share_called": 0.5})


def test_bootstrap_gives_bounds_around_the_metric() -> None:
    """The interval holds the metric, is the same for the same seed, and is narrower for more customers."""

    def width(count: int) -> float:
        frame = make_customers(count)
        table = evaluation.bootstrap(
            frame["churned"].to_numpy("int64"),
            1 / (2 + frame["tenure"].to_numpy()),
            samples=50,
            seed=0,
            groups=np.arange(count),
        )
        assert (table["low"] <= table["test"]).all()
        assert (table["test"] <= table["high"]).all()
        return float(table.loc["roc_auc", "high"] - table.loc["roc_auc", "low"])

    assert width(200) == width(200)
    assert width(2000) < width(200)


def test_metrics_have_the_names_of_the_record() -> None:
    """The chosen model's metrics are `cv_…` and `test_…`, those of all models have the model's name before."""
    table = pd.DataFrame({"roc_auc": [0.8, 0.1, 0.05]}, index=["mean", "std", "se"])
    test = pd.DataFrame({"test": [0.7], "low": [0.6], "high": [0.75], "std over folds": [0.1]}, index=["roc_auc"])
    names = evaluation.name_metrics({"baseline": table - 0.3, "linear": table}, "linear", test)
    assert names["cv_roc_auc"] == names["linear/cv_roc_auc"] == 0.8
    assert names["baseline/cv_roc_auc"] == 0.5
    assert (names["cv_roc_auc_std"], names["test_roc_auc"], names["test_roc_auc_low"]) == (0.1, 0.7, 0.6)


def test_rows_of_one_group_are_drawn_together() -> None:
    """Each customer ten times is no more evidence than once: the interval is as wide."""
    frame = make_customers(300)
    churned, probability = frame["churned"].to_numpy("int64"), 1 / (2 + frame["tenure"].to_numpy())
    once = evaluation.bootstrap(churned, probability, samples=100, seed=0, groups=np.arange(300))
    ten = np.repeat(np.arange(300), 10)
    often = evaluation.bootstrap(churned[ten], probability[ten], samples=100, seed=0, groups=ten)
    widths = [float(table.loc["roc_auc", "high"] - table.loc["roc_auc", "low"]) for table in (once, often)]
    assert widths[1] == pytest.approx(widths[0], rel=0.05)


def test_each_customer_is_predicted_once_a_repeat_and_equally_every_time() -> None:
    """Out-of-fold predictions cover all customers in each repeat, and the seed decides them."""
    features, churned, alone = make_task()
    predictions, settings = evaluation.cross_validate(make_space(), features, churned, alone, plan(churned, 2), folds=3)
    again, _ = evaluation.cross_validate(make_space(), features, churned, alone, plan(churned, 2), folds=3)
    pd.testing.assert_frame_equal(predictions, again)
    assert predictions["model"].drop_duplicates().tolist() == list(candidates.NAMES)
    assert (predictions.groupby(["model", "repeat", "row"]).size() == 1).all()
    assert len(predictions) == 4 * 2 * len(features)
    assert len(settings) == 6


def test_processes_give_the_same_predictions_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """In processes of their own or in this one, the answers are equal, in the order of the folds."""
    features, churned, alone = make_task()
    arguments = make_space(), features, churned, alone, plan(churned)
    expected, _ = evaluation.cross_validate(*arguments, folds=3)
    monkeypatch.setattr(evaluation, "_WORTH_PROCESSES", 0)
    found, _ = evaluation.cross_validate(*arguments, folds=3)
    pd.testing.assert_frame_equal(found, expected)


def test_predictions_do_not_depend_on_the_answers_they_are_measured_on() -> None:
    """With other answers in the test part of a fold, settings and predictions of that fold are the same."""
    features, churned, alone = make_task()
    split = plan(churned)[0]
    other = churned.copy()
    other[split[1]] = 1 - other[split[1]]
    first = candidates.predict_tuned(make_space(), features, churned, alone, split)
    second = candidates.predict_tuned(make_space(), features, other, alone, split)
    assert first[1] == second[1]
    assert all((first[0][name] == second[0][name]).all() for name in candidates.NAMES)


def test_search_finds_the_settings_that_fit() -> None:
    """Where answers are noise the stronger penalty and the fewer trees win; the blend is the mean of both models."""
    features, _, alone = make_task()
    noise = np.random.default_rng(99).binomial(1, 0.3, len(features))
    models, settings, tried = candidates.tune(make_space(), features, noise, alone)
    assert settings == {"C": 0.01, "max_leaf_nodes": 3, "max_iter": 5}
    assert len(tried) == 4
    linear, trees, both = (
        models[name].fit(features, noise).predict_proba(features)
        for name in (candidates.LINEAR, candidates.TREES, candidates.BLEND)
    )
    assert both == pytest.approx((linear + trees) / 2)


def test_search_on_many_rows_looks_at_whole_groups_of_some() -> None:
    """About as many rows as it may; a group is in or out."""
    groups = np.repeat(np.arange(500), 4)
    rows = candidates.pick_rows(groups, 400, seed=0)
    assert 300 < len(rows) < 500
    assert (np.bincount(groups[rows]) % 4 == 0).all()


def test_baseline_is_at_chance() -> None:
    """The prior has an AUC of one half, a lift of one and no calibration slope: every metric copes."""
    churned = make_task()[1]
    measured = evaluation.measure(churned, np.full(len(churned), churned.mean()))
    assert measured["roc_auc"] == 0.5
    assert measured["lift_at_10"] == pytest.approx(1)
    assert np.isnan(measured["calibration_slope"])


def test_metrics_that_are_not_defined_are_not_recorded() -> None:
    """The baseline has no calibration slope, and none is named."""
    table = pd.DataFrame({"roc_auc": [0.5, 0.0, 0.0], "calibration_slope": [np.nan] * 3}, index=["mean", "std", "se"])
    test = pd.DataFrame({"test": [0.5], "low": [0.5], "high": [0.5]}, index=["roc_auc"])
    names = evaluation.name_metrics({"baseline": table}, "baseline", test)
    assert "cv_roc_auc" in names
    assert not [name for name in names if "slope" in name]


def test_learning_curve_falls_while_customers_help() -> None:
    """With few customers more of them help; the words follow from the last doubling and its standard error."""
    features, churned, alone = make_task(1200)
    model = make_space().candidates({"C": 1.0, "max_leaf_nodes": 3, "max_iter": 20})[candidates.TREES]
    curve = evaluation.learn_more(model, features, churned, alone, plan(churned), seed=0)
    means = curve.groupby("share")[["customers", "log_loss"]].mean()
    assert means["customers"].tolist() == pytest.approx([200, 400, 800], rel=0.1)
    assert means.loc[0.25, "log_loss"] > means.loc[1.0, "log_loss"]


@pytest.mark.parametrize(
    ("half", "words"),
    [(0.5, "more customers would help"), (0.41, "may help a little"), (0.4, "would hardly help")],
)
def test_words_about_more_customers_follow_the_last_doubling(half: float, words: str) -> None:
    """A fall of the log loss counts when it is more than one or two of its standard errors."""
    noise = np.array([-0.01, 0.0, 0.01])
    parts = {0.25: 0.6 + noise, 0.5: half + noise, 1.0: np.full(3, 0.4)}
    curve = pd.concat([pd.DataFrame({"fold": range(3), "share": s, "log_loss": v}) for s, v in parts.items()])
    assert words in evaluation.tell_whether_more_helps(curve, folds=3)
