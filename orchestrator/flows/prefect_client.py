"""What Prefect's client is kept from when its server goes away: a run goes on without it. Seen
with Prefect 3.8.8 and 3.9.1; tests/orchestrator/flows/test_prefect_client.py fails when Prefect
changes.
"""

from __future__ import annotations

import logging
import time
from typing import Any
from uuid import UUID

import httpx
from prefect import flow_engine
from prefect._internal.concurrency.services import _QueueServiceBase
from prefect.client.base import PrefectHttpxSyncClient
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.utilities.engine import propose_state_sync

_SECONDS_BETWEEN_TRIES = 2.0
_SECONDS_IN_DOUBT = 2.0
# These repeat for each event and each log line that the server does not answer; a run says it once.
_NOISY = ("prefect.events.clients", "prefect._internal.concurrency", "EventsWorker")

_send = PrefectHttpxSyncClient.send


class _Server:
    """What is known of the server: in doubt once it did not answer, until it does."""

    in_doubt = False
    last_failed = float("-inf")
    told_last_state = True

    def failed(self) -> None:
        self.in_doubt, self.last_failed = True, time.monotonic()

    def failed_just_now(self) -> bool:
        return time.monotonic() < self.last_failed + _SECONDS_BETWEEN_TRIES


_server = _Server()


def go_on_without_server() -> None:
    """From now on in this process, a flow goes on when its server does not answer: a state
    that cannot be told is taken as accepted, and a server in doubt is asked briefly, if at all.
    """
    logging.raiseExceptions = False
    for name in _NOISY:
        logging.getLogger(name).addFilter(_say_nothing)
    setattr(PrefectHttpxSyncClient, "send", _send_with_patience)  # noqa: B010  (for mypy)
    setattr(flow_engine, "propose_state_sync", _propose_or_go_on)  # noqa: B010


def hurry() -> None:
    """Ask the server once only, and for two seconds at most, until it answers: a run was
    interrupted.
    """
    _server.in_doubt = True


def knows_how_it_ended() -> bool:
    """Whether the server was told the last state of the flow."""
    return _server.told_last_state


def give_up() -> None:
    """Do not wait at the end of this process for the services that send events and logs
    (`EventsWorker`, `APILogWorker`): they would try each of them again, for up to 10 seconds.
    """
    services = vars(_QueueServiceBase)["_instances"].values()
    for service in list(services):
        if service._loop and service._done_event:
            service._loop.call_soon_threadsafe(service._done_event.set)


def is_away(error: httpx.HTTPError) -> bool:
    """Whether the server does not answer, or cannot; else it has refused something."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, httpx.TransportError)


def _send_with_patience(
    client: PrefectHttpxSyncClient, request: httpx.Request, *args: Any, **kwargs: Any
) -> httpx.Response:
    if _server.failed_just_now():
        raise httpx.ConnectError("the server did not answer a moment ago", request=request)
    settings = {}
    if _server.in_doubt:
        request.extensions["timeout"] = httpx.Timeout(_SECONDS_IN_DOUBT).as_dict()
        settings = {PREFECT_CLIENT_MAX_RETRIES: 0}
    try:
        with temporary_settings(settings):
            response = _send(client, request, *args, **kwargs)
    except httpx.HTTPError as error:
        if is_away(error):
            _server.failed()
        raise
    _server.in_doubt = False
    return response


def _propose_or_go_on(
    client: SyncPrefectClient, state: State[Any], flow_run_id: UUID, force: bool = False
) -> State[Any]:
    try:
        accepted = propose_state_sync(client, state, flow_run_id, force)
    except httpx.HTTPError as error:
        if not is_away(error):
            raise
        _server.told_last_state = False
        return state
    _server.told_last_state = True
    return accepted


def _say_nothing(record: logging.LogRecord) -> bool:
    return False
