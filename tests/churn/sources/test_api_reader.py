"""Reading paged REST APIs as sources, from a real HTTP server on loopback."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from churn.sources import SourceRefused
from helpers.reading import fail_api, read_api, refuse_api
from helpers.servers import Answer, Request, free_port, in_turn, json_answer, serving, serving_rows

CUSTOMERS = [
    {"id": f"{number:03}", "plan": "basic" if number % 2 else "plus"} for number in range(23)
]
PAGINGS: dict[str, dict[str, Any]] = {
    "page_number": {"kind": "page_number", "size_param": "size", "size": 5},
    "page_number_with_total": {
        "kind": "page_number",
        "size_param": "size",
        "size": 5,
        "total_pages": "pages",
    },
    "offset": {"kind": "offset", "size": 5},
    "offset_with_total": {"kind": "offset", "size": 5, "total": "total"},
    "cursor": {"kind": "cursor", "size_param": "size", "size": 5},
    "next_link_in_body": {"kind": "next_link", "link": "next"},
    "next_link_in_header": {"kind": "next_link"},
}
PAGES = {"kind": "page_number"}
ONE_PAGE = json_answer({"items": [{"id": "1"}]})


@pytest.mark.parametrize("paging", PAGINGS.values(), ids=PAGINGS.keys())
def test_every_paging_reads_all_records_in_order(paging: dict[str, Any]) -> None:
    """Page numbers, offsets, cursors and next links all bring each record once."""
    with serving_rows({"customers": CUSTOMERS}, size=5) as server:
        received = read_api(f"{server.address}/customers", paging=paging)
    assert received.table.to_dict("records") == CUSTOMERS


def test_one_page_without_paging() -> None:
    """Without `paging` one request is sent; the whole body may be the list of records."""
    with serving(lambda request: json_answer([{"id": "1"}])) as server:
        received = read_api(server.address, records="$", query={"active": "yes"})
    assert list(received.table["id"]) == ["1"]
    assert [request.query for request in server.requests] == [{"active": "yes"}]


def test_facts_are_those_of_the_bodies() -> None:
    """Bytes and SHA-256 are those of the pages' bodies, one after the other."""
    pages = [
        json_answer({"items": [{"id": "1"}]}),
        json_answer({"items": [{"id": "2"}]}),
        json_answer({"items": []}),
    ]
    with serving(in_turn(*pages)) as server:
        received = read_api(server.address, paging=PAGES)
    bodies = b"".join(page.body for page in pages)
    assert (received.bytes, received.sha256) == (len(bodies), hashlib.sha256(bodies).hexdigest())
    assert (received.kind, received.rows) == ("api", 2)


def test_single_page_is_noted() -> None:
    """A first answer without a next page is noted: a misspelt cursor would look the same."""
    with serving(lambda request: ONE_PAGE) as server:
        assert (
            "no next one in nxt"
            in read_api(server.address, paging={"kind": "cursor", "cursor": "nxt"}).notes[0]
        )
        assert "Link header" in read_api(server.address, paging={"kind": "next_link"}).notes[0]
    with serving_rows({"customers": CUSTOMERS}) as server:
        assert not read_api(f"{server.address}/customers", paging=PAGINGS["cursor"]).notes


def test_server_that_sends_smaller_pages_loses_no_record() -> None:
    """Offsets grow by what was received, where a server caps the size of its pages."""

    def capped(request: Request) -> Answer:
        start = int(request.query["offset"])
        return json_answer({"items": CUSTOMERS[start : start + 4]})

    with serving(capped) as server:
        received = read_api(server.address, paging={"kind": "offset", "size": 10})
    assert received.rows == len(CUSTOMERS)


def test_records_with_different_keys() -> None:
    """The columns are the union of the keys; numbers keep their digits and nested
    values are compact JSON.
    """
    body = (
        b'{"items": [{"id": 12345678901234567890, "price": 29.850}, '
        b'{"id": "NA", "tags": ["a", 1], "gone": null}]}'
    )
    with serving(lambda request: Answer(body)) as server:
        frame = read_api(server.address).table.astype(object)
    assert frame.where(frame.notna(), None).to_dict("list") == {
        "id": ["12345678901234567890", "NA"],
        "price": ["29.850", None],
        "tags": [None, '["a",1]'],
        "gone": [None, None],
    }


def test_no_records_are_a_table_without_rows() -> None:
    """An empty list, or null, gives no rows; the minimum-rows check is what stops there."""
    for items in ([], None):
        with serving(in_turn(json_answer({"items": items}))) as server:
            assert read_api(server.address, paging=PAGES).rows == 0


def test_bearer_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token from a variable is sent, and a wrong one refused at once without showing it."""
    monkeypatch.setenv("API_TOKEN", "tok-abcdef")
    facts = {"paging": PAGES, "auth": {"bearer": "${API_TOKEN}"}}
    with serving_rows({"customers": CUSTOMERS}, token="tok-abcdef") as server:
        assert read_api(f"{server.address}/customers", **facts).rows == len(CUSTOMERS)
        monkeypatch.setenv("API_TOKEN", "tok-wrong")
        seen = len(server.requests)
        with pytest.raises(SourceRefused, match="credentials are refused") as caught:
            read_api(f"{server.address}/customers", **facts)
    assert len(server.requests) == seen + 1
    assert "tok-wrong" not in "".join(traceback.format_exception(caught.value))


def test_basic_authentication(monkeypatch: pytest.MonkeyPatch) -> None:
    """User and password are sent, with letters beyond ASCII too."""
    monkeypatch.setenv("API_PASSWORD", "pässwörd")
    facts = {"paging": PAGES, "auth": {"user": "crm", "password": "${API_PASSWORD}"}}
    with serving_rows({"customers": CUSTOMERS}, user_password=("crm", "pässwörd")) as server:
        assert read_api(f"{server.address}/customers", **facts).rows == len(CUSTOMERS)


def test_message_of_a_server_that_repeats_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that the server's answer quotes is hidden in the message, as is one in the
    address.
    """
    monkeypatch.setenv("API_TOKEN", "tok-abcdef")
    message, _ = refuse_api(
        lambda request: json_answer({"bad": "tok-abcdef"}, 400), query={"key": "${API_TOKEN}"}
    )
    assert "tok-abcdef" not in message
    assert "HTTP 400" in message
    with serving(lambda request: ONE_PAGE) as server:
        received = read_api(f"{server.address}/x?api_key=k123456&page=1")
    assert received.address == f"{server.address}/x?api_key=***&page=1"


def test_server_that_ignores_the_page_is_stopped() -> None:
    """A page with the records of an earlier one ends the reading instead of going on for ever."""
    message, requests = refuse_api(lambda request: ONE_PAGE, paging=PAGES)
    assert "ignores the paging" in message
    assert requests == 2


def test_repeated_cursor_is_stopped() -> None:
    """Cursors that lead back to an earlier page end the reading."""
    number = itertools.count()

    def circle(request: Request) -> Answer:
        return json_answer(
            {
                "items": [{"id": next(number)}],
                "next_cursor": "b" if request.query.get("cursor") == "a" else "a",
            }
        )

    message, requests = refuse_api(circle, paging={"kind": "cursor"})
    assert "go round in a loop" in message
    assert requests == 4


def test_repeated_next_link_is_stopped() -> None:
    """A next link to the page itself ends the reading."""
    number = itertools.count()

    def answer(request: Request) -> Answer:
        return json_answer({"items": [{"id": next(number)}], "next": "/customers"})

    message, _ = refuse_api(answer, paging={"kind": "next_link", "link": "next"})
    assert "go round in a loop" in message


def test_endless_pages_are_capped() -> None:
    """More pages than `max_pages` are an error."""
    number = itertools.count()
    message, requests = refuse_api(
        lambda request: json_answer({"items": [{"id": next(number)}]}), paging=PAGES, max_pages=5
    )
    assert "more than 5 pages" in message
    assert requests == 5


def test_end_before_the_named_total_is_an_error() -> None:
    """An empty page before the number of pages or records that the server named is no end."""
    pages = in_turn(
        json_answer({"items": [{"id": 1}], "pages": 3}), json_answer({"items": [], "pages": 3})
    )
    assert "after 2 of 3 pages" in fail_api(pages, paging=PAGES | {"total_pages": "pages"})[0]
    rows = in_turn(
        json_answer({"items": [{"id": 1}], "total": 9}), json_answer({"items": [], "total": 9})
    )
    assert "after 1 of 9 records" in fail_api(rows, paging={"kind": "offset", "total": "total"})[0]


def test_next_link_to_another_server_is_not_followed() -> None:
    """Credentials are not sent to a host that an answer names."""
    with serving(lambda request: ONE_PAGE) as other:
        body = {"items": [{"id": "1"}], "next": f"{other.address}/steal"}
        message, _ = refuse_api(
            lambda request: json_answer(body),
            paging={"kind": "next_link", "link": "next"},
            auth={"bearer": "tok-abcdef"},
        )
    assert "another server" in message
    assert not other.requests


@pytest.mark.parametrize(
    "address", ["api.example.com/customers", "http://", "http://127.0.0.1:port/"]
)
def test_address_that_is_none_is_refused(address: str) -> None:
    """An address without its protocol, host or port number is refused."""
    with pytest.raises(SourceRefused, match="cannot be sent"):
        read_api(address)


def test_token_with_a_line_break_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A token read from a file with its line break, which no header may hold, is not
    quoted in the message.
    """
    monkeypatch.setenv("API_TOKEN", "tok-abcdef\n")
    with (
        serving(lambda request: ONE_PAGE) as server,
        pytest.raises(SourceRefused, match="line break") as caught,
    ):
        read_api(server.address, auth={"bearer": "${API_TOKEN}"})
    assert "tok-abcdef" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("body", "facts", "expected"),
    [
        ({"data": []}, {}, "nothing at `records: items`; it has: data"),
        ({"items": {"id": 1}}, {}, "no list of JSON objects"),
        ({"items": [1, 2]}, {}, "no list of JSON objects"),
        ({"items": []}, {"records": "$"}, "no list of JSON objects; the answer has: items"),
        ({"items": []}, {"records": "items[["}, "not a JSON path"),
        (
            {"items": []},
            {"paging": PAGES | {"total_pages": "meta.pages"}},
            "no number at 'meta.pages'",
        ),
    ],
)
def test_answers_of_another_form_are_refused(
    body: Any, facts: dict[str, Any], expected: str
) -> None:
    """Records or totals that are not where `params.yaml` says are refused with what the answer
    has.
    """
    assert expected in refuse_api(lambda request: json_answer(body), **facts)[0]


def test_loopback_is_reached_without_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample company's API works behind a company's proxy."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving(lambda request: ONE_PAGE) as server:
        assert read_api(server.address).rows == 1


def test_redirect_is_followed() -> None:
    """A moved address is followed."""
    moved = Answer(status=301, headers={"Location": "/new"})
    with serving(lambda request: moved if request.path == "/customers" else ONE_PAGE) as server:
        assert read_api(f"{server.address}/customers").rows == 1


def test_reading_an_api_connects_to_it_alone(tmp_path: Path) -> None:
    """The libraries beneath open no connection of their own, as for telemetry, and
    leave no file at home.
    """
    program = tmp_path / "read.py"
    program.write_text(
        "import sys\n"
        "seen = []\n"
        "sys.addaudithook(lambda name, args: seen.append(args[1]) if name == 'socket.connect' "
        "else None)\n"
        "from pathlib import Path\n"
        "from churn.params import ApiSource\n"
        "from churn.sources.received import read_source\n"
        "read_source('crm', ApiSource(api=sys.argv[1], records='items'), Path())\n"
        "print(seen)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)}
    environment.pop("RUNTIME__DLTHUB_TELEMETRY", None)
    with serving(lambda request: ONE_PAGE) as server:
        done = subprocess.run(
            [sys.executable, program, server.address],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.strip() == str([("127.0.0.1", int(server.address.rpartition(":")[2]))])
    assert [path.name for path in tmp_path.iterdir()] == ["read.py"]


def test_equal_pages_give_equal_tables_and_hashes() -> None:
    """Reading twice gives the same table and the same hash."""
    with serving_rows({"customers": CUSTOMERS}) as server:
        first, second = (
            read_api(f"{server.address}/customers", paging=PAGINGS["cursor"]) for _ in range(2)
        )
    assert first.sha256 == second.sha256
    assert json.loads(first.table.to_json()) == json.loads(second.table.to_json())
