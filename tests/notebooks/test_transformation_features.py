"""The features that the notebook 04_transformation makes, and those that stop it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn.params import ParameterError
from churn.stage import GateError
from helpers.transforming import (
    AS_OF,
    FLAT,
    PARAMS,
    describe,
    features_of,
    make_company,
    make_flat,
    write_company,
    write_prepared,
)


def test_a_date_becomes_the_days_since_it_and_later_ones_are_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A date on or after the as-of day is missing, counted and said; a barred date
    stays out; without a day all do.
    """
    company = make_company()
    company["called"] = (AS_OF - pd.to_timedelta(np.arange(800) - 100, unit="D")).astype(
        "datetime64[us]"
    )
    company["planned"] = AS_OF.as_unit("us") + pd.Timedelta(days=5)
    company["secret"] = company["called"]
    parameters = write_company(tmp_path, company, PARAMS)
    columns = describe(company, late=("TotalCharges", "secret"))
    (tmp_path / "prepared" / "columns.json").write_text(json.dumps(columns), encoding="utf-8")
    names = features_of(parameters, until="months")
    features = names["features"].frame()
    days = features.set_index(names["customers"]["id"])["days_since_called"]
    expected = pd.Series(np.arange(800) - 100.0, index=company["id"]).where(lambda age: age > 0)
    pd.testing.assert_series_equal(
        days.sort_index(), expected.sort_index(), check_names=False, check_index_type=False
    )
    assert [name for name in features if name.startswith("days_since_")] == ["days_since_called"]
    assert names["known_when"].loc["days_since_called", "only known later"] == 101
    assert re.search(r"known only after .*: called, planned", capsys.readouterr().out)
    flat = company.assign(left="y").drop(columns=["BeginDate", "EndDate"])
    flat.loc[:399, "left"] = "n"
    features_of(write_company(tmp_path, flat, FLAT), until="dates")
    assert re.search(r"left out.*`as_of`.*: called, planned", capsys.readouterr().out)


def test_tables_with_several_rows_become_features_of_the_customer(tmp_path: Path) -> None:
    """They are in the training set, in a view of their own, described, and counted
    before the day alone.
    """
    company = make_company().drop(columns="note")
    calls = pd.DataFrame({"id": np.repeat(company["id"].to_numpy(), 3), "minutes": 2.0})
    calls["day"] = (AS_OF + pd.to_timedelta(np.tile([-40, -10, 10], 800), unit="D")).astype(
        "datetime64[us]"
    )
    fact = {"type": "number", "description": "how long", "feature": True}
    about = {"time": "day", "columns": {"minutes": fact, "day": fact | {"type": "date"}}}
    names = features_of(write_company(tmp_path, company, PARAMS, calls=(about, calls)))
    training = names["written"]
    assert training[
        ["calls_rows", "calls_minutes_sum", "calls_rows_30_days"]
    ].drop_duplicates().values.tolist() == [[2.0, 4.0, 1.0]]
    assert (tmp_path / "features" / "offline" / "calls.parquet").is_file()
    facts = {
        fact["name"]: fact
        for fact in json.loads((tmp_path / "features" / "features.json").read_text("utf-8"))
    }
    assert facts["calls_minutes_sum"]["table"] == "calls"
    assert "how long" in facts["calls_minutes_sum"]["description"]


def test_features_of_ones_own_are_in_the_training_set(tmp_path: Path) -> None:
    """Expressions use columns, computed features and each other; their description is
    the feature's.
    """
    features = """\
features:
  dear: {expression: "price > 60", description: pays much}
  price: "`Monthly charge ($)` * 1"
  a_month: price / (months_since_begin + 1)
  size: where(Größe == "L", "large", "small")
"""
    company = make_company()
    names = features_of(write_company(tmp_path, company, PARAMS + features))
    training = names["written"].set_index("id").loc[company["id"]]
    price = company["Monthly charge ($)"].to_numpy()
    assert (training["dear"].to_numpy() == (price > 60)).all()
    assert training["a_month"].to_numpy() == pytest.approx(
        price / (training["months_since_begin"].to_numpy() + 1)
    )
    assert training["size"].isna().sum() == company["Größe"].isna().sum()
    facts = {
        fact["name"]: fact
        for fact in json.loads((tmp_path / "features" / "features.json").read_text("utf-8"))
    }
    assert facts["dear"]["description"] == "pays much"
    assert facts["size"]["type"] == "category"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "months_since_beginn + 1",
            "'months_since_beginn'; did you mean 'months_since_begin'?",
        ),
        (
            "TotalCharges + 1",
            "'TotalCharges' cannot be used: `feature: false`",
        ),
        ("EndDate", "'EndDate' cannot be used"),
        (
            "Größe + 1",
            "features.own: 'Größe + 1': arithmetic needs numbers",
        ),
    ],
)
def test_an_expression_that_cannot_be_computed_stops_the_notebook(
    tmp_path: Path, expression: str, message: str
) -> None:
    """With the message that the preflight has for it, where it knows the columns."""
    parameters = write_company(
        tmp_path, make_company(), f"{PARAMS}features: {{own: {expression}}}\n"
    )
    with pytest.raises(ParameterError) as caught:
        features_of(parameters, until="expressions")
    assert "features.own: " in str(caught.value)
    assert message in str(caught.value)


def test_an_allowed_column_does_not_stop_the_run(tmp_path: Path) -> None:
    """A column that repeats the answer stops the run with its name; allowed by name it
    is told; a typo is an error.
    """
    company = make_flat().assign(Complain=lambda frame: frame["left"])
    parameters = write_company(tmp_path, company, FLAT)
    with pytest.raises(GateError, match=r"Complain: AUC 1\.000, .*\bquick model has 1"):
        features_of(parameters, until="leak-gate")
    names = features_of(parameters, allowed_columns=["Complain"])
    assert names["verdicts"] == ["allowed"]
    assert "Complain" in names["written"]
    with pytest.raises(GateError, match=r"'Complan'.*'Complain'"):
        features_of(parameters, until="leak-gate", allowed_columns=["Complan"])


def test_a_second_half_that_repeats_the_first_is_kept_together(tmp_path: Path) -> None:
    """Without ids rows are numbered; each row and its slightly shifted copy have one group."""
    first = make_flat().drop(columns=["id", "note"])
    random = np.random.default_rng(1)
    first["minutes"], first["age"] = (
        random.gamma(2, 300, 800).round(),
        random.integers(18, 90, 800).astype("float64"),
    )
    second = first.assign(minutes=first["minutes"] + 5, age=first["age"] + 1)
    company = pd.concat([first, second], ignore_index=True)
    company.insert(0, "row_number", [str(number) for number in range(1, 1_601)])
    columns = describe(company, late=())
    columns["row_number"] |= {"type": "id", "feature": False}
    parameters = write_prepared(tmp_path, company, columns, FLAT.replace("customer_id: id\n", ""))
    training = features_of(parameters)["written"]
    assert training["row_number"].tolist() == company["row_number"].tolist()
    groups = training["twin_group"].to_numpy()
    assert (groups[:800] == groups[800:]).mean() > 0.95


def test_names_that_feast_cannot_hold_do_not_stop_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are changed in the store and the training set, and said."""
    company = make_flat().rename(columns={"Größe": "size:shirt"})
    names = features_of(write_company(tmp_path, company, FLAT))
    assert "size_shirt_" in names["written"]
    assert re.search(r"'size:shirt' .*'size_shirt_'", capsys.readouterr().out)
