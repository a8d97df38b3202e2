"""Reads paged REST APIs that answer in JSON: dlt's REST client turns the pages, this module
checks that none is lost.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import requests
from dlt.common import jsonpath
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth, HttpBasicAuth
from dlt.sources.helpers.rest_client.client import PageData, RESTClient
from dlt.sources.helpers.rest_client.paginators import (
    BasePaginator,
    HeaderLinkPaginator,
    JSONLinkPaginator,
    JSONResponseCursorPaginator,
    OffsetPaginator,
    PageNumberPaginator,
    SinglePagePaginator,
)
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from churn.facts import expand
from churn.formats.text_tables import join_tables, parse_json, table_of_records
from churn.sources.api_source import ApiSource, Cursor, NextLink, Offset, PageNumber
from churn.sources.received import Content, Digest, Reading, patiently
from churn.sources.redirects import refuse_stranger
from churn.sources.source import BasicAuth, BearerAuth, SourceError, SourceRefused, is_loopback

_REFUSED = {
    401: "the credentials are refused (HTTP 401). Check `auth` in params.yaml and the variables "
    "that it names",
    403: "access is denied (HTTP 403). Check what the credentials may read",
    404: "there is no such address (HTTP 404). Check `api` in params.yaml",
}
_MAY_PASS = {408, 425, 429}
_SHOWN = 200  # characters of an answer that a message quotes


def read(source: ApiSource, reading: Reading) -> Content:
    """Read all pages; records with different keys give the union of the columns.

    Raises:
        SourceError: the server is down, too busy or breaks off, after `source.retries`
            further tries.
        SourceRefused: bad credentials, no such address, not JSON, or pages that go round in a loop.
    """
    _check_paths(source)
    session = requests.Session()
    # A proxy cannot reach this machine.
    session.trust_env = not is_loopback(urlsplit(expand(source.api)).hostname)
    adapter = _PatientAdapter(source, reading.first_wait)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    client = RESTClient(
        expand(source.api),
        headers={name: expand(value) for name, value in source.headers.items()},
        auth=_make_auth(source),
        paginator=_make_paginator(source),
        data_selector=source.records,
        session=session,
    )
    digest, tables = Digest(), []
    try:
        for page in _pages(client, source):
            digest.add(page.response.content)
            tables.append(table_of_records(page))
    except (
        requests.RequestException,
        ValueError,
    ) as error:  # their messages can quote a header or the address
        message = (
            f"the request cannot be sent ({type(error).__name__}): has the address http:// or "
            "https:// in front,"
        )
        raise SourceRefused(f"{message} and no variable a line break at its end?") from None
    finally:
        session.close()
    return Content(join_tables(tables), digest, _note_single_page(source, len(tables)))


def _note_single_page(source: ApiSource, pages: int) -> list[str]:
    """A misspelt cursor or link looks like the end of the data, which only an analyst can tell."""
    if pages > 1 or not isinstance(source.paging, (Cursor, NextLink)):
        return []
    where = (
        source.paging.cursor
        if isinstance(source.paging, Cursor)
        else source.paging.link or "the Link header"
    )
    return [f"Only one page: the first answer names no next one in {where}."]


def _check_paths(source: ApiSource) -> None:
    link = (
        source.paging.cursor
        if isinstance(source.paging, Cursor)
        else getattr(source.paging, "link", None)
    )
    for path in filter(None, (source.records, _total_path(source), link)):
        try:
            jsonpath.compile_path(path)
        except Exception as error:  # the parser beneath raises several unrelated kinds
            message = (
                f"{path!r} is not a JSON path ({error}). Expected keys with dots, such as "
                "data.items."
            )
            raise SourceRefused(message) from None


def _make_auth(source: ApiSource) -> BearerTokenAuth | HttpBasicAuth | None:
    if isinstance(source.auth, BearerAuth):
        return BearerTokenAuth(token=expand(source.auth.bearer))
    if isinstance(source.auth, BasicAuth):
        return HttpBasicAuth(
            username=expand(source.auth.user), password=expand(source.auth.password)
        )
    return None


def _make_paginator(source: ApiSource) -> BasePaginator:
    match source.paging:
        case PageNumber() as paging:
            return PageNumberPaginator(
                paging.first, page_param=paging.param, total_path=paging.total_pages
            )
        case Offset() as paging:
            return _ReceivedOffset(
                paging.size,
                offset_param=paging.param,
                limit_param=paging.size_param,
                total_path=paging.total,
            )
        case Cursor() as paging:
            return JSONResponseCursorPaginator(paging.cursor, cursor_param=paging.param)
        case NextLink(link=None):
            return HeaderLinkPaginator()
        case NextLink(link=str(path)):
            return _BodyLink(path)
        case _:
            return SinglePagePaginator()


class _ReceivedOffset(OffsetPaginator):
    """Skips what was received, not what was asked for: a server may send smaller pages
    than it was asked for.
    """

    def update_state(self, response: requests.Response, data: list[Any] | None = None) -> None:
        self.value_step = len(data or [])
        super().update_state(response, data)


class _BodyLink(JSONLinkPaginator):
    """Takes an empty next link for the end."""

    def update_state(self, response: requests.Response, data: list[Any] | None = None) -> None:
        super().update_state(response, data)
        self._next_reference = self._next_reference or None


def _pages(client: RESTClient, source: ApiSource) -> Iterator[PageData[Any]]:
    asked: set[str] = set()
    seen: set[bytes] = set()
    records = 0
    for number, page in enumerate(client.paginate(params=_parameters(source)), 1):
        _refuse_loop(page, number, asked, seen)
        _check_next(page, number, source.max_pages)
        records += len(page)
        yield page
        if not page.paginator.has_next_page:
            _check_total(page.response.json(), source, number, records)


def _parameters(source: ApiSource) -> dict[str, str | int]:
    query = {
        name: expand(value) if isinstance(value, str) else value
        for name, value in source.query.items()
    }
    if isinstance(source.paging, (PageNumber, Cursor)) and source.paging.size_param:
        query[source.paging.size_param] = source.paging.size
    return query


def _refuse_loop(page: PageData[Any], number: int, asked: set[str], seen: set[bytes]) -> None:
    url = str(page.response.request.url)
    content = hashlib.sha256(json.dumps(page).encode()).digest()
    if url in asked:
        raise SourceRefused(
            f"page {number:,} was read before: its cursor or link repeats, so the pages go round "
            "in a loop."
        )
    if page and content in seen:
        raise SourceRefused(
            f"page {number:,} has the very records of an earlier page: the server ignores the "
            "paging. Check `paging`."
        )
    asked.add(url)
    seen.add(content)


def _check_next(page: PageData[Any], number: int, max_pages: int) -> None:
    if page.paginator.has_next_page and number >= max_pages:
        raise SourceRefused(f"there are more than {max_pages:,} pages (`max_pages`): is it a loop?")


def _check_total(body: Any, source: ApiSource, pages: int, records: int) -> None:
    """Refuse an end that comes before the number of pages or records that the server itself
    named.
    """
    path = _total_path(source)
    if path is None:
        return
    unit, reached = (
        ("pages", pages) if isinstance(source.paging, PageNumber) else ("records", records)
    )
    total = int(jsonpath.find_values(path, body)[0])
    if reached < total:
        raise SourceError(f"the answer ended after {reached:,} of {total:,} {unit} (`{path}`).")


def _total_path(source: ApiSource) -> str | None:
    if isinstance(source.paging, PageNumber):
        return source.paging.total_pages
    return source.paging.total if isinstance(source.paging, Offset) else None


class _PatientAdapter(HTTPAdapter):
    """Sends requests to one server, that of the first, with bounded retries, and lets only
    whole JSON answers with records through.
    """

    def __init__(self, source: ApiSource, first_wait: float) -> None:
        super().__init__()
        self._source, self._first_wait = source, first_wait
        self._first = ""

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        def send_once() -> requests.Response:
            try:
                response = super(_PatientAdapter, self).send(request, *args, **kwargs)
                response.content  # noqa: B018 (reads the body: it may break off)
            except requests.RequestException as error:
                raise _transport_error(error, self._source.timeout_seconds) from None
            return response if response.is_redirect else _check(response, self._source)

        self._first = self._first or str(request.url)
        refuse_stranger(self._first, str(request.url))
        kwargs["timeout"] = self._source.timeout_seconds
        return patiently(send_once, self._source.retries + 1, self._first_wait)


def _transport_error(error: requests.RequestException, timeout: float) -> SourceError:
    if isinstance(error, requests.exceptions.SSLError):
        return SourceRefused(
            "the server's certificate is not trusted. Set REQUESTS_CA_BUNDLE to your "
            "organisation's."
        )
    if isinstance(error, requests.Timeout):
        return SourceError(f"no answer within {timeout:g} s (`timeout_seconds`).")
    if isinstance(
        error, (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)
    ):
        return SourceError("the answer broke off before its end.")
    return SourceError("the server cannot be reached: is it up, and its host and port right?")


def _check(response: requests.Response, source: ApiSource) -> requests.Response:
    status = response.status_code
    if status in _MAY_PASS or status >= 500:
        wait = _retry_after(response)
        asked = f" and asks to wait for {wait:,.0f} s" if wait else ""
        raise SourceError(f"the server answers HTTP {status} {response.reason}{asked}.", wait)
    if status >= 400:
        what = _REFUSED.get(status, f"the server refuses the request (HTTP {status})")
        raise SourceRefused(f"{what}. It says: {response.text[:_SHOWN].strip()!r}")
    if response.content.lstrip()[:1] == b"<":
        raise SourceRefused(
            f"the answer is a page of HTML or XML, beginning with {response.text.strip()[:60]!r}; "
            "expected JSON."
            " Such a page comes where a log-in is needed or the address is wrong."
        )
    try:
        body = parse_json(response.content)
    except ValueError as error:
        raise SourceError(
            f"the answer ({len(response.content):,} bytes) is not whole JSON: {error}."
        ) from None
    _check_body(body, source)
    # Parsed once, with the numbers as written.
    response.json = lambda **_: body  # type: ignore[method-assign]
    return response


def _retry_after(response: requests.Response) -> float | None:
    header = response.headers.get("Retry-After")
    try:
        return Retry().parse_retry_after(header) if header else None
    except InvalidHeader:
        return None


def _check_body(body: Any, source: ApiSource) -> None:
    keys = ", ".join(body) if isinstance(body, dict) else f"a JSON {type(body).__name__}"
    found = jsonpath.find_values(source.records, body)
    if "*" not in source.records:
        if not found:
            raise SourceRefused(
                f"the answer has nothing at `records: {source.records}`; it has: {keys}."
            )
        found = [] if found[0] is None else found[0]
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise SourceRefused(
            f"`records: {source.records}` is no list of JSON objects; the answer has: {keys}."
        )
    path = _total_path(source)
    if path and not str(next(iter(jsonpath.find_values(path, body)), "")).isdigit():
        raise SourceRefused(
            f"the answer has no number at {path!r} (`paging` in params.yaml); it has: {keys}."
        )
