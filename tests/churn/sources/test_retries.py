"""What is tried again when an API fails, how long it waits, and what is not tried again."""

from __future__ import annotations

import email.utils
import itertools
import time

import pytest

from churn.sources import SourceError, SourceRefused
from helpers.reading import fail_api, read_api, refuse_api
from helpers.servers import Answer, Request, in_turn, json_answer, serving

ONE_PAGE = json_answer({"items": [{"id": "1"}]})


@pytest.mark.parametrize("status", [401, 403, 404, 400])
def test_refusals_are_not_tried_again(status: int) -> None:
    """Bad credentials, denied access, a wrong address and a bad request send one request."""
    message, requests = refuse_api(lambda request: json_answer({"error": "no"}, status))
    assert f"HTTP {status}" in message
    assert requests == 1


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_failures_that_may_pass_are_tried_again(status: int) -> None:
    """A server error, or too many requests, is tried again and the page then read."""
    with serving(in_turn(Answer(status=status), Answer(status=status), ONE_PAGE)) as server:
        assert read_api(server.address).rows == 1
    assert len(server.requests) == 3


def test_tries_are_bounded_and_waits_grow() -> None:
    """After `retries` further tries the source is given up; each wait is longer than
    the one before.
    """
    times: list[float] = []

    def down(request: Request) -> Answer:
        times.append(time.monotonic())
        return Answer(status=503)

    message, requests = fail_api(down, retries=3, first_wait=0.1)
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert requests == 4
    assert "HTTP 503" in message
    assert all(wait >= asked for wait, asked in zip(waits, [0.1, 0.2, 0.4], strict=True))


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(form: str) -> None:
    """The wait that a server asks for, in seconds or until a date, is kept."""
    until = email.utils.formatdate(time.time() + 2, usegmt=True)
    busy = Answer(status=429, headers={"Retry-After": "1" if form == "seconds" else until})
    times: list[float] = []
    answers = in_turn(busy, ONE_PAGE)

    def answer(request: Request) -> Answer:
        times.append(time.time())
        return answers(request)

    with serving(answer) as server:
        assert read_api(server.address).rows == 1
    asked = (
        times[0] + 1 if form == "seconds" else email.utils.parsedate_to_datetime(until).timestamp()
    )
    assert times[1] >= asked


def test_a_wait_that_is_too_long_is_left_to_the_next_run() -> None:
    """A server that asks for an hour gets no further request in this run."""
    message, requests = fail_api(
        lambda request: Answer(status=429, headers={"Retry-After": "3600"})
    )
    assert "3,600 s" in message
    assert requests == 1


def test_timeout_is_tried_again() -> None:
    """No answer in time counts as a failure that may pass."""
    with serving(in_turn(Answer(ONE_PAGE.body, delay=0.5), ONE_PAGE)) as server:
        assert read_api(server.address, timeout_seconds=0.2).rows == 1
    assert len(server.requests) == 2


def test_closed_port_may_pass() -> None:
    """A server that is not there ends, after bounded tries, in an error that another
    run may survive.
    """
    with serving(lambda request: ONE_PAGE) as server:
        address = server.address
    with pytest.raises(SourceError, match="cannot be reached") as caught:
        read_api(address, retries=2)
    assert not isinstance(caught.value, SourceRefused)


def test_partial_body_is_tried_again() -> None:
    """A body shorter than its declared length is never taken for whole."""
    partial = Answer(ONE_PAGE.body[:9], declared=len(ONE_PAGE.body))
    with serving(in_turn(partial, ONE_PAGE)) as server:
        assert read_api(server.address).rows == 1
    message, requests = fail_api(lambda request: partial, retries=1)
    assert "broke off" in message
    assert requests == 2


def test_cut_json_is_tried_again() -> None:
    """JSON that ends early, and an empty answer, may pass."""
    with serving(in_turn(Answer(b'{"items": [{"id"'), Answer(b""), ONE_PAGE)) as server:
        assert read_api(server.address).rows == 1
    assert len(server.requests) == 3


def test_html_answer_is_refused() -> None:
    """A log-in page with status 200 is called what it is."""
    message, requests = refuse_api(
        lambda request: Answer(b"<html>Log in</html>", headers={"Content-Type": "text/html"})
    )
    assert "HTML" in message
    assert requests == 1
