"""Which stages must run, which are reused, and why; decided once, from records, files and
hashes alone.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from orchestrator.errors import UsageError
from orchestrator.models.mlflow_queries import find_files, find_lost_model
from orchestrator.plan.checks import examine, indent
from orchestrator.plan.fingerprint import (
    combine,
    describe_changes,
    find_parts,
    package_folders,
    with_facts,
)
from orchestrator.plan.quick_answer import Watch
from orchestrator.plan.run_plan import Decision, Parts, Plan, Request
from orchestrator.plan.source_reach import local_files, patterns, remote_sources
from orchestrator.project import CODE, Project
from orchestrator.records.dvc_cache import find_lost, list_files
from orchestrator.records.hashes import CONTENT, measure, remembering
from orchestrator.records.past_runs import DONE
from orchestrator.records.record import StageRecord
from orchestrator.stages import Stage, is_dataset, is_pointer

_CHANGES_TOLD = 3
_NEVER = "it has not completed before"


def decide_all(plan: Plan) -> Plan:
    """Return a plan with its decisions: which stages run, which are reused, and which
    depend on what others are about to write.
    """
    decisions = dict[str, Decision]()
    with remembering(plan.project.root):
        for stage in plan.stages:
            upstream = [one.name for one in plan.pipeline.upstream_of(stage)]
            before = [decisions[name] for name in upstream if name in decisions]
            decisions[stage.name] = _decide_before_the_run(plan, stage, before)
    return replace(plan, decisions=decisions)


def decide_when_due(plan: Plan, stage: Stage, executed: Collection[str]) -> Decision:
    """Return the decision about a stage whose inputs are what they will be when it
    starts: the plan's, unless they were still to come, or one of the stages `executed`
    in this run was planned to be reused.
    """
    planned = plan.decisions[stage.name]
    written = any(one.name in executed for one in plan.pipeline.upstream_of(stage))
    if planned.what == "open" or (planned.what == "reused" and written):
        return _decide(plan, stage, find_parts(plan, stage))
    return planned


def _decide_before_the_run(plan: Plan, stage: Stage, before: Sequence[Decision]) -> Decision:
    parts = find_parts(plan, stage)
    for one in before:
        if one.what == "reused":
            parts = _with_restored(plan.project, stage, parts, one)
    running = [one.stage for one in before if one.what != "reused"]
    if running and stage.name not in plan.forced:
        return _decide_later(plan, stage, parts, running)
    return _decide(plan, stage, parts)


def list_watched(plan: Plan) -> Watch:
    """Return what a plan's decisions follow from when all stages are reused."""
    project = plan.project
    code = (CODE / "orchestrator", project.domain, project.notebooks)
    paths = [*map(project.relative, (*code, plan.params_file, project.requirements))]
    paths += [
        path
        for stage in plan.pipeline.stages
        for path in (*stage.settings, *stage.reads, *stage.writes)
    ]
    paths += [path for stage in plan.pipeline.stages for path in stage.learned(plan.params.name)]
    for file in (file for files in local_files(project, plan.params).values() for file in files):
        # Where SQLite keeps what it has not moved to the database itself.
        paths += [str(file), f"{file}-wal"]
    for one in plan.decisions.values():
        paths += [str(file) for file in find_files(project, one.entry)] if one.entry else []
    shown = [
        name
        for name, is_secret in plan.params.find_variables().items()
        if not is_secret and name in os.environ
    ]
    values = {name: os.environ[name] for name in shown}
    return Watch(
        list(dict.fromkeys(paths)), package_folders(), values, patterns(project, plan.params)
    )


def _decide(plan: Plan, stage: Stage, parts: Parts) -> Decision:
    if stage.name in plan.forced:
        return Decision(stage, "runs", plan.forced[stage.name])
    if stage.reads_sources and (again := _read_again(plan)):
        are = "is" if len(again) == 1 else "are"
        return Decision(stage, "runs", f"{_join(again)} {are} read again")
    lost: list[str] = []
    for run_id, entry in plan.history.completed(stage, parts):
        if entry.fingerprint != combine(with_facts(plan, parts, entry.decided_by)):
            continue
        changed = [path for path in entry.outputs if not _is_intact(plan.project, path, entry)]
        lost = [
            *_find_lost(plan.project, entry, changed),
            *find_lost_model(plan.project, entry),
        ]
        if not lost:
            restored = f"; {_join(changed)} restored from DVC's cache" if changed else ""
            reason = f"same as run {run_id}{restored}"
            return Decision(stage, "reused", reason, run_id, entry, tuple(changed))
    return Decision(stage, "runs", _join(lost) if lost else _why(plan, stage, parts))


def _decide_later(plan: Plan, stage: Stage, parts: Parts, running: Sequence[Stage]) -> Decision:
    """Decide about a stage whose inputs are still to be written."""
    to_come = tuple(path for other in running for path in other.writes)
    newest: tuple[Parts, Parts] | None = None
    for _, entry in plan.history.ended(stage):
        if entry.status not in DONE:
            continue
        known = _without(with_facts(plan, parts, entry.decided_by), to_come)
        before = _without(entry.decided_by, to_come)
        if before == known:
            write = "writes" if len(running) == 1 else "write"
            others = _join([other.name for other in running])
            return Decision(stage, "open", f"reused if {others} {write} the same")
        newest = newest or (before, known)
    return Decision(stage, "runs", _tell(describe_changes(*newest)) if newest else _NEVER)


def _why(plan: Plan, stage: Stage, parts: Parts) -> str:
    """Say why a stage must run of which no earlier result can be used."""
    for run_id, entry in plan.history.ended(stage):
        now = with_facts(plan, parts, entry.decided_by)
        if entry.status in DONE:
            return _tell(describe_changes(entry.decided_by, now))
        if entry.decided_by == now:
            ended = entry.status.replace("_", " ").replace("interrupted", "was interrupted")
            return f"it {ended} in run {run_id}"
    return _NEVER


def _tell(changes: list[str]) -> str:
    more = len(changes) - _CHANGES_TOLD
    return "; ".join(changes[:_CHANGES_TOLD]) + (f"; and {more} more" if more > 0 else "")


def _read_again(plan: Plan) -> list[str]:
    if not plan.request.refresh:
        return []
    remote = remote_sources(plan.project, plan.params)
    return [name for name in remote if plan.params.sources[name].refresh == "always"]


def _is_intact(project: Project, path: str, entry: StageRecord) -> bool:
    place = project.root / path
    return place.exists() and measure(place, project.root).md5 == entry.outputs[path].md5


def _find_lost(project: Project, entry: StageRecord, changed: Sequence[str]) -> Iterator[str]:
    """Yield which outputs are not what they were and cannot be brought back."""
    for path in changed:
        what = "was altered" if (project.root / path).exists() else "is missing"
        if is_dataset(path):
            problem = find_lost(project, entry.outputs[path].md5)
            if problem:
                yield f"{path} {what}, and {problem}"
        elif not is_pointer(path):  # these follow from the datasets
            yield f"{path} {what}"


def _with_restored(project: Project, stage: Stage, parts: Parts, made: Decision) -> Parts:
    """Return the parts of a stage as they will be when what it reads has been brought back."""
    assert made.entry
    for path in made.to_restore:
        content = made.entry.outputs[path]
        files = list_files(project, content.md5) if is_dataset(path) else {"": content.md5}
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


def make_plan(project: Project, request: Request) -> Plan:
    """Check everything that can be checked without running, decide which stages run, and
    return the plan.

    Raises:
        UsageError: something is wrong; its message lists every problem.
    """
    found = examine(project, request)
    if found.plan is None:
        listed = "\n".join(f"  - {indent(problem)}" for problem in found.problems)
        raise UsageError(f"The run cannot start; {len(found.problems)} problem(s):\n{listed}")
    return decide_all(found.plan)
