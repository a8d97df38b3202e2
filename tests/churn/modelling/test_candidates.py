"""Candidates: one line each, refused where they cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest
from lightgbm import LGBMClassifier
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from churn.modelling import encoders
from churn.modelling.candidates import Candidate, CandidateError, Contest
from helpers.modelled import FEATURES, make_contest

CODES = encoders.encode_for_trees(encoders.Columns(*FEATURES), rare=2, seed=0)


class Stranger(ClassifierMixin, BaseEstimator):
    """A classifier of a package that nobody has vouched for."""

    def predict_proba(self, features: Any) -> Any:
        """Know nothing."""


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        (Candidate("both", mean_of=["logistic_regresion"]), ["'logistic_regression'"]),
        (Candidate("both", mean_of=["forest"]), ["'forest'", "gradient_boosting"]),
        (Candidate("tree", CODES, DecisionTreeClassifier(), {"max_dept": [3]}), ["'max_depth'"]),
        (Candidate("more", CODES, LogisticRegression(), staged="max_iters"), ["'max_iter'"]),
        (Candidate("line", CODES, LogisticRegression(), staged="max_iter"), ["LogisticRegression"]),
        (
            Candidate("trees", CODES, LGBMClassifier(), {"n_estimators": [9]}, "n_estimators"),
            ["'n_estimators'", "'trees'"],
        ),
        (Candidate("machine", CODES, LinearSVC()), ["predict_proba", "LinearSVC"]),
        (Candidate("strange", CODES, Stranger()), ["Stranger", "trust.py"]),
        (Candidate("blend", CODES, LogisticRegression()), ["'blend'", "2 times"]),
        (Candidate("empty"), ["'empty'"]),
    ],
)
def test_what_is_not_known_is_refused_with_the_nearest_name(
    wrong: Candidate, names: list[str]
) -> None:
    """An unknown name never means another model."""
    with pytest.raises(CandidateError) as caught:
        make_contest(None, wrong)
    assert [name for name in names if name not in str(caught.value)] == []


def test_without_the_prior_model_there_is_no_contest() -> None:
    """Nothing would tell whether a model has learned anything."""
    with pytest.raises(CandidateError, match="'prior'"):
        Contest([Candidate("linear", CODES, LogisticRegression())], seed=0, most_rows=100)


def test_every_model_computes_in_one_thread() -> None:
    """Whatever it was given, and inside a pipeline too; scikit-learn's default is one."""
    inner = make_pipeline(StandardScaler(), LGBMClassifier(n_jobs=-1))
    for model, name in (
        (LGBMClassifier(), "n_jobs"),
        (RandomForestClassifier(n_jobs=4), "n_jobs"),
        (inner, "lgbmclassifier__n_jobs"),
    ):
        assert Candidate("one", CODES, model).classifier({}).get_params()[name] == 1
    line = Candidate("one", CODES, LogisticRegression()).classifier({"C": 0.5})
    assert (line.n_jobs, line.C) == (None, 0.5)
