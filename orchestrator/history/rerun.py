"""`churn rerun`: executes a past run again in a folder of its own, and compares what comes out.

The folder is a project like any other: the run's notebooks, modules and facts, a copy
of the data that it started from, its own DVC cache without a remote, its own MLflow
database. Nothing outside of the folder is written to.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.atomic_files import write_atomically
from orchestrator.compare.rerun_differences import (
    Compared,
    Texts,
    compare_dataset,
    compare_outputs,
    compare_results,
)
from orchestrator.engine import kernels
from orchestrator.errors import UsageError
from orchestrator.history.rerun_folder import (
    MARK,
    bring_earlier,
    bring_inputs,
    clear,
    find_folder,
    unpack_code,
)
from orchestrator.notebook.parameters import GIVEN_BY_RUN, TIME_LIMIT, declared_parameters
from orchestrator.notebook.stage_graph import read_graph
from orchestrator.plan.fingerprint import INSTALLED, describe_changes, environment_parts
from orchestrator.plan.run_plan import Decision, Plan, Request
from orchestrator.project import Project
from orchestrator.records import dvc_cache
from orchestrator.records.hashes import measure
from orchestrator.records.lock import ensure_free, hold_checkout
from orchestrator.records.past_runs import History
from orchestrator.records.record import Content, RunRecord, read_record, read_records
from orchestrator.redaction import secret_names
from orchestrator.runs import run as runs
from orchestrator.runs import stage_run
from orchestrator.stages import INGESTION, Pipeline, Stage

Tell = Callable[[str], None]

# Whatever the run was given: nothing is written to a server or a remote.
_LOCAL = {
    "tracking_uri": "sqlite:///../outputs/mlflow.db",
    "artifact_dir": "../outputs/mlartifacts",
    "push": False,
}
_DONE = ("completed", "reused")


@dataclass(frozen=True)
class Rerun:
    """What came of a rerun: where it lies, how the environment differs from the run's,
    and each comparison.
    """

    run_id: str
    folder: Path
    environment: tuple[str, ...]
    compared: tuple[Compared, ...]

    @property
    def is_good(self) -> bool:
        """Whether everything came out the same."""
        return all(one.is_good for one in self.compared)

    def lines(self) -> Iterator[str]:
        """Yield the table, and below it what came of it all."""
        for one in self.compared:
            yield from one.lines()
        bad = sum(not one.is_good for one in self.compared)
        told = (
            f"{bad} of {len(self.compared)} differ or could not be compared"
            if bad
            else "Nothing differs"
        )
        yield f"{told}. Run {self.run_id}, executed again in {self.folder}"

    def as_json(self) -> dict[str, Any]:
        """Return it for other programs."""
        return {
            "run_id": self.run_id,
            "folder": str(self.folder),
            "environment": list(self.environment),
            "same": self.is_good,
            "compared": [one.as_json() for one in self.compared],
        }


class _Silent:
    """A listener that says nothing: the reports have it all."""

    def cell_started(self, number: int, total: int, heading: str) -> None: ...

    def text_printed(self, line: str) -> None: ...


def rerun(project: Project, run_id: str, into: Path | None, tell: Tell) -> Rerun:
    """Execute the stages after ingestion that a run completed or reused, and compare
    their results with the record.

    `into` is the folder, by default `outputs/reruns/<run id>`; it is replaced. `tell`
    is called with progress.

    Raises:
        UsageError: there is no such run, nothing of it can be executed, or the folder
            holds something else.
        RestoreError: code or data of the run is missing or altered, here and on the remote.
        StageFailedError: a stage did not complete this time.
        RunInProgressError: another rerun is at work in the folder.
    """
    record = read_record(project, run_id)
    if record.pipeline != "training":
        raise UsageError(
            f"Run {record.run_id} scored customers: `churn score` with the same options does "
            "that again."
        )
    names = _select(record)
    target = Project(find_folder(project, record.run_id, into))
    ensure_free(target)
    clear(target)
    with hold_checkout(target):
        unpack_code(project, record, target)
        pipeline = read_graph(target).training
        stages = tuple(stage for stage in pipeline.stages if stage.name in names)
        environment = tuple(_compare_environment(record, target))
        for change in environment:
            tell(f"The environment is not the run's: {change}")
        bring_inputs(project, record, stages, target)
        bring_earlier(project, record, stages, target)
        done = _execute(
            _make_plan(record, pipeline, stages, target), f"churn rerun {record.run_id}", tell
        )
    compared = tuple(_compare(project, record, target, done.record, stages))
    return Rerun(record.run_id, target.root, environment, compared)


def _select(record: RunRecord) -> list[str]:
    done = [entry.name for entry in record.stages if entry.status in _DONE]
    found = [name for name in done if name != INGESTION]
    if not found:
        raise UsageError(
            f"Run {record.run_id} completed no stage after ingestion: there is nothing to "
            "execute again."
        )
    return found


def _compare_environment(record: RunRecord, target: Project) -> Iterator[str]:
    """Yield what is installed in another version than when the stages ran; the pins to
    go by are the run's own.
    """
    now = environment_parts(target)
    befores = [
        {
            name: value
            for name, value in entry.decided_by.items()
            if name in now or name.startswith(INSTALLED)
        }
        for entry in record.stages
        if entry.decided_by
    ]
    yield from dict.fromkeys(
        change for before in befores for change in describe_changes(before, now)
    )


def _make_plan(
    record: RunRecord, pipeline: Pipeline, stages: tuple[Stage, ...], target: Project
) -> Plan:
    """Return the plan of the run, without the checks of its sources: they are not read."""
    from churn.params import load_params

    try:
        params = load_params(target.params_file)
    except ValueError as error:
        raise UsageError(
            f"The params file of run {record.run_id} is not one for this version: {error}"
        ) from None
    set_limits = {
        name: given[TIME_LIMIT] for name, given in params.stages.items() if TIME_LIMIT in given
    }
    limits = {stage.name: float(set_limits.get(stage.name, stage.time_limit)) for stage in stages}
    parameters = {stage.name: _given(record, stage, target) for stage in stages}
    decisions = {stage.name: Decision(stage, "runs", "churn rerun") for stage in stages}
    request, history = Request(target.params_file), History(target)
    return Plan(
        target,
        request,
        params,
        pipeline,
        stages,
        parameters,
        limits,
        history,
        decisions=decisions,
    )


def _given(record: RunRecord, stage: Stage, target: Project) -> dict[str, Any]:
    """Return the recorded parameters of a stage, with nothing in them that leads out of
    the folder.
    """
    notebook = target.notebooks / stage.notebook
    recorded = record.stage(stage.name).parameters
    given = {name: value for name, value in recorded.items() if name not in GIVEN_BY_RUN}
    given |= {
        name: value for name, value in _LOCAL.items() if name in declared_parameters(notebook)
    }
    for name, value in given.items():
        if name.endswith("_dir") and not (target.notebooks / str(value)).resolve().is_relative_to(
            target.root
        ):
            raise UsageError(
                f"Run {record.run_id} gave {stage.name}.{name} the value {value!r}, which is no "
                "folder of the project; "
                "a rerun would write there or read what is there now."
            )
    return given


def _execute(plan: Plan, command: str, tell: Tell) -> runs.Run:
    run = runs.begin(plan, command)
    mark = json.dumps({"command": command, "run_id": run.record.run_id})
    write_atomically(plan.project.root / MARK, mark.encode())
    secrets = secret_names(plan.params)
    with runs.under_way(run):
        kernels.warm_up(plan.notebooks, withheld=dict.fromkeys(plan.notebooks, secrets))
        for stage in plan.stages:
            start = time.monotonic()
            stage_run.run_stage(run, stage, 1, _Silent())
            tell(f"{stage.name:<15} executed in {time.monotonic() - start:.1f} s")
    return run


def _compare(
    project: Project, record: RunRecord, target: Project, done: RunRecord, stages: tuple[Stage, ...]
) -> Iterator[Compared]:
    yield from _compare_datasets(project, record, target)
    texts = Texts.of(project.root, _sources(project, record)), Texts.of(target.root, [done])
    for stage in stages:
        entry, again = record.stage(stage.name), done.stage(stage.name)
        yield from compare_results(entry, again)
        before = project.runs / record.run_id / entry.report if entry.report else None
        yield compare_outputs(
            stage.name, before, target.runs / done.run_id / str(again.report), texts
        )


def _compare_datasets(project: Project, record: RunRecord, target: Project) -> Iterator[Compared]:
    from orchestrator.records.restore import recorded_datasets  # loads DVC

    for path, content in recorded_datasets(record).items():
        place = target.root / path
        if not place.exists():
            continue  # neither read nor written by the stages that were executed
        if measure(place).md5 == content.md5:
            yield Compared("dataset", path, "identical")
        else:
            yield compare_dataset(path, _find_files(project, path, content), _list_folder(place))


def _find_files(project: Project, path: str, content: Content) -> dict[str, Path] | None:
    place = project.root / path
    if place.exists() and measure(place).md5 == content.md5:
        return _list_folder(place)
    if dvc_cache.find_lost(project, content.md5):
        return None
    return {
        name: dvc_cache.find_object(project, md5)
        for name, md5 in dvc_cache.list_files(project, content.md5).items()
    }


def _list_folder(folder: Path) -> dict[str, Path]:
    return {
        file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()
    }


def _sources(project: Project, record: RunRecord) -> list[RunRecord]:
    """Return the run, and those that it reused stages from: their ids stand in its reports."""
    ids = {entry.reused_from for entry in record.stages if entry.reused_from}
    return [record, *(one for one in read_records(project) if one.run_id in ids)]
