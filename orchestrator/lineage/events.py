"""OpenLineage events of a run, so that Marquez, DataHub and others can read its
lineage; sent by the standard client.

They go to `outputs/openlineage.jsonl`, unless the client is configured otherwise in its
own way: by its environment variables, or by an `openlineage.yml` in the project's root.
Both events of a stage are sent when it has ended, from the record. A stage that was
reused did not run, and has no events.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.plan.source_reach import shared_folder
from orchestrator.project import Project
from orchestrator.records.record import Content, RunRecord, StageRecord, now
from orchestrator.records.stage_facts import find_sources
from orchestrator.redaction import Redactor

if TYPE_CHECKING:  # the client takes half a second to import
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent

FILE = "openlineage.jsonl"
NAMESPACE = "churn"
PRODUCER = "urn:churn-pipeline:orchestrator"

_SETTINGS = "openlineage.yml"
_ENDINGS = {"completed": "COMPLETE", "failed": "FAIL", "timed_out": "FAIL"}  # all others: ABORT
_LAST_SECONDS = 2.0  # that the end of a run waits for events that have not been sent


@dataclass(frozen=True)
class Origin:
    """Where a run takes place: its project, the local files that are its sources, and
    what must not be shown.
    """

    project: Project
    sources: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    redactor: Redactor = field(default_factory=Redactor)


class Emitter:
    """Sends the events of runs from a thread of its own, so that a slow transport holds up nothing.

    After the first event that cannot be sent, no other is tried: `close` says why.
    """

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._problem = ""
        self._waiting: queue.SimpleQueue[Callable[[], list[RunEvent]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._send, name="openlineage", daemon=True)
        self._thread.start()

    def run_started(self, record: RunRecord) -> None:
        """Tell that a run started."""
        self._put(record, lambda copy: [run_event(self._origin, copy, "START")])

    def stage_ended(self, record: RunRecord, name: str) -> None:
        """Tell when a stage that was executed started, and how it ended; also of one
        that will be tried again.
        """
        self._put(record, lambda copy: list(stage_events(self._origin, copy, copy.stage(name))))

    def run_ended(self, record: RunRecord) -> None:
        """Tell how a run ended."""
        self._put(
            record, lambda copy: [run_event(self._origin, copy, _ENDINGS.get(copy.status, "ABORT"))]
        )

    def run_killed(self, record: RunRecord) -> None:
        """Tell that a run ended without a word, and the stage that was running with it."""
        for entry in record.stages:
            if entry.status == "interrupted":
                self.stage_ended(record, entry.name)
        self.run_ended(record)

    def close(self) -> str:
        """Wait a moment until all is sent; return what went wrong, or an empty text."""
        self._waiting.put(None)
        self._thread.join(_LAST_SECONDS)
        if self._thread.is_alive():
            return (
                f"Not all OpenLineage events could be sent within {_LAST_SECONDS:g} s of the "
                "run's end"
            )
        return self._problem

    def _put(self, record: RunRecord, make: Callable[[RunRecord], list[RunEvent]]) -> None:
        copy = record.model_copy(deep=True)  # the run goes on
        self._waiting.put(lambda: make(copy))

    def _send(self) -> None:
        client: OpenLineageClient | None = None
        while make := self._waiting.get():
            if self._problem:
                continue
            try:
                client = client or make_client(self._origin.project)
                for event in make():
                    client.emit(event)
            except Exception as error:  # whatever a transport does, the run goes on
                shown = self._origin.redactor.clean(f"{type(error).__name__}: {error}")
                self._problem = f"OpenLineage events could not be sent: {shown}"
        if client and not client.close(_LAST_SECONDS):
            self._problem = self._problem or "Not all OpenLineage events could be sent"


def make_client(project: Project) -> OpenLineageClient:
    """Return the client as its own variables and files configure it; else one that
    writes to a file in `outputs/`.
    """
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport.file import FileConfig, FileTransport

    settings = project.root / _SETTINGS
    if settings.is_file():
        # The client looks in the working folder alone.
        os.environ.setdefault("OPENLINEAGE_CONFIG", str(settings))
    file = FileTransport(FileConfig(log_file_path=str(project.outputs / FILE), append=True))
    client = OpenLineageClient(transport=file)
    if client.config.transport or os.environ.get("OPENLINEAGE_URL"):
        return OpenLineageClient()
    return client


def run_event(origin: Origin, record: RunRecord, kind: str) -> RunEvent:
    """Return an event of a whole run: `START`, when it started, or another kind, when it ended."""
    from openlineage.client.event_v2 import Job, Run

    run = Run(_id_of_run(record), _tags(record) | _error(origin, kind, _first_error(record)))
    job = Job(
        NAMESPACE, _name_job(record), _job_facets(origin, record, "DAG", "orchestrator/flow.py")
    )
    moment = record.started_at if kind == "START" else record.ended_at
    return _event(kind, moment, run, job)


def stage_events(origin: Origin, record: RunRecord, entry: StageRecord) -> Iterator[RunEvent]:
    """Yield the two events of a stage that was executed: its start, and how it ended;
    for any other, nothing.
    """
    from openlineage.client.event_v2 import Job, Run
    from openlineage.client.facet_v2 import parent_run
    from openlineage.client.uuid import generate_static_uuid

    if entry.started_at is None or entry.status in ("reused", "not_run", "running"):
        return
    kind = _ENDINGS.get(entry.status, "ABORT")
    run_id = str(
        generate_static_uuid(
            entry.started_at, f"{record.run_id}/{entry.name}/{entry.attempts}".encode()
        )
    )
    parent = parent_run.ParentRunFacet(
        run=parent_run.Run(_id_of_run(record)),
        job=parent_run.Job(NAMESPACE, _name_job(record)),
        producer=PRODUCER,
    )
    facets = {"parent": parent} | _tags(record, entry)
    job = Job(
        NAMESPACE,
        f"{_name_job(record)}.{entry.name}",
        _job_facets(origin, record, "TASK", entry.notebook),
    )
    inputs = _inputs(origin, entry)
    yield _event("START", entry.started_at, Run(run_id, facets), job, inputs)
    run = Run(run_id, facets | _error(origin, kind, _error_of(entry)))
    yield _event(kind, entry.ended_at, run, job, inputs, _outputs(origin, entry))


def _event(
    kind: str,
    moment: datetime | None,
    run: Run,
    job: Job,
    inputs: list[InputDataset] | None = None,
    outputs: list[OutputDataset] | None = None,
) -> RunEvent:
    from openlineage.client.event_v2 import RunEvent, RunState

    return RunEvent(
        eventType=RunState(kind),
        eventTime=(moment or now()).isoformat(),
        run=run,
        job=job,
        inputs=inputs or [],
        outputs=outputs or [],
        producer=PRODUCER,
    )


def _id_of_run(record: RunRecord) -> str:
    from openlineage.client.uuid import generate_static_uuid

    return str(generate_static_uuid(record.started_at, record.run_id.encode()))


def _tags(record: RunRecord, entry: StageRecord | None = None) -> dict[str, Any]:
    """Return the names that a run has here and in MLflow."""
    from openlineage.client.facet_v2 import tags_run

    named = {"churn.run_id": record.run_id}
    if entry:
        named |= {"churn.stage": entry.name, "churn.notebook_sha256": entry.notebook_sha256 or ""}
        named |= {"mlflow.run_id": entry.model.mlflow_run_id if entry.model else ""}
    fields = [
        tags_run.TagsRunFacetFields(key, value, "CHURN") for key, value in named.items() if value
    ]
    return {"tags": tags_run.TagsRunFacet(fields, producer=PRODUCER)}


def _error(origin: Origin, kind: str, message: str) -> dict[str, Any]:
    from openlineage.client.facet_v2 import error_message_run

    if kind in ("START", "COMPLETE"):
        return {}
    words = origin.redactor.clean(message) or "it did not complete"
    return {
        "errorMessage": error_message_run.ErrorMessageRunFacet(words, "Python", producer=PRODUCER)
    }


def _error_of(entry: StageRecord) -> str:
    return entry.failed_cell.error if entry.failed_cell else entry.reason


def _first_error(record: RunRecord) -> str:
    ended = (
        entry for entry in record.stages if entry.status in ("failed", "timed_out", "interrupted")
    )
    return next((f"{entry.name}: {_error_of(entry)}" for entry in ended), record.status)


def _name_job(record: RunRecord) -> str:
    return NAMESPACE if record.pipeline == "training" else f"{NAMESPACE}-{record.pipeline}"


def _job_facets(origin: Origin, record: RunRecord, kind: str, path: str) -> dict[str, Any]:
    from openlineage.client.facet_v2 import job_type_job, source_code_location_job

    facets: dict[str, Any] = {
        "jobType": job_type_job.JobTypeJobFacet("BATCH", "CHURN", kind, producer=PRODUCER)
    }
    if record.git:
        url = origin.redactor.clean((origin.project.root / path).as_uri())
        facets["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
            "git", url, path=path, version=record.git.commit, producer=PRODUCER
        )
    return facets


def _inputs(origin: Origin, entry: StageRecord) -> list[InputDataset]:
    from openlineage.client.event_v2 import InputDataset

    found = [
        InputDataset(*_local(origin, path), facets=_version(one.md5))
        for path, one in entry.inputs.items()
    ]
    for label, md5 in find_sources(entry).items():
        found.append(InputDataset(*_source(origin, label, md5), facets=_version(md5)))
    return found


def _outputs(origin: Origin, entry: StageRecord) -> list[OutputDataset]:
    from openlineage.client.event_v2 import OutputDataset

    written: dict[str, Content] = entry.outputs
    found = [
        OutputDataset(*_local(origin, path), facets=_version(one.md5))
        for path, one in written.items()
    ]
    if entry.model and entry.model.address:
        name = origin.redactor.clean(f"models:/{entry.model.registered_model}")
        version = _version(str(entry.model.model_version))
        found.append(OutputDataset("mlflow", name, facets=version))
    return found


def _version(version: str) -> dict[str, Any]:
    from openlineage.client.facet_v2 import dataset_version_dataset

    facet = dataset_version_dataset.DatasetVersionDatasetFacet
    return {"version": facet(version, producer=PRODUCER)} if version else {}


def _local(origin: Origin, path: str) -> tuple[str, str]:
    """Return namespace and name of a file or folder of the project, as OpenLineage
    names local ones.
    """
    return "file", origin.redactor.clean((origin.project.root / path).as_posix())


def _source(origin: Origin, label: str, md5: str) -> tuple[str, str]:
    """Return namespace and name of a source: its path, where it is a local file, or its
    name in the params file.
    """
    name, _, file = label.partition(", ")
    if name in origin.sources:
        return "file", origin.redactor.clean(
            (shared_folder(origin.sources[name]) / file).as_posix()
        )
    return _local(origin, label) if md5 else (NAMESPACE, origin.redactor.clean(f"source {name}"))
