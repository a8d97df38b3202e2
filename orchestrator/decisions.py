"""Which stages must run, which are reused, and why; decided from records, files and hashes alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from notebooks.params import variables
from orchestrator.cache import find_lost, list_files
from orchestrator.contents import measure, remembering
from orchestrator.fingerprint import CONTENT, Parts, combine, describe_changes, find_parts, package_folders
from orchestrator.mlflow_store import find_files, find_lost_model
from orchestrator.paths import Project
from orchestrator.preflight import Plan
from orchestrator.preflight.reach import local_files, patterns, remote_sources, sample_sources
from orchestrator.record import RunRecord, StageRecord, run_ids
from orchestrator.stages import ALL_STAGE_NAMES, DATASETS, POINTERS, STAGES, Stage, find_stage
from orchestrator.unchanged import Watch

_CHANGES_TOLD = 3
_DONE = ("completed", "reused")
_ENDED = (*_DONE, "failed", "timed_out", "interrupted")
_NEVER = "it has not completed before"


@dataclass(frozen=True)
class Demand:
    """What is to run even if nothing has changed: stage -> why; and whether sources elsewhere are read again."""

    forced: Mapping[str, str] = field(default_factory=dict)
    refresh: bool = True


def make_demand(force: Sequence[str], start: str | None, only: str | None, *, refresh: bool = True) -> Demand:
    """Return what was asked for: `force` names stages, or is `all`; a stage named by `start` or `only` runs too.

    Raises:
        UsageError: there is no such stage.
    """
    forced = dict.fromkeys(ALL_STAGE_NAMES, "--force") if "all" in force else {}
    forced |= {find_stage(name).name: "--force-stage" for name in force if name != "all"}
    for option, name in (("--from", start), ("--only", only)):
        if name:
            forced[find_stage(name).name] = option
    return Demand(forced, refresh)


@dataclass(frozen=True)
class Decision:
    """Whether a stage runs, is reused, or depends on what another stage is about to write; and the reason.

    Of a reused stage: the run and entry of the result, and which of its outputs have to be brought back.
    """

    stage: Stage
    what: Literal["runs", "reused", "open"]
    reason: str
    parts: Parts
    run_id: str = ""
    entry: StageRecord | None = None
    to_restore: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return what logs and tables say."""
        return f"{self.what}: {self.reason}"


class History:
    """The records of earlier runs, the newest first; each is read once, and parsed only when it may matter."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._contents: dict[str, bytes] = {}

    def completed(self, stage: Stage, fingerprint: str) -> Iterator[tuple[str, StageRecord]]:
        """Yield the runs, and their entries, in which a stage of that fingerprint completed."""
        for run_id, entry in self._entries(stage, fingerprint.encode()):
            if entry.status == "completed" and entry.fingerprint == fingerprint:
                yield run_id, entry

    def ended(self, stage: Stage) -> Iterator[tuple[str, StageRecord]]:
        """Yield the runs, and their entries, in which a stage came to an end, well or not, or was reused."""
        for run_id, entry in self._entries(stage, b""):
            if entry.status in _ENDED and entry.decided_by:
                yield run_id, entry

    def _entries(self, stage: Stage, holding: bytes) -> Iterator[tuple[str, StageRecord]]:
        for run_id in reversed(run_ids(self._project)):
            if run_id not in self._contents:
                self._contents[run_id] = (self._project.runs / run_id / "run.json").read_bytes()
            if holding in self._contents[run_id]:
                try:
                    record = RunRecord.model_validate_json(self._contents[run_id])
                    if record.pipeline == stage.pipeline:
                        yield run_id, record.stage(stage.name)
                except (ValueError, StopIteration):  # not a record, or of another set of stages
                    continue


def decide(plan: Plan, stage: Stage, demand: Demand, history: History) -> Decision:
    """Decide about a stage whose inputs are what they will be when it starts."""
    return _decide(plan, stage, find_parts(plan, stage), demand, history)


def predict(plan: Plan, demand: Demand, history: History | None = None) -> list[Decision]:
    """Decide about all stages of a plan before any runs."""
    with remembering(plan.project.root):
        return _predict(plan, demand, history or History(plan.project))


def _predict(plan: Plan, demand: Demand, history: History) -> list[Decision]:
    decisions = dict[str, Decision]()
    for stage in plan.stages:
        before = [decisions[other.name] for other in plan.pipeline.upstream_of(stage) if other.name in decisions]
        parts = find_parts(plan, stage)
        for one in before:
            if one.what == "reused":
                parts = _with_restored(plan.project, stage, parts, one)
        running = [one.stage for one in before if one.what != "reused"]
        if running and stage.name not in demand.forced:
            decisions[stage.name] = _decide_later(stage, parts, running, history)
        else:
            decisions[stage.name] = _decide(plan, stage, parts, demand, history)
    return list(decisions.values())


def list_watched(plan: Plan, decisions: Sequence[Decision]) -> Watch:
    """Return what the decisions follow from when all stages are reused."""
    project = plan.project
    paths = ["orchestrator", *map(project.relative, (project.notebooks, plan.params_file, project.requirements))]
    paths += [path for stage in STAGES for path in (*stage.settings, *stage.reads, *stage.writes)]
    paths += [path for stage in STAGES for path in stage.learned(plan.params.name)]
    if sample_sources(project, plan.params):
        paths.append("data/sample")
    for file in (file for files in local_files(project, plan.params).values() for file in files):
        paths += [str(file), f"{file}-wal"]  # where SQLite keeps what it has not moved to the database itself
    for one in decisions:
        paths += [str(file) for file in find_files(project, one.entry)] if one.entry else []
    shown = [name for name, is_secret in variables(plan.params).items() if not is_secret and name in os.environ]
    values = {name: os.environ[name] for name in shown}
    return Watch(list(dict.fromkeys(paths)), package_folders(), values, patterns(project, plan.params))


def list_expected(plan: Plan, decisions: Sequence[Decision]) -> tuple[Path, ...]:
    """Return the notebooks that will be executed, as far as can be told before."""
    return tuple(plan.project.notebooks / one.stage.notebook for one in decisions if one.what != "reused")


def _decide(plan: Plan, stage: Stage, parts: Parts, demand: Demand, history: History) -> Decision:
    if stage.name in demand.forced:
        return Decision(stage, "runs", demand.forced[stage.name], parts)
    if stage.reads_sources and (again := _read_again(plan, demand)):
        return Decision(stage, "runs", f"{_join(again)} {'is' if len(again) == 1 else 'are'} read again", parts)
    lost: list[str] = []
    for run_id, entry in history.completed(stage, combine(parts)):
        changed = [path for path in entry.outputs if not _is_there(plan.project, path, entry)]
        lost = [*_find_lost(plan.project, entry, changed), *find_lost_model(plan.project, entry)]
        if not lost:
            restored = f"; {_join(changed)} restored from DVC's cache" if changed else ""
            return Decision(stage, "reused", f"same as run {run_id}{restored}", parts, run_id, entry, tuple(changed))
    return Decision(stage, "runs", _join(lost) if lost else _why(stage, parts, history), parts)


def _decide_later(stage: Stage, parts: Parts, running: Sequence[Stage], history: History) -> Decision:
    """Decide about a stage whose inputs are still to be written."""
    to_come = tuple(path for other in running for path in other.writes)
    known, newest = _without(parts, to_come), None
    for _, entry in history.ended(stage):
        if entry.status not in _DONE:
            continue
        before = _without(entry.decided_by, to_come)
        if before == known:
            write = f"{_join([other.name for other in running])} {'writes' if len(running) == 1 else 'write'}"
            return Decision(stage, "open", f"reused if {write} the same", parts)
        newest = newest or before
    return Decision(stage, "runs", _tell(describe_changes(newest, known)) if newest else _NEVER, parts)


def _why(stage: Stage, parts: Parts, history: History) -> str:
    """Say why a stage must run of which no earlier result can be used."""
    for run_id, entry in history.ended(stage):
        if entry.status in _DONE:
            return _tell(describe_changes(entry.decided_by, parts))
        if entry.decided_by == parts:
            return f"it {entry.status.replace('_', ' ').replace('interrupted', 'was interrupted')} in run {run_id}"
    return _NEVER


def _tell(changes: list[str]) -> str:
    more = len(changes) - _CHANGES_TOLD
    return "; ".join(changes[:_CHANGES_TOLD]) + (f"; and {more} more" if more > 0 else "")


def _read_again(plan: Plan, demand: Demand) -> list[str]:
    if not demand.refresh:
        return []
    remote = remote_sources(plan.project, plan.params)
    return [name for name in remote if plan.params.sources[name].refresh == "always"]


def _is_there(project: Project, path: str, entry: StageRecord) -> bool:
    place = project.root / path
    return place.exists() and measure(place, project.root).md5 == entry.outputs[path].md5


def _find_lost(project: Project, entry: StageRecord, changed: Sequence[str]) -> Iterator[str]:
    """Yield which outputs are not what they were and cannot be brought back."""
    for path in changed:
        what = "was altered" if (project.root / path).exists() else "is missing"
        if path in DATASETS:
            problem = find_lost(project, entry.outputs[path].md5)
            if problem:
                yield f"{path} {what}, and {problem}"
        elif path not in POINTERS:  # these follow from the datasets
            yield f"{path} {what}"


def _with_restored(project: Project, stage: Stage, parts: Parts, made: Decision) -> Parts:
    """Return the parts of a stage as they will be when what it reads has been brought back."""
    assert made.entry
    for path in made.to_restore:
        content = made.entry.outputs[path]
        files = list_files(project, content.md5) if path in DATASETS else {"": content.md5}
        own = {f"{path}/{file}" if file else path: f"{CONTENT}{md5}" for file, md5 in files.items()}
        parts = _without(parts, (path,)) | (own if path in stage.reads else {})
    return parts


def _without(parts: Parts, paths: Sequence[str]) -> Parts:
    return {
        name: value
        for name, value in parts.items()
        if not any(name == path or name.startswith(f"{path}/") for path in paths)
    }


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
