"""Where the models of a data set are, as commands find it, in a real MLflow database."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.projects import copy_project
from helpers.registered_models import connect, make_old, train
from helpers.written_runs import make_record
from orchestrator.errors import UsageError
from orchestrator.models.mlflow_queries import read_aliases
from orchestrator.models.registries import find_registry
from orchestrator.project import Project
from orchestrator.records.record import StageRecord, write_record
from orchestrator.site.overview import list_champions, list_rows

MINE = """
name: Mine
customer_id: id
label: {column: gone, positive: "1"}
sources: {customers: {file: customers.csv}}
"""


@pytest.fixture
def project(tmp_path: Path, outputs: Path) -> Project:
    """A project with an empty MLflow database, and the params file of a second data set."""
    root = copy_project(tmp_path)
    (root / "mine.yaml").write_text(MINE, encoding="utf-8")
    connect(outputs)
    return Project(root)


def test_a_registry_is_that_of_the_params_file(project: Project) -> None:
    """Its data set, and where it says that models go; the command that trains one is told."""
    own = find_registry(project, project.params_file)
    assert (own.data_set, own.train) == ("Sample telecom company (synthetic)", "churn run")
    file = project.root / "mine.yaml"
    file.write_text(MINE + "stages: {model_building: {registered_model: bank}}\n")
    mine = find_registry(project, file)
    assert mine.places["registered_model"] == "bank"
    assert mine.places["tracking_uri"] == own.places["tracking_uri"]
    assert f"--train=churn run --params {file}" in mine.words
    (project.outputs / "mlflow.db").unlink()
    with pytest.raises(UsageError, match=r"'Mine'.*churn run --params .*mine\.yaml"):
        find_registry(project, file)


def test_hands_look_where_the_latest_model_of_the_data_set_went(project: Project) -> None:
    """A run may have been told of another place by --set; scoring follows the file alone."""
    results = {"mlflow_run_id": "m", "registered_model": "x-mine", "model_version": 1}
    for number, data_set in enumerate(("Other", "Mine", "Other")):
        record = make_record(f"2026-01-31-12000{number}-0001", data_set=data_set, results=results)
        record.stages[-1].parameters = {"registered_model": data_set.lower()}
        write_record(project, record)
    file = project.root / "mine.yaml"
    assert find_registry(project, file, as_latest=True).places["registered_model"] == "mine"
    assert find_registry(project, file).places["registered_model"] == "churn"


def test_the_front_page_has_the_champion_of_each_data_set(project: Project) -> None:
    """With the run that trained it, or without, if that is gone."""
    results = {"mlflow_run_id": "m", "registered_model": "churn", "model_version": 1}
    record = make_record(results=results, mlflow={"model": "churn/1"}, data_set="Sample")
    for data_set in ("Sample", "Mine", "Sample"):
        train(project.outputs, data_set)
    aliases = read_aliases(project, record.stages[-1])
    champions = list_champions(list_rows([record], aliases), aliases)
    shown = [(one.data_set, one.model, one.row and one.row.run_id) for one in champions]
    assert shown == [("Sample", "churn/1", record.run_id), ("Mine", "churn-mine/1", None)]


def test_a_champion_of_version_0_1_0_has_the_data_set_of_its_run(project: Project) -> None:
    """No tag of the registered model or of the version says it."""
    make_old(project.outputs, "Sample", "Mine", champion=2)
    aliases = read_aliases(project, StageRecord(name="model_building", notebook=""))
    assert {one.alias: (one.model, one.data_set) for one in aliases} == {
        "challenger": ("churn/2", "Mine"),
        "champion": ("churn/2", "Mine"),
    }
