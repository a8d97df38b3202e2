"""The task of a stage: what Prefect starts, tries again, and shows of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

# Prefect imports it when a flow starts; here a server is still coming up.
import fastapi.encoders  # noqa: F401
from prefect import Task, get_run_logger, task
from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import task_run
from prefect.states import Completed

from orchestrator.engine import kernels
from orchestrator.errors import StageFailedError
from orchestrator.flows.informing import Followers
from orchestrator.records.record import StageRecord
from orchestrator.runs import stage_run, terminal
from orchestrator.runs.run import Run, write_page
from orchestrator.stages import Stage

RETRY_DELAY_SECONDS = 3
KERNELS_AHEAD = 2  # a kernel takes about 200 MB
_SECONDS_TO_TELL = 2  # from one renewal of a running run's page to the next


def run_stage_when_due(
    run: Run, stage: Stage, states: Mapping[str, State[Any]], followers: Followers
) -> State[Any]:
    """Start a stage's task, which Prefect does only when those it depends on have completed.

    A direct call, not `submit`: a submitted task would hold up an interruption until
    its notebook ends.
    """
    pipeline = run.plan.pipeline
    upstream = [one.name for one in pipeline.upstream_of(stage) if one.name in states]
    named = run_stage.with_options(name=stage.name, task_run_name=stage.name)
    wait_for = [states[name] for name in upstream]
    state = named(run, stage, followers, wait_for=wait_for, return_state=True)
    if state.is_pending():  # NotReady
        blocked_by = next(name for name in upstream if not states[name].is_completed())
        stage_run.skip_stage(run, stage, f"{blocked_by} did not complete")
        terminal.current().stage_ended(run.record.stage(stage.name))
    return state


def _may_pass(task: Task[Any, Any], task_run: Any, state: State[Any]) -> bool:
    """Retry what may be gone on another try: `runs/retrying.py` decides for a notebook; of the
    orchestrator's own failures those of the machine.
    """
    error = state.result(raise_on_failure=False)
    if isinstance(error, StageFailedError):
        return error.try_again
    return isinstance(error, (OSError, MemoryError))


@task(
    retries=1,
    retry_delay_seconds=RETRY_DELAY_SECONDS,
    retry_condition_fn=_may_pass,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def run_stage(run: Run, stage: Stage, followers: Followers) -> Any:
    """Execute a stage's notebook, while the next ones' kernels warm up, unless an earlier
    result is still true.
    """
    attempt = task_run.run_count or 1
    if attempt == 1:
        decision = stage_run.reuse_stage(run, stage)
        get_run_logger().info("%s", decision)
        if decision.entry:
            terminal.current().stage_ended(run.record.stage(stage.name))
            _publish_report(run, run.record.stage(stage.name), followers)
            return Completed(name="Reused", message=decision.reason)
    kernels.start_ahead(run.plan.project.notebooks / stage.notebook)
    for near in run.expected_after(stage)[:KERNELS_AHEAD]:
        kernels.start_ahead(near)
    entry = _execute(run, stage, attempt, followers)
    if entry.reason:
        get_run_logger().warning("%s: %s", entry.name, entry.reason)
    _publish_report(run, entry, followers)
    _publish_results(run, entry, followers)
    return entry.results


def _execute(run: Run, stage: Stage, attempt: int, followers: Followers) -> StageRecord:
    terminal.current().stage_started(stage.name)
    listener = _Listener(run, stage, followers)
    try:
        entry = stage_run.run_stage(run, stage, attempt, listener)
    except StageFailedError as error:
        if attempt == 1:
            said = (
                f"tried again in {RETRY_DELAY_SECONDS} s" if error.try_again else "not tried again"
            )
            get_run_logger().warning("%s is %s: %s", stage.name, said, error.why)
        _publish_report(run, run.record.stage(stage.name), followers)
        raise
    except Exception as error:  # a fault of the orchestrator itself, whose message Prefect keeps
        run.redactor.clean_error(error)
        raise
    finally:
        terminal.current().stage_ended(run.record.stage(stage.name))
        followers.events.stage_ended(run.record, stage.name)
    listener.tell_progress(100)
    return entry


class _Listener:
    """Tells each cell and what it prints, as it happens: to the task run's log, the
    terminal, and the run's page.
    """

    def __init__(self, run: Run, stage: Stage, followers: Followers) -> None:
        self.run, self.stage, self.logger = run, stage, get_run_logger()
        self.prefect, self.progress = followers.prefect, _Progress(stage)
        self.prefect.tell(self.progress.show, 0)
        self.told = time.monotonic()  # when page and artifact were renewed

    def cell_started(self, number: int, total: int, heading: str) -> None:
        self.logger.info("cell %d/%d %s", number, total, heading)
        terminal.current().cell_started(self.stage.name, number, total, heading)
        if time.monotonic() > self.told + _SECONDS_TO_TELL:
            write_page(self.run, f"{self.stage.name}: cell {number} of {total}, {heading}")
            self.tell_progress(100 * (number - 1) / total)
            self.told = time.monotonic()

    def tell_progress(self, percent: float) -> None:
        """Renew what Prefect's UI shows of the stage's progress."""
        self.prefect.tell(self.progress.show, percent)

    def text_printed(self, line: str) -> None:
        self.logger.info("    %s", line)
        terminal.current().text_printed(self.stage.name, line)


class _Progress:
    """The artifact that shows how far a stage is."""

    def __init__(self, stage: Stage) -> None:
        self.key, self.artifact = f"progress-{_key(stage.name)}", cast(UUID | None, None)

    def show(self, percent: float) -> None:
        # Prefect gives a coroutine in coroutines only.
        if self.artifact is None:
            made = create_progress_artifact(percent, self.key, "cells executed")
            self.artifact = cast(UUID, made)
        else:
            update_progress_artifact(self.artifact, percent)


def _publish_report(run: Run, entry: StageRecord, followers: Followers) -> None:
    """Show the link to a stage's report, also of a failed one, as an artifact in Prefect's UI."""
    if not entry.report:
        return
    page = (run.folder / (entry.report_html or entry.report)).as_uri()
    text, key = f"Report of {entry.name}", f"report-{_key(entry.name)}"
    followers.prefect.tell(create_link_artifact, page, link_text=text, key=key)


def _publish_results(run: Run, entry: StageRecord, followers: Followers) -> None:
    """Show a stage's results, and the quality rules, as tables in Prefect's UI."""
    results = [{"result": name, "value": value} for name, value in entry.results.items()]
    followers.prefect.tell(create_table_artifact, results, f"results-{_key(entry.name)}")
    quality = run.plan.project.root / next(iter(entry.outputs), "") / "quality.json"
    if entry.name == "validation" and quality.exists():
        rules = json.loads(quality.read_text(encoding="utf-8"))["rules"]
        followers.prefect.tell(create_table_artifact, run.redactor.clean_tree(rules), "quality")


def _key(stage: str) -> str:
    return stage.replace("_", "-")  # Prefect allows no underscore in the key of an artifact
