"""What `churn init` writes runs: to features of every shape of company, and to a model of a few."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from churn.baseline import slug
from churn.params import ColumnLabel, EndDateLabel, Params, load_params
from helpers import many_tables, one_table
from helpers.drafts import init
from helpers.notebook_runs import run_stages
from helpers.projects import copy_project
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project
from orchestrator.records.record import RunRecord

pytestmark = pytest.mark.e2e

Running = Callable[..., tuple[Params, RunRecord]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which all drafts of this module run, one after the other."""
    return copy_project(tmp_path_factory.mktemp("drafts") / "project")


@pytest.fixture
def run(project: Path) -> Running:
    """Draft from files and run what was drafted; return the facts and the record."""

    def draft_and_run(
        *what: os.PathLike[str] | str, until: str = "transformation"
    ) -> tuple[Params, RunRecord]:
        drafted = init(project, *map(str, what), "--out", "drafted.yaml", "--force")
        assert drafted.returncode == 0, drafted.stderr + drafted.stdout
        file = project / "drafted.yaml"
        settings = {"model_building": {"cv_repeats": 1}}
        record, failure = run_stages(Project(project), Request(file, settings, until=until))
        if failure:
            raise failure
        assert record.stage("validation").results["rows_quarantined"] == 0
        return load_params(file), record

    return draft_and_run


def test_four_tables_of_a_telecom_company(run: Running, shared_data: Path) -> None:
    """The draft says what the example says: left joins, the end date with its `No`, and
    that TotalCharges tells it.
    """
    params, record = run(*sorted((shared_data / "interconnect").glob("*.csv")))
    assert isinstance(params.label, EndDateLabel)
    assert params.label.model_dump() == {
        "end_date": "EndDate",
        "begin_date": "BeginDate",
        "horizon_days": 92,
    }
    assert [str(day) for day in params.as_of_dates] == ["2019-10-01"]
    assert sorted(params.sources) == ["contract", "internet", "personal", "phone"]
    contract = params.sources["contract"].columns
    assert contract["EndDate"].none == ["No"]
    assert [name for name, column in contract.items() if column.suspect] == ["TotalCharges"]
    assert [name for name, source in params.sources.items() if source.absent] == [
        "internet",
        "phone",
    ]
    assert record.stage("transformation").results["customers_at_as_of"] == 6105


def test_a_flat_table_of_the_same_company(run: Running, shared_data: Path) -> None:
    """The draft says what the example says, but for the day, which the table does not know."""
    params, record = run(shared_data / "telco", until="model_building")
    assert isinstance(params.label, ColumnLabel)
    assert (params.label.column, params.label.positive, params.customer_id) == (
        "Churn",
        "Yes",
        "customerID",
    )
    (source,) = params.sources.values()
    assert all(column.feature for column in source.columns.values())
    assert not source.columns["TotalCharges"].required
    results = record.stage("model_building").results
    assert 0.846 < float(results["cv_roc_auc"]) < 0.87
    assert float(results["cv_average_precision"]) > 0.66


TRAINED = ("bank", "four_tables")


@pytest.mark.parametrize(
    "shape",
    [
        one_table.bank,
        one_table.mobile_parts,
        one_table.mixed_parts,
        one_table.french,
        many_tables.shop,
        many_tables.four_tables,
        one_table.wide_text,
        many_tables.cut_at_the_snapshot,
    ],
    ids=lambda shape: str(shape.__name__),
)
def test_made_up_companies(
    run: Running, tmp_path: Path, shape: Callable[[Path], list[Path]]
) -> None:
    """No row is lost on the way and no column gives the answer away; the model of two of them is
    neither blind nor too good to be true, and registered by its name.
    """
    trained = shape.__name__ in TRAINED
    until = "model_building" if trained else "transformation"
    params, record = run(*shape(tmp_path), until=until)
    assert record.stage(until).status == "completed"
    if trained:
        results = record.stage("model_building").results
        assert 0.6 < float(results["cv_roc_auc"]) < 0.87
        assert results["registered_model"] in ("churn", f"churn-{slug(params.name)}")


def test_end_dates_and_snapshots(run: Running, tmp_path: Path) -> None:
    """Subscriptions with end dates, and monthly files, run too."""
    run(*one_table.subscriptions(tmp_path))
    (tmp_path / "months").mkdir()
    one_table.monthly(tmp_path / "months")
    _, record = run(tmp_path / "months")
    assert int(record.stage("validation").results["rows_snapshot_valid"]) == 4800
