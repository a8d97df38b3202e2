"""The run's record, `run.json`: what happened, written at each change and valid at every moment."""

from __future__ import annotations

import datetime
import json
import secrets
from collections.abc import Iterator
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from churn.params import suggest
from churn.summary import RegisteredModel, ScoredCustomers
from orchestrator.atomic_files import WriteError, write_atomically
from orchestrator.errors import UsageError
from orchestrator.project import Project
from orchestrator.stages import PipelineName

RunStatus = Literal["running", "completed", "failed", "interrupted", "crashed"]
# Words for the newest run.
LATEST: dict[str, PipelineName] = {"latest": "training", "latest-scoring": "scoring"}
StageStatus = Literal[
    "running", "completed", "reused", "failed", "timed_out", "interrupted", "not_run"
]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class Content(_Entry):
    """What a dataset or file held: DVC's md5 (ending in `.dir` for a folder), bytes,
    and number of files.
    """

    md5: str
    bytes: int
    files: int


class FailedCell(_Entry):
    """The cell at which a stage ended: its index in the report, its source, and the
    error in words.
    """

    index: int
    source: str
    error: str


class StageRecord(_Entry):
    """What happened to one stage.

    `decision` says why it ran, or was reused; `decided_by` are the parts of its
    fingerprint: name -> hash or value. Of the facts of the params file these are the ones
    that the notebook was seen to read.
    """

    name: str
    status: StageStatus = "not_run"
    reason: str = ""
    notebook: str
    notebook_sha256: str | None = None
    report: str | None = None
    report_html: str | None = None
    report_sha256: str | None = None
    decision: str = ""
    fingerprint: str | None = None
    decided_by: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    inputs: dict[str, Content] = {}
    outputs: dict[str, Content] = {}
    results: dict[str, float | int | str] = {}
    attempts: int = 0
    started_at: datetime.datetime | None = None
    ended_at: datetime.datetime | None = None
    failed_cell: FailedCell | None = None
    cells_not_run: int = 0
    reused_from: str | None = None

    @property
    def model(self) -> RegisteredModel | None:
        """The model that it trained, logged to MLflow and registered, if it did."""
        return RegisteredModel.of(self.results)

    @property
    def scored(self) -> ScoredCustomers | None:
        """What came of scoring customers, if it did."""
        return ScoredCustomers.of(self.results)

    @property
    def seconds(self) -> float | None:
        """How long it took; None before it has ended."""
        return (
            (self.ended_at - self.started_at).total_seconds()
            if self.started_at and self.ended_at
            else None
        )


class Git(_Entry):
    """The commit that was checked out, and whether files differed from it."""

    commit: str
    dirty: bool


class Environment(_Entry):
    """The Python version, and the hash of the pinned requirements."""

    python: str
    lock_sha256: str


class PrefectReference(_Entry):
    """The run's name in Prefect."""

    flow_run_id: str | None = None


class MlflowReference(_Entry):
    """The run's name in MLflow, and the registered version of its model, such as `churn/3`."""

    run_id: str | None = None
    model: str | None = None


class RunRecord(_Entry):
    """What happened in one run. Times are UTC; `code_sha256` names the archive of what
    was executed, `data_set` is the name of the data set (empty: it is not known).
    """

    run_id: str
    pipeline: PipelineName = "training"
    status: RunStatus = "running"
    started_at: datetime.datetime
    ended_at: datetime.datetime | None = None
    command: str
    git: Git | None
    environment: Environment
    code_sha256: str | None = None
    params_file: str
    params_sha256: str
    data_set: str = ""
    prefect: PrefectReference = PrefectReference()
    mlflow: MlflowReference = MlflowReference()
    stages: list[StageRecord]

    @property
    def seconds(self) -> float | None:
        """How long it took; None before it has ended."""
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at else None

    @property
    def is_good(self) -> bool:
        """Whether nothing went wrong, so far."""
        return self.status in ("completed", "running")

    @model_validator(mode="after")
    def _find_data_set(self) -> Self:
        """Version 0.1.0 named the data set only among what decided some of the stages."""
        if not self.data_set:
            named = (entry.decided_by.get("name", "") for entry in self.stages)
            text = next((one for one in named if one.startswith('"')), '""')
            self.__dict__["data_set"] = json.loads(text)
        return self

    def stage(self, name: str) -> StageRecord:
        """Return the entry of a stage."""
        return next(entry for entry in self.stages if entry.name == name)


def now() -> datetime.datetime:
    """Return the time, in UTC, to the millisecond."""
    moment = datetime.datetime.now(datetime.UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def new_run_id() -> str:
    """Return a run id that sorts by time and names no other run: `2026-01-31-235959-4f2a`."""
    return f"{now():%Y-%m-%d-%H%M%S}-{secrets.token_hex(2)}"


def write_record(project: Project, record: RunRecord) -> None:
    """Write a run's `run.json`.

    Raises:
        WriteError: it cannot be written.
    """
    folder = project.runs / record.run_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(
            f"{error.strerror or error} on {folder.parent}: the run's folder cannot be made."
        ) from error
    text = json.dumps(record.model_dump(mode="json"), indent=2, allow_nan=False)
    write_atomically(folder / "run.json", text.encode() + b"\n")


def read_record(project: Project, run_id: str) -> RunRecord:
    """Read a run's record; `latest` is the newest run of training, `latest-scoring` the
    newest of scoring.

    Raises:
        UsageError: there is no such run, or its record is not valid.
    """
    known = run_ids(project)
    if run_id in LATEST:
        found = find_latest(project, run_id)
        if found is None and run_id == "latest-scoring":
            raise UsageError(
                "There is no scoring run yet: `churn score --out scores.csv` makes one."
            )
        run_id = found or run_id
    if run_id not in known:
        raise UsageError(
            f"There is no run {run_id!r} in "
            f"{project.runs}{suggest(run_id, known) if known else ''}."
        )
    return load_record(project, run_id)


def find_latest(project: Project, word: str) -> str | None:
    """Return the id of the run that a word of `LATEST` names, if there is one.

    Of a newer run whose record is not valid nobody knows what it is: its id is returned.
    """
    for run_id in reversed(run_ids(project)):
        try:
            if load_record(project, run_id).pipeline == LATEST[word]:
                return run_id
        except UsageError:
            return run_id
    return None


def load_record(project: Project, run_id: str) -> RunRecord:
    """Read the record of a run that has one; unlike `read_record`, without looking at
    the other runs.

    Raises:
        UsageError: it is not valid, or is gone.
    """
    file = project.runs / run_id / "run.json"
    try:
        return RunRecord.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{file} is gone.") from None
    except ValidationError as error:
        raise UsageError(f"{file} is not a valid record: {error}") from None


def run_ids(project: Project) -> list[str]:
    """Return the ids of all runs that have a record, oldest first."""
    return sorted(file.parent.name for file in project.runs.glob("*/run.json"))


def read_records(project: Project) -> Iterator[RunRecord]:
    """Read all valid records, newest first."""
    for run_id in reversed(run_ids(project)):
        try:
            yield load_record(project, run_id)
        except UsageError:
            continue
