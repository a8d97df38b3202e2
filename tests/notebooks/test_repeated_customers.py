"""Rows that repeat, from validation to the features: counted, dropped, or kept together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churn.tables.files import read_table
from helpers import repeating
from helpers.companies import run_stage, write_company
from helpers.notebook_runs import NotebookFailed, execute
from helpers.projects import ROOT

pytestmark = pytest.mark.e2e

LABEL = "label: {column: churn, positive: '1'}"
PARAMS = f"name: Rows\ncustomer_id: customer_id\n{LABEL}\nsources: {{customers: {{file: c.csv}}}}\n"


def run(
    folder: Path, table: pd.DataFrame, params: str, **limits: float
) -> tuple[str, dict[str, Any], pd.DataFrame]:
    """Validate and prepare a table of texts; return the verdict, the results of both stages,
    and the customers.
    """
    texts = table.astype("str")
    parameters = write_company(folder, {"customers": texts}, params)
    report, results = run_stage("02_validation", parameters | limits, folder)
    verdict = report.cells[2].outputs[0].data["text/markdown"]
    _, prepared = run_stage("03_preparation", parameters, folder)
    return verdict, results | prepared, read_table(folder / "prepared", "customers")


def transform(folder: Path, **parameters: Any) -> dict[str, Any]:
    """Compute features, and return the results of the stage."""
    names = ("prepared_dir", "features_dir")
    given = {name: str(folder / name.removesuffix("_dir")) for name in names}
    _, results = execute(
        ROOT / "notebooks" / "04_transformation.ipynb",
        {"params_file": str(folder / "params.yaml"), **given, **parameters},
        folder / "04.ipynb",
    )
    return results


def test_a_customer_in_several_rows_is_one_group(tmp_path: Path) -> None:
    """All rows are kept and learned from; the verdict says what is counted; where groups are
    too few the run stops, whatever the number of rows.
    """
    group = PARAMS + "group: customer_id\n"
    verdict, results, customers = run(tmp_path, repeating.panel(), group)
    assert "2,400 rows" in verdict
    assert "600 groups" in verdict
    assert (len(customers), results["customers"], results["duplicates_resolved"]) == (2400, 600, 0)
    results = transform(tmp_path)
    assert results["customers_at_as_of"] == 2400
    assert 590 <= results["independent_groups"] <= 600  # a few customers are alike by chance
    training = read_table(tmp_path / "features", "training")
    assert training.groupby("customer_id")["twin_group"].nunique().eq(1).all()
    with pytest.raises(NotebookFailed, match="independent groups"):
        transform(tmp_path, min_customers=700)


def test_copies_are_dropped_with_an_id_and_without(tmp_path: Path) -> None:
    """Each customer once; the verdict does not call a table clean of which a part is copies."""
    table, allowed = repeating.copied(), {"max_duplicates_share": 0.5}
    verdict, results, customers = run(tmp_path / "id", table, PARAMS, **allowed)
    assert "400 of 1,000 rows" in verdict
    assert "Nothing looks suspicious" not in verdict
    assert customers["customer_id"].is_unique
    assert (len(customers), results["rows_duplicate"], results["duplicates_resolved"]) == (
        600, 400, 400,
    )  # fmt: skip
    numbered = table.drop(columns="customer_id")
    numbered.insert(0, "row_number", range(1, 1001))
    params = PARAMS.replace("customer_id: customer_id\n", "")
    verdict, results, customers = run(tmp_path / "no id", numbered, params)
    assert "400 of 1,000 rows" in verdict
    assert "Nothing looks suspicious" not in verdict
    assert (len(customers), results["rows_duplicate"], results["duplicates_resolved"]) == (
        600, 400, 400,
    )  # fmt: skip
    assert customers["row_number"].astype(int).is_monotonic_increasing
