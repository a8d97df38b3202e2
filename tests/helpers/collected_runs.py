"""Runs that `churn gc` may remove, their datasets and models, and what is left of them."""

from __future__ import annotations

import contextlib
from typing import Any

from churn.datasets import new_dataset
from churn.modelling.tracking import mlflow
from churn.versions import open_repo, record
from helpers.written_runs import make_record
from orchestrator.history.garbage_collection import (
    Garbage,
    find_garbage,
    hold_cache,
    remove_garbage,
)
from orchestrator.project import Project
from orchestrator.records.code_archive import code_file
from orchestrator.records.dvc_cache import find_lost, find_object
from orchestrator.records.hashes import measure
from orchestrator.records.lock import hold_checkout
from orchestrator.records.record import Content, load_record, run_ids, write_record
from orchestrator.runs.recovery import recover

RUN_ID = "2026-01-0{}-000000-0000"


SAME = "the same in all versions\n"


def make_dataset(project: Project, text: str, *, cached: bool = True) -> Content:
    """Let data/raw hold a text beside what all versions hold, and record it with DVC."""
    with new_dataset(project.data / "raw") as folder:
        (folder / "table.txt").write_text(text)
        (folder / "same.txt").write_text(SAME)
    if cached:
        with open_repo(project.root) as repo:
            record(repo, [project.data / "raw"])
    return measure(project.data / "raw")


def make_run(project: Project, number: int, raw: Content | None = None, **facts: Any) -> str:
    """Write the record of the number-th run, which wrote `raw`, with a report and an
    archive of its code.
    """
    run_id = RUN_ID.format(number)
    made = make_record(run_id, **{"code_sha256": f"code-{number}"} | facts)
    if raw:
        made.stage("ingestion").outputs = {"data/raw": raw}
    write_record(project, made)
    (project.runs / run_id / "01_ingestion.html").write_text(run_id)
    project.code.mkdir(exist_ok=True)
    code_file(project, str(made.code_sha256)).write_bytes(b"zip")
    return run_id


def reuse(project: Project, number: int, stage: str, earlier: int) -> None:
    """Let a stage of a run be reused from an earlier run."""
    made = load_record(project, RUN_ID.format(number))
    made.stage(stage).status, made.stage(stage).reused_from = "reused", RUN_ID.format(earlier)
    write_record(project, made)


def find(project: Project, keep: int) -> Garbage:
    """Return what a removal would remove."""
    with hold_checkout(project), hold_cache(project) as cache:
        return find_garbage(project, keep, cache)


def collect(project: Project, keep: int) -> Garbage:
    """Remove what nothing needs, and return it."""
    with hold_checkout(project), hold_cache(project) as cache:
        recover(project)
        garbage = find_garbage(project, keep, cache)
        assert remove_garbage(project, garbage) == []
    return garbage


def numbers(project: Project) -> list[int]:
    """Return the numbers of the runs that are left."""
    return [int(run_id[9]) for run_id in run_ids(project)]


def archives(project: Project) -> list[str]:
    """Return the archives of code that are left."""
    return sorted(file.stem for file in project.code.glob("*"))


def is_whole(project: Project, content: Content) -> bool:
    """Tell whether a dataset's list of files and all its files are in DVC's cache."""
    return find_lost(project, content.md5) == ""


def is_gone(project: Project, content: Content, files: dict[str, str]) -> bool:
    """Tell whether a dataset's list of files and its own file are no longer in DVC's cache."""
    return not any(find_object(project, md5).exists() for md5 in (content.md5, files["table.txt"]))


def register(
    project: Project, name: str = "churn", tags: dict[str, str] | None = None, **facts: Any
) -> Any:
    """Register a version of a model in the project's database; model building gives it the tags."""
    client = client_of(project)
    with contextlib.suppress(mlflow.exceptions.MlflowException):  # there is one already
        client.create_registered_model(name)
    return client.create_model_version(
        name, facts.pop("source", "file:///model"), tags=tags or {}, **facts
    )


def client_of(project: Project) -> Any:
    """Return MLflow's client for the project's database."""
    mlflow.set_tracking_uri(f"sqlite:///{(project.outputs / 'mlflow.db').as_posix()}")
    return mlflow.MlflowClient()
