"""What `churn trace` is asked about, found in the graph: runs, datasets, files, models,
reports, notebooks, hashes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from churn.params import suggest
from orchestrator.errors import UsageError
from orchestrator.lineage.graph import Graph, Kind, own_executions
from orchestrator.models import mlflow_queries
from orchestrator.models.mlflow_queries import ask
from orchestrator.project import Project
from orchestrator.records.dvc_cache import list_files
from orchestrator.records.hashes import measure, sha256
from orchestrator.records.record import LATEST, StageRecord
from orchestrator.stages import MODEL_BUILDING, is_dataset, is_of_scoring, is_pointer

SHORTEST = 6  # characters of a hash that may stand for it

_HASH = re.compile(r"[0-9a-f]+(\.dir)?")
_RUN = re.compile(r"\d{4}(-[\d-]*[0-9a-f]*)?")
_MODEL = re.compile(r"(?:models:/(?P<name>[^@/]+))?(?:/(?P<version>\d+)|@(?P<alias>[^@/]+))")


@dataclass(frozen=True)
class Target:
    """What was meant, in words, and the nodes at which the walks start, up and down."""

    title: str
    up: tuple[str, ...]
    down: tuple[str, ...]


def find_target(project: Project, graph: Graph, what: str) -> Target:
    """Find what a text names.

    Raises:
        UsageError: nothing, or more than one thing; the message says what is near.
    """
    if not graph.runs:
        raise UsageError(f"There is no run in {project.runs}: nothing to trace.")
    if what in LATEST or _RUN.fullmatch(what):
        return _find_run(graph, what)
    if what in graph.nodes:  # an id, as `--json` gives it
        return Target(f"{graph.nodes[what].kind} {what}", (what,), (what,))
    if "@" in what or what.startswith("models:"):
        return _find_model(project, graph, what)
    path = _locate(project, what)
    if path.exists() or not _HASH.fullmatch(what):
        return _find_path(project, graph, what, path)
    return _find_hash(project, graph, what)


def _find_run(graph: Graph, what: str) -> Target:
    known = sorted(graph.runs)
    found = (
        graph.latest(LATEST[what])
        if what in LATEST
        else [one for one in known if one.startswith(what)]
    )
    if len(found) != 1:
        raise _refuse(f"run {what!r}", what, found, known)
    run_id = found[0]
    executions = [one for one in graph.runs[run_id] if one in graph.nodes]
    return Target(
        f"run {run_id}", tuple(reversed(executions)), tuple(own_executions(graph, run_id))
    )


def _find_model(project: Project, graph: Graph, what: str) -> Target:
    parts = _MODEL.fullmatch(what)
    if parts is None or (parts["version"] and not parts["name"]):
        raise UsageError(
            f"{what!r} is no model: expected models:/NAME/VERSION, models:/NAME@ALIAS, or @ALIAS."
        )
    if parts["version"]:
        return _find_version(project, graph, parts["name"], parts["version"])
    aliases = read_aliases(project, graph)
    found = {
        one: version
        for one, version in aliases.items()
        if one[1] == parts["alias"] and parts["name"] in (None, one[0])
    }
    if len(found) != 1:
        names = [f"models:/{name}@{alias}" for name, alias in aliases]
        raise _refuse(
            f"alias {what!r} in MLflow's database",
            what,
            [f"models:/{n}@{a}" for n, a in found],
            names,
        )
    ((name, _), version) = found.popitem()
    return _find_version(project, graph, name, version)


def _find_version(project: Project, graph: Graph, name: str, version: str) -> Target:
    one = f"models:/{name}/{version}"
    if one in graph.nodes:
        return Target(f"model {one}", (one,), (one,))
    run_id = _read_origin(project, graph, name, version)
    logged = f"mlflow run {run_id}"
    if logged in graph.nodes:
        return Target(f"model {one}, which was registered from {logged}", (logged,), (logged,))
    if run_id:
        raise UsageError(
            f"Model {one} was made by MLflow's run {run_id}, outside of the runs in {project.runs}."
        )
    raise _refuse(f"model {one!r}", one, [], _names_of(graph, "model"))


def _find_path(project: Project, graph: Graph, what: str, path: Path) -> Target:
    name = project.relative(path)
    if path.is_relative_to(project.runs) and path != project.runs:
        return _find_report(project, graph, path, name)
    is_known = path.exists() or name in _names_of(graph, "dataset")
    if is_known and (is_dataset(name) or is_pointer(name) or is_of_scoring(name)):
        return _find_dataset(project, graph, path, name)
    if name in {node.name for node in graph.nodes.values() if node.kind == "notebook"}:
        return _find_notebook(graph, path, name)
    if not path.is_file():
        known = [*graph.runs, *_names_of(graph, "dataset", "notebook", "model")]
        raise UsageError(
            f"There is no file {name}, and no run, dataset, notebook, report or model of that name"
            f"{suggest(what, known)}. Expected a run id, a path, a hash of at least {SHORTEST} "
            "characters, "
            "models:/NAME/VERSION or @ALIAS."
        )
    return _find_file(project, graph, path, name)


def _find_report(project: Project, graph: Graph, path: Path, name: str) -> Target:
    run_id, _, file = path.relative_to(project.runs).as_posix().partition("/")
    if not file or file == "run.json":
        return _find_run(graph, run_id)
    stem = file.partition(".")[0]  # also of an earlier attempt
    report = f"outputs/runs/{run_id}/{stem}"
    if report not in graph.nodes:
        raise _refuse(f"report {name!r}", report, [], _names_of(graph, "report"))
    return Target(f"report {name}", (report,), (report,))


def _find_dataset(project: Project, graph: Graph, path: Path, name: str) -> Target:
    known = {
        node.version: node.id
        for node in graph.nodes.values()
        if node.kind == "dataset" and node.name == name
    }
    if not path.exists():
        raise UsageError(
            f"Nothing lies at {name} now; trace a recorded MD5 of it instead: {_join(list(known))}."
        )
    md5 = measure(path, project.root).md5
    if md5 not in known:
        raise UsageError(
            f"{name} as it lies now, MD5 {md5}, was neither read nor written by a recorded run: "
            "it was altered or made "
            f"by hand. Recorded are: {_join(list(known))}."
        )
    return Target(f"dataset {name} as it lies now", (known[md5],), (known[md5],))


def _find_notebook(graph: Graph, path: Path, name: str) -> Target:
    versions = {
        node.version: node.id
        for node in graph.nodes.values()
        if node.kind == "notebook" and node.name == name
    }
    now = sha256(path.read_bytes()) if path.is_file() else ""
    if now in versions:
        return Target(f"notebook {name} as it is now", (versions[now],), (versions[now],))
    every = tuple(reversed(versions.values()))
    return Target(
        f"notebook {name}; as it is now it ran in no recorded run, as it was then:", every, every
    )


def _find_file(project: Project, graph: Graph, path: Path, name: str) -> Target:
    content, md5 = sha256(path.read_bytes()), measure(path, project.root).md5
    whole = tuple(
        node.id
        for node in graph.nodes.values()
        if node.version in (content, md5) and node.kind != "report"
    )
    found = whole or _holders(project, graph, md5, name)
    if not found:
        raise UsageError(
            f"{name} as it is now, MD5 {md5}, is in no dataset, and is no source or notebook, "
            "of a recorded run: "
            "it was altered or made by hand."
        )
    return Target(f"file {name} as it is now, MD5 {md5}", found, found)


def _find_hash(project: Project, graph: Graph, what: str) -> Target:
    if len(what) < SHORTEST:
        raise UsageError(
            f"{what!r} is too short for a hash: expected at least {SHORTEST} characters."
        )
    versions = {node.version for node in graph.nodes.values() if node.version.startswith(what)}
    if not versions and not any(md5.startswith(what) for md5 in graph.files):
        _read_lists(project, graph)
    files = {md5 for md5 in graph.files if md5.startswith(what)}
    if len(versions | files) > 1:
        raise _refuse(f"hash {what!r}", what, sorted(versions | files), [])
    if versions:
        found = tuple(node.id for node in graph.nodes.values() if node.version in versions)
        first = graph.nodes[found[0]]
        return Target(f"{first.kind} {first.name} {first.version}", found, found)
    md5 = files.pop() if files else what
    holders = _holders(project, graph, md5, "")
    if not holders:
        known = sorted({node.version for node in graph.nodes.values() if node.kind == "dataset"})
        raise _refuse(
            f"dataset, file, notebook, commit or MLflow run with the hash {what!r}", what, [], known
        )
    return Target(f"file {graph.files[md5].get(holders[0], '')} {md5}", holders, holders)


def _holders(project: Project, graph: Graph, md5: str, name: str) -> tuple[str, ...]:
    """Return the datasets that hold a file of that content, at that path if one is given."""
    if md5 not in graph.files:
        _read_lists(project, graph)
    found = graph.files.get(md5, {})
    return tuple(dataset for dataset, path in found.items() if not name or path == name) or tuple(
        found
    )


def _read_lists(project: Project, graph: Graph) -> None:
    """Note what DVC's cache says of datasets that no recorded stage has read."""
    read = {dataset for held in graph.files.values() for dataset in held}
    for node in graph.nodes.values():
        if node.kind == "dataset" and is_dataset(node.name) and node.id not in read:
            with contextlib.suppress(OSError, ValueError):
                for within, md5 in list_files(project, node.version).items():
                    graph.files[md5][node.id] = f"{node.name}/{within}"


def read_aliases(project: Project, graph: Graph) -> dict[tuple[str, str], str]:
    """Return the aliases of registered models in a local MLflow database: model and
    alias -> version.
    """
    found = mlflow_queries.read_aliases(project, _find_newest(graph))
    return {(one.name, one.alias): one.version for one in found}


def _read_origin(project: Project, graph: Graph, name: str, version: str) -> str:
    query = "SELECT run_id FROM model_versions WHERE name = ? AND version = ?"
    rows = ask(project, _find_newest(graph), query, name, int(version))
    return str(rows[0][0] or "") if rows else ""


def _find_newest(graph: Graph) -> StageRecord:
    """Return the newest model building, whose MLflow is asked."""
    built = (entry for entry in reversed(graph.entries.values()) if entry.name == MODEL_BUILDING)
    return next(built, StageRecord(name=MODEL_BUILDING, notebook=""))


def _locate(project: Project, what: str) -> Path:
    """Return the path that a text may mean: from the root, or from the working folder
    if something is there alone.
    """
    here, there = Path(what).absolute(), project.root / what
    return (here if here.exists() and not there.exists() else there).resolve()


def _names_of(graph: Graph, *kinds: Kind) -> list[str]:
    named = (
        node.id if node.kind in ("model", "report") else node.name for node in graph.nodes.values()
    )
    return list(
        dict.fromkeys(
            name
            for name, node in zip(named, graph.nodes.values(), strict=True)
            if node.kind in kinds
        )
    )


def _refuse(thing: str, what: str, found: Iterable[str], known: Iterable[str]) -> UsageError:
    if several := list(found):
        return UsageError(
            f"{thing} may mean {len(several)} things; say more of it: {_join(several)}."
        )
    names = list(known)
    return UsageError(f"There is no {thing}{_suggest(what, names)}.")


def _suggest(what: str, known: list[str]) -> str:
    return suggest(what, known[-20:] if len(known) > 20 else known) if known else ""


def _join(names: list[str]) -> str:
    shown = names[-5:]
    return ", ".join(shown) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
