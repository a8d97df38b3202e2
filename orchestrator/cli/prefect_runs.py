"""Calls the flow from the command line: once, or on a schedule."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx
from prefect.client.schemas.objects import State
from prefect.runner import Runner
from prefect.schedules import Cron, Interval
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    temporary_settings,
)

from orchestrator.cli.app import complain
from orchestrator.engine.interruptions import insisting
from orchestrator.errors import ChurnError
from orchestrator.flow import SCHEDULED_PARAMS, as_flow, scheduled
from orchestrator.flows.prefect_client import (
    give_up,
    go_on_without_server,
    hurry,
    knows_how_it_ended,
)
from orchestrator.plan.run_plan import Plan
from orchestrator.runs import terminal

# Unless Prefect's own settings say otherwise. Heartbeats are for servers that watch over runs
# elsewhere, and to end them takes up to a second. A server that is gone is waited for once: by
# default that takes minutes, within a stage.
_SETTINGS: dict[Any, Any] = {
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
    PREFECT_CLIENT_MAX_RETRIES: 1,
    PREFECT_API_REQUEST_TIMEOUT: 10.0,
}


_SECONDS_FOR_RUNS = 10  # to end, when they are interrupted


def run_once(plan: Plan, *, quiet: bool = False, verbose: bool = False) -> State[Any]:
    """Run a plan; its state says how it ended, and holds the id of the run.

    That Prefect's server goes away meanwhile ends nothing: the state is the run's own.

    Raises:
        ChurnError: the server went away before the run began.
    """
    endings = list[State[Any] | BaseException]()

    def ended(ending: State[Any] | BaseException) -> None:
        endings.append(ending)
        if isinstance(ending, BaseException):
            hurry()

    flow, api = as_flow(plan, ended), PREFECT_API_URL.value()
    go_on_without_server()
    with _patience(), terminal.showing(quiet=quiet, verbose=verbose):
        try:
            state = flow(**plan.request.as_json(), return_state=True)
        except httpx.HTTPError as error:
            give_up()
            if not endings:
                raise ChurnError(f"Prefect's server {api} does not answer: {error}") from error
            if isinstance(endings[0], BaseException):
                raise endings[0] from None
            state = endings[0]
    if not knows_how_it_ended():
        give_up()
        complain(f"Prefect's server {api} went away: its UI does not show how the run ended.")
    return cast(State[Any], state)


def _patience() -> contextlib.AbstractContextManager[Any]:
    return temporary_settings(set_defaults=_SETTINGS)


class _Runner(Runner):
    """Prefect's, which at SIGTERM would wait for a run to end; this one is interrupted by it."""

    def handle_sigterm(self, *_: Any) -> None:
        signal.raise_signal(signal.SIGINT)


def serve(params: Path, cron: str | None, interval: float | None, timezone: str | None) -> None:
    """Schedule the flow from this process, until it is stopped; a run that goes on then is
    interrupted.
    """
    every = timedelta(seconds=interval or 0)
    when = Cron(cron, timezone=timezone) if cron else Interval(every, timezone=timezone)
    runner = _Runner(name="scheduled")
    os.environ[SCHEDULED_PARAMS] = str(params)
    runner.add_flow(scheduled, name="scheduled", schedule=when, paused=False)
    interrupted = set[int | None]()

    def interrupt_runs() -> None:
        """Once each, as they write how they ended; also one that started in between."""
        for run in multiprocessing.active_children():
            if run.pid not in interrupted:
                interrupted.add(run.pid)
                run.terminate()

    try:
        # The process of a run takes over the settings of this one.
        with _patience(), insisting(every=5.0, before=interrupt_runs):
            asyncio.run(runner.start())
    finally:  # they tell the server, which ends after them, how they ended
        interrupt_runs()
        for run in multiprocessing.active_children():
            run.join(_SECONDS_FOR_RUNS)
