"""Evaluation: metrics, nested cross-validation, intervals, curves, and whether more customers
would help.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churn.modelling import evaluation, search, splitting
from churn.modelling.splitting import Examples
from helpers.modelled import make_contest, make_customers, make_examples


def plan(train: Examples, repeats: int = 1) -> list[splitting.Split]:
    """Return three folds of customers who each stand alone."""
    return splitting.make_folds(train.churned, train.groups, folds=3, repeats=repeats, seed=1)


def score(count: int, times: int = 1) -> tuple[Examples, evaluation.Floats]:
    """Return customers, each so many times, and probabilities for them."""
    frame = make_customers(count)
    rows = np.repeat(np.arange(count), times)
    churned = frame["churned"].to_numpy("int64")[rows]
    return Examples(frame.iloc[rows], churned, rows), 1 / (2 + frame["tenure"].to_numpy())[rows]


def test_standard_error_allows_for_folds_that_share_customers() -> None:
    """With 5 folds and 10 values the factor is the root of 1/10 + 1/4, not of 1/10."""
    values = pd.DataFrame({"roc_auc": [0.8, 0.9] * 5})
    expected = values["roc_auc"].std() * np.sqrt(1 / 10 + 1 / 4)
    assert evaluation.standard_error(values, folds=5)["roc_auc"] == pytest.approx(expected)


def test_bootstrap_gives_bounds_around_the_metric() -> None:
    """The interval holds the metric, is the same for the same seed, and is narrower for
    more customers.
    """

    def width(count: int) -> float:
        table = evaluation.bootstrap(*score(count), samples=50, seed=0)
        assert (table["low"] <= table["test"]).all()
        assert (table["test"] <= table["high"]).all()
        return float(table.loc["roc_auc", "high"] - table.loc["roc_auc", "low"])

    assert width(200) == width(200)
    assert width(2000) < width(200)


def test_metrics_have_the_names_of_the_record() -> None:
    """The chosen model's metrics are `cv_…` and `test_…`, those of all models have the
    model's name before.
    """
    table = pd.DataFrame({"roc_auc": [0.8, 0.1, 0.05]}, index=["mean", "std", "se"])
    test = pd.DataFrame(
        {"test": [0.7], "low": [0.6], "high": [0.75], "std over folds": [0.1]}, index=["roc_auc"]
    )
    names = evaluation.name_metrics({"prior": table - 0.3, "linear": table}, "linear", test)
    assert names["cv_roc_auc"] == names["linear/cv_roc_auc"] == 0.8
    assert names["prior/cv_roc_auc"] == 0.5
    assert (names["cv_roc_auc_std"], names["test_roc_auc"], names["test_roc_auc_low"]) == (
        0.1,
        0.7,
        0.6,
    )


def test_rows_of_one_group_are_drawn_together() -> None:
    """Each customer ten times is no more evidence than once: the interval is as wide."""
    once = evaluation.bootstrap(*score(300), samples=100, seed=0)
    often = evaluation.bootstrap(*score(300, 10), samples=100, seed=0)
    widths = [
        float(table.loc["roc_auc", "high"] - table.loc["roc_auc", "low"]) for table in (once, often)
    ]
    assert widths[1] == pytest.approx(widths[0], rel=0.05)


def test_each_customer_is_predicted_once_a_repeat_and_equally_every_time() -> None:
    """Out-of-fold predictions cover all customers in each repeat, and the seed decides them."""
    train = make_examples()
    predictions, settings = evaluation.cross_validate(
        make_contest(), train, plan(train, 2), folds=3
    )
    again, _ = evaluation.cross_validate(make_contest(), train, plan(train, 2), folds=3)
    pd.testing.assert_frame_equal(predictions, again)
    assert predictions["model"].drop_duplicates().tolist() == make_contest().names
    assert (predictions.groupby(["model", "repeat", "row"]).size() == 1).all()
    assert len(predictions) == 4 * 2 * len(train)
    assert len(settings) == 6
    assert set(settings["logistic_regression.C"]) <= {0.01, 1.0}


def test_metrics_that_are_not_defined_are_not_recorded() -> None:
    """The prior model has no calibration slope, and none is named."""
    table = pd.DataFrame(
        {"roc_auc": [0.5, 0.0, 0.0], "calibration_slope": [np.nan] * 3}, index=["mean", "std", "se"]
    )
    test = pd.DataFrame({"test": [0.5], "low": [0.5], "high": [0.5]}, index=["roc_auc"])
    names = evaluation.name_metrics({"prior": table}, "prior", test)
    assert "cv_roc_auc" in names
    assert not [name for name in names if "slope" in name]


def test_learning_curve_falls_while_customers_help() -> None:
    """Each share is tuned by itself; of all customers it has what is known already."""
    train, contest = make_examples(1200), make_contest().only("gradient_boosting")
    predictions, _ = evaluation.cross_validate(contest, train, plan(train), folds=3)
    known = evaluation.measure_folds(predictions[predictions["model"] == "gradient_boosting"])
    curve = evaluation.learn_more(contest, train, plan(train), known, seed=0)
    means = curve.groupby("share")[["customers", "log_loss"]].mean()
    assert means["customers"].tolist() == pytest.approx([200, 400, 800], rel=0.1)
    assert means.loc[0.25, "log_loss"] > means.loc[1.0, "log_loss"]
    whole = curve[curve["share"] == 1.0].sort_values("fold")
    assert whole["log_loss"].tolist() == known["log_loss"].tolist()


@pytest.mark.parametrize(
    ("half", "words"),
    [(0.5, "more customers would help"), (0.41, "may help a little"), (0.4, "would hardly help")],
)
def test_words_about_more_customers_follow_the_last_doubling(half: float, words: str) -> None:
    """A fall of the log loss counts when it is more than one or two of its standard errors."""
    noise = np.array([-0.01, 0.0, 0.01])
    parts = {0.25: 0.6 + noise, 0.5: half + noise, 1.0: np.full(3, 0.4)}
    curve = pd.concat(
        [pd.DataFrame({"fold": range(3), "share": s, "log_loss": v}) for s, v in parts.items()]
    )
    assert words in evaluation.tell_whether_more_helps(curve, folds=3)
    told = evaluation.tell_whether_more_helps(curve, folds=3, edges=["trees has num_leaves=31"])
    assert "num_leaves=31" in told
    assert "more customers" not in told


def test_importance_is_what_shuffling_costs() -> None:
    """The feature that decides costs most, one that does not enter nothing; the same seed
    gives the same.
    """
    train = make_examples()
    model = search.tune(make_contest(), train).models["gradient_boosting"]
    model.fit(train.features, train.churned)
    asked = {"most_rows": 500, "repeats": 4, "seed": 0}
    lost = evaluation.permute_features(model, train, **asked)
    assert lost.shape == (4, 4)
    assert lost.mean().idxmax() == "tenure"
    assert lost["payment"].abs().max() < 0.02 < lost["contract"].min()
    pd.testing.assert_frame_equal(evaluation.permute_features(model, train, **asked), lost)


def test_curves_of_a_prior_model_show_chance() -> None:
    """Equal probabilities give the diagonal of ROC and gain, and the churn rate as
    precision at every recall.
    """
    churned, equal, grid = np.array([1, 0, 0, 0]), np.full(4, 0.25), np.array([0.25, 0.5, 1.0])
    assert evaluation.roc(churned, equal, grid) == pytest.approx(grid)
    assert evaluation.gain(churned, equal, grid) == pytest.approx(grid)
    assert evaluation.precision_recall(churned, equal, grid) == pytest.approx([0.25] * 3)


def test_calibration_compares_predicted_with_observed_in_each_fold() -> None:
    """Two folds of four customers in two groups: means over the folds, and their spread."""
    fold = {"model": "m", "repeat": 0, "probability": [0.1, 0.3, 0.7, 0.9]}
    predictions = pd.concat(
        [
            pd.DataFrame(fold | {"fold": 0, "churned": [0, 0, 1, 1]}),
            pd.DataFrame(fold | {"fold": 1, "churned": [0, 1, 0, 1]}),
        ]
    )
    table = evaluation.reliability(predictions, bins=2)
    assert table["probability"].tolist() == pytest.approx([0.2, 0.8])
    assert table["observed"].tolist() == pytest.approx([0.25, 0.75])
    assert table["spread"].tolist() == pytest.approx([np.std([0, 0.5], ddof=1)] * 2)
