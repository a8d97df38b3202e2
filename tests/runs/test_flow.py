"""The flow with real kernels and a real Prefect server: success, failure, retry, gate,
and the parts of a run.
"""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import nbformat
import pytest

from helpers.projects import read_run, run_flow, write_notebook

pytestmark = pytest.mark.e2e


def replace_stage(root: Path, notebook: str, *cells: str) -> None:
    """Give a stage other code cells."""
    write_notebook(root / "notebooks" / notebook, notebook, list(cells))


def test_a_run_completes_all_stages_and_records_them(
    tiny_project: Path, prefect_api: dict[str, str]
) -> None:
    """A run ends with 0, six completed stages, reports of both kinds, hashes, results,
    and a front page.
    """
    ended = run_flow(tiny_project, env=prefect_api)
    assert ended.returncode == 0, ended.stderr
    record = read_run(tiny_project)
    assert record.status == "completed"
    assert [entry.status for entry in record.stages] == ["completed"] * 6
    folder = tiny_project / "outputs/runs" / record.run_id
    for entry in record.stages:
        assert entry.results == {"number": 1}
        assert (folder / str(entry.report)).is_file()
        assert (folder / str(entry.report_html)).is_file()
    assert record.stage("validation").inputs == record.stage("ingestion").outputs
    assert record.stage("validation").inputs["data/raw"].files == 1
    assert record.run_id in (tiny_project / "outputs/index.html").read_text()


def test_the_log_tells_stage_cell_heading_and_printed_text_live(
    tiny_project: Path, prefect_api: dict[str, str]
) -> None:
    """Each cell start and each printed line reaches the terminal and Prefect's own log
    of the task run.
    """
    ended = run_flow(tiny_project, "--only", "ingestion", env=prefect_api)
    assert ended.returncode == 0, ended.stderr
    replace_stage(tiny_project, "01_ingestion.ipynb", "print('hello', 42)")
    ended = run_flow(tiny_project, "--only", "ingestion", env=prefect_api)
    assert re.search(r"'ingestion' - cell 2/3 Step 1", ended.stderr)
    logs = httpx.post(
        f"{prefect_api['PREFECT_API_URL']}/logs/filter", json={"sort": "TIMESTAMP_DESC"}
    ).json()
    assert any("hello 42" in line["message"] for line in logs)


def test_a_failure_stops_what_is_downstream_and_is_retried_if_told_to(
    tiny_project: Path, prefect_api: dict[str, str]
) -> None:
    """With `retry: once` a cell that raises is tried twice; later stages do not start; the
    record and both reports name the cell.
    """
    with (tiny_project / "params.yaml").open("a", encoding="utf-8") as params:
        params.write("\nretry: once\n")
    replace_stage(
        tiny_project,
        "03_preparation.ipynb",
        "print('before')\nraise KeyError('MonthlyCharges')",
        "print('after')",
    )
    ended = run_flow(tiny_project, env=prefect_api)
    assert ended.returncode == 1
    assert "preparation" in ended.stderr
    assert "KeyError: 'MonthlyCharges'" in ended.stderr
    assert "Traceback" not in ended.stderr
    record = read_run(tiny_project)
    assert record.status == "failed"
    assert [entry.status for entry in record.stages] == ["completed"] * 2 + ["failed"] + [
        "not_run"
    ] * 3
    failed = record.stage("preparation")
    assert failed.attempts == 2
    assert failed.cells_not_run == 2
    assert failed.failed_cell is not None
    assert record.stage("model_building").reason == "transformation did not complete"
    folder = tiny_project / "outputs/runs" / record.run_id
    cell = nbformat.read(folder / "03_preparation.ipynb", as_version=4).cells[
        failed.failed_cell.index
    ]
    assert "MonthlyCharges" in cell.source
    assert cell.outputs[0].text == "before\n"
    assert "FAILED" in (folder / "03_preparation.html").read_text()
    assert (folder / "03_preparation.attempt-1.ipynb").is_file()


def test_an_error_of_a_stage_that_reads_only_datasets_is_not_retried(
    tiny_project: Path, prefect_api: dict[str, str]
) -> None:
    """It would come again; the log says so."""
    replace_stage(tiny_project, "03_preparation.ipynb", "raise KeyError('MonthlyCharges')")
    ended = run_flow(tiny_project, env=prefect_api)
    assert ended.returncode == 1
    assert "preparation is not tried again" in ended.stderr
    assert read_run(tiny_project).stage("preparation").attempts == 1


def test_a_failure_that_passes_is_mended_by_the_retry(
    tiny_project: Path, prefect_api: dict[str, str]
) -> None:
    """A stage that fails once and then works completes at the second attempt, and so
    does the run.
    """
    flaky = """
import pathlib
mark = pathlib.Path("../mark")
if not mark.exists():
    mark.touch()
    raise OSError("connection lost")
"""
    replace_stage(tiny_project, "01_ingestion.ipynb", flaky)
    assert run_flow(tiny_project, "--only", "ingestion", env=prefect_api).returncode == 0
    entry = read_run(tiny_project).stage("ingestion")
    assert (entry.status, entry.attempts, entry.failed_cell) == ("completed", 2, None)


def test_a_gate_is_not_retried(tiny_project: Path, prefect_api: dict[str, str]) -> None:
    """A failed gate stops the run at once: one attempt, exit code 1, its problems listed."""
    replace_stage(
        tiny_project,
        "02_validation.ipynb",
        "from churn.stage import gate\ngate(['2 of 3 rows are bad'], 'The data is not fit')",
    )
    ended = run_flow(tiny_project, env=prefect_api)
    assert ended.returncode == 1
    assert "2 of 3 rows are bad" in ended.stderr
    artifacts = httpx.post(
        f"{prefect_api['PREFECT_API_URL']}/artifacts/latest/filter", json={}
    ).json()
    link = next(
        artifact["data"] for artifact in artifacts if artifact["key"] == "report-validation"
    )
    assert read_run(tiny_project).run_id in link
    assert read_run(tiny_project).stage("validation").attempts == 1


def test_from_and_set_run_a_part_with_other_parameters(
    tiny_project: Path, prefect_api: dict[str, str]
) -> None:
    """`--from` starts at a stage with the data as it lies; `--set` reaches the notebook
    and the record.
    """
    assert run_flow(tiny_project, env=prefect_api).returncode == 0
    ended = run_flow(
        tiny_project, "--from", "versioning", "--set", "model_building.number=7", env=prefect_api
    )
    assert ended.returncode == 0, ended.stderr
    record = read_run(tiny_project)
    assert [entry.status for entry in record.stages] == ["not_run"] * 4 + ["completed"] * 2
    assert record.stage("model_building").parameters == {"number": 7}
    assert record.stage("model_building").results == {"number": 7}
