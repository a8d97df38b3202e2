"""What made what, from the records of all runs: a graph of executions, what they used,
and what they made.

An execution is one stage of one run. A stage that was reused is the execution of the
run that it was reused from.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from churn.summary import RegisteredModel
from orchestrator.records.code_archive import DIFFERENCE
from orchestrator.records.hashes import CONTENT
from orchestrator.records.record import RunRecord, StageRecord
from orchestrator.records.stage_facts import find_sources
from orchestrator.stages import PipelineName

Kind = Literal[
    "execution",
    "dataset",
    "source",
    "notebook",
    "parameters",
    "code",
    "commit",
    "environment",
    "report",
    "mlflow run",
    "model",
]

_NOT_EXECUTED = ("not_run", "reused")
_SCORED_WITH = re.compile(r"models:/(?P<name>[^/@]+)/(?P<version>\d+)")  # a parameter of scoring


@dataclass(frozen=True)
class Node:
    """A thing of the graph; `version` is a hash or a number, where it has one, and
    `facts` are what else is known.
    """

    id: str
    kind: Kind
    name: str
    version: str = ""
    facts: dict[str, Any] = field(default_factory=dict, compare=False)


@dataclass
class Graph:
    """All nodes, by id; `before` are those that a node was made by or from, `after`
    those that used it.

    `runs`: run id -> its executions, in the order of stages, with those that it reused.
    `entries`: what the record says of an execution. `pipelines`: run id -> what it ran.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    # Dicts: sets in order.
    before: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    after: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    runs: dict[str, list[str]] = field(default_factory=dict)
    entries: dict[str, StageRecord] = field(default_factory=dict)
    pipelines: dict[str, PipelineName] = field(default_factory=dict)
    _lay_there: dict[str, list[str]] = field(default_factory=dict)

    def link(self, cause: Node, effect: Node) -> None:
        """Note that one thing was used for, or made, another."""
        for node in (cause, effect):
            self.nodes.setdefault(node.id, node)
        self.after[cause.id][effect.id] = None
        self.before[effect.id][cause.id] = None

    def latest(self, pipeline: PipelineName) -> list[str]:
        """Return the id of the newest run of a pipeline, if there is one."""
        return sorted(run_id for run_id, name in self.pipelines.items() if name == pipeline)[-1:]

    def made_by(self, one: str, user: str | None = None) -> list[str]:
        """Return what a node was made by; of equal datasets of many runs, by the
        execution that the user's run had.
        """
        found = self.before.get(one, {})
        own = [cause for cause in self.runs.get(run_of(user), ()) if cause in found]
        return own or list(found)

    def used_by(self, one: str, maker: str | None = None) -> list[str]:
        """Return what used a node, or was made from it; of equal datasets of many runs,
        from the one of that maker.
        """
        found = self.after.get(one, {})
        if maker is None or self.nodes[one].kind != "dataset":
            return list(found)
        runs = self._had.get(maker, ())
        own = [
            user for run in runs for user in self.runs[run] if user in found and run_of(user) == run
        ]
        return own + [user for user in self._unbound(one) if user not in own]

    def context(self, one: str, near: str | None, *, up: bool) -> tuple[str, str]:
        """Return what a node is to a walk: equal datasets of many runs are different
        things, depending on the way.
        """
        if near is None or self.nodes[one].kind != "dataset":
            return one, ""
        return one, run_of(near) if up else near

    @cached_property
    def _had(self) -> dict[str, list[str]]:
        """The runs that executed or reused an execution."""
        found: dict[str, list[str]] = defaultdict(list)
        for run, executions in self.runs.items():
            for one in executions:
                found[one].append(run)
        return found

    def _unbound(self, one: str) -> list[str]:
        """Return what used a dataset that its own run had not made: it lay there."""
        if one not in self._lay_there:
            makers = self.before.get(one, {})
            users = self.after.get(one, {})
            self._lay_there[one] = [
                user
                for user in users
                if not any(cause in makers for cause in self.runs.get(run_of(user), ()))
            ]
        return self._lay_there[one]

    @cached_property
    def files(self) -> dict[str, dict[str, str]]:
        """The files that executions read in datasets: MD5 -> the datasets that hold it,
        and its path in the project.
        """
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for entry in self.entries.values():
            folders = {
                f"{path}/": f"{path}@{content.md5}" for path, content in entry.inputs.items()
            }
            for name, value in entry.decided_by.items():
                if value.startswith(CONTENT):
                    for folder in filter(name.startswith, folders):
                        found[value.removeprefix(CONTENT)][folders[folder]] = name
        return found

    def walk_up(self, starts: Sequence[str]) -> list[str]:
        """Return all that the starts were made by, the nearest first."""
        return self._walk(starts, up=True)

    def walk_down(self, starts: Sequence[str]) -> list[str]:
        """Return all that was made from the starts, the nearest first."""
        return self._walk(starts, up=False)

    def _walk(self, starts: Sequence[str], *, up: bool) -> list[str]:
        queue: list[tuple[str, str | None]] = [(one, None) for one in starts]
        seen = {self.context(one, None, up=up) for one in starts}
        for one, near in queue:  # which grows meanwhile
            for other in self.made_by(one, near) if up else self.used_by(one, near):
                context = self.context(other, one, up=up)
                if context not in seen:
                    seen.add(context)
                    queue.append((other, one))
        return list(dict.fromkeys(one for one, _ in queue if one not in starts))


def build_graph(records: Iterable[RunRecord]) -> Graph:
    """Return the graph of runs."""
    graph, reused = Graph(), list[tuple[RunRecord, StageRecord]]()
    for record in records:
        graph.pipelines[record.run_id] = record.pipeline
        graph.runs[record.run_id] = [
            _id_of(record, entry) for entry in record.stages if entry.status != "not_run"
        ]
        for entry in record.stages:
            if entry.status == "reused":
                reused.append((record, entry))
            elif entry.status != "not_run":
                _add_execution(graph, record.run_id, entry)
                _add_circumstances(graph, record, _id_of(record, entry))
    for record, entry in reused:
        # The record of that run is gone; its results are recorded here.
        if _id_of(record, entry) not in graph.nodes:
            _add_execution(graph, str(entry.reused_from), entry)
    return graph


def own_executions(graph: Graph, run_id: str) -> list[str]:
    """Return the executions of a run without those that it reused."""
    return [one for one in graph.runs[run_id] if one.startswith(f"{run_id}/")]


def run_of(execution: str | None) -> str:
    """Return the id of the run that an execution belongs to; of none, an empty text."""
    return execution.partition("/")[0] if execution else ""


def _id_of(record: RunRecord, entry: StageRecord) -> str:
    return f"{entry.reused_from or record.run_id}/{entry.name}"


def _add_execution(graph: Graph, run_id: str, entry: StageRecord) -> None:
    execution = Node(
        f"{run_id}/{entry.name}", "execution", entry.name, facts=_facts_of(run_id, entry)
    )
    graph.nodes[execution.id], graph.entries[execution.id] = execution, entry
    for cause in _causes(entry):
        graph.link(cause, execution)
    for effect in _effects(run_id, entry):
        graph.link(execution, effect)
    if entry.model:
        _add_model(graph, execution, entry.model)


def _facts_of(run_id: str, entry: StageRecord) -> dict[str, Any]:
    facts = {
        "run_id": run_id,
        "status": "completed" if entry.status == "reused" else entry.status,
        "started_at": entry.started_at.isoformat() if entry.started_at else None,
        "decision": entry.decision if entry.status != "reused" else "",
        "fingerprint": entry.fingerprint,
    }
    return facts if entry.status != "reused" else facts | {"record": "gone"}


def _causes(entry: StageRecord) -> Iterator[Node]:
    for path, content in entry.inputs.items():
        yield _dataset(path, content.md5, content.bytes, content.files)
    for name, md5 in find_sources(entry).items():
        yield Node(f"source {name}@{md5}", "source", name, md5)
    if model := _SCORED_WITH.fullmatch(str(entry.parameters.get("model", ""))):
        yield Node(model[0], "model", model["name"], model["version"])
    if entry.notebook_sha256:
        yield Node(
            f"{entry.notebook}@{entry.notebook_sha256}",
            "notebook",
            entry.notebook,
            entry.notebook_sha256,
        )


def _effects(run_id: str, entry: StageRecord) -> Iterator[Node]:
    for path, content in entry.outputs.items():
        yield _dataset(path, content.md5, content.bytes, content.files)
    file = entry.report_html or entry.report
    if file:
        path = f"outputs/runs/{run_id}/{file.rpartition('/')[2]}"
        yield Node(path.rpartition(".")[0], "report", path, entry.report_sha256 or "")


def _dataset(path: str, md5: str, size: int, files: int) -> Node:
    return Node(f"{path}@{md5}", "dataset", path, md5, {"bytes": size, "files": files})


def _add_circumstances(graph: Graph, record: RunRecord, execution: str) -> None:
    """Add what holds for all stages of a run: its parameters, commit, code and environment."""
    name, digest = record.params_file, record.params_sha256
    found = [Node(f"{name}@{digest}", "parameters", name, digest)]
    if record.git:
        facts: dict[str, Any] = {"dirty": record.git.dirty}
        where = record.git.commit
        if record.git.dirty:  # each run has a difference of its own
            where += f"+{record.run_id}"
            facts["difference"] = f"outputs/runs/{record.run_id}/{DIFFERENCE}"
        found.append(Node(f"commit {where}", "commit", "commit", record.git.commit, facts))
    if record.code_sha256:
        code = record.code_sha256
        found.append(Node(f"code {code}", "code", f"outputs/code/{code}.zip", code))
    python, lock = record.environment.python, record.environment.lock_sha256
    found.append(
        Node(f"python {python} {lock}", "environment", f"Python {python}, requirements.txt", lock)
    )
    for cause in found:
        graph.link(cause, graph.nodes[execution])


def _add_model(graph: Graph, execution: Node, model: RegisteredModel) -> None:
    run_id = model.mlflow_run_id
    logged = Node(f"mlflow run {run_id}", "mlflow run", "MLflow run", run_id)
    graph.link(execution, logged)
    if model.address:
        version = str(model.model_version)
        graph.link(logged, Node(model.address, "model", model.registered_model, version))
