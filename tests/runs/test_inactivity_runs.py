"""Orders without an answer: from one file to a model, scores, and what became of them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from churn.params import InactivityLabel, load_params
from helpers.drafts import init
from helpers.orders import make_orders, write_spaced
from helpers.projects import churn, copy_project, read_run, run_flow

pytestmark = pytest.mark.e2e

KNOWN = pd.Timestamp("2022-04-01")  # what came later is not known when the model is made


def measure_simple_model(
    orders: pd.DataFrame, as_of: pd.Timestamp, label: InactivityLabel
) -> tuple[float, int, int]:
    """Return the AUC of a logistic regression on splines of recency, frequency, age and
    value, 5 folds; and how many customers there are and churn.
    """
    past, span = orders[orders["day"] < as_of], pd.Timedelta(days=label.inactive_days)
    by = past.groupby("customer")
    table = pd.DataFrame(
        {
            "recency": (as_of - by["day"].max()).dt.days,
            "age": (as_of - by["day"].min()).dt.days,
            "frequency": by["day"].nunique(),
            "value": by["amount"].mean(),
        }
    )
    table = table[table["recency"] <= label.days_before]
    later = orders["day"].between(as_of, as_of + span, inclusive="left")
    churned = ~table.index.isin(orders.loc[later, "customer"])
    model = make_pipeline(
        SplineTransformer(6, knots="quantile"), StandardScaler(), LogisticRegression(max_iter=2000)
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    predicted = cross_val_predict(model, table, churned, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(churned, predicted)), len(table), int(churned.sum())


def test_orders_alone(tmp_path: Path, prefect_api: dict[str, str]) -> None:
    """`churn init` makes the answer, the run a model as good as a simple one on recency,
    frequency and value, `churn score` a list of today's customers; and when later orders
    have come, `churn evaluate` says who of them was gone.
    """
    project = copy_project(tmp_path / "project")
    orders = make_orders(6_000, weeks=110)
    known = orders[orders["day"] < KNOWN]
    write_spaced(known, str(project / "orders.txt"))
    drafted = init(project, "orders.txt", "--out", "mine.yaml")
    assert drafted.returncode == 0, drafted.stdout + drafted.stderr
    params = load_params(project / "mine.yaml")
    assert isinstance(params.label, InactivityLabel)
    given = ("--params", "mine.yaml")
    quick = ("--set", "model_building.cv_repeats=1", "--set", "model_building.bootstrap_samples=20")
    ended = run_flow(project, *given, *quick, env=prefect_api)
    assert ended.returncode == 0, ended.stderr[-3000:]
    record = read_run(project)
    as_of = pd.Timestamp(params.as_of_dates[0])
    simple, customers, churned = measure_simple_model(known, as_of, params.label)
    found = record.stage("validation").results
    assert (found["customers_churned"], found["customers_stayed"]) == (churned, customers - churned)
    assert record.stage("transformation").results["churned"] == churned
    assert float(record.stage("model_building").results["cv_roc_auc"]) > simple - 0.01

    ended = churn(project, "score", *given, "--out", "scores.csv", env=prefect_api)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    scores = pd.read_csv(project / "scores.csv", dtype={"column_1": "str"})
    today = known["day"].max() + pd.Timedelta(days=1)
    assert scores["as_of"].unique().tolist() == [f"{today:%Y-%m-%d}"]
    before = known["day"] >= today - pd.Timedelta(days=params.label.days_before)
    assert set(scores["column_1"]) == set(known.loc[before, "customer"])

    ended = churn(project, "evaluate", *given, env=prefect_api)
    assert ended.returncode == 1  # the horizon has not ended
    write_spaced(orders, str(project / "orders.txt"))
    ended = run_flow(project, *given, "--until", "preparation", env=prefect_api)
    assert ended.returncode == 0, ended.stderr[-3000:]
    ended = churn(project, "evaluate", *given, "--json", env=prefect_api)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    measured = json.loads(ended.stdout)
    horizon = orders["day"].between(today, params.label.last_day(today))
    gone = ~scores["column_1"].isin(orders.loc[horizon, "customer"])
    assert measured["churn_rate"] == pytest.approx(gone.mean())
    assert measured["roc_auc"] > 0.6
