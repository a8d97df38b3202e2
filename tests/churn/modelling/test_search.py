"""The search: candidates are tuned and fitted on nothing but the rows that they are given."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from churn.modelling import early_stopping, encoders, evaluation, metrics, search, splitting
from churn.modelling.candidates import Candidate
from helpers.modelled import FEATURES, make_contest, make_examples

CODES = encoders.encode_for_trees(encoders.Columns(*FEATURES), rare=2, seed=0)


def test_a_new_candidate_is_one_line() -> None:
    """A model that nobody thought of competes under its name, with its own settings."""
    tree = DecisionTreeClassifier(random_state=0)
    contest = make_contest(None, Candidate("tree", CODES, tree, {"max_depth": [1, 3]}))
    train = make_examples()
    folds = splitting.make_folds(train.churned, train.groups, folds=3, repeats=1, seed=1)
    predictions, settings = evaluation.cross_validate(contest, train, folds, folds=3)
    assert predictions["model"].drop_duplicates().tolist() == [*make_contest().names, "tree"]
    assert set(settings["tree.max_depth"]) <= {1, 3}
    tuned = search.tune(contest, train)
    assert tuned.models["tree"][-1].max_depth == tuned.settings["tree"]["max_depth"]
    assert tuned.tried.groupby("model").size()["tree"] == 2


def test_a_candidate_without_settings_is_not_searched() -> None:
    """It competes as it is, and no figure is made up for it."""
    contest = make_contest(None, Candidate("bayes", None, GaussianNB()))
    train = dataclasses.replace(make_examples(), features=make_examples().features[["tenure"]])
    tuned = search.tune(contest.only("bayes"), train)
    assert tuned.settings == {"prior": {}, "bayes": {}}
    assert tuned.tried["log loss"].isna().all()
    model = tuned.models["bayes"].fit(train.features, train.churned)
    assert model.predict_proba(train.features).any()


def test_predictions_do_not_depend_on_the_answers_they_are_measured_on() -> None:
    """With other answers in the test part of a fold, settings and predictions of that
    fold are the same.
    """
    train = make_examples()
    split = splitting.make_folds(train.churned, train.groups, folds=3, repeats=1, seed=1)[0]
    answers = train.churned.copy()
    answers[split[1]] = 1 - answers[split[1]]
    other = dataclasses.replace(train, churned=answers)
    first, second = (search.predict_tuned(make_contest(), each, split) for each in (train, other))
    assert first[1] == second[1]
    assert all((first[0][name] == second[0][name]).all() for name in make_contest().names)


def test_search_finds_the_settings_that_fit() -> None:
    """Where answers are noise the stronger penalty and few trees win; the blend is the
    mean of both models.
    """
    train = make_examples()
    noise = np.random.default_rng(99).binomial(1, 0.3, len(train))
    train = dataclasses.replace(train, churned=noise)
    tuned = search.tune(make_contest(), train)
    assert tuned.settings["logistic_regression"] == {"C": 0.01}
    assert tuned.settings["gradient_boosting"]["n_estimators"] < 20
    assert tuned.tried["log loss"].notna().sum() == 4
    linear, trees, both = (
        tuned.models[name].fit(train.features, noise).predict_proba(train.features)
        for name in ("logistic_regression", "gradient_boosting", "blend")
    )
    assert both == pytest.approx((linear + trees) / 2)


def interact(count: int = 1500) -> splitting.Examples:
    """Return customers who leave when price and tenure are both high or both low."""
    train = make_examples(count)
    dear = (train.features["price"].fillna(60) > 60) == (train.features["tenure"] > 17)
    odds = np.where(dear, 0.9, 0.1)
    return dataclasses.replace(train, churned=np.random.default_rng(5).binomial(1, odds))


def test_edges_of_what_was_tried_are_named() -> None:
    """The largest trees, and as many as there may be; not what lies between, nor trees of
    two leaves, which cannot have fewer.
    """
    tuned = search.tune(make_contest(strengths=(0.01, 0.1, 1e3), most_trees=3), interact())
    assert [text for text in tuned.edges["gradient_boosting"] if "num_leaves=4" in text]
    assert [text for text in tuned.edges["gradient_boosting"] if "n_estimators=3" in text]
    assert set(tuned.edges["blend"]) >= set(tuned.edges["gradient_boosting"])
    additive = search.tune(make_contest(strengths=(1e-4, 0.1, 1e3)), make_examples())
    assert additive.settings["gradient_boosting"]["num_leaves"] == 2
    assert additive.edges["blend"] == additive.edges["prior"] == []


def test_larger_steps_are_left_out_when_two_brought_nothing() -> None:
    """Of an additive truth trees of 32 leaves are never fitted; of a grid of two settings
    all is tried.
    """
    contest = make_contest(leaves=(2, 8, 16, 32, 64))
    tried = search.tune(contest, make_examples()).tried
    assert tried.groupby("model").size()["gradient_boosting"] < 5
    forest = DecisionTreeClassifier(random_state=0)
    grid = {"max_depth": [1, 2, 9, 12, 20], "min_samples_leaf": [5, 50]}
    both = make_contest(None, Candidate("tree", CODES, forest, grid))
    assert (
        search.tune(both.only("tree"), make_examples()).tried["model"].tolist().count("tree") == 10
    )


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (LGBMClassifier(n_estimators=300, num_leaves=3, n_jobs=1, verbose=-1), "n_estimators"),
        (HistGradientBoostingClassifier(max_iter=60, early_stopping=False), "max_iter"),
    ],
)
def test_fewer_trees_are_measured_on_the_way_to_the_most(model: object, count: str) -> None:
    """As if each number of them had been fitted by itself; LightGBM stops by itself."""
    train = make_examples()
    numbers = train.features[["tenure", "price"]].to_numpy()
    halves = [(numbers[rows], train.churned[rows]) for rows in np.array_split(np.arange(900), 2)]
    losses = early_stopping.measure_stages(clone(model), *halves)
    ten = clone(model).set_params(**{count: 10}).fit(*halves[0])
    expected = metrics.log_loss(halves[1][1], ten.predict_proba(halves[1][0])[:, 1])
    assert losses[9] == pytest.approx(expected)
    assert len(losses) == (60 if count == "max_iter" else int(losses.argmin()) + 26)


def test_mean_over_folds_goes_as_far_as_the_longest() -> None:
    """A fold that stopped early keeps its last loss."""
    means = early_stopping.average([np.array([0.5, 0.4]), np.array([0.5, 0.3, 0.2])])
    assert means.tolist() == pytest.approx([0.5, 0.35, 0.3])


def test_linear_models_go_on_from_the_strength_before() -> None:
    """Which changes next to nothing in what is chosen."""
    train = make_examples()
    cold, warm = (
        Candidate("line", CODES, LogisticRegression(warm_start=warm, max_iter=500), {"C": [0.1, 1]})
        for warm in (False, True)
    )
    found = [search.tune(make_contest(None, one).only("line"), train) for one in (cold, warm)]
    assert found[0].tried["log loss"].tolist() == pytest.approx(
        found[1].tried["log loss"].tolist(), abs=1e-3, nan_ok=True
    )


def test_search_on_many_rows_looks_at_whole_groups_of_some() -> None:
    """About as many rows as it may; a group is in or out."""
    groups = np.repeat(np.arange(500), 4)
    rows = search.pick_rows(groups, 400, seed=0)
    assert 300 < len(rows) < 500
    assert (np.bincount(groups[rows]) % 4 == 0).all()
