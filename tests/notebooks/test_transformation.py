"""The notebook 04_transformation: who is in the training set, and what stops it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from churn.stage import GateError
from helpers.transforming import (
    AS_OF,
    FLAT,
    PARAMS,
    describe,
    features_of,
    hash_files,
    make_company,
    make_flat,
    refuse,
    score_with,
    transform,
    write_company,
    write_prepared,
)


@pytest.mark.e2e
def test_the_company_becomes_features_and_a_training_set(tmp_path: Path) -> None:
    """Dates, late columns and names stay out; a second run gives the same bytes;
    Feast's own tool reads them.
    """
    company = make_company()
    parameters = write_prepared(tmp_path, company, describe(company), PARAMS)
    results = transform(parameters, tmp_path)
    training = pd.read_parquet(tmp_path / "features" / "training.parquet")
    received = ["Monthly charge ($)", "Größe", "months_since_begin"]
    assert list(training) == ["id", "churned", "twin_group", *received]
    expected = company.set_index("id").loc[training["id"]]
    assert training["id"].is_monotonic_increasing
    assert (training["churned"].to_numpy() == expected["EndDate"].notna().to_numpy()).all()
    assert training["Größe"].isna().sum() == company["Größe"].isna().sum()
    facts = json.loads((tmp_path / "features" / "features.json").read_text(encoding="utf-8"))
    assert [(fact["name"], fact["type"]) for fact in facts] == list(
        zip(received, ["number", "category", "number"], strict=True)
    )
    assert all(fact["description"] for fact in facts)
    assert (results["features"], results["customers_at_as_of"]) == (3, 800)
    first = hash_files(tmp_path / "features")
    assert {
        "registry.db",
        "online_store.db",
        "definitions.py",
        "offline/crm_contract.parquet",
    } < set(first)
    transform(parameters, tmp_path)
    assert hash_files(tmp_path / "features") == first
    command = [
        sys.executable,
        "-m",
        "feast.cli.cli",
        "-c",
        str(tmp_path / "features"),
        "feature-views",
        "list",
    ]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "crm_contract" in listed.stdout


@pytest.mark.e2e
def test_a_leaky_column_stops_the_run_and_leaves_the_old_features(tmp_path: Path) -> None:
    """The bills let in on purpose are named with the column that they leak through, and
    no dataset is written.
    """
    company = make_company()
    parameters = write_prepared(tmp_path, company, describe(company, late=()), PARAMS)
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "old.txt").write_text("old")
    message = refuse(parameters, tmp_path)
    assert re.search(r"TotalCharges / Monthly charge \(\$\),.*months.*: AUC 1\.000", message)
    assert list(hash_files(tmp_path / "features")) == ["old.txt"]


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("params", "message"),
    [
        (PARAMS.replace("EndDate", "EndDay"), "no column 'EndDay'; did you mean 'EndDate'?"),
        (PARAMS.replace("2024-01-01", "2024-01-31"), "days are missing, 7 may be"),
        (
            PARAMS.replace("2024-01-01", "2018-06-01"),
            "0 customers in the population",
        ),
        (PARAMS.replace("92", "2"), "at least 50"),
    ],
    ids=[
        "a label column is absent",
        "the data ends early",
        "nobody had begun",
        "hardly anybody churns",
    ],
)
def test_a_label_that_cannot_be_learnt_stops_the_run(
    tmp_path: Path, params: str, message: str
) -> None:
    """The gate says what is wrong, with the numbers."""
    company = make_company()
    assert message in refuse(write_prepared(tmp_path, company, describe(company), params), tmp_path)


@pytest.mark.e2e
def test_a_table_with_the_answer_in_a_column_needs_no_dates(tmp_path: Path) -> None:
    """Every row is in the population; without telecom columns nothing is computed; the
    online store can be left out.
    """
    company = make_flat()
    parameters = write_prepared(tmp_path, company, describe(company, late=()), FLAT)
    results = transform(parameters | {"write_online": False}, tmp_path)
    training = pd.read_parquet(tmp_path / "features" / "training.parquet")
    assert list(training) == ["id", "churned", "twin_group", "Monthly charge ($)", "Größe"]
    assert results["churned"] == (company["left"] == "y").sum()
    assert results["as_of"] == "none"


def test_each_customer_has_a_row_for_each_day_on_which_they_were_one(tmp_path: Path) -> None:
    """Population, label and features are those of each day; a customer is one group."""
    company = make_company().drop(columns="note")
    days = ["2023-07-01", "2023-10", "2024-01-01"]
    params = PARAMS.replace("as_of: 2024-01-01", f"as_of: [{', '.join(days)}]")
    names = features_of(write_company(tmp_path, company, params))
    training = pd.read_parquet(tmp_path / "features" / "training.parquet")
    expected = []
    for day in map(pd.Timestamp, ["2023-07-01", "2023-10-01", "2024-01-01"]):
        present = company[(company["BeginDate"] < day) & ~(company["EndDate"] < day)]
        months = (day - present["BeginDate"]).dt.days / 30.4375
        churned = present["EndDate"] <= day + pd.Timedelta(days=92)
        expected.append(
            pd.DataFrame({"id": present["id"], "as_of": day, "churned": churned, "months": months})
        )
    rows = pd.concat(expected).sort_values(["id", "as_of"], ignore_index=True)
    assert list(training)[:4] == ["id", "as_of", "churned", "twin_group"]
    assert training["id"].tolist() == rows["id"].tolist()
    assert training["as_of"].tolist() == rows["as_of"].tolist()
    assert training["churned"].tolist() == rows["churned"].astype("int64").tolist()
    assert training["months_since_begin"].tolist() == pytest.approx(rows["months"].tolist())
    assert (training.groupby("id")["twin_group"].nunique() == 1).all()
    assert training["twin_group"].nunique() > 0.99 * training["id"].nunique()
    assert names["twin"].counts.loc["of one customer on several days", "rows"] > 1_000
    events = pd.read_parquet(tmp_path / "features" / "offline" / "derived.parquet")[
        "event_timestamp"
    ]
    assert events.dt.tz_localize(None).tolist() == rows["as_of"].tolist()


def test_a_day_that_the_data_do_not_reach_is_refused_by_name(tmp_path: Path) -> None:
    """Only the day at fault is named, with how many days are missing."""
    params = PARAMS.replace("as_of: 2024-01-01", "as_of: [2023-07-01, 2024-03-01]")
    with pytest.raises(GateError) as caught:
        features_of(write_company(tmp_path, make_company(), params))
    message = str(caught.value)
    assert re.search(r"2024-03-01: .*\b2024-06-01\b.*\b61 days\b.*\b7 ", message)
    assert "2023-07-01" not in message


def test_a_begin_date_may_be_absent(tmp_path: Path) -> None:
    """Every customer counts who has not ended before the day, and there are no months
    with the company.
    """
    company = make_company().drop(columns="BeginDate")
    parameters = write_company(tmp_path, company, PARAMS.replace("begin_date: BeginDate, ", ""))
    names = features_of(parameters)
    assert names["population"] == len(company)
    assert "months_since_begin" not in names["written"]


def test_each_row_has_its_own_day_where_a_column_holds_it(tmp_path: Path) -> None:
    """Monthly snapshots: the answer stands in the row, features are those of the row's
    day, days are in order.
    """
    flat = make_flat().drop(columns="note")
    months = [
        flat.assign(month=pd.Timestamp(f"2024-{month:02}-01").as_unit("us")) for month in (2, 1, 3)
    ]
    company = pd.concat(months, ignore_index=True)
    company["Monthly charge ($)"] += company["month"].dt.month * 1_000
    company["joined"] = (company["month"] - pd.Timedelta(days=10)).astype("datetime64[us]")
    params = FLAT.replace("label:", "as_of: {column: month}\nlabel:")
    names = features_of(write_company(tmp_path, company, params))
    training = names["written"]
    assert len(training) == 3 * len(flat)
    assert training.head(3)["as_of"].dt.month.tolist() == [1, 2, 3]
    assert (training["Monthly charge ($)"] // 1_000 == training["as_of"].dt.month).all()
    assert (training["days_since_joined"] == 10).all()
    assert "month" not in training
    assert training["twin_group"].nunique() > 0.99 * len(flat)


def test_who_neither_left_nor_stayed_is_not_in_the_population(tmp_path: Path) -> None:
    """With `negative`, other answers are counted in the funnel and left out; without it
    only blanks are.
    """
    company = make_flat()
    company.loc[:49, "left"] = "unknown"
    company.loc[50:59, "left"] = None
    named = FLAT.replace("positive: 'y'", "positive: 'y', negative: 'n'")
    names = features_of(write_company(tmp_path, company, named), until="population-gate")
    assert names["population"] == 740
    assert names["by_day"][["all rows", "with an answer"]].iloc[0].tolist() == [800, 740]
    parameters = write_company(tmp_path, company, FLAT)
    assert features_of(parameters, until="population-gate")["population"] == 790


def make_telecom() -> pd.DataFrame:
    """Make a company with contracts, services, and a date that was never known in time."""
    company = make_company().drop(columns="note")
    count = range(len(company))
    company["Type"] = pd.Series([["month", "year"][number % 2] for number in count], dtype="str")
    for name in ("PhoneService", "OnlineBackup"):
        texts = [["Yes", "No"][number % 3 % 2] for number in count]
        company[name] = pd.Series(texts, dtype="str")
    company["planned"] = AS_OF.as_unit("us") + pd.Timedelta(days=5)
    company["street"] = pd.Series([f"street {number % 150}" for number in count], dtype="str")
    return company


def test_scoring_follows_what_training_decided(tmp_path: Path) -> None:
    """Data in which the rules would decide otherwise gives the features of the training."""
    trained = features_of(write_company(tmp_path, make_telecom(), PARAMS))
    decisions = trained["stage"]._decisions
    assert decisions["left_out"] == ["street"]
    assert (decisions["contract_column"], decisions["known_ages"]) == ("Type", [])
    assert decisions["service_columns"] == ["PhoneService", "OnlineBackup"]
    today = make_telecom().head(90).assign(new=1.0)
    today["Type"] = pd.Series(["year"] * 90, dtype="str")
    today["planned"] = pd.Timestamp("2023-01-01").as_unit("us")
    scored = score_with(write_company(tmp_path, today, PARAMS), decisions, tmp_path)
    written = pd.read_parquet(tmp_path / "features" / "scoring.parquet")
    assert list(written) == ["id", "as_of", *trained["features"]]
    assert {"contract_phase", "services", "months_since_begin"} < {*written}
    assert not {"street", "days_since_planned", "new"} & {*written}
    assert len(scored["customers"]) == len(written) < 90
    del decisions["leakage"]  # which scoring does not ask about
    assert json.loads((tmp_path / "features" / "decisions.json").read_text()) == decisions


def test_scoring_stops_for_a_feature_that_the_data_does_not_give(tmp_path: Path) -> None:
    """The column that is gone is named, and what was made of it."""
    decisions = features_of(write_company(tmp_path, make_telecom(), PARAMS))["stage"]._decisions
    today = write_company(tmp_path, make_telecom().drop(columns="Type"), PARAMS)
    with pytest.raises(GateError, match=r"(?s)'Type', of crm-contract.*'contract_phase'"):
        score_with(today, decisions, tmp_path)


def test_a_model_without_the_decisions_is_refused(tmp_path: Path) -> None:
    """With what to do."""
    with pytest.raises(GateError, match="train it again"):
        score_with(write_company(tmp_path, make_telecom(), PARAMS), {}, tmp_path)
