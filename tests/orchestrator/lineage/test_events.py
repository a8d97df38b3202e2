"""OpenLineage events: what they say of a run and its stages, where they go, and that
they never hold a run up.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from openlineage.client.event_v2 import RunEvent
from openlineage.client.serde import Serde

from helpers.projects import free_port, read_run, run_flow, write_notebook
from orchestrator.lineage.events import Emitter, Origin, make_client, run_event, stage_events
from orchestrator.lineage.trace import trace
from orchestrator.project import Project
from orchestrator.records.record import (
    Content,
    Environment,
    FailedCell,
    Git,
    RunRecord,
    StageRecord,
)
from orchestrator.redaction import Redactor

COMMIT = "0123456789abcdef0123456789abcdef01234567"
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
RAW, VALIDATED, SOURCE = ("12" * 16 + ".dir", "34" * 16 + ".dir", "56" * 16)


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """The client writes variables of its own: no test sees those of another, or of the machine."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
        del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of which nothing is there but its folders."""
    (tmp_path / "outputs").mkdir()
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def make_entry(**changes: Any) -> StageRecord:
    """The entry of a validation that completed, with these changes."""
    entry = StageRecord(
        name="validation",
        status="completed",
        notebook="notebooks/02_validation.ipynb",
        notebook_sha256="ab" * 32,
        inputs={"data/raw": Content(md5=RAW, bytes=1, files=1)},
        outputs={"data/validated": Content(md5=VALIDATED, bytes=1, files=1)},
        attempts=1,
        started_at=STARTED,
        ended_at=STARTED + timedelta(seconds=2),
    )
    return entry.model_copy(update=changes)


def make_record(*entries: StageRecord, **changes: Any) -> RunRecord:
    """The record of a run that completed, with these changes."""
    record = RunRecord(
        run_id="2026-01-01-000000-aaaa",
        status="completed",
        started_at=STARTED,
        ended_at=STARTED + timedelta(seconds=3),
        command="churn run",
        git=Git(commit=COMMIT, dirty=False),
        environment=Environment(python="3.11.7", lock_sha256="e" * 64),
        params_file="params.yaml",
        params_sha256="d" * 64,
        stages=list(entries),
    )
    return record.model_copy(update=changes)


def read_events(project: Project) -> list[dict[str, Any]]:
    """Return what the default file holds."""
    text = (project.outputs / "openlineage.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def facets_of(event: RunEvent) -> tuple[Any, Any]:
    """Return the facets of an event's run, and of its job."""
    return event.run.facets, event.job.facets


def test_a_stage_says_what_it_read_and_wrote(project: Project) -> None:
    """A start and an end of one run, with the parent's, versions, the commit and the
    kind of job.
    """
    record = make_record(make_entry())
    start, end = stage_events(Origin(project), record, record.stages[0])
    assert [event.eventType and event.eventType.value for event in (start, end)] == [
        "START",
        "COMPLETE",
    ]
    assert start.run.runId == end.run.runId
    assert (start.eventTime, end.eventTime) == (
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:00:02+00:00",
    )
    assert (end.job.namespace, end.job.name) == ("churn", "churn.validation")
    run, job = facets_of(end)
    assert run["parent"].run.runId == run_event(Origin(project), record, "START").run.runId
    assert (run["parent"].job.namespace, run["parent"].job.name) == ("churn", "churn")
    assert {tag.key: tag.value for tag in run["tags"].tags} == {
        "churn.run_id": record.run_id,
        "churn.stage": "validation",
        "churn.notebook_sha256": "ab" * 32,
    }
    assert (job["jobType"].processingType, job["jobType"].jobType) == ("BATCH", "TASK")
    location = job["sourceCodeLocation"]
    assert (location.version, location.path) == (COMMIT, "notebooks/02_validation.ipynb")
    ((read,), (written,)) = end.inputs, end.outputs  # type: ignore[misc]
    assert (read.namespace, read.name) == ("file", f"{project.root.as_posix()}/data/raw")
    assert cast(Any, read.facets)["version"].datasetVersion == RAW
    assert cast(Any, written.facets)["version"].datasetVersion == VALIDATED
    assert start.outputs == []


def test_ingestion_names_its_sources_and_model_building_its_model(project: Project) -> None:
    """A local source by its path and content, another by its name; a model version as a
    dataset of MLflow.
    """
    parts = {"sources": "customers, crm", "source customers, customers.csv": f"md5:{SOURCE}"}
    ingestion = make_entry(name="ingestion", inputs={}, decided_by=parts)
    origin = Origin(project, sources={"customers": [Path("/elsewhere/customers.csv")]})
    inputs = [event.inputs for event in stage_events(origin, make_record(ingestion), ingestion)][
        1
    ] or []
    versions = {(one.namespace, one.name): cast(Any, one.facets).get("version") for one in inputs}
    assert versions.keys() == {("file", "/elsewhere/customers.csv"), ("churn", "source crm")}
    assert versions["file", "/elsewhere/customers.csv"].datasetVersion == SOURCE
    results = {"mlflow_run_id": "m1", "registered_model": "churn", "model_version": 3}
    building = make_entry(name="model_building", outputs={}, results=results)
    (model,) = [event.outputs for event in stage_events(origin, make_record(building), building)][
        1
    ] or []
    assert (model.namespace, model.name, cast(Any, model.facets)["version"].datasetVersion) == (
        "mlflow",
        "models:/churn",
        "3",
    )


def test_each_file_of_a_source_is_an_input(project: Project) -> None:
    """Several files that are one source are named by their paths."""
    parts = {"sources": "crm", "source crm, a/x.csv": "md5:1", "source crm, b/x.csv": "md5:2"}
    ingestion = make_entry(name="ingestion", inputs={}, decided_by=parts)
    origin = Origin(project, sources={"crm": [Path("/drops/a/x.csv"), Path("/drops/b/x.csv")]})
    inputs = [event.inputs for event in stage_events(origin, make_record(ingestion), ingestion)][
        1
    ] or []
    versions = {one.name: cast(Any, one.facets)["version"].datasetVersion for one in inputs}
    assert versions == {"/drops/a/x.csv": "1", "/drops/b/x.csv": "2"}


@pytest.mark.parametrize(
    ("status", "kind"), [("failed", "FAIL"), ("timed_out", "FAIL"), ("interrupted", "ABORT")]
)
def test_a_failure_says_why_without_secrets(project: Project, status: str, kind: str) -> None:
    """The stage and the run end with the error of the record; no secret is in them,
    whatever the record says.
    """
    cell = FailedCell(index=1, source="", error="ValueError: hunter22 is wrong")
    entry = make_entry(status=status, failed_cell=cell, outputs={})
    record = make_record(entry, status="failed")
    origin = Origin(project, redactor=Redactor({"hunter22": "PASSWORD"}))
    events = [*stage_events(origin, record, entry), run_event(origin, record, "FAIL")]
    assert [event.eventType and event.eventType.value for event in events] == [
        "START",
        kind,
        "FAIL",
    ]
    assert facets_of(events[1])[0]["errorMessage"].message == "ValueError: ***PASSWORD*** is wrong"
    assert (
        facets_of(events[2])[0]["errorMessage"].message
        == "validation: ValueError: ***PASSWORD*** is wrong"
    )
    assert "hunter22" not in "".join(Serde.to_json(event) for event in events)


def test_a_reused_stage_has_no_events_and_each_attempt_its_own(project: Project) -> None:
    """What did not run is no run; a second attempt is another run than the first."""
    origin = Origin(project)
    reused = make_entry(status="reused", reused_from="earlier", started_at=None, ended_at=None)
    assert list(stage_events(origin, make_record(reused), reused)) == []
    first, second = make_entry(status="failed"), make_entry(attempts=2)
    ids = [
        next(stage_events(origin, make_record(entry), entry)).run.runId for entry in (first, second)
    ]
    assert ids[0] != ids[1]


def test_events_go_to_a_file_by_default(project: Project) -> None:
    """Each run adds its events, in order, with the record as it was then."""
    entry = make_entry()
    record = make_record(entry)
    for _ in range(2):
        events = Emitter(Origin(project))
        events.run_started(record)
        events.stage_ended(record, "validation")
        events.run_ended(record)
        entry.outputs = {}
        assert events.close() == ""
    kinds = [event["eventType"] for event in read_events(project)]
    assert kinds == ["START", "START", "COMPLETE", "COMPLETE"] * 2
    assert [len(event["outputs"]) for event in read_events(project)] == [0, 0, 1, 0, 0, 0, 0, 0]


def test_a_killed_run_is_aborted_with_its_stage(project: Project) -> None:
    """What recovery found is told: the stage that was running, and the run."""
    entry = make_entry(status="interrupted", reason="the run was killed", outputs={})
    events = Emitter(Origin(project))
    events.run_killed(make_record(entry, status="crashed"))
    assert events.close() == ""
    found = read_events(project)
    assert [event["eventType"] for event in found] == ["START", "ABORT", "ABORT"]
    assert found[1]["run"]["facets"]["errorMessage"]["message"] == "the run was killed"


def send_one(project: Project) -> str:
    """Send the start of a run, and return what went wrong."""
    events = Emitter(Origin(project, redactor=Redactor({"hunter22": "PASSWORD"})))
    events.run_started(make_record())
    return events.close()


def test_the_clients_own_settings_are_used_instead(project: Project, tmp_path: Path) -> None:
    """Variables, or a file in the root, from wherever the command was started;
    `OPENLINEAGE_DISABLED` is obeyed.
    """
    mine = {"type": "file", "log_file_path": str(tmp_path / "mine.jsonl"), "append": True}
    os.environ["OPENLINEAGE__TRANSPORT"] = json.dumps(mine)
    assert send_one(project) == ""
    assert len((tmp_path / "mine.jsonl").read_text().splitlines()) == 1
    del os.environ["OPENLINEAGE__TRANSPORT"]
    (tmp_path / "openlineage.yml").write_text(json.dumps({"transport": mine}))
    os.chdir("/")
    assert send_one(project) == ""
    assert len((tmp_path / "mine.jsonl").read_text().splitlines()) == 2
    os.environ["OPENLINEAGE_DISABLED"] = "true"
    assert make_client(project).transport.kind == "noop"
    assert send_one(project) == ""
    assert len((tmp_path / "mine.jsonl").read_text().splitlines()) == 2
    assert not (project.outputs / "openlineage.jsonl").exists()


@contextmanager
def serving(taken: list[dict[str, Any]]) -> Iterator[str]:
    """Serve on loopback what takes events, as Marquez does."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_events_reach_a_server(project: Project) -> None:
    """`OPENLINEAGE_URL` alone sends them over HTTP, and writes no file."""
    taken: list[dict[str, Any]] = []
    with serving(taken) as os.environ["OPENLINEAGE_URL"]:
        assert send_one(project) == ""
    assert [(event["eventType"], event["job"]["name"]) for event in taken] == [("START", "churn")]
    assert not (project.outputs / "openlineage.jsonl").exists()


def test_a_transport_that_fails_is_told_once(project: Project) -> None:
    """A wrong setting, or a file that cannot be written: a message, without secrets,
    and no error.
    """
    os.environ["OPENLINEAGE__TRANSPORT"] = json.dumps({"type": "hunter22"})
    problem = send_one(project)
    assert problem.startswith("OpenLineage events could not be sent: ")
    assert "hunter22" not in problem
    os.environ["OPENLINEAGE__TRANSPORT"] = json.dumps(
        {"type": "file", "log_file_path": "/", "append": True}
    )
    assert "OpenLineage events could not be sent" in send_one(project)


def test_a_server_that_does_not_answer_holds_nothing_up(project: Project) -> None:
    """The end of a run waits a moment for it, and says so."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        os.environ["OPENLINEAGE_URL"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert re.search(r"OpenLineage .*\b2 s\b", send_one(project))


@pytest.mark.e2e
def test_a_run_tells_its_story(tiny_project: Path, prefect_api: dict[str, str]) -> None:
    """A run, one that fails, and one whose server is gone: events of each, each run
    closed, and the lineage traced.
    """
    project = Project(tiny_project)
    assert run_flow(tiny_project, env=prefect_api).returncode == 0
    first = read_run(tiny_project)
    events = read_events(project)
    assert [event["eventType"] for event in events] == [
        "START",
        *["START", "COMPLETE"] * 6,
        "COMPLETE",
    ]
    parents = {event["run"]["facets"]["parent"]["run"]["runId"] for event in events[1:-1]}
    assert parents == {events[0]["run"]["runId"]}
    written = {
        one["name"]: one["facets"]["version"]["datasetVersion"]
        for event in events
        for one in event["outputs"]
    }
    assert (
        written[f"{tiny_project.as_posix()}/data/raw"]
        == first.stage("ingestion").outputs["data/raw"].md5
    )
    write_notebook(
        tiny_project / "notebooks/03_preparation.ipynb",
        "preparation",
        ["raise OSError('a reason')"],
    )
    assert run_flow(tiny_project, env=prefect_api).returncode == 1
    failed = read_events(project)[len(events) :]
    # The operating system's errors are tried again.
    assert [event["eventType"] for event in failed] == ["START", *["START", "FAIL"] * 2, "FAIL"]
    assert "a reason" in failed[2]["run"]["facets"]["errorMessage"]["message"]
    graph, target = trace(project, "latest")
    assert f"{first.run_id}/validation" in target.up
    assert f"{read_run(tiny_project).run_id}/preparation" in target.down
    assert "data/raw" in {graph.nodes[one].name for one in graph.walk_up(target.up)}
    gone = prefect_api | {"OPENLINEAGE_URL": f"http://127.0.0.1:{free_port()}"}
    ended = run_flow(tiny_project, "--only", "ingestion", env=gone)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "OpenLineage events could" in ended.stderr
