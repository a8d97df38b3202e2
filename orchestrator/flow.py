"""The Prefect flow: one task a stage. `python orchestrator/flow.py` runs the pipeline.

The only file that imports Prefect.
"""

from __future__ import annotations

if __name__ == "__main__":  # before Prefect is imported: a wrong option is answered at once
    import sys
    from pathlib import Path

    # Python put this folder first. The root belongs there: else an installed checkout elsewhere would run instead.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from orchestrator.__main__ import run

    run(sys.argv[1:])

import asyncio
import contextlib
import json
import logging
import multiprocessing
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import notebooks.telemetry  # noqa: F401  (Prefect reads its settings when it is imported)

# isort: split
import fastapi.encoders  # noqa: F401  (Prefect imports it when a flow starts; here a server is still coming up)
from prefect import Task, flow, get_run_logger, task
from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.runner import Runner
from prefect.runtime import deployment, flow_run, task_run
from prefect.schedules import Cron, Interval
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed, Crashed, Failed

from orchestrator import kernels, leftovers, live, server, stage_run
from orchestrator import run as runs
from orchestrator.contents import remembering
from orchestrator.decisions import make_demand
from orchestrator.errors import ChurnError, RunInProgressError, StageFailedError
from orchestrator.lock import hold_checkout
from orchestrator.mlflow_runs import kill_unfinished, log_reports
from orchestrator.openlineage import Emitter, Origin
from orchestrator.paths import PROJECT
from orchestrator.preflight import Plan, make_plan
from orchestrator.preflight.reach import local_files
from orchestrator.record import RunRecord, RunStatus, StageRecord
from orchestrator.recovery import recover
from orchestrator.redaction import redact_logs, redactor_for
from orchestrator.run import Run
from orchestrator.stages import TRAINING, Pipeline, Stage, make_scoring

RETRY_DELAY_SECONDS = 3
KERNELS_AHEAD = 2  # a kernel takes about 200 MB
_SECONDS_TO_TELL = 2  # from one renewal of a running run's page to the next


class _WithoutNoise(logging.Filter):
    """Drops the traceback of an expected error, whose message says all, and links to a server that has no UI."""

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith("View at ") and server.is_temporary():
            return False
        if isinstance(record.exc_info, tuple) and isinstance(record.exc_info[1], ChurnError):
            record.exc_info = record.exc_text = None
        return True


for _name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(_WithoutNoise())


class _Listener:
    """Tells each cell and what it prints, as it happens: to the task run's log, the terminal, and the run's page."""

    def __init__(self, run: Run, stage: Stage) -> None:
        self.run, self.stage, self.logger = run, stage, get_run_logger()
        self.progress = create_progress_artifact(0, f"progress-{_key(stage.name)}", "cells executed")
        self.told = time.monotonic()  # when page and artifact were renewed

    def cell_started(self, number: int, total: int, heading: str) -> None:
        self.logger.info("cell %d/%d %s", number, total, heading)
        live.current().cell_started(self.stage.name, number, total, heading)
        if time.monotonic() > self.told + _SECONDS_TO_TELL:
            runs.write_page(self.run, f"{self.stage.name}: cell {number} of {total}, {heading}")
            self.tell_progress(100 * (number - 1) / total)
            self.told = time.monotonic()

    def tell_progress(self, percent: float) -> None:
        """Renew what Prefect's UI shows of the stage's progress."""
        update_progress_artifact(cast(UUID, self.progress), percent)  # a coroutine it is in coroutines only

    def text_printed(self, line: str) -> None:
        self.logger.info("    %s", line)
        live.current().text_printed(self.stage.name, line)


def _may_pass(task: Task[Any, Any], task_run: Any, state: State[Any]) -> bool:
    """Retry only failures that may be gone on a second try: not a failed gate or wrong parameters."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, ChurnError) or (isinstance(error, StageFailedError) and error.may_pass)


@task(
    retries=1,
    retry_delay_seconds=RETRY_DELAY_SECONDS,
    retry_condition_fn=_may_pass,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def run_stage(run: Run, stage: Stage, events: Emitter) -> Any:
    """Execute a stage's notebook, while the next ones' kernels warm up, unless an earlier result is still true."""
    attempt = task_run.run_count or 1
    if attempt == 1:
        decision = stage_run.reuse_stage(run, stage)
        get_run_logger().info("%s", decision)
        if decision.entry:
            live.current().stage_ended(run.record.stage(stage.name))
            _publish_report(run, run.record.stage(stage.name))
            return Completed(name="Reused", message=decision.reason)
    kernels.start_ahead(run.plan.project.notebooks / stage.notebook)
    for near in run.expected_after(stage)[:KERNELS_AHEAD]:
        kernels.start_ahead(near)
    live.current().stage_started(stage.name)
    listener = _Listener(run, stage)
    try:
        entry = stage_run.run_stage(run, stage, attempt, listener)
    except StageFailedError:
        _publish_report(run, run.record.stage(stage.name))
        raise
    except Exception as error:  # a fault of the orchestrator itself, whose message Prefect keeps
        run.redactor.clean_error(error)
        raise
    finally:
        live.current().stage_ended(run.record.stage(stage.name))
        events.stage_ended(run.record, stage.name)
    if entry.reason:
        get_run_logger().warning("%s: %s", entry.name, entry.reason)
    listener.tell_progress(100)
    _publish_report(run, entry)
    _publish_results(run, entry)
    return entry.results


@flow(name="churn", persist_result=False, validate_parameters=False)
def churn(
    params: str = "params.yaml",
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    start: str | None = None,
    only: str | None = None,
    until: str | None = None,
    cold_kernels: bool = False,
    force: Sequence[str] = (),
    refresh: bool = True,
) -> State[Any]:
    """Run the stages in order; each starts only when the stages it reads from have completed."""
    return _run(TRAINING, params, settings or {}, cold_kernels, force, refresh, (start, only, until))


@flow(name="churn-scoring", persist_result=False, validate_parameters=False)
def churn_scoring(
    params: str = "params.yaml",
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    out: str = "",
    to_database: bool = False,
    cold_kernels: bool = False,
    force: Sequence[str] = (),
    refresh: bool = True,
) -> State[Any]:
    """Score customers: the stages of training up to the features, on data of their own, then the model."""
    return _run(make_scoring(out, to_database=to_database), params, settings or {}, cold_kernels, force, refresh)


def _run(
    pipeline: Pipeline,
    params: str,
    settings: Mapping[str, Mapping[str, Any]],
    cold_kernels: bool,
    force: Sequence[str],
    refresh: bool,
    part: tuple[str | None, str | None, str | None] = (None, None, None),
) -> State[Any]:
    """Run a pipeline, or a part of it: from a stage on, one stage only, or until a stage."""
    start, only, until = part
    logger = get_run_logger()
    # What renders the reports takes a second to import; meanwhile the first stage runs.
    threading.Thread(target=import_module, args=("orchestrator.site.stage_page",), daemon=True).start()
    plan = make_plan(PROJECT, Path(params), settings, start, only, until, pipeline)
    redact_logs(redactor_for(plan.params))
    try:
        with hold_checkout(PROJECT), _sending_events(plan) as events, _interrupted_by_sigterm():
            for killed in recover(PROJECT):
                logger.warning("Run %s was killed; it is now recorded as crashed.", killed.run_id)
                _mark_crashed(killed)
                events.run_killed(killed)
            for note in plan.notes:
                logger.warning("Note: %s", note)
            leftovers.guard_this_process()
            demand = make_demand(force, start, only, refresh=refresh)
            return _run_stages(runs.begin(plan, shlex.join(sys.argv), demand), events, cold_kernels)
    except RunInProgressError as error:
        if deployment.id is None:
            raise
        logger.warning("Skipped: %s", error)  # a scheduled run does not queue up behind a slow one
        return Completed(name="Skipped", message=str(error))


def run_churn(*arguments: Any, quiet: bool = False, verbose: bool = False, pipeline: Pipeline = TRAINING) -> State[Any]:
    """Run the flow of a pipeline from the command line; its state says how it ended, and holds the id of the run.

    Without Prefect's heartbeats, unless its settings ask for them: they are for servers that watch over runs elsewhere,
    and to end them takes up to a second.
    """
    settings = temporary_settings(set_defaults={PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})
    with settings, live.showing(quiet=quiet, verbose=verbose):
        flow_of = churn if pipeline.name == "training" else churn_scoring
        return flow_of(*arguments, return_state=True)


def _mark_crashed(record: RunRecord) -> None:
    """Let Prefect's UI say of a run that was killed that it is over."""
    with contextlib.suppress(Exception):  # another server may have it, or none
        client = get_client(sync_client=True)
        client.set_flow_run_state(UUID(record.prefect.flow_run_id), Crashed(message="The run was killed."), force=True)


@contextlib.contextmanager
def _sending_events(plan: Plan) -> Iterator[Emitter]:
    """Send OpenLineage events of what is run within; what goes wrong with that is a warning."""
    events = Emitter(Origin(plan.project, local_files(plan.project, plan.params), redactor_for(plan.params)))
    try:
        yield events
    finally:
        if problem := events.close():
            get_run_logger().warning("%s.", problem)


def _run_stages(run: Run, events: Emitter, cold_kernels: bool) -> State[Any]:
    states: dict[str, State[Any]] = {}
    status: RunStatus = "failed"
    try:
        _announce(run, events, cold_kernels)
        with remembering(run.plan.project.root):
            for stage in run.plan.stages:
                states[stage.name] = _run_task(run, stage, states, events)
        failed = [state for state in states.values() if state.is_failed()]
        status = "failed" if failed else "completed"
    except Exception:
        raise
    except BaseException:  # Ctrl-C, SIGTERM
        status = "interrupted"
        raise
    finally:
        kernels.end_all()
        try:
            runs.end(run, status)
        finally:
            events.run_ended(run.record)
            kill_unfinished(run.plan.project, run.record, wait_seconds=2 if status == "interrupted" else 20)
    _log_reports(run)
    if failed:
        error = failed[0].result(raise_on_failure=False)
        return Failed(message=str(error), data=run.record.run_id)
    return Completed(message=f"Run {run.record.run_id} completed", data=run.record.run_id)


def _announce(run: Run, events: Emitter, cold_kernels: bool) -> None:
    """Let the kernels warm up, and tell that a run has started."""
    kernels.warm_up(run.expected, cold=cold_kernels, withheld=run.plan.withheld)
    run.record.prefect.flow_run_id = str(flow_run.id)
    get_run_logger().info("Run %s: %s", run.record.run_id, run.plan.params.name)
    live.current().run_started(run.record, run.plan.params.name, runs.estimate(run))
    events.run_started(run.record)


@contextlib.contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM be an interruption like Ctrl-C: what Prefect raises instead gets lost inside an event loop's call."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


def _run_task(run: Run, stage: Stage, states: Mapping[str, State[Any]], events: Emitter) -> State[Any]:
    """Start a stage's task, which Prefect does only when those it depends on have completed.

    A direct call, not `submit`: a submitted task would hold up an interruption until its notebook ends.
    """
    upstream = [other.name for other in run.plan.pipeline.upstream_of(stage) if other.name in states]
    named = run_stage.with_options(name=stage.name, task_run_name=stage.name)
    state = named(run, stage, events, wait_for=[states[name] for name in upstream], return_state=True)
    if state.is_pending():  # NotReady
        blocked_by = next(name for name in upstream if not states[name].is_completed())
        stage_run.skip_stage(run, stage, f"{blocked_by} did not complete")
        live.current().stage_ended(run.record.stage(stage.name))
    return state


def _log_reports(run: Run) -> None:
    try:
        log_reports(run)
    except Exception as error:  # the run is over, and its reports are safe in its folder
        get_run_logger().warning("The reports could not be added to MLflow: %s", error)


def _publish_report(run: Run, entry: StageRecord) -> None:
    """Show the link to a stage's report, also of a failed one, as an artifact in Prefect's UI."""
    if not entry.report:
        return
    page = run.folder / (entry.report_html or entry.report)
    create_link_artifact(page.as_uri(), link_text=f"Report of {entry.name}", key=f"report-{_key(entry.name)}")


def _publish_results(run: Run, entry: StageRecord) -> None:
    """Show a stage's results, and the quality rules, as tables in Prefect's UI."""
    results = [{"result": name, "value": value} for name, value in entry.results.items()]
    create_table_artifact(results, f"results-{_key(entry.name)}")
    quality = run.plan.project.root / next(iter(entry.outputs), "") / "quality.json"
    if entry.name == "validation" and quality.exists():
        rules = json.loads(quality.read_text(encoding="utf-8"))["rules"]
        create_table_artifact(run.redactor.clean_tree(rules), "quality")


def _key(stage: str) -> str:
    return stage.replace("_", "-")  # Prefect allows no underscore in the key of an artifact


class _Runner(Runner):
    """Prefect's, which at SIGTERM would wait for a run to end; this one interrupts it."""

    def handle_sigterm(self, *_: Any) -> None:
        for run in multiprocessing.active_children():
            run.terminate()
        raise KeyboardInterrupt


def serve(params: str, cron: str | None, interval: float | None, timezone: str | None) -> None:
    """Schedule the flow from this process, until it is stopped; a run that goes on then is interrupted."""
    schedule = Cron(cron, timezone=timezone) if cron else Interval(timedelta(seconds=interval or 0), timezone=timezone)
    runner = _Runner(name="scheduled")
    runner.add_flow(churn, name="scheduled", schedule=schedule, parameters={"params": params}, paused=False)
    signal.signal(signal.SIGINT, runner.handle_sigterm)
    asyncio.run(runner.start())
