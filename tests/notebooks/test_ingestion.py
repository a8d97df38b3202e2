"""The first notebook, executed: every kind of source into `data/raw`, and what stops it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from churn.datasets import new_dataset
from churn.params import FileSource
from churn.sources.received import read_source
from churn.tables.files import write_json, write_table
from helpers.notebook_runs import NotebookFailed, execute
from helpers.servers import Answer, serving, serving_company

pytestmark = pytest.mark.e2e


def ingest(root: Path, **parameters: Any) -> dict[str, Any]:
    """Execute the notebook in a copy of the project, and return the results that its
    summary records.
    """
    _, results = execute(
        root / "notebooks" / "01_ingestion.ipynb",
        {"first_wait_seconds": 0.01, **parameters},
        root / "report.ipynb",
    )
    return results


def outputs_of(notebook: nbformat.NotebookNode) -> list[dict[str, Any]]:
    """Return all outputs of a notebook's cells."""
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def write_params(root: Path, sources: str, customer_id: str = "customer_id: id") -> str:
    """Write a params file with these sources, and return its path as the notebook needs it."""
    facts = f"name: Small\n{customer_id}\nlabel: {{column: plan, positive: plus}}\nsources:\n"
    (root / "small.yaml").write_text(facts + sources)
    return "../small.yaml"


def content_of(folder: Path) -> dict[str, bytes]:
    """Return the files of a dataset with their bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def small_project(project_copy: Path) -> Path:
    """A copy of the project with one small file, and the dataset of an earlier ingestion of it."""
    (project_copy / "a.csv").write_text("id,plan\n007,basic\nNA,plus\n")
    write_params(project_copy, "  crm: {file: a.csv}\n")
    received = read_source("crm", FileSource(file="a.csv"), project_copy)
    with new_dataset(project_copy / "data" / "raw") as folder:
        write_table(received.table, folder, "crm")
        write_json({"crm": received.provenance()}, folder, "provenance")
    return project_copy


def test_sample_company_is_ingested_from_its_three_kinds_of_source(project_copy: Path) -> None:
    """The default run reads a file, a database and an API, says that the data is
    synthetic, and repeats exactly.
    """
    params = project_copy / "params.yaml"
    params.write_text(params.read_text().replace("customers: 7000", "customers: 1000"))
    results = ingest(project_copy)
    first = content_of(project_copy / "data" / "raw")
    provenance = json.loads(first.pop("provenance.json"))
    assert {name: facts["kind"] for name, facts in provenance.items()} == {
        "contract": "file",
        "personal": "database",
        "internet": "api",
        "phone": "api",
    }
    assert {
        f"rows_{name}": facts["rows"] for name, facts in provenance.items()
    }.items() <= results.items()
    assert results["rows_contract"] >= 1000 > results["rows_internet"] > 500
    assert provenance["internet"]["address"] == "${SAMPLE_API}/internet"
    assert "synthetic" in (project_copy / "report.ipynb").read_text()
    ingest(project_copy)
    second = content_of(project_copy / "data" / "raw")
    del second["provenance.json"]
    assert second == first


def test_company_data_is_the_same_from_every_kind_of_source(
    project_copy: Path, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File, database and APIs bring the very texts of the four CSV files, and no secret
    reaches the report.
    """
    folder = shared_data / "interconnect"
    with serving_company(folder, tmp_path, project_copy / "examples" / "interconnect.yaml") as (
        params,
        variables,
    ):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        results = ingest(project_copy, params_file=str(params))
    written = (project_copy / "report.ipynb").read_text() + (
        project_copy / "data/raw/provenance.json"
    ).read_text()
    assert variables["CRM_PASSWORD"] not in written
    assert variables["COMPANY_TOKEN"] not in written
    for name, rows in {"contract": 7043, "personal": 7043, "internet": 5517, "phone": 6361}.items():
        raw = pd.read_parquet(project_copy / "data" / "raw" / f"{name}.parquet")
        expected = pd.read_csv(folder / f"{name}.csv", dtype="str", keep_default_na=False)
        pd.testing.assert_frame_equal(raw.astype(object), expected.astype(object))
        assert results[f"rows_{name}"] == rows


def test_source_that_is_down_leaves_the_old_dataset(
    small_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing source ends the notebook with an error that may pass, the old dataset
    whole, and the token unseen.
    """
    before = content_of(small_project / "data" / "raw")
    monkeypatch.setenv("API_TOKEN", "tok-abcdef")
    with serving(lambda request: Answer(request.headers["Authorization"].encode(), 500)) as server:
        source = (
            f"  crm: {{api: '{server.address}/x?key=${{API_TOKEN}}', retries: 1, "
            "auth: {bearer: '${API_TOKEN}'}}\n"
        )
        with pytest.raises(NotebookFailed) as caught:
            ingest(small_project, params_file=write_params(small_project, source))
    assert caught.value.ename == "SourceError"
    assert "HTTP 500" in caught.value.evalue
    assert len(server.requests) == 2
    assert content_of(small_project / "data" / "raw") == before
    assert "tok-abcdef" not in (small_project / "report.ipynb").read_text()


def test_source_that_refuses_has_another_kind_of_error(small_project: Path) -> None:
    """A missing file ends the notebook with the error that is not tried again."""
    with pytest.raises(NotebookFailed) as caught:
        ingest(small_project, params_file=write_params(small_project, "  crm: {file: b.csv}\n"))
    assert caught.value.ename == "SourceRefused"
    assert f"there is no file at {small_project / 'b.csv'}" in caught.value.evalue


def test_header_alone_is_stopped_by_the_minimum_of_rows(small_project: Path) -> None:
    """A source with fewer rows than `min_rows` stops the run and leaves the old dataset."""
    before = content_of(small_project / "data" / "raw")
    (small_project / "b.csv").write_text("id,plan\n")
    with pytest.raises(NotebookFailed) as caught:
        ingest(small_project, params_file=write_params(small_project, "  crm: {file: b.csv}\n"))
    assert caught.value.ename == "GateError"
    assert "crm: 0 rows from b.csv" in caught.value.evalue
    assert content_of(small_project / "data" / "raw") == before


def test_malformed_rows_are_set_aside_where_the_parameter_allows(small_project: Path) -> None:
    """Rows of a wrong length go to `malformed/`, and the facts count them; a change of
    content is shown.
    """
    (small_project / "a.csv").write_text("id,plan\n007,basic\nNA,plus,more\n")
    results = ingest(small_project, params_file="../small.yaml", malformed_rows_allowed=1)
    raw = small_project / "data" / "raw"
    assert (results["rows_crm"], results["malformed_rows"]) == (1, 1)
    assert pd.read_parquet(raw / "malformed" / "crm.parquet")["text"].tolist() == ["NA,plus,more"]
    assert json.loads((raw / "provenance.json").read_text())["crm"]["malformed_rows"] == 1
    assert "changed" in (small_project / "report.ipynb").read_text()


def texts_of(root: Path) -> str:
    """Return the plain text of all outputs of the executed notebook."""
    notebook = nbformat.read(root / "report.ipynb", as_version=4)
    plain = [
        output.get("text", "") or output.get("data", {}).get("text/plain", "")
        for output in outputs_of(notebook)
    ]
    shown = [output.get("data", {}).get("text/markdown", "") for output in outputs_of(notebook)]
    return "\n".join([*plain, *shown])


def test_several_files_are_one_table_and_listed(small_project: Path) -> None:
    """The report lists the parts, the table says which file a row came from, and the
    facts tell of each.
    """
    for month, plans in (("01", "1,basic\n2,plus\n"), ("02", "1,plus\n")):
        (small_project / f"drop_2024-{month}.csv").write_text(f"id,plan\n{plans}")
    source = "  crm: {file: 'drop_*.csv', part_column: month, part_pattern: '(\\d{4}-\\d{2})'}\n"
    results = ingest(small_project, params_file=write_params(small_project, source))
    raw = pd.read_parquet(small_project / "data/raw/crm.parquet")
    assert raw.to_dict("list") == {
        "id": ["1", "2", "1"],
        "plan": ["basic", "plus", "plus"],
        "month": ["2024-01", "2024-01", "2024-02"],
    }
    assert results["rows_crm"] == 3
    facts = json.loads((small_project / "data/raw/provenance.json").read_text())["crm"]
    assert [(part["file"], part["rows"]) for part in facts["parts"]] == [
        ("drop_2024-01.csv", 2),
        ("drop_2024-02.csv", 1),
    ]
    assert "**crm**: 2 files" in texts_of(small_project)
    assert "drop_2024-02.csv" in texts_of(small_project)


@pytest.mark.parametrize(
    ("header", "ids"), [("plan,row_number", ["9", "7"]), ("plan,fee", ["1", "2"])]
)
def test_rows_without_an_id_are_numbered(small_project: Path, header: str, ids: list[str]) -> None:
    """Where no column names a customer the rows are numbered, and the report says so; a
    column of that name is used.
    """
    (small_project / "a.csv").write_text(f"{header}\nbasic,9\nplus,7\n")
    ingest(
        small_project,
        params_file=write_params(small_project, "  crm: {file: a.csv}\n", customer_id=""),
    )
    raw = pd.read_parquet(small_project / "data/raw/crm.parquet")
    assert raw["row_number"].tolist() == ids
    assert raw["plan"].tolist() == ["basic", "plus"]
    assert "**No column names a customer**" in texts_of(small_project)
    (note,) = json.loads((small_project / "data/raw/provenance.json").read_text())["crm"]["notes"]
    assert ("itself" in note) == (ids == ["9", "7"])


def test_customers_are_compared_by_the_name_of_their_id_in_each_table(small_project: Path) -> None:
    """`key` names the column; a table without it is said to lack it, with the nearest name."""
    (small_project / "b.csv").write_text("cust,calls\nNA,1\nNA,2\n008,3\n")
    (small_project / "c.csv").write_text("custmer,visits\n007,1\n")
    sources = (
        "  crm: {file: a.csv}\n  calls: {file: b.csv, key: cust}\n  "
        "visits: {file: c.csv, key: customer}\n"
    )
    ingest(small_project, params_file=write_params(small_project, sources))
    shown = texts_of(small_project)
    assert re.search(r"visits: .*'customer'.*'custmer'", shown)
    assert re.search(r"^calls +3 +2 +1 *$", shown, re.MULTILINE)
    assert "cust" in pd.read_parquet(small_project / "data/raw/calls.parquet")


def test_a_customer_id_that_no_table_has_does_not_stop_ingestion(small_project: Path) -> None:
    """What was received is kept as it is; validation stops the run, and says what is there."""
    params = write_params(small_project, "  crm: {file: a.csv}\n", customer_id="customer_id: idd")
    ingest(small_project, params_file=params)
    assert re.search(r"crm: .*'idd'.*'id'", texts_of(small_project))
