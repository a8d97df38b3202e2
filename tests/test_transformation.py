"""The notebook 04_transformation: features and a training set, and what stops it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from transforming import (
    AS_OF,
    FLAT,
    PARAMS,
    describe,
    features_of,
    hash_files,
    make_company,
    refuse,
    transform,
    write_prepared,
)

import stagekit
from encoded import encode_table
from params import ParameterError, load_params


def make_flat() -> pd.DataFrame:
    """Make a company with the answer in a column and no dates."""
    company = make_company().assign(left=lambda frame: frame["EndDate"].notna().map({True: "y", False: "n"}))
    return company.drop(columns=["BeginDate", "EndDate", "TotalCharges"]).astype({"left": "str"})


def write_company(root: Path, company: pd.DataFrame, params: str, **histories: Any) -> dict[str, str]:
    """Write a company whose columns may all be features, and return the notebook's parameters for it."""
    return write_prepared(root, company, describe(company, late=("TotalCharges",)), params, **histories)


@pytest.mark.e2e
def test_the_company_becomes_features_and_a_training_set(tmp_path: Path) -> None:
    """Dates, late columns and names stay out; a second run gives the same bytes; Feast's own tool reads them."""
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
    assert {"registry.db", "online_store.db", "definitions.py", "offline/crm_contract.parquet"} < set(first)
    transform(parameters, tmp_path)
    assert hash_files(tmp_path / "features") == first
    command = [sys.executable, "-m", "feast.cli.cli", "-c", str(tmp_path / "features"), "feature-views", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "crm_contract" in listed.stdout


@pytest.mark.e2e
def test_a_leaky_column_stops_the_run_and_leaves_the_old_features(tmp_path: Path) -> None:
    """The bills let in on purpose are named with the column that they leak through, and no dataset is written."""
    company = make_company()
    parameters = write_prepared(tmp_path, company, describe(company, late=()), PARAMS)
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "old.txt").write_text("old")
    message = refuse(parameters, tmp_path)
    assert "TotalCharges / Monthly charge ($), less what the months explain: AUC 1.000" in message
    assert list(hash_files(tmp_path / "features")) == ["old.txt"]


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("params", "message"),
    [
        (PARAMS.replace("EndDate", "EndDay"), "no column 'EndDay'; did you mean 'EndDate'?"),
        (PARAMS.replace("2024-01-01", "2024-01-31"), "days are missing, 7 may be"),
        (PARAMS.replace("2024-01-01", "2018-06-01"), "0 customers in the population, at least 500 needed"),
        (PARAMS.replace("92", "2"), "of them churned, at least 50 needed"),
    ],
    ids=["a label column is absent", "the data ends early", "nobody had begun", "hardly anybody churns"],
)
def test_a_label_that_cannot_be_learnt_stops_the_run(tmp_path: Path, params: str, message: str) -> None:
    """The gate says what is wrong, with the numbers."""
    company = make_company()
    assert message in refuse(write_prepared(tmp_path, company, describe(company), params), tmp_path)


@pytest.mark.e2e
def test_a_table_with_the_answer_in_a_column_needs_no_dates(tmp_path: Path) -> None:
    """Every row is in the population; without telecom columns nothing is computed; the online store can be left out."""
    company = make_flat()
    parameters = write_prepared(tmp_path, company, describe(company, late=()), FLAT)
    results = transform(parameters | {"write_online": False}, tmp_path)
    training = pd.read_parquet(tmp_path / "features" / "training.parquet")
    assert list(training) == ["id", "churned", "twin_group", "Monthly charge ($)", "Größe"]
    assert results["churned"] == (company["left"] == "y").sum()
    assert results["as_of"] == "none"


def test_each_customer_has_a_row_for_each_day_on_which_they_were_one(tmp_path: Path) -> None:
    """Population, label and features are those of each day; the rows of a customer are one group."""
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
        expected.append(pd.DataFrame({"id": present["id"], "as_of": day, "churned": churned, "months": months}))
    rows = pd.concat(expected).sort_values(["id", "as_of"], ignore_index=True)
    assert list(training)[:4] == ["id", "as_of", "churned", "twin_group"]
    assert training["id"].tolist() == rows["id"].tolist()
    assert training["as_of"].tolist() == rows["as_of"].tolist()
    assert training["churned"].tolist() == rows["churned"].astype("int64").tolist()
    assert training["months_since_begin"].tolist() == pytest.approx(rows["months"].tolist())
    assert (training.groupby("id")["twin_group"].nunique() == 1).all()
    assert training["twin_group"].nunique() > 0.99 * training["id"].nunique()
    assert names["twin"].counts.loc["of one customer on several days", "rows"] > 1_000
    events = pd.read_parquet(tmp_path / "features" / "offline" / "derived.parquet")["event_timestamp"]
    assert events.dt.tz_localize(None).tolist() == rows["as_of"].tolist()


def test_a_day_that_the_data_do_not_reach_is_refused_by_name(tmp_path: Path) -> None:
    """Only the day at fault is named, with how many days are missing."""
    params = PARAMS.replace("as_of: 2024-01-01", "as_of: [2023-07-01, 2024-03-01]")
    with pytest.raises(stagekit.GateError) as caught:
        features_of(write_company(tmp_path, make_company(), params))
    message = str(caught.value)
    assert "2024-03-01: its horizon ends on 2024-06-01, so 61 days are missing, 7 may be" in message
    assert "2023-07-01" not in message


def test_a_begin_date_may_be_absent(tmp_path: Path) -> None:
    """Every customer counts who has not ended before the day, and there are no months with the company."""
    company = make_company().drop(columns="BeginDate")
    parameters = write_company(tmp_path, company, PARAMS.replace("begin_date: BeginDate, ", ""))
    names = features_of(parameters)
    assert names["population"] == len(company)
    assert "months_since_begin" not in names["training"]


def test_each_row_has_its_own_day_where_a_column_holds_it(tmp_path: Path) -> None:
    """Monthly snapshots: the answer stands in the row, features are those of the row's day, days are in order."""
    flat = make_flat().drop(columns="note")
    months = [flat.assign(month=pd.Timestamp(f"2024-{month:02}-01").as_unit("us")) for month in (2, 1, 3)]
    company = pd.concat(months, ignore_index=True)
    company["Monthly charge ($)"] += company["month"].dt.month * 1_000
    company["joined"] = (company["month"] - pd.Timedelta(days=10)).astype("datetime64[us]")
    params = FLAT.replace("label:", "as_of: {column: month}\nlabel:")
    names = features_of(write_company(tmp_path, company, params))
    training = names["training"]
    assert len(training) == 3 * len(flat)
    assert training.head(3)["as_of"].dt.month.tolist() == [1, 2, 3]
    assert (training["Monthly charge ($)"] // 1_000 == training["as_of"].dt.month).all()
    assert (training["days_since_joined"] == 10).all()
    assert "month" not in training
    assert training["twin_group"].nunique() > 0.99 * len(flat)


def test_who_neither_left_nor_stayed_is_not_in_the_population(tmp_path: Path) -> None:
    """With `negative`, other answers are counted in the funnel and left out; without it only blanks are."""
    company = make_flat()
    company.loc[:49, "left"] = "unknown"
    company.loc[50:59, "left"] = None
    named = FLAT.replace("positive: 'y'", "positive: 'y', negative: 'n'")
    names = features_of(write_company(tmp_path, company, named), until="population-gate")
    assert names["population"] == 740
    assert names["by_day"][["all rows", "with an answer"]].iloc[0].tolist() == [800, 740]
    parameters = write_company(tmp_path, company, FLAT)
    assert features_of(parameters, until="population-gate")["population"] == 790


def test_a_date_becomes_the_days_since_it_and_later_ones_are_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A date on or after the as-of day is missing, counted and said; a barred date stays out; without a day all do."""
    company = make_company()
    company["called"] = (AS_OF - pd.to_timedelta(np.arange(800) - 100, unit="D")).astype("datetime64[us]")
    company["planned"] = AS_OF.as_unit("us") + pd.Timedelta(days=5)
    company["secret"] = company["called"]
    parameters = write_company(tmp_path, company, PARAMS)
    columns = describe(company, late=("TotalCharges", "secret"))
    (tmp_path / "prepared" / "columns.json").write_text(json.dumps(columns), encoding="utf-8")
    names = features_of(parameters, until="months")
    days = names["derived"].set_index(names["customers"]["id"])["days_since_called"]
    expected = pd.Series(np.arange(800) - 100.0, index=company["id"]).where(lambda age: age > 0)
    pd.testing.assert_series_equal(days.sort_index(), expected.sort_index(), check_names=False, check_index_type=False)
    assert [name for name in names["derived"] if name.startswith("days_since_")] == ["days_since_called"]
    assert names["known_when"].loc["days_since_called", "only known later"] == 101
    assert "Columns known only after the as-of date: called, planned" in capsys.readouterr().out
    flat = company.assign(left="y").drop(columns=["BeginDate", "EndDate"])
    flat.loc[:399, "left"] = "n"
    features_of(write_company(tmp_path, flat, FLAT), until="dates")
    assert "Dates are left out, for want of an `as_of` in params.yaml: called, planned" in capsys.readouterr().out


def test_tables_with_several_rows_become_features_of_the_customer(tmp_path: Path) -> None:
    """They are in the training set, in a view of their own, described, and counted before the day alone."""
    company = make_company().drop(columns="note")
    calls = pd.DataFrame({"id": np.repeat(company["id"].to_numpy(), 3), "minutes": 2.0})
    calls["day"] = (AS_OF + pd.to_timedelta(np.tile([-40, -10, 10], 800), unit="D")).astype("datetime64[us]")
    fact = {"type": "number", "description": "how long", "feature": True}
    about = {"time": "day", "columns": {"minutes": fact, "day": fact | {"type": "date"}}}
    names = features_of(write_company(tmp_path, company, PARAMS, calls=(about, calls)))
    training = names["training"]
    assert training[["calls_rows", "calls_minutes_sum", "calls_rows_30_days"]].drop_duplicates().values.tolist() == [
        [2.0, 4.0, 1.0]
    ]
    assert (tmp_path / "features" / "offline" / "calls.parquet").is_file()
    facts = {fact["name"]: fact for fact in json.loads((tmp_path / "features" / "features.json").read_text("utf-8"))}
    assert facts["calls_minutes_sum"]["table"] == "calls"
    assert "how long" in facts["calls_minutes_sum"]["description"]


def test_features_of_ones_own_are_in_the_training_set(tmp_path: Path) -> None:
    """Expressions use columns, computed features and each other; their description is the feature's."""
    features = """\
features:
  dear: {expression: "price > 60", description: pays much}
  price: "`Monthly charge ($)` * 1"
  a_month: price / (months_since_begin + 1)
  size: where(Größe == "L", "large", "small")
"""
    company = make_company()
    names = features_of(write_company(tmp_path, company, PARAMS + features))
    training = names["training"].set_index("id").loc[company["id"]]
    price = company["Monthly charge ($)"].to_numpy()
    assert (training["dear"].to_numpy() == (price > 60)).all()
    assert training["a_month"].to_numpy() == pytest.approx(price / (training["months_since_begin"].to_numpy() + 1))
    assert training["size"].isna().sum() == company["Größe"].isna().sum()
    facts = {fact["name"]: fact for fact in json.loads((tmp_path / "features" / "features.json").read_text("utf-8"))}
    assert facts["dear"]["description"] == "pays much"
    assert facts["size"]["type"] == "category"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "months_since_beginn + 1",
            "features.own: no column 'months_since_beginn'; did you mean 'months_since_begin'?",
        ),
        (
            "TotalCharges + 1",
            "'TotalCharges' cannot be used: `feature: false` in params.yaml says that it is known too",
        ),
        ("EndDate", "'EndDate' cannot be used: it is the answer"),
        ("Größe + 1", "features.own: 'Größe + 1': arithmetic needs numbers or conditions, and `Größe` is a text"),
    ],
)
def test_an_expression_that_cannot_be_computed_stops_the_notebook(
    tmp_path: Path, expression: str, message: str
) -> None:
    """With the message that the preflight has for it, where it knows the columns."""
    parameters = write_company(tmp_path, make_company(), f"{PARAMS}features: {{own: {expression}}}\n")
    with pytest.raises(ParameterError) as caught:
        features_of(parameters, until="expressions")
    assert message in str(caught.value)


def test_an_allowed_column_does_not_stop_the_run(tmp_path: Path) -> None:
    """A column that repeats the answer stops the run with its name; allowed by name it is told; a typo is an error."""
    company = make_flat().assign(Complain=lambda frame: frame["left"])
    parameters = write_company(tmp_path, company, FLAT)
    with pytest.raises(
        stagekit.GateError, match=r"Complain: AUC 1\.000, a near copy of the answer; a quick model has 1"
    ):
        features_of(parameters, until="leak-gate")
    names = features_of(parameters, allowed_columns=["Complain"])
    assert names["verdicts"] == ["allowed"]
    assert "Complain" in names["training"]
    with pytest.raises(stagekit.GateError, match="no column 'Complan'; did you mean 'Complain'"):
        features_of(parameters, until="leak-gate", allowed_columns=["Complan"])


def test_a_second_half_that_repeats_the_first_is_kept_together(tmp_path: Path) -> None:
    """Without ids rows are numbered; each row and its slightly shifted copy have one group."""
    first = make_flat().drop(columns=["id", "note"])
    random = np.random.default_rng(1)
    first["minutes"], first["age"] = random.gamma(2, 300, 800).round(), random.integers(18, 90, 800).astype("float64")
    second = first.assign(minutes=first["minutes"] + 5, age=first["age"] + 1)
    company = pd.concat([first, second], ignore_index=True)
    company.insert(0, "row_number", [str(number) for number in range(1, 1_601)])
    columns = describe(company, late=())
    columns["row_number"] |= {"type": "id", "feature": False}
    parameters = write_prepared(tmp_path, company, columns, FLAT.replace("customer_id: id\n", ""))
    training = features_of(parameters)["training"]
    assert training["row_number"].tolist() == company["row_number"].tolist()
    groups = training["twin_group"].to_numpy()
    assert (groups[:800] == groups[800:]).mean() > 0.95


def test_names_that_feast_cannot_hold_do_not_stop_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are changed in the store and the training set, and said."""
    company = make_flat().rename(columns={"Größe": "size:shirt"})
    names = features_of(write_company(tmp_path, company, FLAT))
    assert "size_shirt_" in names["training"]
    assert "'size:shirt' is called 'size_shirt_' in the store." in capsys.readouterr().out


def prepare(params_file: Path, folder: Path, root: Path) -> dict[str, str]:
    """Prepare the real data as the notebooks before this one do, in their simplest form."""
    params = load_params(params_file)
    customers, facts = pd.DataFrame(), dict[str, dict[str, Any]]()
    for name, source in params.sources.items():
        file = folder / Path(str(getattr(source, "file"))).name  # noqa: B009 (a union of kinds of source)
        texts = pd.read_csv(file, dtype="str", keep_default_na=False)
        columns = stagekit.complete_columns(texts, source.columns, params.customer_id)
        table = encode_table(texts, columns).frame()
        facts |= {
            column: {"table": name, "type": known.type, "description": "", "feature": known.feature}
            for column, known in columns.items()
        }
        customers = table if customers.empty else customers.merge(table, how="left", on=params.customer_id)
    text = params_file.read_text(encoding="utf-8")
    return write_prepared(root, customers.fillna({"InternetService": "No"}), facts, text)


@pytest.mark.e2e
def test_the_four_tables_give_an_honest_training_set(shared_data: Path, tmp_path: Path) -> None:
    """6,105 customers of whom 1,489 churn; no feature, nor all together, reaches 0.87."""
    results = transform(
        prepare(ROOT / "examples" / "interconnect.yaml", shared_data / "interconnect", tmp_path), tmp_path
    )
    assert (results["customers_at_as_of"], results["churned"]) == (6105, 1489)
    assert 0.70 < results["strongest_feature_auc"] < 0.82
    assert 0.80 < results["all_together_auc"] < 0.87
    training = pd.read_parquet(tmp_path / "features" / "training.parquet")
    assert not {"TotalCharges", "BeginDate", "EndDate"} & set(training)
    assert {"months_since_begin", "contract_phase", "services"} < set(training)


@pytest.mark.e2e
def test_the_bills_of_the_four_tables_are_caught(shared_data: Path, tmp_path: Path) -> None:
    """`TotalCharges` allowed by mistake stops the run, named with `MonthlyCharges`."""
    parameters = prepare(ROOT / "examples" / "interconnect.yaml", shared_data / "interconnect", tmp_path)
    file = tmp_path / "prepared" / "columns.json"
    columns = json.loads(file.read_text(encoding="utf-8"))
    columns["TotalCharges"]["feature"] = True
    file.write_text(json.dumps(columns), encoding="utf-8")
    assert "TotalCharges / MonthlyCharges, less what the months explain: AUC 0.89" in refuse(parameters, tmp_path)


@pytest.mark.e2e
def test_the_flat_table_gives_a_training_set(shared_data: Path, tmp_path: Path) -> None:
    """All 7,043 rows, 1,869 churned; the tenure that came with the table makes the contract's phase."""
    results = transform(prepare(ROOT / "examples" / "flat_table.yaml", shared_data / "telco", tmp_path), tmp_path)
    assert (results["customers_at_as_of"], results["churned"]) == (7043, 1869)
    training = pd.read_parquet(tmp_path / "features" / "training.parquet")
    assert training["contract_phase"].nunique() == 9
    assert "Churn" not in training
