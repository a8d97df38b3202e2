"""The notebook 04_transformation on real companies."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churn.params import load_params
from churn.tables.encoded import encode_table
from churn.tables.inference import complete_columns
from helpers.projects import ROOT
from helpers.transforming import (
    refuse,
    transform,
    write_prepared,
)


def prepare(params_file: Path, folder: Path, root: Path) -> dict[str, str]:
    """Prepare the real data as the notebooks before this one do, in their simplest form."""
    params = load_params(params_file)
    customers, facts = pd.DataFrame(), dict[str, dict[str, Any]]()
    for name, source in params.sources.items():
        # A union of kinds of source.
        file = folder / Path(str(getattr(source, "file"))).name  # noqa: B009
        texts = pd.read_csv(file, dtype="str", keep_default_na=False)
        columns = complete_columns(texts, source.columns, params.customer_id)
        table = encode_table(texts, columns).frame()
        facts |= {
            column: {"table": name, "type": known.type, "description": "", "feature": known.feature}
            for column, known in columns.items()
        }
        customers = (
            table if customers.empty else customers.merge(table, how="left", on=params.customer_id)
        )
    text = params_file.read_text(encoding="utf-8")
    return write_prepared(root, customers.fillna({"InternetService": "No"}), facts, text)


@pytest.mark.e2e
def test_the_four_tables_give_an_honest_training_set(shared_data: Path, tmp_path: Path) -> None:
    """6,105 customers of whom 1,489 churn; no feature, nor all together, reaches 0.87."""
    results = transform(
        prepare(ROOT / "examples" / "interconnect.yaml", shared_data / "interconnect", tmp_path),
        tmp_path,
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
    parameters = prepare(
        ROOT / "examples" / "interconnect.yaml", shared_data / "interconnect", tmp_path
    )
    file = tmp_path / "prepared" / "columns.json"
    columns = json.loads(file.read_text(encoding="utf-8"))
    columns["TotalCharges"]["feature"] = True
    file.write_text(json.dumps(columns), encoding="utf-8")
    message = refuse(parameters, tmp_path)
    assert re.search(r"TotalCharges / MonthlyCharges,.*months.*: AUC 0\.89", message)


@pytest.mark.e2e
def test_the_flat_table_gives_a_training_set(shared_data: Path, tmp_path: Path) -> None:
    """All 7,043 rows, 1,869 churned; the tenure that came with the table makes the
    contract's phase.
    """
    results = transform(
        prepare(ROOT / "examples" / "flat_table.yaml", shared_data / "telco", tmp_path), tmp_path
    )
    assert (results["customers_at_as_of"], results["churned"]) == (7043, 1869)
    training = pd.read_parquet(tmp_path / "features" / "training.parquet")
    assert training["contract_phase"].nunique() == 9
    assert "Churn" not in training
