"""Preparation: duplicates, cleaning counts, left joins and the facts of the columns; and the notebook, on real data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from companies import make_company, run_stage, soil, write_company
from conftest import ROOT

import merging
import stagekit
from encoded import encode_table
from params import Column, FileSource, ParameterError, Params, load_params
from params.merged import describe_columns

RENAMED = {"Type": "Contract"}
LABEL = {"end_date": "EndDate", "begin_date": "BeginDate", "horizon_days": 92}


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV file as ingestion does: every field a text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def assert_equals_the_flat_table(customers: pd.DataFrame, shared_data: Path) -> None:
    """Compare the merged four tables with the same company's flat table, value by value."""
    oracle = read_csv(shared_data / "telco" / "Telco-Customer-Churn.csv").sort_values("customerID", ignore_index=True)
    merged = customers.rename(columns=RENAMED)
    last = merged["EndDate"].fillna(pd.Timestamp("2020-02-01"))
    begin = merged["BeginDate"]
    tenure = 12 * (last.dt.year - begin.dt.year) + last.dt.month - begin.dt.month
    merged["tenure"] = tenure.astype("float64")
    merged["Churn"] = merged["EndDate"].notna().map({True: "Yes", False: "No"}).astype("str")
    for name in ("tenure", "MonthlyCharges", "TotalCharges"):
        oracle[name] = stagekit.parse_column(oracle[name], Column(type="number"))
    pd.testing.assert_frame_equal(merged[oracle.columns], oracle)
    assert (len(merged), int(merged["Churn"].eq("Yes").sum())) == (7043, 1869)
    assert int(merged["TotalCharges"].isna().sum()) == 11


def frame_of(**columns: list[str | None]) -> pd.DataFrame:
    """Make a table of texts."""
    return pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in columns.items()})


def describe_company(label: dict[str, Any], as_of: Any = "2024-01-01", **sources: dict[str, Any]) -> Params:
    """Return the facts of a company whose customers are named by `id`; each table comes from a file."""
    files = {name: {"file": f"{name}.csv"} | facts for name, facts in sources.items()}
    facts = {"name": "Tiny", "customer_id": "id", "as_of": as_of, "label": label, "sources": files}
    return Params.model_validate(facts)


def test_the_last_row_received_stays() -> None:
    """Exact repetitions and contradictions are told apart, and each customer keeps the last row."""
    frame = frame_of(id=["a", "b", "a", "b", "c", "b"], price=["1", "1", "1", "2", "1", "1"])
    kinds = stagekit.find_duplicates(frame, ["id"])
    assert kinds.to_dict() == {0: "exact", 1: "exact", 3: "conflicting"}
    assert frame.drop(kinds.index).to_dict("list") == {"id": ["a", "c", "b"], "price": ["1", "1", "1"]}


def test_a_table_without_duplicates_loses_no_row() -> None:
    """Nothing is named when each customer has one row."""
    assert stagekit.find_duplicates(frame_of(id=["a", "b"]), ["id"]).empty


def test_a_missing_key_matches_no_missing_key() -> None:
    """Rows without an id never belong together, and `7` is not `007`."""
    known = pd.Series(["007", "x", "x", None], dtype="str")
    assert stagekit.match_keys(pd.Series(["x", None, "7"], dtype="str"), known).tolist() == [True, False, False]


def test_dates_of_several_time_zones_become_utc() -> None:
    """A column may mix offsets and plain dates; its type is the same as ever."""
    texts = pd.Series(["2020-01-01T01:00:00+02:00", "2020-01-01", ""], dtype="str")
    parsed = stagekit.parse_column(texts, Column(type="date", format="ISO8601"))
    assert parsed.tolist()[:2] == [pd.Timestamp("2019-12-31 23:00"), pd.Timestamp("2020-01-01")]
    assert (str(parsed.dtype), parsed.isna().sum()) == ("datetime64[us]", 1)


def test_whole_numbers_are_floats_too() -> None:
    """The type of a number column does not depend on the values of a day."""
    assert stagekit.parse_column(pd.Series(["1", "2"]), Column(type="number")).dtype == "float64"


def test_each_change_by_cleaning_is_counted() -> None:
    """Spaces, other spellings, blanks, `none` texts and unreadable values are counted apart."""
    facts = {
        "kind": Column(values=["Yes"], codes={"Y": "Yes"}),
        "end": Column(type="date", none=["No"]),
        "price": Column(type="number"),
    }
    raw = frame_of(kind=["Yes ", "Y", "Yes"], end=["No", "", "2020-01-01"], price=["x", " ", "1"])
    changes = merging.count_changes(encode_table(raw, facts))
    assert changes.loc["kind"].tolist() == [1, 1, 0, 0, 0]
    assert changes.loc["end"].tolist() == [0, 0, 1, 1, 0]
    assert changes.loc["price"].tolist() == [0, 0, 1, 0, 1]


@pytest.fixture
def internet() -> FileSource:
    """A source without a row for each customer."""
    absent = {"Service": "No", "Speed": "0", "*": "No internet service"}
    return FileSource(file="internet.csv", absent=absent, present="HasInternet")


INTERNET = {
    "id": Column(type="id"),
    "Service": Column(),
    "Security": Column(),
    "Speed": Column(type="number"),
    "Used": Column(type="number"),
}


def test_a_left_join_keeps_every_customer_and_adds_none(internet: FileSource) -> None:
    """A customer without a row gets the `absent` values; a blank within a row stays missing; coverage is counted."""
    texts = frame_of(id=["b", "z"], Service=["DSL", "DSL"], Security=[None, "Yes"], Speed=["5", "6"], Used=["1", "2"])
    table = encode_table(texts, INTERNET)
    joined, has_row, coverage = merging.left_join(frame_of(id=["a", "b"]), "internet", table, internet, ["id"])
    assert has_row.tolist() == [False, True]
    assert joined.columns.tolist() == ["id", "HasInternet", "Service", "Security", "Speed", "Used"]
    assert joined.iloc[0].tolist()[:5] == ["a", "No", "No", "No internet service", 0.0]
    assert joined.isna().to_numpy().tolist() == [[False] * 5 + [True], [False] * 3 + [True, False, False]]
    assert (coverage["customers with a row"], coverage["customers without"]) == (1, 1)
    assert coverage["rows without a customer"] == 1


def test_a_repeated_customer_cannot_multiply_rows(internet: FileSource) -> None:
    """A join with an unresolved duplicate raises instead of adding a row."""
    texts = frame_of(id=["a", "a"], Service=["DSL", "No"], Security=["No", "No"], Speed=["1", "1"], Used=["1", "1"])
    with pytest.raises(pd.errors.MergeError):
        merging.left_join(frame_of(id=["a"]), "internet", encode_table(texts, INTERNET), internet, ["id"])


@pytest.mark.parametrize(
    ("absent", "told"),
    [
        ({"Servise": "No"}, "internet.absent: no column 'Servise'; did you mean 'Service'?"),
        ({"Speed": "none"}, "internet.absent.Speed: 'none' is no number."),
    ],
)
def test_an_absent_value_that_fits_no_column_is_told(absent: dict[str, str], told: str) -> None:
    """A typo in `absent`, or a text for a number, names its place in `params.yaml`."""
    with pytest.raises(ParameterError) as failure:
        merging.read_absent("internet", INTERNET, absent)
    assert str(failure.value) == told


def test_a_present_column_must_have_a_new_name(internet: FileSource) -> None:
    """`present` never overwrites a column that was received."""
    table = encode_table(frame_of(id=["a"], HasInternet=["x"]), {"id": Column(type="id"), "HasInternet": Column()})
    source = FileSource(file="internet.csv", present="HasInternet")
    with pytest.raises(ParameterError, match=r"internet\.present: there is a column 'HasInternet' already"):
        merging.left_join(frame_of(id=["a"]), "internet", table, source, ["id"])


def test_two_columns_of_one_name_are_both_kept() -> None:
    """The later table's column gets the table's name, in the data and in the facts alike; an answer stays barred."""
    facts = {
        "first": {"id": Column(type="id"), "Churn": Column()},
        "second": {"id": Column(type="id"), "Churn": Column()},
    }
    params = describe_company({"column": "Churn", "positive": "Yes"}, first={}, second={})
    first, second = frame_of(id=["a"], Churn=["Yes"]), encode_table(frame_of(id=["a"], Churn=["No"]), facts["second"])
    joined, *_ = merging.left_join(first, "second", second, params.sources["second"], ["id"])
    described = describe_columns(facts, params)
    assert joined.to_dict("list") == {"id": ["a"], "Churn": ["Yes"], "Churn_second": ["No"]}
    assert list(described) == ["id", "Churn", "Churn_second"]
    assert not any(column["feature"] for column in described.values())


def test_ids_answers_and_barred_columns_are_no_features() -> None:
    """All else may be a feature, the `present` column included, and the days since a date that is no answer."""
    contract = {
        "id": Column(type="id"),
        "BeginDate": Column(type="date"),
        "Paid": Column(type="number", feature=False),
        "Signed": Column(type="date"),
        "Type": Column(description="contract term"),
    }
    facts = {"contract": contract, "internet": {"id": Column(type="id"), "Service": Column()}}
    described = describe_columns(facts, describe_company(LABEL, contract={}, internet={"present": "HasInternet"}))
    features = [name for name, column in described.items() if column["feature"]]
    assert features == ["Signed", "Type", "HasInternet", "Service"]
    assert described["Type"] == {
        "table": "contract",
        "type": "category",
        "description": "contract term",
        "feature": True,
    }
    assert list(described) == ["id", "BeginDate", "Paid", "Signed", "Type", "HasInternet", "Service"]


def test_the_four_tables_merge_to_the_flat_table(shared_data: Path) -> None:
    """Cleaning and joining, as the notebook does them, give the same company's flat table."""
    params = load_params(ROOT / "examples" / "interconnect.yaml")
    customers = pd.DataFrame()
    for source, facts in params.sources.items():
        texts = read_csv(shared_data / "interconnect" / f"{source}.csv")
        table = encode_table(texts, facts.columns)
        join = (source, table, facts, [params.customer_id])
        customers = table.frame() if customers.empty else merging.left_join(customers, *join)[0]
    assert_equals_the_flat_table(customers.sort_values("customerID", ignore_index=True), shared_data)


@pytest.mark.e2e
def test_preparation_makes_the_flat_table_of_the_four_tables(shared_data: Path, tmp_path: Path) -> None:
    """Both notebooks run on the real four tables: 7,043 customers, 1,869 churned, equal value by value."""
    names = ("contract", "personal", "internet", "phone")
    tables = {name: read_csv(shared_data / "interconnect" / f"{name}.csv") for name in names}
    facts = (ROOT / "examples" / "interconnect.yaml").read_text(encoding="utf-8")
    parameters = write_company(tmp_path, tables, facts)
    _, validation = run_stage("02_validation", parameters, tmp_path)
    _, results = run_stage("03_preparation", parameters, tmp_path)
    assert (validation["rows_quarantined"], validation["rules_failed"]) == (0, 0)
    assert (results["customers"], results["churned"], results["duplicates_resolved"]) == (7043, 1869, 0)
    assert_equals_the_flat_table(stagekit.read_table(tmp_path / "prepared", "customers"), shared_data)


@pytest.mark.e2e
def test_preparation_takes_a_flat_table_as_it_is(shared_data: Path, tmp_path: Path) -> None:
    """Both notebooks run on the real flat table, with nothing to join: 7,043 customers, 1,869 churned."""
    table = read_csv(shared_data / "telco" / "Telco-Customer-Churn.csv")
    facts = (ROOT / "examples" / "flat_table.yaml").read_text(encoding="utf-8")
    parameters = write_company(tmp_path, {"customers": table}, facts)
    run_stage("02_validation", parameters, tmp_path)
    _, results = run_stage("03_preparation", parameters, tmp_path)
    assert (results["customers"], results["churned"]) == (7043, 1869)
    columns = json.loads((tmp_path / "prepared" / "columns.json").read_text(encoding="utf-8"))
    assert [name for name, column in columns.items() if not column["feature"]] == ["Churn", "customerID"]


@pytest.mark.e2e
def test_preparation_mends_a_dirty_company(tmp_path: Path) -> None:
    """Codes, spaces, numbers and duplicates are mended, and customers set aside by validation are gone."""
    parameters = write_company(tmp_path, soil(make_company()))
    run_stage("02_validation", parameters, tmp_path)
    _, results = run_stage("03_preparation", parameters, tmp_path)
    customers = stagekit.read_table(tmp_path / "prepared", "customers").set_index("id")
    assert results["customers"] == len(customers) == 195
    assert (results["duplicates_resolved"], results["conflicts_resolved"], results["churned"]) == (2, 1, 49)
    assert customers.loc["005", ["Type", "MonthlyCharges"]].tolist() == ["Monthly", 1000.0]
    assert customers.loc["008", "MonthlyCharges"] == 99.0
    assert customers["Partner"].isna().sum() == 1
    assert customers.loc["009", ["HasInternet", "Service", "Security"]].tolist() == ["No", "No", "No internet service"]
    assert customers.index.is_monotonic_increasing
    first = {path.name: path.read_bytes() for path in (tmp_path / "prepared").iterdir()}
    run_stage("03_preparation", parameters, tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "prepared").iterdir()} == first
