"""What is used of Prefect's client beyond its interface is still there."""

from __future__ import annotations

import inspect

import httpx
import pytest
from prefect._internal.concurrency.services import _QueueServiceBase
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.clients import PrefectEventsClient
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from helpers.projects import free_port
from orchestrator.flows.informing import Informer
from orchestrator.flows.prefect_client import give_up


def test_services_can_be_cancelled_and_end_then() -> None:
    """`_run` sets the event that the end of the process waits for, however its task ends."""
    assert isinstance(_QueueServiceBase._instances, dict)  # type: ignore[misc]
    run = inspect.getsource(_QueueServiceBase._run)
    assert "except BaseException" in run
    assert run.index("finally:") < run.index("_done_event.set()")


def test_a_service_whose_server_is_gone_ends_at_once() -> None:
    """Each of its events would be tried for seconds."""
    api = f"http://127.0.0.1:{free_port()}/api"
    with temporary_settings({PREFECT_API_URL: api}):
        worker = EventsWorker._new_instance(PrefectEventsClient, ())
    give_up()
    worker.drain()
    assert worker._done_event is not None
    assert worker._done_event.is_set()


def test_the_client_takes_another_time_limit() -> None:
    """`httpx.Client.timeout` can be set while the client is in use."""
    with SyncPrefectClient("http://127.0.0.1:1/api") as client:
        client._client.timeout = 2.0
        assert client._client.timeout == httpx.Timeout(2.0)


def test_what_fails_is_told_when_the_server_is_back() -> None:
    """In order, and once; what the server refuses is not tried again."""
    told: list[int] = []
    away = True

    def tell(number: int) -> None:
        if away:
            raise httpx.ConnectError("refused")
        if number == 1:
            raise ValueError("a refusal")
        told.append(number)

    informer = Informer()
    for number in range(3):
        informer.tell(tell, number)
    away = False
    assert informer.close(30) == 0
    assert told == [0, 2]


@pytest.mark.parametrize("count", [1, 3])
def test_what_could_not_be_told_is_counted(count: int) -> None:
    """So that the run can say it at its end."""

    def refuse() -> None:
        raise httpx.ConnectError("refused")

    informer = Informer()
    for _ in range(count):
        informer.tell(refuse)
    assert informer.close(30) == count
