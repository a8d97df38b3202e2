"""A new kind of source is a module and a line: every part of the project knows it then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODULE = '''
"""A source that is a queue of messages."""

from typing import Annotated

import pyarrow as pa

from churn.facts import MAY_HOLD_CREDENTIALS, expand
from churn.sources.source import BasicAuth, Source, SourceError


class QueueSource(Source):
    """A queue, which this module reads itself."""

    kind = "queue"
    reader = __name__

    queue: Annotated[str, MAY_HOLD_CREDENTIALS]
    login: Annotated[BasicAuth, MAY_HOLD_CREDENTIALS]
    topic: str = "customers"

    @property
    def addresses(self):
        return [self.queue]


def read(source, reading):
    from churn.sources.received import Content, Digest

    if source.topic == "closed":
        raise SourceError(f"{expand(source.queue)} is closed to {expand(source.login.password)}")
    ids = pa.array(["007", "008"], pa.large_string())
    return Content(pa.table([ids], ["id"]), Digest(b"007008"))
'''
PARAMS = """\
name: Queued
customer_id: id
label: {column: left, positive: y}
sources:
  crm: {queue: "http://127.0.0.1:9/${QUEUE_KEY}", login: {user: me, password: "${QUEUE_PASSWORD}"}}
  old: {queue: "http://127.0.0.1:9/", login: {user: a, password: b}, topic: closed}
"""
SECRETS = {"QUEUE_KEY": "k-4711-secret", "QUEUE_PASSWORD": "p-0815-secret"}
QUESTIONS = """
import base64, json
from pathlib import Path
from churn.facts import list_facts
from churn.params import load_params
from churn.sources import SourceError
from churn.sources.received import read_source
from orchestrator.notebook.stage_graph import read_graph
from orchestrator.plan import source_reach
from orchestrator.plan.fingerprint import hash_code
from orchestrator.project import Project
from orchestrator.redaction import redactor_for

project = Project(Path().resolve())
params = load_params("own.yaml")
crm, old = params.sources.values()
received = read_source("crm", crm, project.root)
try:
    changed = {"topic": "closed"}
    read_source("crm", crm.model_copy(update=changed), project.root)
except SourceError as error:
    failure = str(error)
encoded = base64.b64encode(b"me:p-0815-secret").decode()
print(json.dumps({
    "kind": received.kind,
    "rows": received.rows,
    "address": received.address,
    "failure": failure,
    "variables": params.find_variables(),
    "remote": source_reach.remote_sources(project, params),
    "hosts": source_reach.hosts(params),
    "problems": list(source_reach.find_file_problems(project, params)),
    "unreachable": list(source_reach.find_unreachable(params)),
    "facts": dict(list_facts(params)),
    "code": sorted(hash_code(project, read_graph(project).training.stages[0])),
    "redacted": redactor_for(params).clean(f"a k-4711-secret, a p-0815-secret, a {encoded}"),
}))
"""


def ask(root: Path, questions: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a copy of the project, with the secrets in its environment."""
    return subprocess.run(
        [sys.executable, "-c", questions],
        cwd=root,
        env=os.environ | SECRETS | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def extended(project_copy: Path) -> Path:
    """A copy of the project with another kind of source: its module, and the line."""
    package = project_copy / "churn" / "sources"
    (package / "queue_source.py").write_text(MODULE)
    registry = (package / "__init__.py").read_text()
    import_ = "from churn.sources.queue_source import QueueSource\n"
    registry = registry.replace("from churn.sources.source", import_ + "from churn.sources.source")
    registry = registry.replace("    ApiSource,\n)", "    ApiSource,\n    QueueSource,\n)")
    (package / "__init__.py").write_text(registry)
    (project_copy / "own.yaml").write_text(PARAMS)
    return project_copy


@pytest.fixture
def answers(extended: Path) -> dict[str, Any]:
    """What the parts of the project say of it."""
    done = ask(extended, QUESTIONS)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_part_knows_a_new_kind_of_source(answers: dict[str, Any]) -> None:
    """Ingestion reads it, its host is asked, and its module decides ingestion's result."""
    assert (answers["kind"], answers["rows"]) == ("queue", 2)
    assert answers["remote"] == ["crm", "old"]
    assert answers["hosts"] == {name: ["127.0.0.1", 9] for name in ("crm", "old")}
    assert answers["problems"] == []
    assert len(answers["unreachable"]) == 2
    assert "churn/sources/queue_source.py" in answers["code"]


def test_a_marked_field_is_kept_out_of_everything(answers: dict[str, Any]) -> None:
    """Fingerprints have its hash, its variables are secrets, messages and reports show none."""
    assert answers["variables"] == {"QUEUE_KEY": True, "QUEUE_PASSWORD": True}
    for field in ("queue", "login"):
        assert answers["facts"][f"sources.crm.{field}"].startswith("sha256:")
    assert answers["facts"]["sources.crm.topic"] == '"customers"'
    assert answers["address"] == "http://127.0.0.1:9/${QUEUE_KEY}"
    assert "http://127.0.0.1:9/*** is closed to ***" in answers["failure"]
    assert answers["redacted"] == "a ***QUEUE_KEY***, a ***QUEUE_PASSWORD***, a " + (
        "***QUEUE_PASSWORD***"
    )
    assert "secret" not in json.dumps(answers)


def test_errors_in_the_params_file_know_it_too(extended: Path) -> None:
    """It is named among the kinds, and a misspelt key is compared with its own ones."""
    file = extended / "own.yaml"
    load = "from churn.params import load_params; load_params('own.yaml')"
    file.write_text(PARAMS.replace("topic:", "topik:"))
    told = ask(extended, load).stderr
    assert "sources.old.queue.topik: unknown key" in told
    assert "did you mean 'topic'?" in told
    file.write_text(PARAMS.replace("queue:", "quee:"))
    assert "`file`, `database`, `api` and `queue`" in ask(extended, load).stderr
