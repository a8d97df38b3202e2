"""What surrounds the stages of a flow: the checkout is held, interruptions end the run,
and whoever follows it is told how it began and ended.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Crashed, Failed

from orchestrator.engine import kernels, leftovers
from orchestrator.engine.interruptions import insisting
from orchestrator.errors import ChurnError
from orchestrator.flows import prefect_server
from orchestrator.flows.informing import Followers, Informer
from orchestrator.lineage.events import Emitter, Origin
from orchestrator.models.mlflow_runs import kill_unfinished, log_reports
from orchestrator.plan.run_plan import Plan
from orchestrator.plan.source_reach import local_files
from orchestrator.records.hashes import remembering
from orchestrator.records.lock import hold_checkout
from orchestrator.records.record import RunRecord
from orchestrator.redaction import redact_logs, redactor_for
from orchestrator.runs import terminal
from orchestrator.runs.recovery import recover
from orchestrator.runs.run import Run, estimate

_SECONDS_FOR_PREFECT = 10
_SECONDS_FOR_PREFECT_INTERRUPTED = 1
_SECONDS_FOR_MLFLOW = 20
_SECONDS_FOR_MLFLOW_INTERRUPTED = 2


class _WithoutNoise(logging.Filter):
    """Drops the traceback of an expected error, whose message says all, links to a server
    that has no UI, and what Prefect says of a server that went away.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith("View at ") and prefect_server.is_temporary():
            return False
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(error, httpx.TransportError):
            return False
        if isinstance(error, ChurnError):
            record.exc_info = record.exc_text = None
        return True


for _name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(_WithoutNoise())


@contextlib.contextmanager
def in_charge(plan: Plan) -> Iterator[Followers]:
    """Hold the checkout for a run, put right what killed runs left, and yield those who
    follow the run.

    Raises:
        RunInProgressError: another run holds the checkout.
    """
    # What renders the reports takes a second to import; meanwhile the first stage runs.
    renderer = ("orchestrator.site.stage_page",)
    threading.Thread(target=import_module, args=renderer, daemon=True).start()
    redact_logs(redactor_for(plan.params))
    logger = get_run_logger()
    with (
        hold_checkout(plan.project),
        _sending_events(plan) as events,
        _informing_prefect() as prefect,
        insisting(),
    ):
        for killed in recover(plan.project):
            logger.warning("Run %s was killed; it is now recorded as crashed.", killed.run_id)
            _mark_crashed(killed)
            events.run_killed(killed)
        for note in plan.notes:
            logger.warning("Note: %s", note)
        leftovers.guard_this_process()
        with remembering(plan.project.root):
            yield Followers(events, prefect)


def announce(run: Run, followers: Followers) -> None:
    """Let the kernels warm up, and tell that a run has started."""
    plan = run.plan
    kernels.warm_up(plan.expected, cold=plan.request.cold_kernels, withheld=plan.withheld)
    run.record.prefect.flow_run_id = str(flow_run.id)
    get_run_logger().info("Run %s: %s", run.record.run_id, plan.params.name)
    terminal.current().run_started(run.record, plan.params.name, estimate(run))
    followers.events.run_started(run.record)


@contextlib.contextmanager
def telling_the_end(run: Run, followers: Followers) -> Iterator[None]:
    """Tell of the end of a run that has ended within, and let MLflow know of it."""
    try:
        yield
    finally:
        followers.events.run_ended(run.record)
        interrupted = run.record.status == "interrupted"
        wait = _SECONDS_FOR_MLFLOW_INTERRUPTED if interrupted else _SECONDS_FOR_MLFLOW
        kill_unfinished(run.plan.project, run.record, wait_seconds=wait)


def conclude(run: Run, states: Mapping[str, State[Any]]) -> State[Any]:
    """Return the state of the flow, with the id of the run; add the reports to MLflow's run."""
    try:
        log_reports(run.plan.project, run.record)
    except Exception as error:  # the run is over, and its reports are safe in its folder
        get_run_logger().warning("The reports could not be added to MLflow: %s", error)
    run_id = run.record.run_id
    for state in states.values():
        if state.is_failed():
            return Failed(message=str(state.result(raise_on_failure=False)), data=run_id)
    return Completed(message=f"Run {run_id} completed", data=run_id)


def _mark_crashed(record: RunRecord) -> None:
    """Let Prefect's UI say of a run that was killed that it is over."""
    with contextlib.suppress(Exception):  # another server may have it, or none
        crashed: State[Any] = Crashed(message="The run was killed.")
        client = get_client(sync_client=True)
        client.set_flow_run_state(UUID(record.prefect.flow_run_id), crashed, force=True)


@contextlib.contextmanager
def _sending_events(plan: Plan) -> Iterator[Emitter]:
    """Send OpenLineage events of what is run within; what goes wrong with that is a warning."""
    sources = local_files(plan.project, plan.params)
    events = Emitter(Origin(plan.project, sources, redactor_for(plan.params)))
    try:
        yield events
    finally:
        if problem := events.close():
            get_run_logger().warning("%s.", problem)


@contextlib.contextmanager
def _informing_prefect() -> Iterator[Informer]:
    """Tell Prefect's UI of what is run within; that it could not be told all is a warning."""
    informer, seconds = Informer(), _SECONDS_FOR_PREFECT_INTERRUPTED
    try:
        yield informer
        seconds = _SECONDS_FOR_PREFECT
    finally:
        if untold := informer.close(seconds):
            get_run_logger().warning(
                "Prefect's server does not answer: its UI lacks %d artifacts of this run.", untold
            )
