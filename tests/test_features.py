"""Transformation: the leak check, the feature store, and the notebook that puts them together."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
from conftest import ROOT
from feast import FeatureStore
from papermill.exceptions import PapermillExecutionError

import feature_store
import leakage
import stagekit
from feature_store import Feature
from params import load_params

AS_OF = pd.Timestamp("2024-01-01")
PARAMS = """\
name: Tiny company
customer_id: id
as_of: 2024-01-01
label: {end_date: EndDate, begin_date: BeginDate, horizon_days: 92}
sources:
  crm-contract: {file: contract.csv}
"""


def make_company(size: int = 800) -> pd.DataFrame:
    """Make a prepared table whose bills run until the contract ended: with the begin date they give the end away."""
    random = np.random.default_rng(3)
    months = random.integers(1, 60, size)
    churns = random.random(size) < 0.5 / np.sqrt(months)
    stays = np.where(churns, random.integers(1, 93, size), 120)  # days of bills after the as-of day
    monthly = random.uniform(20, 100, size).round(2)
    begin = AS_OF - pd.to_timedelta(months * 30.4375, unit="D").round("D")
    end = pd.Series(AS_OF + pd.to_timedelta(stays, unit="D")).where(churns)
    return pd.DataFrame(
        {
            "id": [f"{number:04}" for number in random.permutation(size)],
            "BeginDate": begin.astype("datetime64[us]"),
            "EndDate": end.astype("datetime64[us]"),
            "Monthly charge ($)": monthly,
            "TotalCharges": (monthly * (months + stays / 30.4375)).round(2),
            "Größe": pd.Series(random.choice(["S", "L"], size), dtype="str").mask(random.random(size) < 0.05),
            "note": [f"note {number}" for number in range(size)],
        }
    )


def describe(customers: pd.DataFrame, late: tuple[str, ...] = ("TotalCharges",)) -> dict[str, dict[str, Any]]:
    """Return the facts that preparation writes of a table's columns; those in `late` are known too late."""
    kinds = {"id": "id", "BeginDate": "date", "EndDate": "date"}
    return {
        str(name): {
            "table": "crm-contract",
            "type": kinds.get(str(name), "number" if values.dtype == "float64" else "category"),
            "description": f'what "{name}"\nmeans',
            "feature": name not in (*kinds, *late),
        }
        for name, values in customers.items()
    }


def write_prepared(
    root: Path, customers: pd.DataFrame, columns: dict[str, dict[str, Any]], params: str
) -> dict[str, str]:
    """Write a prepared dataset and a params file, and return the notebook's parameters for them."""
    with stagekit.new_dataset(root / "prepared") as folder:
        stagekit.write_table(customers, folder, "customers")
        stagekit.write_json(columns, folder, "columns")
    (root / "params.yaml").write_text(params, encoding="utf-8")
    return {
        "params_file": str(root / "params.yaml"),
        "prepared_dir": str(root / "prepared"),
        "features_dir": str(root / "features"),
    }


def transform(parameters: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run the notebook as the flow does, and return its results."""
    papermill.execute_notebook(
        str(ROOT / "notebooks" / "04_transformation.ipynb"),
        str(folder / "report.ipynb"),
        parameters,
        cwd=str(ROOT / "notebooks"),
        progress_bar=False,
    )
    cell = nbformat.read(folder / "report.ipynb", as_version=4).cells[-1]
    return dict(cell.outputs[0].data[stagekit.SUMMARY_TYPE])


def refuse(parameters: dict[str, Any], folder: Path) -> str:
    """Return the message of the gate that stops the notebook."""
    with pytest.raises(PapermillExecutionError) as caught:
        transform(parameters, folder)
    assert caught.value.ename == "GateError"
    return str(caught.value.evalue)


def hash_files(folder: Path) -> dict[str, str]:
    """Return the MD5 of each file of a dataset."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest() for path in files}


def test_a_number_that_knows_the_answer_in_both_directions_separates() -> None:
    """Very small and very large values both mean churn: a rank alone would not see it."""
    values = pd.Series(np.random.default_rng(0).normal(size=4_000))
    assert leakage.separate(values, (values.abs() > 1.5).astype("int64")) > 0.98


def test_a_feature_that_says_nothing_does_not_separate() -> None:
    """Out of fold, even a category with hundreds of values stays near 0.5."""
    random = np.random.default_rng(0)
    churned = pd.Series(random.integers(0, 2, 4_000))
    names = pd.Series(random.integers(0, 800, 4_000)).astype("str")
    assert 0.45 < leakage.separate(names, churned) < 0.55
    assert 0.45 < leakage.separate(pd.Series(random.normal(size=4_000)), churned) < 0.55


def test_a_missing_value_that_means_churn_separates() -> None:
    """Blanks are a group of their own, of numbers and of categories."""
    churned = pd.Series([0, 1] * 500)
    assert leakage.separate(pd.Series(1.0, index=churned.index).mask(churned == 1), churned) > 0.99
    assert leakage.separate(pd.Series("x", index=churned.index, dtype="str").mask(churned == 1), churned) > 0.99


def test_bills_and_begin_date_together_give_the_end_date_away() -> None:
    """Neither number tells who churned, their ratio less the months since the begin does; and it comes first."""
    company = make_company()
    churned = company["EndDate"].notna().astype("int64")
    months = (AS_OF - company["BeginDate"]).dt.days / 30.4375
    numbers = company[["Monthly charge ($)", "TotalCharges"]]
    best = leakage.separate_pairs(numbers, months, churned).iloc[0]
    assert best["combination"] == "TotalCharges / Monthly charge ($), less what the months explain"
    assert best["auc"] > 0.95
    assert max(leakage.separate(numbers[name], churned) for name in numbers) < 0.75
    assert leakage.separate_pairs(numbers[["Monthly charge ($)"]], months, churned)["auc"].max() < 0.75


def test_a_leak_spread_over_many_features_is_seen_in_their_sum() -> None:
    """Ten weak copies of the answer are each below the limit, together above it."""
    random = np.random.default_rng(0)
    churned = pd.Series(random.integers(0, 2, 4_000))
    weak = pd.DataFrame({f"x{i}": (churned + random.normal(size=4_000) * 1.5).round(1) for i in range(10)})
    assert max(leakage.separate(weak[name], churned) for name in weak) < 0.75
    assert leakage.separate_together(weak, churned) > 0.87


@pytest.mark.parametrize("name", ["a:b", "a@v1", "total_y", "event_timestamp", "churned"])
def test_a_name_that_the_store_cannot_hold_is_told_before(name: str) -> None:
    """Feast would lose such a column or refuse it with a message of its own."""
    assert feature_store.find_unfit_names(["plan", "plan 2", name])[0].startswith(repr(name))
    assert feature_store.find_unfit_names(["plan", "plan 2"]) == []
    assert "two features" in feature_store.find_unfit_names(["plan", "plan"])[0]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A feature repository of two customers, whose plan also has a row of a later day."""
    customers = pd.DataFrame({"id": ["2", "1"], "charge $": [20.0, np.nan], "plan": ["old", "old"]})
    features = [
        Feature("charge $", "crm-contract", "number", "a 'price'\nin \"dollars\""),
        Feature("plan", "derived", "category", ""),
    ]
    feature_store.write_repository(tmp_path, customers, features, "id", AS_OF)
    file = tmp_path / "offline" / "derived.parquet"
    rows = pd.read_parquet(file)
    later = rows.assign(plan="new", event_timestamp=rows["event_timestamp"] + pd.Timedelta(days=10).as_unit("us"))
    pd.concat([rows, later]).to_parquet(file, index=False)
    return tmp_path


def test_a_later_row_is_not_returned_for_an_earlier_day(repository: Path) -> None:
    """Retrieval is correct in time: before the first row nothing, then the old plan, then the new one."""
    store = feature_store.open_store(repository)
    days = pd.to_datetime(["2023-12-31", "2024-01-01", "2024-01-10", "2024-01-11"], utc=True)
    asked = pd.DataFrame({"id": "1", "event_timestamp": days, "churned": [0, 1, 0, 1]})
    rows = feature_store.retrieve(store, asked).sort_values("event_timestamp")
    feature_store.close_store(store)
    assert rows["plan"].fillna("missing").tolist() == ["missing", "old", "old", "new"]
    assert rows["churned"].tolist() == [0, 1, 0, 1]
    assert rows["charge $"].isna().all()


def test_the_online_store_answers_what_was_known_when_the_day_began(repository: Path) -> None:
    """A row of a later day stays out of it; descriptions, odd names and missing values survive."""
    store = feature_store.open_store(repository)
    feature_store.materialise(store, AS_OF)
    assert feature_store.read_customer(store, "id", "2").to_dict() == {"charge $": 20.0, "plan": "old"}
    assert feature_store.read_customer(store, "id", "1")["charge $"] is None
    views = feature_store.describe_views(store)
    assert views["view"].tolist() == ["crm_contract", "derived"]
    assert views["description"].tolist() == ["a 'price'\nin \"dollars\"", ""]
    feature_store.close_store(store)


def test_a_closed_store_is_complete_and_holds_no_file_open(repository: Path) -> None:
    """Its databases are settled, still answer when opened again, and the folder can be moved on every platform."""
    store = feature_store.open_store(repository)
    feature_store.retrieve(store, pd.DataFrame({"id": ["1"], "event_timestamp": [AS_OF.tz_localize("UTC")]}))
    feature_store.materialise(store, AS_OF)
    feature_store.close_store(store)
    moved = repository.rename(repository.with_name("moved"))
    handles = Path("/proc/self/fd")
    if handles.is_dir():
        targets = [str(link.readlink()) for link in handles.iterdir() if link.is_symlink()]
        assert [target for target in targets if target.startswith(str(repository))] == []
    with sqlite3.connect(moved / "online_store.db") as online:
        assert online.execute("SELECT count(*) FROM churn_derived").fetchone() == (2,)
    online.close()
    again = FeatureStore(repo_path=str(moved))
    assert feature_store.read_customer(again, "id", "2")["plan"] == "old"
    feature_store.close_store(again)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process cannot be changed here")
def test_a_closed_store_is_the_same_in_every_time_zone(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Feast writes the times of events as if they were the machine's own; settled, the bytes are equal, and in UTC."""
    found = []
    try:
        for zone in ("UTC", "Pacific/Auckland"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            folder = shutil.copytree(repository, tmp_path_factory.mktemp("zone") / "features")
            store = feature_store.open_store(folder)
            feature_store.materialise(store, AS_OF)
            feature_store.close_store(store)
            found.append((folder / "online_store.db").read_bytes())
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found[0] == found[1]
    with sqlite3.connect(folder / "online_store.db") as online:
        times = online.execute("SELECT DISTINCT event_ts FROM churn_derived").fetchall()
    online.close()
    assert times == [(int(AS_OF.tz_localize("UTC").timestamp()),)]


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
    company = make_company().assign(left=lambda frame: frame["EndDate"].notna().map({True: "y", False: "n"}))
    company = company.drop(columns=["BeginDate", "EndDate", "TotalCharges"])
    params = "name: Flat\ncustomer_id: id\nlabel: {column: left, positive: 'y'}\nsources: {crm: {file: flat.csv}}\n"
    parameters = write_prepared(tmp_path, company, describe(company, late=()), params)
    results = transform(parameters | {"write_online": False}, tmp_path)
    training = pd.read_parquet(tmp_path / "features" / "training.parquet")
    assert list(training) == ["id", "churned", "twin_group", "Monthly charge ($)", "Größe"]
    assert results["churned"] == (company["left"] == "y").sum()
    assert results["as_of"] == "none"


def prepare(params_file: Path, folder: Path, root: Path) -> dict[str, str]:
    """Prepare the real data as the notebooks before this one do, in their simplest form."""
    params = load_params(params_file)
    customers, facts = pd.DataFrame(), dict[str, dict[str, Any]]()
    for name, source in params.sources.items():
        file = folder / Path(str(getattr(source, "file"))).name  # noqa: B009 (a union of kinds of source)
        texts = pd.read_csv(file, dtype="str", keep_default_na=False)
        columns = stagekit.complete_columns(texts, source.columns, params.customer_id)
        table = stagekit.parse_table(texts, columns)
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
